"""zraw.pyzmq: pyzmq's programs run on zraw, and only the environment says so."""

from __future__ import annotations

import pytest

from conftest import run_child
from zraw import pyzmq

START = """
import gc, os, sys, threading, time
import zmq

def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.001)

def inside(socket):
    "Whether another thread waits in a call: only then the GIL is given up."
    try:
        socket.get(zmq.SNDHWM)
    except zmq.ZMQError as error:
        return error.errno == errno.EBUSY
    return False

def connected(first=zmq.PUSH, second=zmq.PULL, endpoint="tcp://127.0.0.1:*"):
    made = context.socket(first), context.socket(second)
    for socket in made:
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = 5000
    made[0].bind(endpoint)
    made[1].connect(made[0].last_endpoint.decode())
    return made

def raises(kind, number, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as error:
        assert type(error) is kind, error
        assert error.errno == number, error
        return str(error)
    raise AssertionError("let through")

import errno
context = zmq.Context()
"""


def check(program, env="zraw.pyzmq", timeout=30):
    """Run a program on the backend; it has to end well and in silence."""
    done = run_child(
        START + program, timeout=timeout, env={"PYZMQ_BACKEND": env} if env else {}
    )
    assert (done.code, done.err) == (0, ""), done
    return done.out


def test_pyzmq__is_the_backend():
    out = check("""
from zmq.backend.select import public_api
for name in public_api:
    assert getattr(zmq.backend, name) is getattr(sys.modules["zraw.pyzmq"], name), name
assert issubclass(zmq.Socket, sys.modules["zraw.pyzmq"].Socket)
assert issubclass(zmq.Context, sys.modules["zraw.pyzmq"].Context)
assert issubclass(zmq.Frame, sys.modules["zraw.pyzmq"].Frame)
assert "zmq.backend.cython" not in sys.modules
print(*sorted(public_api), *zmq.zmq_version_info())
""")
    names = set(out.split())
    assert {"Context", "Socket", "Frame", "zmq_poll", "proxy", "curve_public"} <= names
    assert [int(each) for each in sorted(names) if each.isdigit()]


def test_pyzmq__names_are_all_there():
    assert set(pyzmq.__all__) <= set(vars(pyzmq))
    assert pyzmq.Message is pyzmq.Frame
    assert pyzmq.zmq_version_info() >= (4, 3, 2)
    assert pyzmq.strerror(11) == "Resource temporarily unavailable"
    assert pyzmq.has("ipc") is True
    assert pyzmq.has("nothing") is False
    assert pyzmq.IPC_PATH_MAX_LEN == 107


def test_pyzmq__is_imported_before_zmq():
    check("", env=None)
    done = run_child(
        "import zraw.pyzmq, zmq; print(zmq.backend.Socket is zraw.pyzmq.Socket)",
        env={"PYZMQ_BACKEND": "zraw.pyzmq"},
    )
    assert (done.code, done.out, done.err) == (0, "True\n", ""), done


@pytest.mark.parametrize("endpoint", ["inproc://x", "tcp://127.0.0.1:*"])
def test_send__recv(endpoint):
    check(f"""
push, pull = connected(endpoint={endpoint!r})
big = bytes(range(256)) * 1000
for data in (b"", b"x", b"y" * 1000, big, bytearray(b"z" * 40), memoryview(big)[5:]):
    for copy in (True, False):
        push.send(data, copy=copy)
        assert pull.recv() == data
        push.send(data, copy=copy)
        frame = pull.recv(copy=False)
        assert type(frame) is zmq.Frame
        assert (frame.bytes, bytes(frame.buffer), len(frame)) == (data, data, len(data))
push.send_string("text"), push.send_json([1]), push.send_pyobj({{2}})
assert (pull.recv_string(), pull.recv_json(), pull.recv_pyobj()) == ("text", [1], {{2}})
buffer = bytearray(3)
push.send(b"abcde")
assert (pull.recv_into(buffer), buffer) == (5, b"abc")
push.send(b"12345")
assert (pull.recv_into(buffer, nbytes=2), buffer) == (5, b"12c")
context.destroy()
""")


def test_send__track():
    check("""
push, pull = connected()
data = b"d" * 200000
assert push.send(b"small", copy=False, track=True).done
assert push.send(b"small") is None
assert push.send(data, track=True) is None
for _ in range(3):
    pull.recv()
count = sys.getrefcount(data)
frame = zmq.Frame(data, copy=False, track=True)
assert not frame.tracker.done
assert sys.getrefcount(data) == count + 2  # the frame, and what libzmq reads
tracker = push.send(frame)
assert tracker is frame.tracker
assert pull.recv() == data
assert not tracker.done  # the frame itself has it still
try:
    tracker.wait(0.05)
except zmq.NotDone:
    del frame
else:
    raise AssertionError("done")
tracker.wait(5)
assert tracker.done
assert sys.getrefcount(data) == count
push.close()
pull.close()
context.term()
assert "pyzmq.gc" not in str(threading.enumerate())
""")


