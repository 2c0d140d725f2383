"""Thread-safe sockets in several hands, and datagrams that cannot leave."""

from __future__ import annotations

import socket as plain
import time

import pytest

import zraw
from drafts import drafts
from programs import check

THREADS = """
server, client = context.socket(zraw.ZMQ_SERVER), context.socket(zraw.ZMQ_CLIENT)
client.connect(server.bind("inproc://threads"))
client.send(b"hello")
peer = server.recv_msg().routing_id()
received = []
thread = threading.Thread(target=lambda: received.append(client.recv()), daemon=True)
thread.start()
until(lambda: "in use" in repr(client))
def finish():
    message = zraw.Message(b"end")
    message.set_routing_id(peer)
    server.send(message)
    thread.join(10)
    assert received == [b"end"]
    client.close()  # SocketInUse if a guard was kept
    server.close()
    end()
"""


@pytest.mark.parametrize(
    "call",
    [
        "zraw.poll([(client, zraw.ZMQ_POLLIN)], 0)",
        "zraw.poll([(client, zraw.ZMQ_POLLIN)] * 2, 0)",
        "poller.wait(0)",
    ],
)
@drafts
def test_poll__thread_safe_socket_that_another_thread_uses(call):
    """It joins, and leaves: afterwards nobody is inside."""
    zraw.Context().socket(zraw.ZMQ_CLIENT).close()  # refused without drafts
    check(
        THREADS
        + f"""
poller = zraw.Poller()
poller.add(client)
for _ in range(3):
    try:
        assert {call} == []
    except zraw.Again:
        pass
poller.destroy()
finish()
"""
    )


@drafts
def test_poll__refused_socket_leaves_those_before_it_free():
    """Of all or of none, the thread-safe ones too."""
    zraw.Context().socket(zraw.ZMQ_CLIENT).close()
    check(
        THREADS
        + """
push.connect(pull.bind("inproc://pull"))
other = threading.Thread(target=pull.recv, daemon=True)
other.start()
until(lambda: inside(pull))
for pair in ((client, pull), (pull, client)):
    items = [(item, zraw.ZMQ_POLLIN) for item in pair]
    refused(zraw.SocketInUse, [lambda: zraw.poll(items, 0)] * 3)
push.send(b"x")
other.join(10)
finish()
"""
    )


@drafts
def test_send__dgram_whose_port_is_taken_waits_as_long_as_it_may(sock):
    """libzmq binds in the background, and tells nobody that it could not."""
    with plain.socket(plain.AF_INET, plain.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*taken.getsockname())
        socket = sock(zraw.ZMQ_DGRAM, SNDTIMEO=50, SNDHWM=1)
        socket.bind(f"udp://{address}")
        message = [address.encode(), b"x"]
        for _ in range(100):  # some fit into the queue that nobody empties
            start = time.monotonic()
            try:
                socket.send_multipart(message)
            except zraw.Again:
                break
        assert 0.04 < time.monotonic() - start < 5
        with pytest.raises(zraw.Again):
            socket.send(message[0], zraw.ZMQ_SNDMORE | zraw.ZMQ_DONTWAIT)
        taken.setblocking(False)
        with pytest.raises(BlockingIOError):
            taken.recv(1)  # nothing has left


CLIENT = """
server = context.socket(zraw.ZMQ_SERVER)
def busy():
    return "in use" in repr(server)
"""


@drafts
def test_exit__daemon_thread_inside_a_thread_safe_socket():
    """It sleeps until the process ends, and says nothing."""
    zraw.Context().socket(zraw.ZMQ_SERVER).close()  # refused without drafts
    done = check(
        CLIENT
        + """
def wait():
    server.recv()
    print("it came back")
threading.Thread(target=wait, daemon=True).start()
until(busy)
print("ends")
"""
    )
    assert done.out == "ends\n"
    assert done.seconds < 15


@drafts
def test_msg_recv__handler_that_closes_a_thread_safe_socket():
    zraw.Context().socket(zraw.ZMQ_SERVER).close()
    check(
        CLIENT
        + """
signal.signal(signal.SIGALRM, lambda *_: server.close())
signal.setitimer(signal.ITIMER_REAL, 0.05)
start = time.monotonic()
try:
    server.recv()
except zraw.NotASocket:
    assert server.closed and time.monotonic() - start < 5
else:
    raise AssertionError("it received")
end()
"""
    )
