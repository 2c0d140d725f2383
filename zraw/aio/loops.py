"""What zraw.aio needs of an event loop, and which loop it is that runs."""

from __future__ import annotations

import os
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from weakref import WeakValueDictionary

# So many operations may be done without a wait before other tasks have their turn:
# a number, because the clock costs more than an operation.
BUDGET = 64


class Wakeup(Protocol):
    """One wait of one task: what an asyncio.Future is."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...
    def __await__(self) -> Any: ...


class Cancellable(Protocol):
    """A timer, or a descriptor that is watched."""

    def cancel(self) -> object: ...


class Descriptor:
    """A duplicate of a descriptor, closed when nobody needs it any more.

    A socket may be closed by any thread at any time, and its number be given to
    something else.  What a loop watches is never taken from under it.
    """

    def __init__(self, fd: int) -> None:
        if os.name == "nt":
            self._owner: socket.socket | None = socket.fromfd(
                fd, socket.AF_INET, socket.SOCK_STREAM
            )
            self.fd = self._owner.fileno()
        else:
            self._owner = None
            self.fd = os.dup(fd)

    def __del__(self) -> None:
        if self._owner is None and hasattr(self, "fd"):
            os.close(self.fd)
        elif self._owner is not None:
            self._owner.close()


class Loop(ABC):
    """An event loop; the same object as long as anything of ours is on it."""

    # Operations left of the BUDGET; 0 where each has to look for a cancellation.
    spare = 0
    # Whether tasks run in the order in which they are woken.
    keeps_order = False

    @abstractmethod
    def is_due(self) -> bool:
        """Count an operation; return whether others have their turn before it."""

    @abstractmethod
    def spend(self, operations: int) -> None:
        """Count more of them."""

    @abstractmethod
    async def pause(self) -> None:
        """Let others run."""

    @abstractmethod
    async def be_cancelled(self) -> None:
        """Be cancelled, if that is due, or else go on at once."""

    async def checkpoint(self) -> None:
        """Do what is due before an operation."""
        if self.is_due():
            await self.pause()
        else:
            await self.be_cancelled()

    @abstractmethod
    def wakeup(self) -> Wakeup:
        """Return something to wait for."""

    @abstractmethod
    def is_inside(self) -> bool:
        """Whether it is this loop that runs now, in this thread."""

    @abstractmethod
    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call back from the loop, if it still runs; any thread may ask for it."""

    @abstractmethod
    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        """Call back after a time."""

    @abstractmethod
    def watch(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        """Call back whenever the descriptor is found readable."""

    @abstractmethod
    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task; it lets no Exception out."""

    @abstractmethod
    def lock(self) -> AbstractAsyncContextManager[Any]:
        """Return a lock that is had in the order of asking."""

    @abstractmethod
    def report(self, what: str, error: BaseException, source: object) -> None:
        """Hand over an exception that nobody else wants."""

    @abstractmethod
    def is_over(self) -> bool:
        """Whether the loop cannot run again."""


class NoLoop(Loop):
    """What a handle is on before it has waited for the first time."""

    def is_due(self) -> bool:
        raise RuntimeError("no event loop is running")

    def spend(self, operations: int) -> None:
        raise RuntimeError("no event loop is running")

    async def pause(self) -> None:
        raise RuntimeError("no event loop is running")

    async def be_cancelled(self) -> None:
        raise RuntimeError("no event loop is running")

    def wakeup(self) -> Wakeup:
        raise RuntimeError("no event loop is running")

    def is_inside(self) -> bool:
        return False

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Do nothing: nobody waits yet."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        raise RuntimeError("no event loop is running")

    def watch(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        raise RuntimeError("no event loop is running")

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        raise RuntimeError("no event loop is running")

    def lock(self) -> AbstractAsyncContextManager[Any]:
        raise RuntimeError("no event loop is running")

    def report(self, what: str, error: BaseException, source: object) -> None:
        raise error

    def is_over(self) -> bool:
        return True


_loops: WeakValueDictionary[int, Loop] = WeakValueDictionary()


def running_loop() -> Loop:
    """Return the loop that runs now; RuntimeError if none does."""
    # A loop of a library that nobody has imported cannot run.
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        native = trio.lowlevel.current_trio_token()
    else:
        asyncio = sys.modules.get("asyncio")
        if asyncio is None:
            raise RuntimeError("no event loop is running")
        native = asyncio.get_running_loop()
    # A Loop keeps its loop alive: the id of a live one stands for no other.
    loop = _loops.get(id(native))
    if loop is None:
        if trio is not None and isinstance(native, trio.lowlevel.TrioToken):
            from zraw.aio.trio_loop import TrioLoop

            loop = TrioLoop(native)
        else:
            from zraw.aio.asyncio_loop import AsyncioLoop

            loop = AsyncioLoop(native)
        _loops[id(native)] = loop
    return loop
