"""zraw.aio: the thread that selects for loops that cannot watch descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator

import anyio
import pytest

import zraw
from aio_watch import Thread, running, unraisable
from conftest import wait_until
from loops import WithoutReaders, run_on
from zraw import aio
from zraw.aio.loops import Descriptor
from zraw.aio.selecting import Selecting, Watch


@pytest.fixture
def selecting() -> Iterator[Selecting]:
    selecting = Selecting()
    yield selecting
    selecting.stop()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "zraw.aio"}


class Called:
    """An object with a method that a Watch calls."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


def watch(selecting: Selecting, fd: int, called: Called) -> Watch:
    loop = asyncio.get_running_loop()
    return Watch(selecting, loop, Descriptor(fd), called.__call__)


def run(main):
    return run_on("thread", main, 20)


def test_watch__as_long_as_it_is_readable(selecting, pipe):
    called = Called()

    async def main():
        watching = watch(selecting, pipe[0], called)
        await asyncio.sleep(0.05)
        assert not called.count
        os.write(pipe[1], b"x")
        while called.count < 3:
            await asyncio.sleep(0.001)
        watching.cancel()
        called.count = 0
        await asyncio.sleep(0.05)

    run(main)
    assert not called.count


def test_watch__cancelled_and_asked_for_again(selecting, pipe):
    """However the thread and the loop cross, the last one is called."""
    os.write(pipe[1], b"x")

    async def main():
        for i in range(2000):
            called = Called()
            # The same number each time, of a new descriptor.
            watching = watch(selecting, pipe[0], called)
            await asyncio.sleep(0)
            with anyio.fail_after(5):
                while i % 2 and not called.count:
                    await asyncio.sleep(0)
            watching.cancel()

    run(main)


def test_watch__that_raises_goes_on(selecting, pipe):
    os.write(pipe[1], b"x")
    called, errors = Called(), []
    called.error = ValueError("expected")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: errors.append(what["exception"]))
        watching = watch(selecting, pipe[0], called)
        while called.count < 3:
            await asyncio.sleep(0.001)
        watching.cancel()

    run(main)
    assert len(errors) >= 3 and {type(error) for error in errors} == {ValueError}


def test_watch__of_who_is_gone(selecting, pipe):
    """Nobody is kept by it, nor is the descriptor once nobody wants it."""

    async def main():
        called = Called()
        watching = watch(selecting, pipe[0], called)
        descriptor = weakref.ref(watching._descriptor)
        dead = weakref.ref(called)
        del called, watching
        with anyio.fail_after(5):
            while gc.collect() is None or dead() or descriptor():
                await asyncio.sleep(0.001)

    run(main)


def test_watch__of_a_loop_that_is_closed(selecting, pipe):
    loop = WithoutReaders()
    with unraisable() as errors:
        called = Called()
        watching = Watch(selecting, loop, Descriptor(pipe[0]), called.__call__)
        loop.close()
        os.write(pipe[1], b"x")
        asked = threading.Event()
        selecting.ask(lambda _: asked.set())
        assert asked.wait(5)
        watching.cancel()
    assert not errors and threads() and not called.count


def test_selecting__ends_with_the_loop(sock):
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://selecting"))
    others, mine = threads(), set()

    async def main():
        handle = aio.Handle(near)
        asyncio.get_running_loop().call_later(0.02, far.send, b"x")
        assert await handle.recv() == b"x"
        mine.update(threads() - others)
        assert len(mine) == 1
        handle.close()

    run(main)
    wait_until(lambda: gc.collect() is not None and not mine & threads())


def test_selecting__keeps_nobody_when_it_has_ended(selecting, pipe):
    async def main():
        watching = watch(selecting, pipe[0], Called())
        await asyncio.sleep(0.01)
        selecting.stop()
        wait_until(lambda: selecting._stopped)
        watching.cancel()
        descriptor = weakref.ref(watching._descriptor)
        del watching
        wait_until(lambda: gc.collect() is not None and not descriptor())

    run(main)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_selecting__signals_are_for_other_threads(selecting):
    masks = []
    selecting.ask(lambda _: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    wait_until(lambda: masks)
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1} <= masks[0]


def test_watch__is_not_lost_by_a_socket_that_others_use(sock):
    """A thread takes the news, and the watch is given up and asked for again."""
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://selecting"))
    may_meddle, count = threading.Event(), 0

    def play():
        far.send(b"x")
        while far.poll(5) == 0 and not player.over.is_set():
            pass
        far.try_recv()

    def meddle():
        if may_meddle.wait(0.01):
            with contextlib.suppress(zraw.SocketInUse):
                near.poll(1)

    def on_read(handle, message):
        nonlocal count
        count += 1
        handle.push_write(message)

    player, meddler = Thread(play), Thread(meddle)

    async def main():
        handle = aio.Handle(near, on_read=on_read)
        with running(player, meddler):
            for _ in range(50):
                may_meddle.set()
                await asyncio.sleep(0.01)
                may_meddle.clear()
                goal = count + 10
                with anyio.fail_after(5):
                    while count < goal:
                        await asyncio.sleep(0.001)
            player.over.set()
        handle.close(0)

    run(main)
