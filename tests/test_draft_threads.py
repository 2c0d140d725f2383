"""Sockets of thread-safe types, with several threads in them at once."""

from __future__ import annotations

import threading
import time

import pytest

import zraw
from drafts import drafts, to
from programs import check

BEGIN = """
server, client = context.socket(zraw.ZMQ_SERVER), context.socket(zraw.ZMQ_CLIENT)
for socket in (server, client):
    socket.setsockopt(zraw.ZMQ_LINGER, 0)

def to(routing_id, data):
    message = zraw.Message(data)
    message.set_routing_id(routing_id)
    return message

# The first of its kind starts a thread, and gives up the GIL for that.
zraw.Message.init_data(bytearray(10)).close()
# A thread gives up the GIL only where it waits: inside the call, that is.
sys.setswitchinterval(100)

def inside_of(call):
    "Start a thread that waits in a call; return it and what the call will end with."
    ended, going = [], threading.Event()
    def run():
        going.set()
        try:
            ended.append(call())
        except BaseException as error:
            ended.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    assert going.wait(10)
    assert not ended
    return thread, ended
"""


def child(program, *args, timeout=30):
    """Run a program with a server and a client."""
    with zraw.Context() as context:
        context.socket(zraw.ZMQ_CLIENT).close()
    check(BEGIN + program, *args, timeout=timeout)


@drafts
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
@pytest.mark.parametrize("threads", [2, 8])
def test_msg_send__many_threads_in_one_client(pair, transport, threads):
    """None of the messages is lost, doubled, torn or out of its thread's order."""
    server, client = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, transport)
    each, got, taking = 500, [], threading.Lock()

    def send(name):
        for number in range(each):
            data = b"%d.%d." % (name, number)
            if number % 3 == 0:
                client.send(data)
            elif number % 3 == 1:
                zraw.Message(data).send(client)
            else:
                client.send_many([data])

    def take():
        taken = []
        for _ in range(each):
            taken.append(server.recv())
        with taking:
            got.extend(taken)

    workers = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    workers += [threading.Thread(target=take) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    expected = sorted(b"%d.%d." % (n, m) for n in range(threads) for m in range(each))
    assert sorted(got) == expected
    assert server.try_recv() is None


@drafts
@pytest.mark.parametrize("threads", [2, 8])
def test_msg_send__many_threads_in_one_server(sock, threads):
    """Each answers what it takes; each client gets its own answers, all of them."""
    server = sock(zraw.ZMQ_SERVER)
    endpoint = server.bind("tcp://127.0.0.1:*")
    stop, failed = threading.Event(), []

    def serve():
        while not stop.is_set():
            message = zraw.Message()
            if server.try_recv_msg(message):
                server.send(to(message.routing_id(), bytes(message) + b"!"))
            else:
                server.poll(5)

    def ask(client, name):
        try:
            for number in range(150):
                client.send(b"%d.%d" % (name, number))
                assert client.recv() == b"%d.%d!" % (name, number)
        except BaseException as error:
            failed.append(error)
            raise

    clients = [sock(zraw.ZMQ_CLIENT) for _ in range(4)]
    for client in clients:
        client.connect(endpoint)
    servers = [threading.Thread(target=serve) for _ in range(threads)]
    asking = [
        threading.Thread(target=ask, args=(client, number))
        for number, client in enumerate(clients)
    ]
    for thread in servers + asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    stop.set()
    for thread in servers:
        thread.join(30)
    assert not failed
    for client in clients:
        assert client.try_recv() is None


@drafts
def test_msg_recv__one_waits_while_another_sends(pair):
    """On one socket: what two threads may not do with other types."""
    server, client = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, RCVTIMEO=-1)
    got = []
    thread = threading.Thread(target=lambda: got.extend([client.recv(), client.recv()]))
    thread.start()
    for number in range(100):
        client.send(b"%d" % number)
        assert server.recv_msg() == b"%d" % number
    client.send(b"last")
    routing_id = server.recv_msg().routing_id()
    assert thread.is_alive()
    assert not got
    server.send(to(routing_id, b"one"))
    server.send(to(routing_id, b"two"))
    thread.join(10)
    assert got == [b"one", b"two"]


WAITS = {
    "recv": "client.recv()",
    "recv_msg": "client.recv_msg()",
    "recv_into": "client.recv_into(bytearray(9))",
    "recv_multipart": "client.recv_multipart()",
    "recv_many": "client.recv_many()",
    "message_recv": "zraw.Message().recv(client)",
    "send": "client.send(b'x')",
    "send_pinned": "client.send(bytes(100000))",
    "send_many": "client.send_many([b'x'])",
    "message_send": "zraw.Message(b'x').send(client)",
    "poll": "client.poll()",
}
SOME = ["recv", "recv_many", "send", "send_many", "poll"]


