"""Tasks that are cancelled at random, by every way there is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import sniffio

LIMITS = (0, 0, 0.0001, 0.0005, 0.001, 0.002)  # seconds


class Crew:
    """Tasks that are killed, and start again."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.errors: list[BaseException] = []
        self.alive = 0
        self.over = False
        self._members: list[Member] = []
        self._raw: set[asyncio.Task[None]] = set()

    def enlist(self, work: Callable[[], Awaitable[None]]) -> None:
        self._members.append(Member(self, work))

    def start(self, group: anyio.abc.TaskGroup) -> None:
        self.group = group
        self.on_asyncio = sniffio.current_async_library() == "asyncio"
        for member in self._members:
            member.start()

    def start_raw(self, run: Callable[[], Any]) -> Callable[[], object]:
        """Start a task that anyio knows nothing of; return what cancels it."""
        task = asyncio.get_running_loop().create_task(run())
        self._raw.add(task)
        task.add_done_callback(self._raw.discard)
        return task.cancel

    def kill_one(self) -> None:
        member = self.rng.choice(self._members)
        member.kill()
        member.start()

    async def kill(self) -> None:
        """Go on killing."""
        while not self.over:
            for _ in range(self.rng.choice((1, 1, 1, 3, 8))):
                self.kill_one()
            await anyio.sleep(self.rng.choice((0, 0, 0.0005, 0.002, 0.005)))

    async def stop(self) -> None:
        """Kill all for good."""
        self.over = True
        with anyio.fail_after(5):
            for member in self._members:
                member.kill()
            while self.alive:
                await anyio.sleep(0.001)


class Member:
    """What is one task at a time."""

    def __init__(self, crew: Crew, work: Callable[[], Awaitable[None]]) -> None:
        self.crew = crew
        self.work = work
        self.task: Task | None = None

    def start(self) -> None:
        self.task = Task(self.crew, self.work)

    def kill(self) -> None:
        assert self.task is not None
        self.task.over = True
        self.task.cancel()


class Task:
    """Works until it is killed."""

    def __init__(self, crew: Crew, work: Callable[[], Awaitable[None]]) -> None:
        self.crew = crew
        self.work = work
        # A scope that ends just now may take a cancellation for its own.
        self.over = False
        if crew.on_asyncio and crew.rng.random() < 0.5:
            self.cancel = crew.start_raw(self.run)
        else:
            scope = anyio.CancelScope()
            self.cancel = scope.cancel
            crew.group.start_soon(self.run_in, scope)

    async def run_in(self, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await self.run()
        except asyncio.CancelledError:
            # A time-out of asyncio's in the same moment: the scope does not know it.
            if not self.over:
                raise

    async def run(self) -> None:
        self.crew.alive += 1
        try:
            while not self.over:
                await self.work()
        except Exception as error:
            self.crew.errors.append(error)
        finally:
            self.crew.alive -= 1


async def limited(rng: random.Random, call: Callable[[], Awaitable[None]]) -> None:
    """Await a call, for 0 to 2 ms, by one of the ways to say so."""
    seconds = rng.choice(LIMITS)
    native = sniffio.current_async_library()
    how = rng.randrange(5)
    try:
        if how == 0:
            with anyio.move_on_after(seconds):
                await call()
        elif how == 1:
            with anyio.fail_after(seconds):
                await call()
        elif how == 2:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call()
        elif native == "asyncio":
            await asyncio.wait_for(call(), seconds)
        else:
            import trio

            with trio.move_on_after(seconds):
                await call()
    except (TimeoutError, asyncio.TimeoutError):
        pass
    if rng.random() < 0.3:
        await anyio.sleep(rng.choice((0, 0, 0.001)))
