"""Draft functions beside the socket types; without drafts each is NotSupported."""

from __future__ import annotations

import errno
import os
import threading

import pytest

import zraw
from conftest import wait_until
from drafts import DRAFT, drafts
from programs import check

PREFIX = zraw.ZMQ_THREAD_NAME_PREFIX

# Every draft function that takes but its object, with what it would take.
CALLS = {
    "ctx_get_ext": lambda context, _: context.get_ext(zraw.ZMQ_IO_THREADS),
    "ctx_set_ext": lambda context, _: context.set_ext(zraw.ZMQ_IO_THREADS, 1),
    "join": lambda _, pull: pull.join("group"),
    "leave": lambda _, pull: pull.leave("group"),
    "connect_peer": lambda _, pull: pull.connect_peer("inproc://x"),
    "disconnect_peer": lambda _, pull: pull.disconnect_peer(1),
    "socket_get_peer_state": lambda _, pull: pull.get_peer_state(b"x"),
    "socket_monitor_versioned": lambda _, pull: pull.monitor_versioned().close(),
    "socket_monitor_pipes_stats": lambda _, pull: pull.monitor_pipes_stats(),
    "msg_set_routing_id": lambda *_: zraw.Message().set_routing_id(1),
    "msg_routing_id": lambda *_: zraw.Message().routing_id(),
    "msg_set_group": lambda *_: zraw.Message().set_group("group"),
    "msg_group": lambda *_: zraw.Message().group(),
    "msg_init_buffer": lambda *_: zraw.Message.init_buffer(b"x"),
    "ppoll": lambda _, pull: zraw.ppoll([(pull, zraw.ZMQ_POLLIN)], 0),
}
# What a ZMQ_PULL cannot do in any libzmq.
NOT_ON_PULL = {"join", "leave", "connect_peer", "disconnect_peer"}
NOT_ON_PULL |= {"socket_get_peer_state"}


@pytest.mark.parametrize("name", CALLS)
def test_has__draft_says_what_draft_functions_do(ctx, sock, name):
    pull = sock(zraw.ZMQ_PULL)
    there = DRAFT and (name != "ppoll" or zraw.version() >= (4, 3, 5))
    if there and name == "socket_monitor_pipes_stats":
        error = zraw.InvalidArgument  # no monitor
    elif there and name not in NOT_ON_PULL:
        CALLS[name](ctx, pull)
        return
    else:
        error = zraw.NotSupported
    with pytest.raises(error) as caught:
        CALLS[name](ctx, pull)
    assert caught.value.errno == zraw.errno()
    if not there:
        assert caught.value.errno == errno.ENOTSUP
        assert "draft API" in str(caught.value)
    assert len(ctx.sockets) <= 2
    pull.bind("inproc://still-works")


def test_socket__draft_types(ctx):
    """A library without drafts would make them, and abort at the first handshake."""
    for number in range(zraw.ZMQ_SERVER, zraw.ZMQ_CHANNEL + 1):
        if DRAFT:
            with zraw.Socket(ctx, number) as socket, ctx.socket(number) as other:
                assert socket.getsockopt(zraw.ZMQ_TYPE) == other.type == number
            continue
        for make in (ctx.socket, lambda type: zraw.Socket(ctx, type)):
            with pytest.raises(zraw.NotSupported, match="draft API") as caught:
                make(number)
            assert caught.value.errno == zraw.errno() == errno.ENOTSUP
    assert ctx.sockets == []


# ---- Message.init_buffer


@drafts
@pytest.mark.parametrize("size", [0, 1, 33, 34, 100_000])
def test_msg_init_buffer__is_a_copy(pair, size):
    body = bytearray(os.urandom(size))
    expected = bytes(body)
    message = zraw.Message.init_buffer(body)
    body += b"x"  # it is not held
    if size:
        body[0] ^= 255
    assert message == expected
    assert message.size() == size
    assert message.data().readonly
    assert message.get(zraw.ZMQ_SHARED) == 0
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send(message)
    assert pull.recv() == expected
    assert len(message) == 0


@drafts
def test_msg_init_buffer__of_any_buffer():
    for buffer in (b"abcd", bytearray(b"abcd"), memoryview(b"xabcdx")[1:5]):
        assert zraw.Message.init_buffer(buffer) == b"abcd"
    assert zraw.Message.init_buffer(zraw.Message(b"abcd")) == b"abcd"
    with pytest.raises(BufferError):
        zraw.Message.init_buffer(memoryview(b"abcd")[::2])


@drafts
@pytest.mark.parametrize("wrong", ["text", None, 5])
def test_msg_init_buffer__what_is_no_buffer(wrong):
    """The text names the call, as that of Message() does."""
    with pytest.raises(TypeError, match=r"init_buffer\(\)"):
        zraw.Message.init_buffer(wrong)


