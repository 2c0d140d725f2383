"""zraw.aio: what becomes of what callbacks raise; callbacks that end it all."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Boom,
    Errors,
    beside,
    fill,
    flow,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    reported,
    settle,
    until,
)
from zraw import aio

SMALL = {"SNDHWM": 1, "RCVHWM": 1}


def boom(*args):
    raise Boom(*args[1:])


async def boom_later(*args):
    await anyio.sleep(0)
    raise Boom(*args[1:])


@pytest.mark.parametrize("callback", [boom, boom_later])
@pytest.mark.parametrize("way", ["on_read", "push_read"])
def test_on_error__is_told_and_reading_goes_on(on_loop, pair, callback, way):
    async def main():
        sender, handle = flow(pair)
        handle.on_error = errors = Errors()
        if way == "on_read":
            handle.on_read = callback
        else:
            for _ in range(3):
                handle.push_read(callback)
        sender.send_many(numbers(3))
        await until(lambda: len(errors.all) == 3)
        assert errors.types == [Boom] * 3
        assert [error.args for _, error in errors.all] == [(n,) for n in numbers(3)]
        assert all(one is handle for one, _ in errors.all)

    on_loop(main)


@pytest.mark.parametrize("callback", [boom, boom_later])
def test_on_error__without_one_the_loop_is_told(on_loop, pair, callback):
    async def main():
        sender, handle = flow(pair)
        with reported() as errors:
            handle.on_read = callback
            sender.send_many(numbers(3))
            await until(lambda: len(errors) == 3)
        assert [type(error) for error in errors] == [Boom] * 3

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_on_error__that_raises_is_told_to_the_loop(on_loop, pair, kind):
    async def main():
        sender, handle = flow(pair)

        def on_error(_, error):
            raise KeyError("of on_error") from error

        async def on_error_later(_, error):
            await anyio.sleep(0)
            on_error(_, error)

        handle.on_error = on_error if kind == "plain" else on_error_later
        handle.on_read = boom
        with reported() as errors:
            sender.send_many(numbers(2))
            await until(lambda: len(errors) == 2)
        assert [type(error) for error in errors] == [KeyError] * 2
        assert [type(error.__cause__) for error in errors] == [Boom] * 2

    on_loop(main)


def test_on_error__coroutine_is_awaited(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        told = []

        async def on_error(one, error):
            await anyio.sleep(0)
            told.append((one, type(error)))

        handle.on_error = on_error
        assert handle.on_error is on_error
        handle.on_read = boom
        sender.send(b"x")
        await until(lambda: told)
        handle.on_error = None
        assert told == [(handle, Boom)]
        assert handle.on_error is None

    on_loop(main)


def test_on_error__of_two_handles_each_gets_its_own(on_loop, pair):
    async def main():
        sides = [flow(pair, "tcp"), flow(pair, "tcp")]
        for _, handle in sides:
            handle.on_error = Errors()
            handle.on_read = boom
        for sender, _ in sides:
            sender.send(b"x")
        await until(lambda: all(handle.on_error.all for _, handle in sides))
        for _, handle in sides:
            assert [one for one, _ in handle.on_error.all] == [handle]

    on_loop(main)


@pytest.mark.parametrize("way", ["on_read", "push_read"])
def test_on_error__end_of_the_context(on_loop, ctx, way):
    async def main():
        pull = aio.Pull(ctx, bind="tcp://127.0.0.1:*", on_error=Errors())
        errors = pull.on_error
        if way == "on_read":
            pull.on_read = boom
        else:
            pull.push_read(boom)
        await settle()
        ctx.shutdown()
        await until(lambda: errors.all)
        await settle()
        assert errors.types == [zraw.ContextTerminated]
        pull.close()

    on_loop(main)


# ---- callbacks that close their handle


@pytest.mark.parametrize("way", ["on_read", "push_read"])
@pytest.mark.parametrize("what", ["handle", "socket", "context"])
def test_close__by_a_callback(on_loop, pair, ctx, way, what):
    async def main():
        sender, handle = flow(pair)
        got = []

        def read(_, message):
            got.append(message)
            if what == "context":
                sender.close()
            {"handle": handle, "socket": handle.socket, "context": ctx}[what].close()

        for _ in range(3):
            if way == "push_read":
                handle.push_read(read)
        if way == "on_read":
            handle.on_read = read
        sender.send_many(numbers(3))
        await until(lambda: got)
        await settle()
        assert got == [b"0"]
        assert handle.closed

    on_loop(main)


def test_close__by_a_callback_wakes_who_waits_behind_it(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        handle.push_read(lambda this, _: this.close())
        async with beside() as start:
            waiting = start(handle.recv)
            await settle()
            sender.send_many(numbers(2))
            with pytest.raises(zraw.NotASocket):
                await waiting.result()

    on_loop(main)


def test_close__by_on_error(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        errors = Errors()

        def on_error(this, error):
            errors(this, error)
            this.close()

        handle.on_error = on_error
        handle.on_read = boom
        sender.send_many(numbers(3))
        await until(lambda: errors.all)
        await settle()
        assert errors.types == [Boom]
        assert handle.closed

    on_loop(main)


def test_close__while_a_coroutine_of_on_read_runs(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        go_on, log = anyio.Event(), []

        async def read(this, message):
            log.append(message)
            await go_on.wait()
            with pytest.raises(zraw.NotASocket):
                await this.recv()
            log.append("end")

        handle.on_read = read
        sender.send_many(numbers(3))
        await until(lambda: log)
        handle.close()
        go_on.set()
        await until(lambda: len(log) == 2)
        await settle()
        assert log == [b"0", "end"]

    on_loop(main)


def test_close__by_the_callable_of_push_write(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        handle.on_error = errors = Errors()
        handle.on_drain = boom
        count = fill(handle.socket)

        def ask(this):
            this.close()
            return b"never"

        handle.push_write(ask)
        handle.push_write(b"1")
        handle.push_write(lambda _: b"2")
        async with beside() as start:
            sending = start(handle.send, b"3")
            for _ in range(count):
                await other.recv()
            with pytest.raises(zraw.NotASocket):
                await sending.result()
        await until(lambda: errors.all)
        await settle()
        unsent = [error for _, error in errors.all if isinstance(error, aio.Unsent)]
        assert [error.count for error in unsent] == [2]
        # The closed socket cannot take what the callable has returned.
        rest = [error for _, error in errors.all if error not in unsent]
        assert [type(error) for error in rest] == [zraw.NotASocket]

    on_loop(main)


def test_close__by_on_drain(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        closed = []

        def drained(this):
            this.close(1000)
            closed.append(this.closed)

        handle.on_drain = drained
        count = fill(handle.socket)
        handle.push_write(b"last")
        received = [await other.recv() for _ in range(count + 1)]
        assert received[-1] == b"last"
        await until(lambda: closed == [True])

    on_loop(main)
