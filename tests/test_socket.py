"""Socket: what zmq_socket(), zmq_close(), zmq_bind() and their kin promise."""

from __future__ import annotations

import copy
import errno
import gc
import pickle
import time
import weakref

import pytest

import zraw
from conftest import run_child

TRANSPORTS = ["inproc", "ipc", "tcp", "ws"]
NO_EPGM_PUSH = (
    zraw.IncompatibleProtocol if zraw.has("pgm") else zraw.ProtocolNotSupported
)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_send__arrives_over_every_transport(pair, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    for body in (b"", b"x", b"y" * 33, b"z" * 34, bytes(range(256)) * 5000):
        assert push.send(body) == len(body)
        assert pull.recv() == body


@pytest.mark.parametrize(
    "data", [bytearray(b"abc"), memoryview(b"abc"), zraw.Message(b"abc")]
)
def test_send__takes_any_contiguous_buffer(pair, data):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    assert push.send(data) == 3
    assert pull.recv() == b"abc"


def test_send__large_copies_arrive_too(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    data = bytearray(range(256)) * 8192
    assert push.send(data) == len(data)
    push.pin_threshold = -1
    assert push.send(bytes(data)) == len(data)
    assert pull.recv() == data
    assert pull.recv() == data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("text", TypeError),
        (None, TypeError),
        (5, TypeError),
        ([b"x"], TypeError),
        (memoryview(b"abcdef")[::2], BufferError),
    ],
)
def test_send__refuses_what_has_no_contiguous_buffer(pair, data, error):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    for call in (push.send, push.try_send):
        with pytest.raises(error, match=r"send\(\): data"):
            call(data)
    with pytest.raises(error, match=r"send_multipart\(\): item 1"):
        push.send_multipart([b"", data])
    if not isinstance(data, list):
        with pytest.raises(error, match=r"send_many\(\): item 1"):
            push.send_many([b"", data])
    assert pull.try_recv() is None


def test_send__str_says_to_encode(pair):
    push, _ = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(TypeError, match="not str: encode it"):
        push.send("text")


@pytest.mark.parametrize("flags", [4, -1, 8 | zraw.ZMQ_DONTWAIT])
def test_flags__unknown_ones_are_refused(pair, flags):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    calls = [
        lambda: push.send(b"x", flags),
        lambda: push.send_const(b"x", flags),
        lambda: push.send_multipart([b"x"], flags),
        lambda: push.send_many([b"x"], flags),
        lambda: pull.recv(flags),
        lambda: pull.recv_into(bytearray(1), flags),
        lambda: pull.recv_msg(None, flags),
        lambda: pull.recv_multipart(flags),
        lambda: pull.recv_many(1, flags),
        lambda: zraw.Message().send(push, flags),
        lambda: zraw.Message().recv(pull, flags),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="flags"):
            call()
    with pytest.raises(OverflowError):
        push.send(b"x", 2**40)
    assert pull.try_recv() is None


def test_send_const__arrives_and_keeps_one_reference(pair):
    import sys

    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    data = b"".join([b"constant "] * 100)  # a constant of the code is not counted
    before = sys.getrefcount(data)
    for _ in range(5):
        assert push.send_const(data) == len(data)
    assert sys.getrefcount(data) == before + 1
    assert [pull.recv() for _ in range(5)] == [data] * 5
    for wrong in (bytearray(b"x"), "x", zraw.Message(b"x")):
        with pytest.raises(TypeError, match="send_const"):
            push.send_const(wrong)


def test_recv__again_without_message(pair):
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(zraw.Again, match=r"recv\(\) on ZMQ_PULL") as caught:
        pull.recv(zraw.ZMQ_DONTWAIT)
    assert isinstance(caught.value, BlockingIOError)
    assert caught.value.errno == errno.EAGAIN == zraw.errno()


