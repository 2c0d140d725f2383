"""asyncio, uvloop, and what else is an asyncio event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from zraw.aio.loops import BUDGET, Cancellable, Descriptor, Loop, watch_by_task


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
        elif not self._native.is_closed():
            self._native.call_soon_threadsafe(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        return self._native.call_later(seconds, callback)

    def watch(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        try:
            return Reader(self._native, descriptor, callback)
        except NotImplementedError:
            return self._watch_in_thread(descriptor, callback)

    def _watch_in_thread(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        """On Windows' proactor, say: anyio has a thread that selects."""
        try:
            from anyio import wait_readable
        except ImportError:
            raise RuntimeError(
                f"{type(self._native).__name__} has no add_reader(), and anyio, whose "
                "thread would do its work, is missing: pip install anyio"
            ) from None
        return self._start(watch_by_task(wait_readable, descriptor, callback))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._native.create_task(coroutine)
        self._tasks.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._tasks.discard)
        return task

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._start(coroutine)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def report(self, what: str, error: BaseException, source: object) -> None:
        self._native.call_exception_handler(
            {"message": what, "exception": error, "source": source}
        )

    def is_over(self) -> bool:
        return self._native.is_closed()
