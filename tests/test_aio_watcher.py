"""zraw.aio: io() and probe()."""

from __future__ import annotations

import asyncio

import anyio
import pytest

import zraw
from aio_tools import (
    Boom,
    fill,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    reported,
    settle,
    until,
)
from zraw import aio

IN, OUT = zraw.ZMQ_POLLIN, zraw.ZMQ_POLLOUT


@pytest.fixture
def ends(pair):
    return lambda **options: pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, **options)


# ---- io()


def test_io__calls_as_long_as_it_is_ready(on_loop, ends):
    async def main():
        near, far = ends()
        calls = []
        watcher = aio.io(near, IN, lambda *args: calls.append(args))
        assert isinstance(watcher, aio.Watcher)
        await settle()
        assert calls == []
        far.send(b"x")
        await until(lambda: len(calls) > 10)
        assert set(calls) == {(near, IN)}
        assert near.recv() == b"x"
        await settle(2)
        count = len(calls)
        await settle()
        assert len(calls) == count
        far.send(b"y")
        await until(lambda: len(calls) > count)
        watcher.cancel()

    on_loop(main)


def test_io__once_in_a_turn_of_the_loop(on_loop, ends):
    async def main():
        near, far = ends()
        turns = 0
        calls = []
        watcher = aio.io(near, IN, lambda *_: calls.append(turns))
        far.send(b"x")
        while len(calls) < 20:
            await anyio.lowlevel.checkpoint()
            turns += 1
        watcher.cancel()
        # Others run as often as the callback does.
        assert turns >= 15

    on_loop(main)


def test_io__one_message_for_each_call(on_loop, ends):
    async def main():
        near, far = ends(transport="tcp")
        got = []
        watcher = aio.io(near, IN, lambda socket, _: got.append(socket.try_recv()))
        far.send_many(numbers(300))
        await until(lambda: len(got) >= 300)
        assert [data for data in got if data is not None] == numbers(300)
        watcher.cancel()

    on_loop(main)


def test_io__both_events(on_loop, ends):
    async def main():
        near, far = ends(SNDHWM=1, RCVHWM=1)
        seen = set()
        fill(near)
        watcher = aio.io(near, IN | OUT, lambda _, events: seen.add(events))
        await settle()
        assert seen == set()
        far.send(b"x")
        await until(lambda: seen == {IN})
        while far.try_recv() is not None:
            pass
        await until(lambda: IN | OUT in seen)
        near.recv()
        await until(lambda: OUT in seen)
        watcher.cancel()

    on_loop(main)


def test_io__several_on_one_socket(on_loop, ends):
    async def main():
        near, far = ends()
        calls = dict.fromkeys("abc", 0)

        def count(name):
            def callback(*_):
                calls[name] += 1

            return callback

        watchers = [aio.io(near, IN, count(name)) for name in calls]
        far.send(b"x")
        await until(lambda: min(calls.values()) > 3)
        watchers[1].cancel()
        before = dict(calls)
        await until(lambda: min(calls["a"], calls["c"]) > before["a"] + 3)
        assert calls["b"] == before["b"]
        watchers[0].cancel()
        watchers[2].cancel()

    on_loop(main)


@pytest.mark.parametrize("times", [1, 2])
def test_io__cancelled_by_its_callback(on_loop, ends, times):
    async def main():
        near, far = ends()
        calls = []

        def callback(*_):
            calls.append(1)
            for _ in range(times):
                watcher.cancel()

        watcher = aio.io(near, IN, callback)
        assert watcher.active
        assert "cancelled" not in repr(watcher).replace(repr(near), "")
        far.send(b"x")
        await until(lambda: calls)
        await settle()
        assert calls == [1]
        assert not watcher.active
        assert "cancelled" in repr(watcher)
        assert near.recv() == b"x"

    on_loop(main)


def test_io__cancels_another_one_of_the_same_turn(on_loop, ends):
    async def main():
        near, far = ends()
        calls = []
        first = aio.io(near, IN, lambda *_: (calls.append(1), second.cancel()))
        second = aio.io(near, IN, lambda *_: calls.append(2))
        far.send(b"x")
        await until(lambda: len(calls) > 3)
        first.cancel()
        assert 2 not in calls

    on_loop(main)


def test_io__coroutine_function(on_loop, ends):
    async def main():
        near, far = ends()
        running, got = 0, []

        async def callback(socket, events):
            nonlocal running
            running += 1
            assert running == 1
            await anyio.sleep(0.001)
            got.append((socket.recv(), events))
            running -= 1

        watcher = aio.io(near, IN, callback)
        far.send_many(numbers(10))
        await until(lambda: len(got) == 10)
        assert got == [(number, IN) for number in numbers(10)]
        await settle()
        watcher.cancel()

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_io__what_it_raises_is_told_to_the_loop(on_loop, ends, kind):
    async def main():
        near, far = ends()

        def callback(socket, _):
            raise Boom(socket.recv())

        async def later(*args):
            await anyio.sleep(0)
            callback(*args)

        with reported() as errors:
            watcher = aio.io(near, IN, callback if kind == "plain" else later)
            far.send_many(numbers(3))
            await until(lambda: len(errors) == 3)
            assert watcher.active
            watcher.cancel()
        assert [error.args for error in errors] == [(number,) for number in numbers(3)]

    on_loop(main)


