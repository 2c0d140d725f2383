"""What extensions take: guards that they hold, and the libzmq that they share."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading

import pytest

import zraw
from conftest import is_inside, run_child, wait_until
from drafts import drafts
from programs import START, check
from zraw import aio, capi

HELD = "an extension holds it"


@pytest.fixture
def lib():
    """The libzmq that zraw uses."""
    path = zraw.get_library()
    assert path is not None and os.path.isfile(path)
    library = ctypes.CDLL(path)
    library.zmq_send.argtypes = (
        *(ctypes.c_void_p, ctypes.c_char_p),
        *(ctypes.c_size_t, ctypes.c_int),
    )
    library.zmq_msg_init_size.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    library.zmq_msg_data.argtypes = (ctypes.c_void_p,)
    library.zmq_msg_data.restype = ctypes.c_void_p
    library.zmq_msg_send.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    return library


def test_get_library__is_the_one_in_use(lib):
    numbers = [ctypes.c_int() for _ in range(3)]
    lib.zmq_version(*map(ctypes.byref, numbers))
    assert tuple(number.value for number in numbers) == zraw.version()
    with open("/proc/self/maps") as maps:
        mapped = {line.split()[-1] for line in maps if "libzmq" in line}
    assert os.path.realpath(zraw.get_library()) in mapped  # pyzmq may have its own


def test_socket_acquire__address_sends(pair, lib):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    handle = push.handle
    assert capi.socket_acquire(push) == handle
    assert lib.zmq_send(handle, b"by hand", 7, 0) == 7
    capi.socket_release(push)
    push.send(b"by zraw")
    assert [pull.recv(), pull.recv()] == [b"by hand", b"by zraw"]


def test_socket_acquire__keeps_all_others_off(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    capi.socket_acquire(push)
    refused = []
    calls = (
        lambda: push.send(b"x"),
        lambda: push.send_multipart([b"x", b"y"]),
        lambda: push.send_many([b"x"]),
        lambda: push.setsockopt(zraw.ZMQ_LINGER, 0),
        lambda: push.handle,
        lambda: zraw.poll([(push, zraw.ZMQ_POLLOUT)], 0),
        push.close,
        push.context.close,
        lambda: capi.socket_acquire(push),
    )

    def run():
        for call in calls:
            with pytest.raises(zraw.SocketInUse, match=HELD) as caught:
                call()
            refused.append(caught.value)

    run()
    other = threading.Thread(target=run)
    other.start()
    other.join(10)
    assert len(refused) == 2 * len(calls)
    assert "ZMQ_PUSH in use" in repr(push)
    assert not push.closed
    assert not push.context.closed
    capi.socket_release(push)
    push.send(b"whole")
    assert pull.recv() == b"whole"


def test_socket_acquire__while_another_thread_is_inside(sock):
    pull = sock(zraw.ZMQ_PULL)
    ended = []

    def wait():
        with pytest.raises(zraw.ContextTerminated):
            pull.recv()
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: is_inside(pull))
    with pytest.raises(zraw.SocketInUse, match=r"acquire\(\) .*: another thread"):
        capi.socket_acquire(pull)
    pull.context.shutdown()
    thread.join(10)
    assert ended


def test_socket_release__without_acquire(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(RuntimeError, match=r"zraw_socket_release\(\): .*not acquired"):
        capi.socket_release(push)
    push.send(b"x")
    assert pull.recv() == b"x"


@pytest.mark.parametrize("call", [capi.socket_acquire, capi.socket_release])
@pytest.mark.parametrize("wrong", [None, 3, b"x", zraw.Message(), object()])
def test_socket_acquire__wrong_type(call, wrong):
    name = f"zraw_{call.__name__}"
    kind = type(wrong).__name__
    with pytest.raises(TypeError, match=rf"{name}\(\): a zraw.Socket, not {kind}"):
        call(wrong)


def test_socket_acquire__closed(sock):
    push = sock(zraw.ZMQ_PUSH)
    push.close()
    with pytest.raises(zraw.NotASocket, match=r"zraw_socket_acquire\(\)"):
        capi.socket_acquire(push)


def test_socket_acquire__never_opened():
    with pytest.raises(zraw.NotASocket, match="__init__ was not called"):
        capi.socket_acquire(zraw.Socket.__new__(zraw.Socket))


def test_socket_acquire__subclass(ctx):
    class Mine(zraw.Socket):
        pass

    mine = Mine(ctx, zraw.ZMQ_PAIR)
    assert capi.socket_acquire(mine)
    capi.socket_release(mine)
    mine.close()


@drafts
def test_socket_acquire__thread_safe_type_is_shared(pair):
    client, server = pair(zraw.ZMQ_CLIENT, zraw.ZMQ_SERVER)
    assert capi.socket_acquire(client) == capi.socket_acquire(client)
    client.send(b"others may")
    assert server.recv() == b"others may"
    for _ in range(2):
        with pytest.raises(zraw.SocketInUse, match=HELD):
            client.close()
        capi.socket_release(client)
    with pytest.raises(RuntimeError):
        capi.socket_release(client)


def test_socket_acquire__wakes_the_event_loop(lib):
    """What the extension did may have swallowed the edge that a task waits for."""

    async def main(ctx):
        a, b = ctx.socket(zraw.ZMQ_PAIR), ctx.socket(zraw.ZMQ_PAIR)
        b.connect(a.bind("inproc://edge"))
        async with aio.Handle(a) as handle:
            waiting = asyncio.ensure_future(handle.recv())
            await asyncio.sleep(0)
            address = capi.socket_acquire(a)
            b.send(b"question")
            assert lib.zmq_send(address, b"answer", 6, 0) == 6
            capi.socket_release(a)
            assert await asyncio.wait_for(waiting, 10) == b"question"
        assert b.recv() == b"answer"
        b.close()

    with zraw.Context() as ctx:
        asyncio.run(main(ctx))


def test_context_close__goes_on_after_release(ctx):
    sockets = [ctx.socket(zraw.ZMQ_PUSH) for _ in range(3)]
    capi.socket_acquire(sockets[1])
    with pytest.raises(zraw.SocketInUse, match=rf"Context.close\(\) .*{HELD}"):
        ctx.close()
    assert [socket.closed for socket in sockets] == [False] * 3
    capi.socket_release(sockets[1])
    ctx.close()
    assert [socket.closed for socket in sockets] == [True] * 3


def test_message_acquire__filled_by_libzmq(pair, lib):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    message = zraw.Message()
    address = capi.message_acquire(message)
    assert lib.zmq_msg_init_size(address, 100) == 0
    ctypes.memset(lib.zmq_msg_data(address), ord("z"), 100)
    capi.message_release(message)
    assert bytes(message) == b"z" * 100
    push.send(message)
    assert pull.recv() == b"z" * 100


def test_message_acquire__keeps_all_others_off(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    message = zraw.Message(b"body")
    capi.message_acquire(message)
    for call in (
        lambda: push.send(message),
        lambda: bytes(message),
        lambda: memoryview(message),
        lambda: message.copy(zraw.Message()),
        message.close,
        lambda: pull.recv_msg(message, zraw.ZMQ_DONTWAIT),
        lambda: capi.message_acquire(message),
    ):
        with pytest.raises(zraw.SocketInUse, match="in use by an extension"):
            call()
    capi.message_release(message)
    push.send(message)
    assert pull.recv() == b"body"


def test_message_acquire__views(pair):
    message = zraw.Message.init_size(4)
    with memoryview(message) as view:
        view[:] = b"abcd"
        with pytest.raises(BufferError, match=r"zraw_message_acquire\(\): .* 1 view"):
            capi.message_acquire(message)
        view[:1] = b"A"
    capi.message_acquire(message)
    capi.message_release(message)
    with memoryview(message) as view:
        assert view.readonly
        assert view == b"Abcd"


def test_message_acquire__closed():
    message = zraw.Message(b"x")
    message.close()
    with pytest.raises(zraw.InvalidHandle, match=r"zraw_message_acquire\(\)"):
        capi.message_acquire(message)


def test_message_release__without_acquire():
    message = zraw.Message(b"x")
    with pytest.raises(RuntimeError, match=r"zraw_message_release\(\)"):
        capi.message_release(message)
    assert bytes(message) == b"x"


@pytest.mark.parametrize("call", [capi.message_acquire, capi.message_release])
@pytest.mark.parametrize("wrong", [None, b"x", 3])
def test_message_acquire__wrong_type(call, wrong):
    kind = type(wrong).__name__
    with pytest.raises(
        TypeError, match=rf"zraw_{call.__name__}\(\): a zraw.Message, not {kind}"
    ):
        call(wrong)


def test_socket_acquire__at_exit():
    """What is held is left to the process; nothing waits for it."""
    done = run_child(
        START
        + """
from zraw import capi
push.setsockopt(zraw.ZMQ_LINGER, -1)
push.connect("tcp://127.0.0.1:9")
push.send(b"unsent")
capi.socket_acquire(push)
capi.message_acquire(message := zraw.Message(b"x"))
print("end")
"""
    )
    assert (done.code, done.out) == (0, "end\n"), done
    assert "ResourceWarning: unclosed <zraw.Socket ZMQ_PUSH in use" in done.err
    assert done.seconds < 10


def test_socket_acquire__forked_child():
    done = check("""
from zraw import capi
capi.socket_acquire(push)
child = os.fork()
if not child:
    for call in (capi.socket_acquire, capi.socket_release):
        try:
            print(call(pull), flush=True)
        except (zraw.ForkError, RuntimeError) as error:
            print(type(error).__name__, flush=True)
    print(capi.socket_release(push), flush=True)
    try:
        capi.socket_acquire(push)
    except zraw.ForkError:
        print("ForkError", flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
capi.socket_release(push)
end()
""")
    assert done.out.split() == ["ForkError", "RuntimeError", "None", "ForkError"]