# ---- Context.get_ext and set_ext


@drafts
def test_ctx_set_ext__ints():
    context = zraw.Context()
    for option, value in (
        (zraw.ZMQ_IO_THREADS, 3),
        (zraw.ZMQ_MAX_SOCKETS, 50),
        (zraw.ZMQ_IPV6, 1),
    ):
        assert context.get_ext(option) != value
        assert context.set_ext(option, value) is None
        assert context.get_ext(option) == context.get(option) == value
    context.set(zraw.ZMQ_IO_THREADS, 2)
    assert context.get_ext(zraw.ZMQ_IO_THREADS) == 2
    context.close()


@drafts
def test_ctx_get_ext__sched_policy_may_be_minus_one(ctx):
    assert ctx.get_ext(zraw.ZMQ_THREAD_SCHED_POLICY) == -1
    assert ctx.get_ext(zraw.ZMQ_MSG_T_SIZE) == 64


@drafts
@pytest.mark.parametrize("value", ["p", "abc", "name7", b"bytes", "x" * 16, "grüße"])
def test_ctx_set_ext__thread_name_prefix(ctx, value):
    assert ctx.get_ext(PREFIX) == ""
    ctx.set_ext(PREFIX, value)
    expected = value if isinstance(value, str) else value.decode()
    assert ctx.get_ext(PREFIX) == expected
    ctx.set_ext(PREFIX, 7)
    assert ctx.get_ext(PREFIX) == "7"
    assert ctx.get(PREFIX) == 7


@drafts
def test_ctx_set_ext__threads_have_the_name():
    zraw.Context().get_ext(PREFIX)
    check("""
with zraw.Context() as named:
    named.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "nomad")
    socket = named.socket(zraw.ZMQ_PULL)
    socket.bind("tcp://127.0.0.1:*")
    def names():
        found = []
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/comm") as comm:
                found.append(comm.read().strip())
        return found
    until(lambda: any(name.startswith("nomad/") for name in names()))
end()
""")


@pytest.mark.parametrize("value", ["abcd", b"abcd", "äö"])
def test_ctx_set_ext__four_bytes(ctx, value):
    """libzmq would take them for an int."""
    with pytest.raises(ValueError, match=r"Context\.set_ext\(.*\): value: not 4 bytes"):
        ctx.set_ext(PREFIX, value)


@drafts
def test_ctx_set_ext__refuses(ctx):
    ctx.set_ext(PREFIX, "kept!")
    for option, value, error in (
        (PREFIX, "", zraw.InvalidArgument),
        (PREFIX, "x" * 17, zraw.InvalidArgument),
        (PREFIX, "a\0b", ValueError),
        (PREFIX, 1.5, TypeError),
        (PREFIX, None, TypeError),
        (zraw.ZMQ_IO_THREADS, -1, zraw.InvalidArgument),
        (zraw.ZMQ_IO_THREADS, "three", TypeError),
        (zraw.ZMQ_IO_THREADS, 2**31, OverflowError),
        (zraw.ZMQ_SOCKET_LIMIT + 1000, 1, zraw.InvalidArgument),
        ("1", 1, TypeError),
    ):
        with pytest.raises(error, match=r"Context\.set_ext\(") as caught:
            ctx.set_ext(option, value)
        if error is zraw.InvalidArgument:
            assert caught.value.errno == zraw.errno() == errno.EINVAL
    assert ctx.get_ext(PREFIX) == "kept!"
    assert ctx.get_ext(zraw.ZMQ_IO_THREADS) == 1
    with pytest.raises(zraw.InvalidArgument) as caught:
        ctx.get_ext(12345)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(TypeError, match=r"Context\.get_ext\(\): option"):
        ctx.get_ext("1")


def test_ctx_get_ext__terminated():
    """Which is said first, whatever the library is."""
    context = zraw.Context()
    context.close()
    for call in (
        lambda: context.get_ext(zraw.ZMQ_IO_THREADS),
        lambda: context.set_ext(zraw.ZMQ_IO_THREADS, 1),
    ):
        with pytest.raises(zraw.ContextTerminated) as caught:
            call()
        assert caught.value.errno == zraw.errno() == zraw.ETERM


@drafts
def test_ctx_set_ext__by_many_threads(ctx):
    ctx.set_ext(PREFIX, "name-")
    failed = []

    def work(name):
        for number in range(300):
            ctx.set_ext(PREFIX, f"name-{name}-{number}")
            if not ctx.get_ext(PREFIX).startswith("name-"):
                failed.append(ctx.get_ext(PREFIX))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: not any(thread.is_alive() for thread in threads))
    assert not failed