def test_io__coroutine_that_was_cancelled(on_loop, ends):
    async def main():
        near, far = ends()
        got = []

        async def callback(socket, _):
            got.append(socket.recv())
            if on_loop.kind != "trio":
                raise asyncio.CancelledError

        watcher = aio.io(near, IN, callback)
        far.send_many(numbers(3))
        await until(lambda: got == numbers(3))
        watcher.cancel()

    on_loop(main)


@pytest.mark.parametrize("how", ["close", "callback"])
def test_io__ends_with_the_socket(on_loop, ends, how):
    async def main():
        near, far = ends()
        calls = []

        def callback(socket, _):
            calls.append(1)
            if how == "callback":
                socket.close()

        watcher = aio.io(near, IN, callback)
        if how == "callback":
            far.send(b"x")
            await until(lambda: calls)
        else:
            near.close()
        assert not watcher.active
        assert "cancelled" in repr(watcher)
        await settle()
        assert len(calls) == (how == "callback")
        watcher.cancel()
        watcher.cancel()

    on_loop(main)


def test_io__active_after_a_close_outside_of_the_loop(on_loop, ends):
    near, _ = ends()
    made = []

    async def main():
        made.append(aio.io(near, IN, print))
        assert made[0].active

    on_loop(main)
    near.close()
    assert not made[0].active
    assert "cancelled" in repr(made[0])


def test_io__end_of_the_context_is_an_event(on_loop, ends, ctx):
    """Whoever looks gets the exception."""

    async def main():
        near, _ = ends()
        caught = []

        def callback(socket, _):
            try:
                socket.recv()
            except zraw.ContextTerminated as error:
                caught.append(error)
                watcher.cancel()

        watcher = aio.io(near, IN, callback)
        await settle()
        ctx.shutdown()
        await until(lambda: caught)

    on_loop(main)


def test_io__goes_on_in_the_next_run(on_loop, ends):
    near, far = ends()
    got = []
    made = []

    async def first():
        made.append(aio.io(near, IN, lambda socket, _: got.append(socket.recv())))
        far.send(b"1")
        await until(lambda: got == [b"1"])

    async def second():
        far.send(b"2")
        made.append(aio.io(near, OUT, lambda *_: None))
        await until(lambda: got == [b"1", b"2"])
        for watcher in made:
            watcher.cancel()

    on_loop(first)
    on_loop(second)


def test_io__argument_that_is_wrong(on_loop, ends):
    async def main():
        near, _ = ends()
        for wrong in (None, 7, "socket", aio.Handle(near)):
            with pytest.raises(TypeError, match=r"io\(\): socket: a zraw\.Socket"):
                aio.io(wrong, IN, print)
        for wrong in (0, 4, 8, -1, "in", None, 1.0, True):
            with pytest.raises(ValueError, match=r"io\(\): events"):
                aio.io(near, wrong, print)
        for wrong in (None, 7, "name"):
            with pytest.raises(TypeError, match=r"io\(\): callback"):
                aio.io(near, IN, wrong)

    on_loop(main)


# ---- probe()


def test_probe__what_is_there_now(ends):
    near, far = ends(SNDHWM=1, RCVHWM=1)
    assert aio.probe(near, IN) is False
    assert aio.probe(near, OUT) is True
    assert aio.probe(near, IN | OUT) is True
    far.send(b"x")
    assert aio.probe(near, IN) is True
    fill(near)
    assert aio.probe(near, OUT) is False
    assert aio.probe(near, IN | OUT) is True
    assert near.recv() == b"x"
    assert aio.probe(near, IN | OUT) is False


def test_probe__argument_that_is_wrong(ends, ctx):
    near, _ = ends()
    for wrong in (None, 42, "socket"):
        with pytest.raises(TypeError, match=r"probe\(\): socket: a zraw\.Socket"):
            aio.probe(wrong, IN)
    for wrong in (0, 4, -1, "in", None, True):
        with pytest.raises(ValueError, match=r"probe\(\): events"):
            aio.probe(near, wrong)
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        aio.probe(near, IN)
    near.close()
    with pytest.raises(zraw.NotASocket):
        aio.probe(near, IN)


def test_probe__disturbs_nobody_who_waits(on_loop, ends):
    async def main():
        near, far = ends(transport="ipc")
        handle = aio.Handle(near)
        got = []
        handle.on_read = lambda _, message: got.append(message)
        for number in range(100):
            far.send(b"%d" % number)
            await until(lambda: aio.probe(near, IN) or len(got) > number)  # noqa: B023
            await settle(1)
        await until(lambda: got == numbers(100))

    on_loop(main)
