"""zraw.aio: drain and on_drain."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Boom,
    Errors,
    beside,
    fill,
    full,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    settle,
    until,
)
from zraw import aio


def test_drain__nothing_was_pushed(on_loop, pair):
    async def main():
        pusher, _, _ = full(pair)
        await pusher.drain()
        assert pusher.on_drain is None

    on_loop(main)


def test_drain__wakes_all_when_everything_is_taken(on_loop, pair):
    async def main():
        drained = []
        pusher, _, room = full(pair, on_drain=drained.append)
        pusher.push_write(b"1")
        async with beside() as start:
            draining = [start(pusher.drain) for _ in range(5)]
            await settle()
            assert not any(running.ended for running in draining)
            draining[0].cancel()
            assert drained == []
            room()
            for running in draining[1:]:
                await running.result()
        assert drained == [pusher]

    on_loop(main)


def test_drain__does_not_wait_for_send(on_loop, pair):
    """It is about what was pushed; who sends waits himself."""

    async def main():
        pusher, _, _ = full(pair)
        async with beside() as start:
            sending = start(pusher.send, b"later")
            await settle()
            await pusher.drain()
            assert not sending.ended

    on_loop(main)


@pytest.mark.parametrize("end", ["close", "socket", "shutdown", "term"])
def test_drain__raises_if_messages_were_dropped(on_loop, ctx, end):
    async def main():
        drained, errors = [], Errors()
        push = aio.Push(
            ctx, bind="tcp://127.0.0.1:*", on_drain=drained.append, on_error=errors
        )
        for _ in range(3):
            push.push_write(b"x")
        push.push_write(lambda _: b"x")
        async with beside() as start:
            draining = [start(push.drain), start(push.drain)]
            await settle()
            terminating = None
            if end == "close":
                push.close()
            elif end == "socket":
                push.socket.close()
            elif end == "shutdown":
                ctx.shutdown()
            else:
                terminating = start(anyio.to_thread.run_sync, ctx.term)
            error = (
                zraw.NotASocket
                if end in ("close", "socket")
                else zraw.ContextTerminated
            )
            for running in draining:
                with pytest.raises(error):
                    await running.result()
            push.close()
            if terminating is not None:
                await terminating.result()
        await until(lambda: errors.all)
        await settle()
        assert errors.types == [aio.Unsent]
        assert errors.all[0][1].count == 4
        assert "4" in str(errors.all[0][1])
        cause = errors.all[0][1].__cause__
        assert type(cause) is (error if "term" in end or "shut" in end else type(None))
        assert drained == []

    on_loop(main)


def test_on_drain__once_each_time_everything_is_taken(on_loop, pair):
    async def main():
        drained = []
        pusher, puller, room = full(pair, on_drain=drained.append)
        for number in range(10):
            pusher.push_write(b"%d" % number)
        room()
        assert [await puller.recv() for _ in range(10)] == numbers(10)
        await pusher.drain()
        assert drained == [pusher]
        left = fill(pusher.socket)
        pusher.push_write(b"again")
        await settle()
        assert drained == [pusher]
        for _ in range(left):
            await puller.recv()
        assert await puller.recv() == b"again"
        await until(lambda: len(drained) == 2)
        pusher.on_drain = None
        assert pusher.on_drain is None

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_on_drain__that_raises(on_loop, pair, kind):
    async def main():
        errors = Errors()
        pusher, _, room = full(pair, on_error=errors)

        def drained(_):
            raise Boom

        async def drained_later(_):
            await anyio.sleep(0)
            raise Boom

        pusher.on_drain = drained if kind == "plain" else drained_later
        pusher.push_write(b"x")
        room()
        await pusher.drain()
        await until(lambda: errors.all)
        assert errors.types == [Boom]

    on_loop(main)


def test_on_drain__that_pushes_more(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        left = numbers(1, 100)

        def drained(this):
            if left:
                message = left.pop(0)
                this.push_write(lambda _: message)

        pusher.on_drain = drained
        pusher.push_write(b"0")
        room()
        assert [await puller.recv() for _ in range(100)] == numbers(100)

    on_loop(main)


def test_drain__when_the_peer_comes(on_loop, ctx):
    async def main():
        async with aio.Push(ctx, bind="tcp://127.0.0.1:*") as push:
            push.push_write([b"a", b"b"])
            async with (
                aio.Pull(ctx, connect=last_endpoint(push)) as pull,
                beside() as start,
            ):
                draining = start(push.drain)
                assert await pull.recv_multipart() == [b"a", b"b"]
                await draining.result()

    on_loop(main)
