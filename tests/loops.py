"""The event loops that zraw.aio is tested on; anyio is what they have in common."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import uvloop


class WithoutReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as Windows' proactor."""

    def add_reader(self, *args: object) -> None:
        raise NotImplementedError

    def remove_reader(self, *args: object) -> bool:
        raise NotImplementedError


def with_select() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


FACTORIES = {
    "epoll": asyncio.SelectorEventLoop,
    "select": with_select,
    "uvloop": uvloop.new_event_loop,
    "thread": WithoutReaders,
}
LOOPS = [*FACTORIES, "trio"]


def run_on(kind: str, main: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """Run a coroutine function on a loop; TimeoutError if it takes too long."""

    async def limited() -> Any:
        with anyio.fail_after(seconds):
            return await main()

    if kind == "trio":
        return anyio.run(limited, backend="trio")
    options = {"loop_factory": FACTORIES[kind]}
    return anyio.run(limited, backend="asyncio", backend_options=options)
