"""Who waits for a socket: tasks, what was pushed, and callbacks."""

from __future__ import annotations

import itertools
from typing import Protocol

from zraw.aio.loops import Wakeup

arrivals = itertools.count()


class Entry:
    """Somebody in a queue."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = next(arrivals)  # less than of those who came later

    def serve(self) -> bool:
        """Do what is wanted; False if it stays at the head of its queue."""
        raise NotImplementedError

    def is_asleep(self) -> bool:
        """Whether it has to be looked after."""
        return True


class Turn(Entry):
    """A task in a queue."""

    __slots__ = ("expired", "tried", "wakeup")

    wakeup: Wakeup | None

    def __init__(self) -> None:
        super().__init__()
        self.wakeup = None  # not asleep
        self.tried = False  # whether the task knows that it has to wait
        self.expired = False

    def serve(self) -> bool:
        self.wake()
        return False

    def is_asleep(self) -> bool:
        return self.wakeup is not None and not self.wakeup.done()

    def wake(self) -> None:
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(None)

    def expire(self) -> None:
        """Its time is over."""
        self.expired = True
        self.wake()


class Pushing(Protocol):
    """A handle that something was pushed to."""

    def _drop(self) -> None:
        """Drop what was pushed: the socket is closed."""


class Push(Entry):
    """A callback, or data, in a queue."""

    __slots__ = ("handle",)

    handle: Pushing


class Consumer(Protocol):
    """What takes messages as they come."""

    def _wants_messages(self) -> bool: ...
    def _consume(self) -> bool: ...


class Level(Protocol):
    """A callback of io()."""

    def _call(self, events: int) -> bool: ...
