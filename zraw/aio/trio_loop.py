"""trio."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import trio

from zraw.aio.loops import BUDGET, Cancellable, Descriptor, Loop


class TrioWakeup:
    """A wait, with the few methods of a future that are needed of it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, result: None, /) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        # Once set, no cancellation is delivered here any more.
        return self._event.wait().__await__()


class TrioLoop(Loop):
    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._left = BUDGET - 1

    def is_due(self) -> bool:
        self._left -= 1
        return self._left < 0

    def spend(self, operations: int) -> None:
        self._left -= operations

    async def pause(self) -> None:
        self._left = BUDGET - 1
        await trio.lowlevel.checkpoint()

    async def be_cancelled(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()

    def wakeup(self) -> TrioWakeup:
        return TrioWakeup()

    def is_inside(self) -> bool:
        return (
            trio.lowlevel.in_trio_run()
            and trio.lowlevel.current_trio_token() is self._token
        )

    def call_soon(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Cancellable:
        async def wait_and_call() -> None:
            await trio.sleep(seconds)
            callback()

        return self._start(wait_and_call())

    def watch(
        self, descriptor: Descriptor, callback: Callable[[], object]
    ) -> Cancellable:
        async def call_back() -> None:
            while True:
                await trio.lowlevel.wait_readable(descriptor.fd)
                callback()

        return self._start(call_back())

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> trio.CancelScope:
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await coroutine

        trio.lowlevel.spawn_system_task(run, name="zraw.aio")
        return scope

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._start(coroutine)

    def lock(self) -> trio.Lock:
        return trio.Lock()

    def report(self, what: str, error: BaseException, source: object) -> None:
        # trio has no handler for what happens outside of a nursery, other than to end
        # the whole run.
        logging.getLogger("zraw.aio").error("%s: %r", what, source, exc_info=error)

    def is_over(self) -> bool:
        try:
            self._token.run_sync_soon(lambda: None)
        except trio.RunFinishedError:
            return True
        return False
