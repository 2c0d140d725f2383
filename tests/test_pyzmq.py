"""zraw.pyzmq: pyzmq's programs run on zraw, and only the environment says so."""

from __future__ import annotations

import pytest

from conftest import run_child
from pyzmq_tools import check
from zraw import pyzmq


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
socket.affinity = -1
assert socket.affinity == -1
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


def test_drafts():
    check("""
import warnings
dealer = context.socket(zmq.DEALER)
if not zmq.has("draft"):
    assert not zmq.DRAFT_API
    raises(zmq.ZMQError, errno.ENOTSUP, context.socket, zmq.SERVER)
    raises(RuntimeError, None, dealer.join, "group")
    raises(RuntimeError, None, dealer.send, b"x", routing_id=1)
    raises(zmq.ZMQError, errno.ENOTSUP, zmq.Frame().get, "routing_id")
    raises(zmq.ZMQError, errno.ENOTSUP, zmq.Frame().set, "group", "name")
else:
    client, server = connected(zmq.CLIENT, zmq.SERVER)
    client.send(b"question")
    frame = server.recv(copy=False)
    server.send(frame.bytes + b", answer", routing_id=frame.routing_id)
    assert client.recv() == b"question, answer"
    warnings.simplefilter("ignore")
    assert server.FD == server.FD > 0
    radio, dish = context.socket(zmq.RADIO), context.socket(zmq.DISH)
    dish.bind("inproc://radio")
    dish.join("group")
    radio.connect("inproc://radio")
    until(lambda: radio.send(b"news", group="group") or dish.poll(20))
    frame = dish.recv(copy=False)
    assert (frame.bytes, frame.group) == (b"news", "group")
    dish.leave("group")
context.destroy(linger=0)
""")
