"""zraw.pyzmq: shadows, threads, signals, forks, and how sockets and programs end."""

from __future__ import annotations

import pytest

from conftest import run_child
from pyzmq_tools import START, check


def test_shadow():
    check("""
import gc
push, pull = connected()
other = zmq.Context.shadow(context.underlying)
assert other.underlying == context.underlying
twin = zmq.Socket.shadow(pull.underlying)
push.send(b"x")
assert twin.recv() == b"x"
more = other.socket(zmq.PUB)
more.close()
del other, more
gc.collect()
assert not context.closed
pull.close()
assert twin.closed
raises(zmq.ZMQError, zmq.ENOTSOCK, twin.recv)
push.close()
context.term()
assert context.closed
import zraw
with zraw.Context() as own:  # what pyzmq did not make
    socket = own.socket(zraw.ZMQ_PAIR)
    shadow = zmq.Socket.shadow(socket.handle)
    assert zmq.Context.shadow(own.handle).get(zmq.IO_THREADS) == 1
    socket.bind("inproc://own")
    assert shadow.last_endpoint == b"inproc://own"
    socket.close()
""")


def test_monitor():
    check("""
from zmq.utils.monitor import recv_monitor_message
push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
reader = push.get_monitor_socket()
port = pull.bind_to_random_port("tcp://127.0.0.1")
push.connect(f"tcp://127.0.0.1:{port}")
seen = []
while zmq.EVENT_HANDSHAKE_SUCCEEDED not in seen:
    assert reader.poll(5000)
    seen.append(recv_monitor_message(reader)["event"])
assert zmq.EVENT_CONNECTED in seen
push.disable_monitor()
assert reader.poll(5000)
while recv_monitor_message(reader)["event"] != zmq.EVENT_MONITOR_STOPPED:
    assert reader.poll(5000)
reader.close()
# The reader first: libzmq would wait for it for ever.
reader = push.get_monitor_socket(addr="inproc://second")
reader.rcvhwm = 1
reader.close()
for _ in range(20):
    push.disconnect(f"tcp://127.0.0.1:{port}")
    push.connect(f"tcp://127.0.0.1:{port}")
push.close(linger=0)
pull.close()
context.term()
""")


def test_proxy__and_monitored_queue():
    check(
        """
def through(run, *kinds):
    own = zmq.Context()
    front, back = own.socket(kinds[0]), own.socket(kinds[1])
    side, client, server = (own.socket(kind) for kind in kinds[2:])
    side.bind("inproc://side"), front.bind("inproc://f"), back.bind("inproc://b")
    capture = own.socket(zmq.PUSH)
    capture.connect("inproc://side")
    for socket in (side, client, server):
        socket.rcvtimeo = 5000
    server.identity = b"server"
    server.connect("inproc://b"), client.connect("inproc://f")

    def forward():
        try:
            run(front, back, capture)
        except zmq.ContextTerminated:
            for socket in (front, back, capture):
                socket.close(linger=0)

    thread = threading.Thread(target=forward)
    thread.start()
    return own, thread, client, server, side

own, thread, client, server, side = through(
    zmq.proxy, zmq.ROUTER, zmq.DEALER, zmq.PULL, zmq.REQ, zmq.REP)
client.send(b"question")
assert server.recv() == b"question"
server.send(b"answer")
assert client.recv() == b"answer"
assert side.recv_multipart()[2:] == [b"question"]
own.destroy(linger=0)
thread.join(10)
from zmq.devices import monitored_queue
own, thread, client, server, side = through(
    monitored_queue, zmq.ROUTER, zmq.ROUTER, zmq.PULL, zmq.DEALER, zmq.DEALER)
client.send_multipart([b"server", b"1", b"2"])
name, *rest = server.recv_multipart()
assert rest == [b"1", b"2"]
assert side.recv_multipart() == [b"in", b"server", name, b"1", b"2"]
server.send_multipart([name, b"3"])
assert client.recv_multipart() == [b"server", b"3"]
assert side.recv_multipart() == [b"out", name, b"server", b"3"]
own.destroy(linger=0)
thread.join(10)
context.term()
"""
    )


def test_threads__one_at_a_time():
    check("""
dealer, other = connected(zmq.DEALER, zmq.DEALER)
got = []
thread = threading.Thread(target=lambda: got.append(dealer.recv()))
thread.start()
until(lambda: inside(dealer))
text = raises(zmq.ZMQError, errno.EBUSY, dealer.send, b"x")
assert "another thread" in text, text
raises(zmq.ZMQError, errno.EBUSY, zmq.zmq_poll, [(dealer, zmq.POLLIN)], 0)
assert not dealer.closed
assert (dealer.FD > 0, dealer.get(zmq.TYPE)) == (True, zmq.DEALER)
other.send(b"end")
thread.join(10)
assert got == [b"end"]
# With a lock of their own, threads may share a socket.
lock, total = threading.Lock(), 2000

def work():
    for _ in range(total):
        with lock:
            dealer.send(b"work")

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(4 * total):
    assert other.recv() == b"work"
for thread in threads:
    thread.join(10)
context.destroy()
""")