def test_send_multipart__tracker_covers_every_frame():
    check(
        """
push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
push.linger = 0
push.bind("tcp://127.0.0.1:*")
pull.connect(push.last_endpoint.decode())
until(lambda: push.poll(0, zmq.POLLOUT))
kept = zmq.Frame(b"f" * 100000, copy=False, track=True)
last = zmq.Frame(b"l" * 10, track=True)
tracker = push.send_multipart([kept, last, b"m" * 70000], copy=False, track=True)
assert [len(each) for each in pull.recv_multipart()] == [100000, 10, 70000]
assert not tracker.done
del kept
tracker.wait(5)
assert tracker.done
push.close()
pull.close()
context.term()
"""
    )


def test_send_multipart__parts_of_every_kind():
    check("""
dealer, router = connected(zmq.DEALER, zmq.ROUTER)
parts = [b"a", bytearray(b"b"), memoryview(b"c"), zmq.Frame(b"d"), b"", b"e" * 70000]
plain = [bytes(each) for each in parts]
for copy in (True, False):
    dealer.send_multipart(parts, copy=copy)
    name, *found = router.recv_multipart()
    assert found == plain
    dealer.send_multipart(tuple(plain), copy=copy)
    _, *frames = router.recv_multipart(copy=False)
    assert [each.bytes for each in frames] == plain
    assert [each.more for each in frames] == [True] * 5 + [False]
# As the end, or as the beginning, of a message that other calls send.
router.send(name, zmq.SNDMORE)
router.send_multipart([b"1", b"2"])
assert dealer.recv_multipart() == [b"1", b"2"]
dealer.send_multipart([b"1", b"2"], zmq.SNDMORE)
dealer.send(b"3")
assert router.recv() == name
assert router.get(zmq.RCVMORE) == 1
assert router.recv_multipart() == [b"1", b"2", b"3"]
try:
    dealer.send_multipart([b"x", "text"])
except TypeError as error:
    assert "Frame 1 ('text')" in str(error), error
dealer.send(b"whole")
assert router.recv_multipart() == [name, b"whole"]
context.destroy()
""")


def test_send_multipart__goes_by_what_a_program_overrides():
    check("""
class Mine(zmq.Socket):
    def send(self, data, flags=0, **kwargs):
        sent.append(data)
        return super().send(data, flags, **kwargs)

    def recv(self, flags=0, **kwargs):
        return super().recv(flags, **kwargs) + b"!"

sent = []
context._socket_class = Mine
push, pull = connected()
push.send_multipart([b"a", b"b"])
assert pull.recv_multipart() == [b"a!", b"b!"]
assert sent == [b"a", b"b"]
context.destroy()
""")


def test_errors__are_those_of_pyzmq():
    check("""
push, pull = connected()
assert isinstance(zmq.Again(), zmq.ZMQError)
raises(zmq.Again, zmq.EAGAIN, pull.recv, zmq.NOBLOCK)
assert zmq.zmq_errno() == zmq.EAGAIN
raises(zmq.ZMQError, errno.ENOTSUP, push.recv, zmq.NOBLOCK)
raises(zmq.ZMQError, errno.EINVAL, push.set, 9999, 1)
raises(zmq.ZMQError, errno.EINVAL, push.bind, "nonsense")
raises(zmq.ZMQError, errno.EADDRINUSE, pull.bind, push.last_endpoint.decode())
raises(zmq.ZMQError, errno.ENOENT, pull.unbind, "tcp://127.0.0.1:1")
assert "/no/such" in raises(zmq.ZMQError, errno.ENOENT, pull.bind, "ipc:///no/such")
for wrong in (1, "text"):
    for call in (push.send, lambda data: push.send_multipart([data])):
        try:
            call(wrong)
        except TypeError:
            continue
        raise AssertionError(wrong)
for value in ("text", 1):
    try:
        pull.set(zmq.ROUTING_ID, value)
    except TypeError:
        continue
    raise AssertionError(value)
push.close()
assert push.closed and push.underlying == 0
raises(zmq.ZMQError, zmq.ENOTSOCK, push.send, b"x")
raises(zmq.ZMQError, zmq.ENOTSOCK, push.bind, b"")
raises(zmq.ZMQError, zmq.ENOTSOCK, zmq.zmq_poll, [(push, zmq.POLLOUT)], 0)
thread = threading.Thread(target=context.term)
thread.start()
raises(zmq.ContextTerminated, zmq.ETERM, pull.recv)
pull.close()
thread.join(10)
raises(zmq.ZMQError, errno.ENOTSUP, context.socket, zmq.PUB)
""")