@drafts
@pytest.mark.parametrize("call", WAITS)
def test_close__another_thread_is_inside(call):
    child(f"""
thread, ended = inside_of(lambda: {WAITS[call]})
refused(zraw.SocketInUse, [client.close, lambda: client.close(linger=0)])
assert not client.closed and thread.is_alive()
# What is not close() is nobody's business.
assert client.getsockopt(zraw.ZMQ_LINGER) == 0
client.setsockopt(zraw.ZMQ_LINGER, 0)
assert client.try_recv() is None
assert client.try_send(b"x") is False
assert thread.is_alive() and not ended
start = time.monotonic()
context.shutdown()
thread.join(10)
assert time.monotonic() - start < 1
assert [type(error) for error in ended] == [zraw.ContextTerminated], ended
assert ended[0].errno == zraw.ETERM
client.close()
refused(zraw.NotASocket, [client.recv, lambda: client.send(b"x"), client.poll])
context.close()
""")


@drafts
@pytest.mark.parametrize("call", SOME)
def test_ctx_close__waits_for_the_thread_inside(call):
    child(f"""
thread, ended = inside_of(lambda: {WAITS[call]})
start = time.monotonic()
context.close()
assert time.monotonic() - start < 1
thread.join(10)
assert [type(error) for error in ended] == [zraw.ContextTerminated], ended
assert client.closed and server.closed and context.closed
""")


@drafts
@pytest.mark.parametrize("call", SOME)
def test_msg_recv__ctrl_c(call):
    """libzmq itself would wait on: the main thread waits on a condition variable."""
    child(f"""
timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
timer.start()
start = time.monotonic()
try:
    {WAITS[call]}
except KeyboardInterrupt:
    assert time.monotonic() - start < 1, time.monotonic() - start
else:
    raise AssertionError("nothing came")
timer.join()
server.bind("inproc://after")
client.connect("inproc://after")
client.send(b"after")
assert server.recv() == b"after"
assert server.try_recv() is None
end()
""")


@drafts
@pytest.mark.parametrize("call", SOME)
def test_msg_recv__signal_handlers_use_the_socket(call):
    """They run within milliseconds, and what waits goes on with it."""
    receives = not call.startswith("send") and call != "message_send"
    child(f"""
sent = 0
def handler(*_):
    global sent
    sent += 1
    if sent == 1:
        client.setsockopt(zraw.ZMQ_LINGER, 0)
        assert client.try_recv() is None
        return
    if sent == 2:
        server.bind("inproc://signal")
        client.connect("inproc://signal")
        if {receives}:
            client.send(b"hello")
            server.send(to(server.recv_msg().routing_id(), b"answer"))
signal.signal(signal.SIGUSR1, handler)
def kill():
    while sent < 2:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.05)
thread = threading.Thread(target=kill)
thread.start()
{WAITS[call]}
assert sent >= 2
thread.join(10)
end()
""")


@drafts
def test_msg_recv__several_threads_wait(pair):
    server, client = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, RCVTIMEO=-1)
    client.send(b"x")
    routing_id = server.recv_msg().routing_id()
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(client.recv())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    server.send_many([to(routing_id, b"%d" % number) for number in range(8)])
    for thread in threads:
        thread.join(10)
    assert sorted(got) == [b"%d" % number for number in range(8)]


@drafts
def test_msg_recv__the_time_that_rcvtimeo_says(pair):
    _, client = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, RCVTIMEO=100)
    start = time.monotonic()
    with pytest.raises(zraw.Again):
        client.recv()
    assert 0.098 < time.monotonic() - start < 5


@drafts
def test_fork__inherited_thread_safe_sockets():
    child("""
server.bind("inproc://x")
client.connect("inproc://x")
pid = os.fork()
if pid == 0:
    message = zraw.Message(b"x")
    refused(zraw.ForkError, [
        client.recv, client.try_recv, client.poll, client.recv_many,
        lambda: client.send(b"x"), lambda: client.send_many([b"x"]),
        lambda: message.send(client), lambda: message.recv(client),
        lambda: client.getsockopt(zraw.ZMQ_LINGER),
    ])
    client.close()
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
client.send(b"x")
assert server.recv() == b"x"
end()
""")
