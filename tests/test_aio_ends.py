"""zraw.aio: what the end of a handle, a socket or a context is for who waits."""

from __future__ import annotations

import threading

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    full,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
    until,
)
from conftest import wait_until
from zraw import aio

END = {
    "close": zraw.NotASocket,
    "socket": zraw.NotASocket,
    "thread": zraw.NotASocket,
    "shutdown": zraw.ContextTerminated,
    "term": zraw.ContextTerminated,
}
WAITERS = [
    (aio.Pull, lambda handle: handle.recv()),
    (aio.Pull, lambda handle: handle.recv_multipart()),
    (aio.Pull, lambda handle: handle.recv_msg()),
    (aio.Pull, lambda handle: handle.recv_many()),
    (aio.Push, lambda handle: handle.send(b"x")),
    (aio.Push, lambda handle: handle.send_multipart([b"x", b"y"])),
    (aio.Request, lambda handle: handle.request(b"x")),
    (
        aio.XPublish,
        lambda handle: handle.wait_for_subscribers(),
    ),
]


async def end(how, handle, ctx):
    """Do it; give what is left to be done when everybody has noticed."""
    if how == "close":
        handle.close()
    elif how == "socket":
        handle.socket.close()
    elif how == "thread":
        await anyio.to_thread.run_sync(handle.socket.close)
    elif how == "shutdown":
        ctx.shutdown()
    else:
        thread = threading.Thread(target=ctx.term)
        thread.start()
        return thread.join
    return lambda: None


@pytest.mark.parametrize("how", END)
def test_close__wakes_who_waits(on_loop, how):
    async def main():
        for cls, wait in WAITERS:
            await check(cls, wait)

    async def check(cls, wait):
        context = zraw.Context()
        handle = cls(context, bind="tcp://127.0.0.1:*")
        results = []
        async with beside() as start:
            waiting = [start(wait, handle) for _ in range(3)]
            await settle()
            assert not any(running.ended for running in waiting)
            join = await end(how, handle, context)
            for running in waiting:
                try:
                    results.append(await running.result())
                except zraw.ZMQError as error:
                    results.append(type(error))
        handle.close()
        await anyio.to_thread.run_sync(join)
        context.close()
        assert results == [END[how]] * 3, cls

    on_loop(main)


@pytest.mark.parametrize("how", END)
def test_close__wakes_who_waits_for_an_answer(on_loop, ctx, how):
    async def main():
        router = aio.Router(ctx, bind="inproc://router")
        request = aio.Request(ctx, connect="inproc://router")
        async with beside() as start:
            asking = [start(request.request, b"question") for _ in range(2)]
            await router.recv_multipart()
            join = await end(how, request, ctx)
            for running in asking:
                with pytest.raises(END[how]):
                    await running.result()
        request.close(0)
        router.close(0)
        await anyio.to_thread.run_sync(join)

    on_loop(main)


@pytest.mark.parametrize("how", END)
def test_close__what_comes_afterwards_is_refused(on_loop, ctx, how):
    async def main():
        errors = Errors()
        for cls, wait in WAITERS:
            handle = cls(ctx, bind="tcp://127.0.0.1:*", on_error=errors)
            join = await end(how, handle, ctx)
            if how == "term":
                await anyio.to_thread.run_sync(
                    wait_until, lambda handle=handle: is_over(handle.socket)
                )
            for _ in range(70):  # also where others have their turn
                with pytest.raises(END[how]):
                    await wait(handle)
            handle.close()
            await anyio.to_thread.run_sync(join)
            if END[how] is zraw.ContextTerminated:
                break
        assert not errors.all

    on_loop(main)


def is_over(socket):
    try:
        socket.getsockopt(zraw.ZMQ_EVENTS)
    except zraw.ContextTerminated:
        return True
    return False


def test_close__by_another_thread_again_and_again(on_loop, ctx):
    """The task may run before, while, or after the socket is marked as closed."""

    async def main():
        for _ in range(500):
            handle = aio.Pull(ctx)
            thread = threading.Thread(target=handle.socket.close)
            async with beside() as start:
                waiting = start(handle.recv)
                await settle(1)
                thread.start()
                with pytest.raises(zraw.NotASocket):
                    await waiting.result()
            thread.join()

    on_loop(main)