def test_recv__message_as_argument_names_recv_msg(pair):
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(TypeError, match="recv_msg"):
        pull.recv(zraw.Message())
    for wrong in ("1", 1.5, None):
        with pytest.raises(TypeError):
            pull.recv(wrong)


def test_recv__into_memory_returns_the_full_size_of_a_cut_frame(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    target = bytearray(b"----")
    push.send_many([b"ab", b"abcdef", b""])
    assert pull.recv_into(target) == 2
    assert target == b"ab--"
    assert pull.recv_into(target) == 6
    assert target == b"abcd"
    assert pull.recv_into(bytearray()) == 0


def test_recv_into__large_target(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    target = bytearray(2 << 20)
    push.send(b"q" * (2 << 20))
    assert pull.recv_into(target) == 2 << 20
    assert target == b"q" * (2 << 20)
    with pytest.raises(zraw.Again):
        pull.recv_into(target, zraw.ZMQ_DONTWAIT)


@pytest.mark.parametrize("target", [b"read-only", "text", None, 3])
def test_recv_into__refuses_what_cannot_be_written(pair, target):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send(b"stays")
    with pytest.raises((TypeError, BufferError), match=r"recv_into\(\): buffer"):
        pull.recv_into(target)
    with pytest.raises(BufferError, match="contiguous"):
        pull.recv_into(memoryview(bytearray(8))[::2])
    assert pull.recv() == b"stays"


def test_try__never_waits_and_never_raises_again(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=1, RCVHWM=1)
    message = zraw.Message(b"old")
    assert pull.try_recv() is None
    assert pull.try_recv_multipart() is None
    assert pull.try_recv_msg(message) is False
    assert message == b""
    assert push.try_send(b"1") is True
    assert push.try_send(b"2") is True
    assert push.try_send(b"3") is False
    assert pull.try_recv() == b"1"
    assert pull.try_recv_msg(message) is True
    assert message == b"2"
    push.send_multipart([b"a", b"b"])
    assert pull.try_recv_multipart() == [b"a", b"b"]


def test_try__raises_other_errors(sock):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    assert push.try_send(b"nobody there") is False
    for call in (
        lambda: pull.try_send(b"x"),
        push.try_recv,
        push.try_recv_multipart,
        lambda: push.try_recv_msg(zraw.Message()),
    ):
        with pytest.raises(zraw.NotSupported):
            call()


def test_send__credit_that_has_come_back_is_seen_at_once(pair):
    """libzmq looks for it once per millisecond; DONTWAIT must not give up."""
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=10, RCVHWM=10)
    for _ in range(50):
        sent = 0
        while push.try_send(b"x"):
            sent += 1
        assert sent >= 10
        assert len(pull.recv_many()) == sent
        push.send(b"y", zraw.ZMQ_DONTWAIT)
        assert pull.recv() == b"y"


def test_bind__returns_the_endpoint_really_bound(sock, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    push = sock(zraw.ZMQ_PUSH)
    tcp = push.bind("tcp://127.0.0.1:*")
    assert tcp.startswith("tcp://127.0.0.1:") and int(tcp.rpartition(":")[2]) > 0
    assert push.bind(b"inproc://y") == "inproc://y"
    assert push.bind(f"ipc://{tmp_path}/s") == f"ipc://{tmp_path}/s"
    assert push.bind("ipc://*").startswith(f"ipc://{tmp_path}")
    assert push.getsockopt(zraw.ZMQ_LAST_ENDPOINT).startswith("ipc:///")
    other = sock(zraw.ZMQ_PUSH)
    with pytest.raises(zraw.AddressInUse) as caught:
        other.bind(tcp)
    assert caught.value.errno == errno.EADDRINUSE
    assert f"bind({tcp!r})" in str(caught.value)


def test_unbind__and_disconnect_know_their_endpoints(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    where = push.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    pull.disconnect(where)
    push.unbind(where)
    for call in (lambda: push.unbind(where), lambda: pull.disconnect(where)):
        with pytest.raises(zraw.NotFound) as caught:
            call()
        assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("endpoint", "error"),
    [
        ("", ValueError),
        ("tcp", ValueError),
        ("tcp:/127.0.0.1:1", ValueError),
        ("tcp://127.0.0.1:65536", ValueError),
        ("tcp://127.0.0.1:99999", ValueError),
        ("tcp://127.0.0.1:5x", ValueError),
        ("tcp://127.0.0.1:-1", ValueError),
        ("tcp://127.0.0.1:" + "9" * 5000, ValueError),
        ("tcp://127.0.0.1:1;127.0.0.1:99999", ValueError),
        ("ws://127.0.0.1:70000/", ValueError),
        ("tcp://127.0.0.1:*\0", ValueError),
        (b"ipc://\0abstract", ValueError),
        (None, TypeError),
        (5555, TypeError),
        (bytearray(b"inproc://x"), TypeError),
        ("tcp://127.0.0.1", zraw.InvalidArgument),
        ("inproc://", zraw.InvalidArgument),
        ("nosuch://x", zraw.ProtocolNotSupported),
        ("epgm://127.0.0.1;239.0.0.1:1", NO_EPGM_PUSH),
        ("ipc://" + "x" * 200, OSError),
        ("ipc:///nosuchfolder/x", OSError),
        ("tcp://203.0.113.1:*", zraw.AddressNotAvailable),
        ("tcp://nosuchinterface:*", OSError),
    ],
)
def test_bind__refuses_what_is_no_endpoint(sock, endpoint, error):
    push = sock(zraw.ZMQ_PUSH)
    with pytest.raises(error, match="bind"):
        push.bind(endpoint)
    assert push.bind("inproc://still-fine") == "inproc://still-fine"


@pytest.mark.parametrize("name", ["connect", "unbind", "disconnect"])
def test_connect__refuses_what_is_no_endpoint(sock, name):
    call = getattr(sock(zraw.ZMQ_PUSH), name)
    for wrong in ("", "tcp://127.0.0.1:70000", "a\0b://x"):
        with pytest.raises(ValueError, match=rf"{name}\(\): endpoint"):
            call(wrong)
    with pytest.raises(TypeError, match=rf"{name}\(\): endpoint"):
        call(None)


def test_connect__port_limits_are_not_too_narrow(sock):
    push = sock(zraw.ZMQ_PUSH)
    for fine in (
        "tcp://127.0.0.1:65535",
        "tcp://[::1]:1",
        "tcp://127.0.0.1:0;127.0.0.1:9",
        "tcp://localhost:9",
        "ipc:///tmp/x:99999",
        "inproc://a:99999",
    ):
        push.connect(fine)
    try:
        push.connect("ws://127.0.0.1:9/a:b")
    except zraw.InvalidArgument:
        assert zraw.version() > (4, 3, 5)  # libzmq's own reading of it


def test_close__twice_does_nothing_and_then_all_calls_raise(ctx):
    socket = zraw.Socket(ctx, zraw.ZMQ_PUSH)
    assert not socket.closed
    socket.close()
    socket.close()
    assert socket.closed
    assert repr(socket) == "<zraw.Socket ZMQ_PUSH closed>"
    for call in every_call(socket):
        with pytest.raises(zraw.NotASocket) as caught:
            call()
        assert caught.value.errno == errno.ENOTSOCK
        assert "closed" in str(caught.value)


def test_socket__whose_init_was_never_called(ctx):
    socket = zraw.Socket.__new__(zraw.Socket)
    for call in every_call(socket):
        with pytest.raises(zraw.NotASocket, match="__init__"):
            call()
    assert socket.closed
    socket.close()
    assert "__init__" in repr(socket)
    with pytest.raises(zraw.ContextTerminated, match="__init__"):
        zraw.Socket(zraw.Context.__new__(zraw.Context), zraw.ZMQ_PUSH)


def every_call(socket):
    """Every call that needs an open socket."""
    return [
        lambda: socket.send(b"x"),
        lambda: socket.send(b"x" * 100000),
        lambda: socket.send(bytearray(b"x")),
        lambda: socket.send(zraw.Message(b"x")),
        lambda: socket.send_const(b"x"),
        lambda: socket.try_send(b"x"),
        lambda: socket.send_multipart([b"x", b"y"]),
        lambda: socket.send_many([b"x"]),
        lambda: socket.send_many([[b"x"]]),
        socket.recv,
        socket.try_recv,
        lambda: socket.recv_into(bytearray(1)),
        socket.recv_msg,
        lambda: socket.try_recv_msg(zraw.Message()),
        socket.recv_multipart,
        socket.try_recv_multipart,
        socket.recv_many,
        lambda: zraw.Message(b"x").send(socket),
        lambda: zraw.Message().recv(socket),
        lambda: socket.bind("inproc://x"),
        lambda: socket.connect("inproc://x"),
        lambda: socket.unbind("inproc://x"),
        lambda: socket.disconnect("inproc://x"),
        lambda: socket.getsockopt(zraw.ZMQ_LINGER),
        lambda: socket.setsockopt(zraw.ZMQ_LINGER, 0),
        lambda: socket.poll(0),
        socket.fileno,
        lambda: socket.handle,
    ]


def test_close__linger_is_set(pair):
    push, _ = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    for wrong in (-2, "x", 2**40):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            push.close(linger=wrong)
    assert not push.closed
    push.close(linger=0)
    assert push.closed


def test_socket__unknown_and_draft_types(ctx):
    for kind in (-1, 21, 9999):
        with pytest.raises(zraw.InvalidArgument):
            zraw.Socket(ctx, kind)
    if not zraw.has("draft"):
        for kind in range(zraw.ZMQ_SERVER, zraw.ZMQ_CHANNEL + 1):
            with pytest.raises(zraw.NotSupported, match="draft"):
                zraw.Socket(ctx, kind)
    for wrong in (None, "ctx", 0):
        with pytest.raises(TypeError):
            zraw.Socket(wrong, zraw.ZMQ_PUSH)
    with pytest.raises(TypeError):
        zraw.Socket(ctx, "PUSH")
    assert ctx.sockets == []


def test_socket__init_twice_is_refused(sock):
    socket = sock(zraw.ZMQ_PUSH)
    with pytest.raises(RuntimeError, match="called before"):
        socket.__init__(socket.context, zraw.ZMQ_PULL)
    assert socket.type == zraw.ZMQ_PUSH


def test_socket__properties_and_protocols(ctx, sock):
    socket = sock(zraw.ZMQ_REP)
    assert socket.context is ctx
    assert socket.type == zraw.ZMQ_REP == socket.getsockopt(zraw.ZMQ_TYPE)
    assert ctx.sockets == [socket]
    assert socket.handle > 0 and socket.fileno() >= 0
    assert repr(socket) == "<zraw.Socket ZMQ_REP idle>"
    assert weakref.ref(socket)() is socket
    assert {socket: 1}[socket] == 1
    with zraw.Socket(ctx, zraw.ZMQ_PUSH) as inner:
        assert not inner.closed
    assert inner.closed
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="Socket"):
            function(socket)


def test_socket__can_be_subclassed(ctx):
    class Push(zraw.Socket):
        def __init__(self, context):
            super().__init__(context, zraw.ZMQ_PUSH)
            self.note = "mine"

    with Push(ctx) as push:
        assert push.note == "mine"
        assert push.try_send(b"x") is False


def test_pin_threshold__is_a_number_of_bytes(sock):
    socket = sock(zraw.ZMQ_PUSH)
    assert socket.pin_threshold == 65536
    for size in (0, -1, 1, 2**40):
        socket.pin_threshold = size
        assert socket.pin_threshold == size
    with pytest.raises(ValueError, match="pin_threshold"):
        socket.pin_threshold = -2
    assert socket.pin_threshold == 2**40


def test_close__collected_open_socket_warns_and_is_closed(ctx):
    pull = zraw.Socket(ctx, zraw.ZMQ_PULL)
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    where = pull.bind("tcp://127.0.0.1:*")
    push = zraw.Socket(ctx, zraw.ZMQ_PUSH)
    push.connect(where)
    push.send(b"sent before")
    with pytest.warns(ResourceWarning, match="unclosed <zraw.Socket ZMQ_PUSH idle, "):
        del push
        gc.collect()
    assert pull.recv() == b"sent before"
    pull.close()


def test_close__resource_warning_as_error_does_not_get_out():
    done = run_child("""
        import sys, warnings, zraw
        warnings.simplefilter("error")
        caught = []
        sys.unraisablehook = lambda hook: caught.append(type(hook.exc_value).__name__)
        context = zraw.Context()
        socket = context.socket(zraw.ZMQ_PUSH)
        del socket
        assert caught == ["ResourceWarning"], caught
        assert context.sockets == []
        context.close()
    """)
    assert (done.code, done.err) == (0, ""), done


def test_from_handle__borrows_and_never_closes(ctx, pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with zraw.Socket.from_handle(ctx, push.handle) as borrowed:
        assert borrowed.type == zraw.ZMQ_PUSH
        borrowed.send(b"through the borrowed one")
    assert pull.recv() == b"through the borrowed one"
    push.send(b"still open")
    assert pull.recv() == b"still open"
    for wrong in (0, -1, "x", None):
        with pytest.raises((ValueError, OverflowError, TypeError)):
            zraw.Socket.from_handle(ctx, wrong)


def test_poll__tells_what_is_ready(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    assert pull.poll(0) == 0
    assert pull.poll(20) == 0
    assert push.poll(1000, zraw.ZMQ_POLLOUT) == zraw.ZMQ_POLLOUT
    push.send(b"x")
    assert pull.poll(1000) == zraw.ZMQ_POLLIN
    assert pull.poll(0, zraw.ZMQ_POLLIN | zraw.ZMQ_POLLOUT) == zraw.ZMQ_POLLIN
    with pytest.raises(ValueError, match="timeout"):
        pull.poll(-2)


def test_poll__waits_all_of_its_time(pair):
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    for milliseconds in (1, 2, 30):
        start = time.monotonic()
        assert pull.poll(milliseconds) == 0
        assert time.monotonic() - start >= 0.95 * milliseconds / 1000


def test_send__unbound_dgram_does_not_abort():
    done = run_child("""
        import zraw
        with zraw.Context() as context:
            if zraw.has("draft"):
                socket = context.socket(zraw.ZMQ_DGRAM)
                calls = [
                    lambda: socket.send(b"127.0.0.1:9", zraw.ZMQ_SNDMORE),
                    lambda: socket.send_multipart([b"127.0.0.1:9", b"x"]),
                ]
            else:
                calls = [lambda: context.socket(zraw.ZMQ_DGRAM)]
            for call in calls:
                try:
                    call()
                except (zraw.InvalidState, zraw.NotSupported):
                    continue
                raise AssertionError("libzmq was entered")
    """)
    assert (done.code, done.err) == (0, ""), done


def test_req__wrong_turn_is_invalid_state(pair):
    rep, req = pair(zraw.ZMQ_REP, zraw.ZMQ_REQ)
    with pytest.raises(zraw.InvalidState) as caught:
        rep.send(b"too early")
    assert caught.value.errno == zraw.EFSM == zraw.errno()
    with pytest.raises(zraw.InvalidState):
        req.recv()
    req.send(b"question")
    with pytest.raises(zraw.InvalidState):
        req.send(b"again")
    assert rep.recv() == b"question"
    rep.send(b"answer")
    assert req.recv() == b"answer"