def test_options():
    check("""
assert context.get(zmq.IO_THREADS) == 1
context.set(zmq.MAX_SOCKETS, 50)
assert context.get(zmq.MAX_SOCKETS) == context.max_sockets == 50
socket = context.socket(zmq.DEALER)
assert (socket.type, socket.get(zmq.TYPE)) == (zmq.DEALER, zmq.DEALER)
socket.identity = b"a\\0b\\0"
assert socket.identity == b"a\\0b\\0"
socket.affinity = 2**40
assert socket.affinity == 2**40
socket.maxmsgsize = -1
assert socket.maxmsgsize == -1
socket.hwm = 7
assert (socket.sndhwm, socket.rcvhwm) == (7, 7)
socket.plain_username = b"me"
assert socket.plain_username == b"me"
public, secret = zmq.curve_keypair()
assert zmq.curve_public(secret) == public
socket.curve_publickey, socket.curve_secretkey = public, secret
assert socket.get(zmq.CURVE_PUBLICKEY) == public
assert socket.fileno() == socket.FD > 0
assert socket.getsockopt(zmq.EVENTS) == 0
socket.close()
context.term()
""")


def test_zmq_poll():
    check("""
push, pull = connected()
read, write = os.pipe()
poller = zmq.Poller()
for what in (push, pull, read):
    poller.register(what, zmq.POLLIN | zmq.POLLOUT if what is push else zmq.POLLIN)
until(lambda: poller.poll(0))
assert poller.poll(0) == [(push, zmq.POLLOUT)]
os.write(write, b"x")
push.send(b"x")
assert pull.poll(5000) == zmq.POLLIN
assert dict(poller.poll()) == {push: zmq.POLLOUT, pull: zmq.POLLIN, read: zmq.POLLIN}
pull.recv()
start = time.monotonic()
assert pull.poll(50) == 0
assert time.monotonic() - start >= 0.05
assert zmq.select([pull], [push], [], 0) == ([], [push], [])
for wrong, kind in ((object(), TypeError), ([], TypeError)):
    try:
        zmq.zmq_poll([(wrong, zmq.POLLIN)])
    except kind:
        continue
    raise AssertionError(wrong)
context.destroy()
""")


def test_asyncio():
    check("""
import asyncio, zmq.asyncio

async def main():
    context = zmq.asyncio.Context()
    rep, req = context.socket(zmq.REP), context.socket(zmq.REQ)
    req.connect(f"tcp://127.0.0.1:{rep.bind_to_random_port('tcp://127.0.0.1')}")

    async def serve():
        while True:
            await rep.send_multipart(await rep.recv_multipart())

    task = asyncio.ensure_future(serve())
    for number in range(20):
        await req.send_multipart([b"%d" % number, b"x" * 100000], copy=False)
        assert await req.poll(5000) == zmq.POLLIN
        assert await req.recv_multipart() == [b"%d" % number, b"x" * 100000]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    context.destroy(linger=0)

asyncio.run(asyncio.wait_for(main(), 20))
context.term()
""")


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


def test_frame():
    check("""
import copy
data = b"d" * 100
frame = zmq.Frame(data, copy=False)
view = memoryview(frame)
assert (view.readonly, bytes(view), len(frame)) == (True, data, 100)
assert frame.bytes is frame.bytes and frame.buffer is frame.buffer
assert not memoryview(zmq.Frame(data)).readonly  # a copy of its own
own = bytearray(100)
memoryview(zmq.Frame(own, copy=False))[:3] = b"abc"
assert own[:4] == b"abc\\0"
again = copy.copy(frame)
assert type(again) is zmq.Frame and again.bytes == data
assert frame.get(zmq.MORE) == 0
for name in ("nothing", 99):
    raises(zmq.ZMQError, errno.EINVAL, frame.get, name)
import numpy
push, pull = connected()
order = numpy.asfortranarray(numpy.arange(6, dtype="i4").reshape(2, 3))
push.copy_threshold = 0
push.send(order, copy=False)
received = pull.recv(copy=False)
assert numpy.frombuffer(received, "i4").tolist() == [0, 3, 1, 4, 2, 5]
assert received["Socket-Type"] == "PUSH"
numpy.frombuffer(received.buffer, "i4")[0] = 7  # nobody else has it
assert received.bytes[:1] == b"\\7"
context.destroy()
""")


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
