"""Eight threads that do one thing after another, at random, with what they share."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import zraw

THREADS = 8
LEAST = 100  # acts of each, however busy the machine is
ALLOWED = (
    zraw.SocketInUse,
    zraw.NotASocket,
    zraw.InvalidHandle,
    zraw.ContextTerminated,
    zraw.Again,
    zraw.TooManySockets,  # the reaper of libzmq has more to do than it can
    zraw.InvalidArgument,  # registered already, no such timer
    BufferError,
)
Act = Callable[[random.Random], object]


class Crew:
    """Threads that do what they are given until the time is over."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seconds, self.seed = seconds, seed
        self.counts: Counter[str] = Counter()
        self.errors: list[BaseException] = []

    def run(self, *acts: Act, until: Callable[[], bool] = lambda: False) -> None:
        """Have every thread choose among the acts, again and again."""
        counts = [Counter() for _ in range(THREADS)]
        start = threading.Barrier(THREADS)
        over = time.monotonic() + self.seconds

        def work(number: int) -> None:
            rng, mine = random.Random(self.seed * 100 + number), counts[number]
            try:
                start.wait(10)
                while (time.monotonic() < over or mine.total() < LEAST) and not (
                    self.errors or until()
                ):
                    for _ in range(20):
                        try:
                            rng.choice(acts)(rng)
                            mine["done"] += 1
                        except ALLOWED as error:
                            mine[type(error).__name__] += 1
            except BaseException as error:
                self.errors.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.seconds + 60)
            assert not thread.is_alive(), "a thread does not come back"
        for mine in counts:
            self.counts += mine
        for error in self.errors:
            raise error