def test_close__by_another_thread_that_is_not_finished_yet(on_loop, ctx):
    """Who waits is woken while the socket is still being closed."""

    async def main():
        for cls, wait in WAITERS:
            await check(cls(ctx, bind="tcp://127.0.0.1:*"), wait)

    async def check(handle, wait):
        ended = threading.Event()
        hook = handle.socket._hook

        def linger(closing):
            hook(closing)
            if closing:
                ended.wait(5)

        async with beside() as start:
            waiting = start(wait, handle)
            await settle()
            handle.socket._hook = linger
            thread = threading.Thread(target=handle.socket.close)
            thread.start()
            try:
                with pytest.raises(zraw.NotASocket):
                    await waiting.result()
            finally:
                ended.set()
                thread.join()

    on_loop(main)


def test_close__context_closes_its_sockets(on_loop, ctx):
    async def main():
        handle = aio.Pull(ctx, bind="inproc://x")
        async with beside() as start:
            waiting = start(handle.recv)
            await settle()
            ctx.close()
            with pytest.raises((zraw.NotASocket, zraw.ContextTerminated)):
                await waiting.result()
        assert handle.closed

    on_loop(main)


def test_close__twice_and_with_linger(on_loop, ctx):
    async def main():
        handle = aio.Push(ctx, connect="tcp://127.0.0.1:1")
        await handle.send(b"never")
        handle.close(0)
        handle.close()
        handle.close(linger=5)
        for wrong in ("1", 1.5):
            with pytest.raises(TypeError, match="linger"):
                handle.close(wrong)

    on_loop(main)


@pytest.mark.parametrize("how", ["close", "socket", "thread"])
def test_close__reports_how_many_were_dropped(on_loop, pair, ctx, how):
    async def main():
        errors = Errors()
        pusher, _, _ = full(pair, on_error=errors)
        for number in range(5):
            pusher.push_write(b"x" if number % 2 else lambda _: b"x")
        await end(how, pusher, ctx)
        await until(lambda: errors.all)
        await settle()
        assert errors.types == [aio.Unsent]
        (handle, unsent), *_ = errors.all
        assert handle is pusher
        assert unsent.count == 5
        assert str(unsent) == "5 message(s) dropped unsent"

    on_loop(main)


def test_close__with_nothing_pushed_reports_nothing(on_loop, pair):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)
        pusher.push_write(b"x")
        room()
        assert await puller.recv() == b"x"
        await pusher.drain()
        puller.on_error = errors
        pusher.close()
        puller.close()
        await settle()
        assert not errors.all

    on_loop(main)


def test_close__forgets_pushed_callbacks(on_loop, pair):
    async def main():
        got = []
        _, puller, _ = full(pair)
        for _ in range(30):
            await puller.recv() if aio.probe(puller.socket, zraw.ZMQ_POLLIN) else None
        for _ in range(3):
            puller.push_read(lambda *args: got.append(args))
        puller.on_read = lambda *args: got.append(args)
        puller.close()
        await settle()
        assert got == []

    on_loop(main)


@pytest.mark.parametrize("how", ["close", "socket", "thread"])
def test_close__without_a_waiter_on_read_ends_silently(on_loop, ctx, how):
    async def main():
        errors = Errors()
        handle = aio.Pull(
            ctx, bind="inproc://x", on_read=lambda *_: None, on_error=errors
        )
        await settle()
        await end(how, handle, ctx)
        await settle()
        assert not errors.all

    on_loop(main)


def test_close__everything_else_says_that_it_is_closed(on_loop, ctx):
    async def main():
        handle = aio.Pair(ctx, bind="inproc://x")
        handle.close()
        for call in (
            lambda: handle.bind("inproc://y"),
            lambda: handle.connect("inproc://y"),
            lambda: handle.unbind("inproc://y"),
            lambda: handle.disconnect("inproc://y"),
            lambda: handle.identity,
            lambda: setattr(handle, "identity", b"x"),
            lambda: aio.probe(handle.socket, zraw.ZMQ_POLLIN),
            lambda: aio.io(handle.socket, zraw.ZMQ_POLLIN, print),
        ):
            with pytest.raises(zraw.NotASocket):
                call()
        handle.on_error = print
        handle.on_drain = print
        assert (handle.on_error, handle.on_drain) == (print, print)

    on_loop(main)
