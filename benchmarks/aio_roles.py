"""One process of a case on an event loop.

Its words are those of roles.py; COUNT is milliseconds where something goes on for a
time.  The queues have libzmq's default length: with no limit, a fast sender would
give the slow ones all their messages at once, and the machine to themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import aio_library
import aio_tcp
from aio_library import End, EventLoop
from library import RCVHWM, SNDHWM, Library, Socket
from roles import Job, resident, show

DEFAULT_HWM = 1000
TICK = 0.010  # seconds
SETTLED = 20_000  # messages until memory is looked at for the first time


@dataclass
class AioJob(Job):
    """What the process was told to do, and the loop that it runs on."""

    loop: EventLoop
    make_end: Callable[[Socket], End]

    def bind_end(self, kind: str) -> End:
        socket = self.open(kind)
        self.limit(socket)
        self.bind(socket)
        return self.make_end(socket)

    def connect_end(self, kind: str) -> End:
        socket = self.open(kind)
        self.limit(socket)
        self.library.connect(socket, self.endpoint)
        return self.make_end(socket)

    def limit(self, socket: Socket) -> None:
        self.library.set(socket, SNDHWM, DEFAULT_HWM)
        self.library.set(socket, RCVHWM, DEFAULT_HWM)

    async def take(self, end: End) -> int:
        """Receive some, of the size they should have."""
        many = self.mode == "many"
        count, last = await (aio_library.take_many if many else aio_library.take)(end)
        if len(last) != self.size:
            raise ValueError("a message of another size came")
        return count

    async def take_for(self, end: End, seconds: float) -> tuple[int, float]:
        """Receive for a time; return messages and seconds."""
        count, start = 0, perf_counter()
        while (passed := perf_counter() - start) < seconds:
            count += await self.take(end)
        return count, passed

    @property
    def seconds(self) -> float:
        return self.count / 1000


@dataclass
class Ticks:
    """A task that wants to run every 10 ms, and how late it was each time."""

    loop: EventLoop
    late: list[float] = field(default_factory=list)
    over: bool = False

    async def run(self) -> None:
        while not self.over:
            due = perf_counter() + TICK
            await self.loop.sleep(TICK)
            self.late.append(perf_counter() - due)

    def show(self) -> None:
        late = sorted(max(0.0, seconds) * 1e3 for seconds in self.late)
        show(worst=late[-1], p99=late[len(late) * 99 // 100], ticks=len(late))


async def sink(job: AioJob) -> None:
    """Receive for a time, of which the first tenth does not count."""
    end = job.bind_end("PULL")
    await job.take_for(end, job.seconds / 10)
    messages, seconds = await job.take_for(end, job.seconds)
    show(messages=messages, seconds=seconds)
    os._exit(0)  # the other side goes on sending


async def flood(job: AioJob) -> None:
    """Send until killed."""
    end, body = job.connect_end("PUSH"), bytes(job.size)
    while True:
        await aio_library.send(end, body, 1000)


async def rep(job: AioJob) -> None:
    """Send back what comes."""
    end = job.bind_end("REP")
    await aio_library.echo(end, job.count)
    job.library.close(end)


async def req(job: AioJob) -> None:
    """Time round trips, but for the first tenth."""
    end, body = job.connect_end("REQ"), bytes(job.size)
    warm = job.count // 10
    await aio_library.ask(end, body, warm)
    start = perf_counter()
    await aio_library.ask(end, body, job.count - warm)
    show(messages=job.count - warm, seconds=perf_counter() - start)
    job.library.close(end)


async def ticks(job: AioJob) -> None:
    """How late a task is beside one that receives all the time."""
    end, ticks = job.bind_end("PULL"), Ticks(job.loop)
    await job.take(end)

    async def receive() -> None:
        await job.loop.sleep(TICK)  # the ticks begin, whoever lets nobody else run
        await job.take_for(end, job.seconds)
        ticks.over = True

    await job.loop.beside(ticks.run, receive)
    ticks.show()
    os._exit(0)


async def sleep_ticks(job: AioJob) -> None:
    """The control: as late is a task beside one that does nothing but let it run."""
    ticks, end = Ticks(job.loop), perf_counter() + job.seconds

    async def sleep() -> None:
        while perf_counter() < end:
            await job.loop.sleep(0)
        ticks.over = True

    await job.loop.beside(ticks.run, sleep)
    ticks.show()


async def memory(job: AioJob) -> None:
    """Growth of the resident memory while `count` messages are received."""
    end, count = job.bind_end("PULL"), 0
    while count < SETTLED:
        count += await job.take(end)
    before, count = resident(), 0
    while count < job.count:
        count += await job.take(end)
    show(bytes=resident() - before)
    os._exit(0)


Role = Callable[[AioJob], Coroutine[Any, Any, None]]
ROLES: dict[str, Role] = {
    role.__name__: role for role in (sink, flood, rep, req, ticks, sleep_ticks, memory)
}


def play(entrant: str, role: str, words: list[str]) -> None:
    """Do one job, as the command line says it."""
    endpoint, size, count, mode, batch_bytes = words
    if entrant.startswith("tcp-"):
        aio_tcp.play(entrant, role, endpoint, int(size), int(count))
        return
    library: Library
    library, make_end = aio_library.load_library(entrant)
    job = AioJob(
        library,
        endpoint,
        int(size),
        int(count),
        mode,
        int(batch_bytes),
        aio_library.load_loop(entrant),
        make_end,
    )
    job.loop.run(lambda: ROLES[role](job))
    library.finish()
