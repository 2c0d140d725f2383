"""asyncio, uvloop, and what else is an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from zraw.aio.loops import BUDGET, Cancellable, Descriptor, Loop
from zraw.aio.selecting import Selecting, Watch


class Reader:
    """A descriptor that the loop itself watches."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptor: Descriptor,
        callback: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._descriptor: Descriptor | None = descriptor
        loop.add_reader(descriptor.fd, callback)

    def cancel(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and not self._loop.is_closed():
            self._loop.remove_reader(descriptor.fd)


class AsyncioLoop(Loop):
    keeps_order = True

    def __init__(self, native: asyncio.AbstractEventLoop) -> None:
        self._native = native
        self._tasks: set[asyncio.Task[None]] = set()
        self._selecting: Selecting | None = None
        self.spare = BUDGET - 1

    def wakeup(self) -> asyncio.Future[None]:
        return self._native.create_future()

    def is_due(self) -> bool:
        self.spare -= 1
        return self.spare < 0

    def spend(self, operations: int) -> None:
        self.spare -= operations

    async def pause(self) -> None:
        self.spare = BUDGET - 1
        await asyncio.sleep(0)

    async def be_cancelled(self) -> None:
        """Go on: asyncio cancels a task where it waits."""

    def is_inside(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._native
        except RuntimeError:
            return False

    def call_soon(self, callback: Callable[[], object]) -> None:
        if self.is_inside():
            self._native.call_soon(callback)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._native.call_soon_threadsafe(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        return self._native.call_later(seconds, callback)

    def watch(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        try:
            return Reader(self._native, descriptor, callback)
        except NotImplementedError:
            # Windows' proactor, say.
            return Watch(self._thread(), self._native, descriptor, callback)

    def _thread(self) -> Selecting:
        """Return the thread that selects; it ends with this object."""
        if self._selecting is None:
            self._selecting = Selecting()
            weakref.finalize(self, self._selecting.stop)
        return self._selecting

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._native.create_task(coroutine)
        self._tasks.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._tasks.discard)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def report(self, what: str, error: BaseException, source: object) -> None:
        self._native.call_exception_handler(
            {"message": what, "exception": error, "source": source}
        )

    def is_over(self) -> bool:
        return self._native.is_closed()
