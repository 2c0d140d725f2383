"""What the long tests of zraw.aio share: numbered messages, and who watches them."""

from __future__ import annotations

import gc
import logging
import select
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio

import zraw

STALL = 0.1  # seconds of being ready and not being served that are too long
TICK = 0.002


def make(number: int, salt: str = "", count: int = 0) -> list[bytes]:
    """A message, of one to three frames if not told, that says which it is."""
    count = count or 1 + number % 3
    padding = "." * (number * 37 % 1000)
    return [f"{salt} {number} {count} {i} {padding}".encode() for i in range(count)]


def number_of(frames: list[bytes], salt: str = "") -> int:
    """The number of a message that is as it was made."""
    _, number, count, _, _ = frames[0].decode().split(" ")
    assert frames == make(int(number), salt, int(count)), f"torn: {frames}"
    return int(number)


class Complaints(logging.Handler):
    """What loops and zraw.aio could tell nobody else."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))

    def __enter__(self) -> Complaints:
        for name in ("asyncio", "zraw.aio"):
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *exc: object) -> None:
        for name in ("asyncio", "zraw.aio"):
            logging.getLogger(name).removeHandler(self)
        if exc[0] is None:
            self.check()

    def check(self) -> None:
        assert not self.records, "\n".join(self.records)


class Side:
    """A socket that somebody waits for until there is progress."""

    def __init__(
        self,
        name: str,
        socket: zraw.Socket,
        events: int,
        pending: Callable[[], bool],
        progress: Callable[[], int],
    ) -> None:
        self.name = name
        self.pending = pending
        self.progress = progress
        self.seen = -1
        self.since = 0.0
        self.news: float | None = None
        self._socket = socket
        self._events = events
        self._poll = select.poll()
        self._poll.register(socket.fileno(), select.POLLIN)

    def has_news(self) -> bool:
        """Whether the descriptor is readable: asks the system, and touches nothing."""
        return bool(self._poll.poll(0))

    def is_ready(self) -> bool:
        """Whether libzmq says so: it takes news in, and wakes who was forgotten."""
        try:
            return bool(self._socket.getsockopt(zraw.ZMQ_EVENTS) & self._events)
        except (zraw.SocketInUse, zraw.NotASocket):
            return False


class Watchdog:
    """Fails if somebody is not served for STALL seconds while there is something.

    Its time goes on while the loop's thread works, or sleeps for as long as it was
    asked to; it stands still while the machine, or the GIL, keeps the thread waiting.
    A task that only ticks measures that.
    """

    def __init__(self) -> None:
        self.sides: list[Side] = []
        self.now = 0.0
        self.longest_wait = 0.0
        self.longest_turn = 0.0

    async def run(self) -> None:
        # What thousands of tests have left is not collected in one loop's turn.
        gc.freeze()
        try:
            await self.watch()
        finally:
            gc.unfreeze()

    async def watch(self) -> None:
        wall, cpu = time.monotonic(), time.thread_time()
        while True:
            await anyio.sleep(TICK)
            work = time.thread_time() - cpu
            self.now += min(time.monotonic() - wall, TICK + work)
            wall, cpu = time.monotonic(), time.thread_time()
            self.longest_turn = max(self.longest_turn, work)
            assert work < STALL, f"nobody else had a turn for {work:.3f} s"
            for side in self.sides:
                self.look_at(side)

    def look_at(self, side: Side) -> None:
        progress = side.progress()
        if progress != side.seen or not side.pending():
            side.seen, side.since, side.news = progress, self.now, None
            return
        waited = self.now - side.since
        if waited > STALL:
            if side.has_news():
                # It may have come this very moment: the loop has some turns left.
                side.news = side.news or self.now
                if self.now - side.news < STALL / 2 or not side.is_ready():
                    return
            elif not side.is_ready():
                # It is still on its way.
                side.since, side.news = self.now, None
                return
            raise AssertionError(
                f"{side.name}: ready, and not served for {waited:.3f} s"
            )
        self.longest_wait = max(self.longest_wait, waited)


class Thread(threading.Thread):
    """Runs until it is told to stop, and keeps what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.error: BaseException | None = None
        self.work = work

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.work()
        except BaseException as error:
            self.error = error

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@contextmanager
def running(*threads: Thread) -> Iterator[None]:
    """Have threads run, none of which waits for anything."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join(10)
    for thread in threads:
        thread.check()


async def persistently(call: Callable[..., Awaitable[Any]], *args: object) -> Any:
    """Call again while another thread is inside."""
    while True:
        try:
            return await call(*args)
        except zraw.SocketInUse:
            await anyio.sleep(0.0005)


@contextmanager
def unraisable() -> Iterator[list[str]]:
    """Collect what was raised where nobody can be told, as pytest does."""
    before, errors = sys.unraisablehook, []

    def note(what: Any) -> None:
        errors.append(f"{what.object!r}: {what.exc_value!r}")
        before(what)

    sys.unraisablehook = note
    try:
        yield errors
    finally:
        sys.unraisablehook = before
