"""zraw.aio: whatever is cancelled, killed or closed when, no message is lost by it.

aio_cancel.py and aio_reopen.py have the programs; each runs for minutes by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
import sniffio

import aio_cancel
import aio_reopen
import zraw
from aio_watch import unraisable
from zraw import aio

SEEDS = (1, 2)
TURNS = 8  # of the loop, in which a task is woken, runs, and is over


@pytest.mark.parametrize("kind", list(aio_cancel.KINDS))
def test_cancel__tasks_and_time_outs(on_loop, kind):
    for seed in SEEDS:
        with unraisable() as errors:
            flow = aio_cancel.fuzz([on_loop.kind], kind, seed, 0.3)
        assert not errors
        assert flow.count and flow.accepted and flow.refused


@pytest.mark.parametrize("kind", list(aio_cancel.KINDS))
def test_cancel__loop_ends(kind):
    """The same socket on one loop after another; what was pushed waits for the next."""
    loops = ["epoll", "trio", "uvloop", "thread", "trio", "select"]
    aio_cancel.fuzz(loops, kind, 3, 1.2)


def test_cancel__handles_are_closed(on_loop):
    for seed in SEEDS:
        with unraisable() as errors:
            figures = aio_reopen.fuzz(on_loop.kind, seed, 0.3)
        assert not errors
        assert figures["sent"] and figures["refused"], figures


async def turn_loop(times: int) -> None:
    for _ in range(times):
        await anyio.lowlevel.checkpoint()


class Waiters:
    """Three tasks that wait for a handle, one behind the other."""

    def __init__(self, group: anyio.abc.TaskGroup, raw: bool) -> None:
        self.done: list[object] = []  # what those brought that were not cancelled
        self.ended = 0
        self.cancel: list[Callable[[], object]] = []
        self.group = group
        self.raw = raw

    async def start(self, call: Callable[[], Awaitable[object]]) -> None:
        scope = anyio.CancelScope()
        if self.raw:
            task = asyncio.get_running_loop().create_task(self.run(call, scope))
            self.cancel.append(task.cancel)
        else:
            self.group.start_soon(self.run, call, scope)
            self.cancel.append(scope.cancel)
        await turn_loop(3)  # it waits now

    async def run(
        self, call: Callable[[], Awaitable[object]], scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                self.done.append(await call())
        finally:
            self.ended += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(5):
            while not condition():
                await anyio.sleep(0.001)


def moments() -> list[tuple[int, int, bool]]:
    """Which waiter is cancelled in which turn, and whether by asyncio itself."""
    raws = (False, True) if sniffio.current_async_library() == "asyncio" else (False,)
    return [
        (who, turn, raw) for who in range(3) for turn in range(TURNS) for raw in raws
    ]


def test_cancel__receiver_in_any_turn(on_loop, sock):
    """A message came for it: another one gets it, with nothing else to wake that."""
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://cancel"))

    async def cancel_one(handle, who, turn, raw):
        async with anyio.create_task_group() as group:
            waiters = Waiters(group, raw)
            for _ in range(3):
                await waiters.start(handle.recv)
            far.send(b"0")
            await turn_loop(turn)
            waiters.cancel[who]()
            await waiters.until(lambda: len(waiters.done) == 1)
            for number in (b"1", b"2"):
                await turn_loop(TURNS)  # the one that was cancelled has ended
                if waiters.ended < 3:
                    far.send(number)
                    await waiters.until(lambda: waiters.done[-1] == number)  # noqa: B023
        assert waiters.done == [b"0", b"1", b"2"][: len(waiters.done)]
        assert len(waiters.done) >= 2 and near.try_recv() is None

    async def main():
        handle = aio.Handle(near)
        for who, turn, raw in moments():
            await cancel_one(handle, who, turn, raw)

    on_loop(main)


def test_cancel__sender_in_any_turn(on_loop, sock):
    """There was room for it: another one sends, with nothing else to wake that."""
    near, far = (sock(zraw.ZMQ_PAIR, SNDHWM=1, RCVHWM=1) for _ in range(2))
    far.connect(near.bind("inproc://cancel"))

    async def cancel_one(handle, who, turn, raw):
        while near.try_send(b"full"):
            pass
        async with anyio.create_task_group() as group:
            waiters = Waiters(group, raw)

            def send(number):
                async def call():
                    await handle.send(number)
                    return number

                return call

            for number in (b"0", b"1", b"2"):
                await waiters.start(send(number))
            read = []
            while (frame := far.try_recv()) == b"full":
                pass
            await turn_loop(turn)
            waiters.cancel[who]()
            await waiters.until(lambda: len(waiters.done) > 0)
            while (
                waiters.ended < 3 or frame is not None or len(read) < len(waiters.done)
            ):
                if frame is not None:
                    read.append(frame)
                frame = far.try_recv()
                await anyio.sleep(0.0005)
        assert read == waiters.done == sorted(waiters.done)
        assert len(read) >= 2

    async def main():
        handle = aio.Handle(near)
        for who, turn, raw in moments():
            await cancel_one(handle, who, turn, raw)

    on_loop(main)
