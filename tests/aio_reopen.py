"""Handles that are closed at random, and opened again, by tasks and by threads.

    python tests/aio_reopen.py --loop trio --minutes 3 --seed 7

Whoever waits for a handle that is closed gets an error, at once.  What a closed
socket had received is gone; but what was sent before comes, what was not does not,
and nothing comes twice, torn or out of order.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio

import zraw
from aio_crew import Crew, limited
from aio_watch import (
    STALL,
    Complaints,
    Thread,
    Watchdog,
    make,
    number_of,
    running,
    unraisable,
)
from loops import LOOPS, run_on
from zraw import aio


class Generation:
    """A handle from its opening to its close, and what was sent through it."""

    def __init__(self, context: zraw.Context, where: str, name: str) -> None:
        self.name = name
        self.socket = context.socket(zraw.ZMQ_DEALER)
        for option in (zraw.ZMQ_SNDHWM, zraw.ZMQ_RCVHWM):
            self.socket.setsockopt(option, 3)
        self.handle = aio.Handle(self.socket, connect=where, on_error=self.on_error)
        self.waiting = 0
        self.accepted: list[int] = []
        self.refused: set[int] = set()
        self.pushed: list[int] = []
        self.unsent = 0
        self.errors: list[BaseException] = []

    def on_error(self, _: object, error: BaseException) -> None:
        if isinstance(error, aio.Unsent):
            self.unsent += error.count
        else:
            self.errors.append(error)

    def sent(self) -> list[int]:
        """What has to come."""
        return self.accepted + self.pushed[: len(self.pushed) - self.unsent]

    def check(self, read: list[int]) -> None:
        """See whether all came that was sent, and nothing else."""
        if self.errors:
            raise self.errors[0]
        assert not self.refused & set(read), "refused or cancelled, and sent"
        assert sorted(read) == sorted(self.sent()), (
            f"{Counter(read) - Counter(self.sent())} too many, "
            f"{Counter(self.sent()) - Counter(read)} lost"
        )
        for numbers in (self.accepted, self.pushed):
            chosen = set(numbers)
            ordered = [number for number in read if number in chosen]
            assert ordered == numbers[: len(ordered)], "out of order"


class Reopened:
    """A peer in a thread, and one handle after another that talks to it."""

    def __init__(self, context: zraw.Context, where: str, seed: int) -> None:
        self.context = context
        self.rng = random.Random(seed)
        # libzmq drops what it has not yet read from the kernel when the peer is gone;
        # the kernel drops what a peer has sent that goes before it has read all.
        self.is_two_way = where.startswith("inproc:")
        self.far = context.socket(zraw.ZMQ_DEALER)
        self.far.setsockopt(zraw.ZMQ_SNDHWM, 3)
        self.far.setsockopt(zraw.ZMQ_RCVHWM, 3 if self.is_two_way else 0)
        self.far.setsockopt(zraw.ZMQ_LINGER, 0)
        self.where = self.far.bind(where)
        self.read: dict[str, list[int]] = {}
        self.sent = 0
        self.last = -1
        self.numbers = itertools.count()
        self.generations: list[Generation] = []
        self.open()
        self.dog = Watchdog()

    def open(self) -> None:
        name = f"g{len(self.generations)}"
        self.read[name] = []
        self.now = Generation(self.context, self.where, name)
        self.generations.append(self.now)

    def step(self) -> None:
        """What the peer does."""
        for _ in range(5):
            frames = self.far.try_recv_multipart()
            if frames is None:
                break
            name = frames[0].decode().split(" ")[0]
            self.read[name].append(number_of(frames, name))
        if self.is_two_way:
            with contextlib.suppress(zraw.Again):
                self.far.send_multipart(make(self.sent), zraw.ZMQ_DONTWAIT)
                self.sent += 1
                return
        time.sleep(0.0005)

    def take(self, message: bytes | list[bytes]) -> None:
        number = number_of(message if isinstance(message, list) else [message])
        assert number > self.last, f"{number} came after {self.last}"
        self.last = number

    async def attempt(
        self, generation: Generation, call: Callable[[], Awaitable[None]]
    ) -> None:
        """Do something that may end because the handle is closed."""
        generation.waiting += 1
        try:
            await call()
        except zraw.NotASocket:
            assert generation.handle.closed
            await anyio.sleep(0)
        finally:
            generation.waiting -= 1

    async def receive(self) -> None:
        generation, how = self.now, self.rng.randrange(4)

        async def call() -> None:
            if how == 0:
                for message in await generation.handle.recv_many(3, multipart=True):
                    self.take(message)
            elif how == 1:
                async for message in generation.handle:
                    self.take(message)
                    break
                else:
                    await anyio.sleep(0)
            else:
                self.take(await generation.handle.recv_multipart())

        await self.attempt(generation, call)

    async def send(self) -> None:
        generation, number = self.now, next(self.numbers)

        async def call() -> None:
            try:
                frames = make(number, generation.name)
                await generation.handle.send_multipart(frames)
            except BaseException:
                generation.refused.add(number)
                raise
            generation.accepted.append(number)

        await self.attempt(generation, call)

    async def push(self) -> None:
        generation, number = self.now, next(self.numbers)
        handle, what = generation.handle, self.rng.randrange(4)
        if handle.closed:
            pass
        elif what == 0:
            handle.push_read(lambda _, message: self.take(message))
        elif what == 1:
            handle.on_read = lambda _, message: self.take(message)
        elif what == 2:
            handle.on_read = None
        elif len(generation.pushed) < 20:
            generation.pushed.append(number)
            handle.push_write(make(number, generation.name))
        if what == 3:
            await self.attempt(generation, handle.drain)
        await anyio.sleep(self.rng.choice((0, 0.0005, 0.001)))

    async def reopen(self) -> None:
        """Close the handle in one of the ways, and see everybody leave."""
        while True:
            await anyio.sleep(self.rng.choice((0, 0.001, 0.005, 0.02)))
            generation, how = self.now, self.rng.randrange(4)
            if how == 0:
                generation.handle.close()
            elif how == 1:
                generation.socket.close()
            elif how == 2:
                thread = threading.Thread(target=generation.socket.close)
                thread.start()
                thread.join()
            else:
                with anyio.fail_after(5):
                    async with generation.handle:
                        pass  # it drains, while all the others go on
            self.open()
            start = self.dog.now
            while generation.waiting:
                await anyio.sleep(0.001)
                waited = self.dog.now - start
                assert waited < STALL, f"still waiting for {generation.handle}"

    async def play(self, seconds: float) -> None:
        crew = Crew(self.rng)
        for work in (self.receive, self.send):
            crew.enlist(work)
            crew.enlist(partial(limited, self.rng, work))
            crew.enlist(work)
        crew.enlist(self.push)
        async with anyio.create_task_group() as group:
            group.start_soon(self.dog.run)
            async with anyio.create_task_group() as killers:
                crew.start(killers)
                killers.start_soon(crew.kill)
                killers.start_soon(self.reopen)
                with anyio.move_on_after(seconds):
                    while not crew.errors:
                        await anyio.sleep(0.005)
                killers.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await crew.stop()
            self.now.handle.on_read = None
            self.now.handle.close()
            await anyio.sleep(0.002)  # on_error is told in the next turn
            with anyio.fail_after(10):
                while not all(self.is_read(each) for each in self.generations):
                    await anyio.sleep(0.002)
            group.cancel_scope.cancel()
        for error in crew.errors:
            raise error

    def is_read(self, generation: Generation) -> bool:
        return len(self.read[generation.name]) >= len(generation.sent())

    def run(self, loop: str, seconds: float) -> None:
        with Complaints(), running(Thread(self.step)):
            run_on(loop, partial(self.play, seconds), seconds + 20)
        for generation in self.generations:
            generation.check(self.read[generation.name])


def fuzz(loop: str, seed: int, seconds: float) -> dict[str, Any]:
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder, zraw.Context() as context:
        where = (f"inproc://{folder}/s", f"ipc://{folder}/s", "tcp://127.0.0.1:*")
        reopened = Reopened(context, random.Random(seed).choice(where), seed)
        try:
            reopened.run(loop, seconds)
        finally:
            reopened.far.close()
            for generation in reopened.generations:
                generation.socket.close(0)
        every = reopened.generations
        return {
            "handles": len(every),
            "received": reopened.last,
            "sent": sum(len(each.accepted) for each in every),
            "refused": sum(len(each.refused) for each in every),
            "pushed": sum(len(each.pushed) for each in every),
            "unsent": sum(each.unsent for each in every),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=[*LOOPS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    loops = LOOPS if given.loop == "all" else [given.loop]
    end = time.monotonic() + given.minutes * 60
    with unraisable() as errors:
        for seed in itertools.count(given.seed):
            for loop in loops:
                if time.monotonic() > end:
                    return
                print(f"{loop:7}", end="", flush=True)
                print(fuzz(loop, seed, 2))
                assert not errors, errors


if __name__ == "__main__":
    main()