def test_close__while_another_thread_is_inside():
    check("""
def wait(socket, call):
    try:
        call()
    except zmq.ZMQError as error:
        ended.append(error.errno)
    except BaseException as error:
        ended.append(error)

ended = []
calls = {
    "recv": lambda socket: socket.recv(),
    "recv_multipart": lambda socket: socket.recv_multipart(),
    "poll": lambda socket: socket.poll(),
}
for name, call in calls.items():
    own = zmq.Context()
    pull = own.socket(zmq.PULL)
    thread = threading.Thread(target=wait, args=(pull, lambda: call(pull)))
    thread.start()
    until(lambda: inside(pull))
    pull.close()
    assert pull.closed
    raises(zmq.ZMQError, zmq.ENOTSOCK, pull.recv)
    own.term()
    thread.join(10)
    assert ended.pop() == zmq.ETERM, name
    own = zmq.Context()  # the same by destroy(), with a linger
    push = own.socket(zmq.DEALER)
    push.connect("tcp://127.0.0.1:1")
    push.send(b"for nobody")
    thread = threading.Thread(target=wait, args=(push, lambda: call(push)))
    thread.start()
    until(lambda: inside(push))
    own.destroy(linger=0)
    thread.join(10)
    assert ended.pop() == zmq.ETERM, name
context.term()
""")


def test_close__message_on_its_way_is_received():
    check("""
push, pull = connected()
got = []
thread = threading.Thread(target=lambda: got.append(pull.recv()))
thread.start()
until(lambda: inside(pull))
pull.close()
push.send(b"last")
thread.join(10)
assert got == [b"last"]
assert pull.underlying == 0
context.destroy()
""")


def test_fork():
    check("""
import warnings
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
push, pull = connected()
frame = zmq.Frame(b"f" * 100000, copy=False, track=True)
child = os.fork()
if not child:
    text = raises(zmq.ZMQError, errno.EPERM, push.send, b"x")
    assert "fork" in text, text
    raises(zmq.ZMQError, errno.EPERM, pull.recv)
    raises(zmq.ZMQError, errno.EPERM, context.socket, zmq.PUB)
    push.close(), pull.close(), context.term()
    own = zmq.Context.instance()
    first, second = own.socket(zmq.PUSH), own.socket(zmq.PULL)
    first.bind("inproc://child"), second.connect("inproc://child")
    first.send_multipart([b"of the", b"child"])
    assert second.recv_multipart() == [b"of the", b"child"]
    own.destroy()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
push.send(b"of the parent")
assert pull.recv() == b"of the parent"
context.destroy()
""")


def test_exit__nothing_closed():
    done = run_child(
        START
        + """
push, pull = connected()
push.send(b"x" * 100000, copy=False)
threading.Thread(target=pull.recv_multipart, daemon=True).start()
nobody = context.socket(zmq.PULL)
threading.Thread(target=nobody.recv, daemon=True).start()
until(lambda: inside(nobody))
""",
        env={"PYZMQ_BACKEND": "zraw.pyzmq"},
    )
    assert (done.code, done.err) == (0, ""), done


def test_collect__warnings_are_those_of_pyzmq():
    done = run_child(
        """
        import gc, warnings, zmq
        warnings.simplefilter("always")
        context = zmq.Context()
        socket = context.socket(zmq.PUB)
        socket.__dict__["me"] = socket
        del socket
        gc.collect()
        assert not list(context._sockets)
        context.term()
        """,
        env={"PYZMQ_BACKEND": "zraw.pyzmq"},
    )
    assert done.code == 0, done
    assert done.err.count("ResourceWarning: Unclosed socket") == 1, done
    assert "unclosed" not in done.err, done  # what zraw would say


def test_gevent__greenlets_go_on():
    pytest.importorskip("gevent")
    check("""
from gevent import monkey
monkey.patch_all()
import gevent
import zmq.green
own = zmq.green.Context()
push, pull = own.socket(zmq.PUSH), own.socket(zmq.PULL)
pull.connect(f"tcp://127.0.0.1:{push.bind_to_random_port('tcp://127.0.0.1')}")
sizes = []
reader = gevent.spawn(lambda: [sizes.append(len(pull.recv())) for _ in range(5)])
for copy in (True, False, True, False, True):
    tracker = push.send(b"x" * 300000, copy=copy, track=True)
    if not copy:
        tracker.wait(5)
reader.join(10)
assert sizes == [300000] * 5
own.destroy()
context.term()
""")


@pytest.mark.parametrize(
    "call",
    [
        "pull.recv()",
        "pull.recv(copy=False)",
        "pull.recv_multipart()",
        "pull.poll()",
        "push.send(b'for nobody')",
        "zmq.proxy(pull, push)",
        "zmq.devices.monitored_queue(pull, push, side)",
    ],
)
def test_signals__handlers_run(call):
    check(f"""
import signal, zmq.devices
pull, push, side = (context.socket(kind) for kind in (zmq.PULL, zmq.PUSH, zmq.PUB))
seen = []

def handler(*_):
    seen.append(pull.closed)
    if len(seen) == 3:
        raise LookupError

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
try:
    {call}
except LookupError:
    signal.setitimer(signal.ITIMER_REAL, 0)
assert seen == [False] * 3
context.destroy(linger=0)
""")
