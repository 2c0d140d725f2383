"""Event loops, and the ends of the libraries on them.

send() and recv() of the three libraries are awaited alike, so the loops around them
stand here once: nothing is between them and the calls.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any, Protocol

from entrants import library_of, loop_of
from library import Library, PeerLibrary, Socket, allow_files

End = Any  # a socket, or a handle, whose methods are awaited
Main = Callable[[], Awaitable[None]]
CHUNK = 100  # messages between two looks at the clock


class EventLoop(Protocol):
    """What is needed of a loop, whichever it is."""

    def run(self, main: Main) -> None: ...
    async def sleep(self, seconds: float) -> None: ...
    async def beside(self, other: Main, main: Main) -> None:
        """Run `other` as a task of its own, and wait for the end of both."""


class AsyncioLoop:
    """asyncio, or uvloop."""

    def __init__(self, name: str) -> None:
        self.run_coroutine = importlib.import_module(name).run

    def run(self, main: Main) -> None:
        self.run_coroutine(main())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def beside(self, other: Main, main: Main) -> None:
        task = asyncio.ensure_future(other())
        await main()
        await task


class TrioLoop:
    def __init__(self) -> None:
        self.trio = importlib.import_module("trio")

    def run(self, main: Main) -> None:
        self.trio.run(main)

    async def sleep(self, seconds: float) -> None:
        await self.trio.sleep(seconds)

    async def beside(self, other: Main, main: Main) -> None:
        async with self.trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await main()


def load_loop(entrant: str) -> EventLoop:
    name = loop_of(entrant) or "asyncio"
    return TrioLoop() if name == "trio" else AsyncioLoop(name)


def load_library(entrant: str) -> tuple[Library, Callable[[Socket], End]]:
    """The library, and what makes an end of one of its sockets."""
    allow_files()
    name = library_of(entrant)
    if name != "zraw":
        peers = PeerLibrary(name)
        asynchronous = importlib.import_module(f"{peers.zmq.__name__}.asyncio")
        peers.context = asynchronous.Context()
        return peers, lambda socket: socket
    from zraw_library import ZrawLibrary

    from zraw.aio import Handle

    return ZrawLibrary(), Handle


async def send(end: End, body: bytes, count: int) -> None:
    send = end.send
    for _ in repeat(None, count):
        await send(body)


async def take(end: End) -> tuple[int, bytes]:
    """Receive some messages; return how many, and the last."""
    recv, got = end.recv, b""
    for _ in repeat(None, CHUNK):
        got = await recv()
    return CHUNK, got


async def take_many(end: End) -> tuple[int, bytes]:
    """As take(), in a batch of those that are there."""
    got = await end.recv_many()
    return len(got), got[-1]


async def ask(end: End, body: bytes, count: int) -> None:
    send, recv = end.send, end.recv
    for _ in repeat(None, count):
        await send(body)
        await recv()


async def echo(end: End, count: int) -> None:
    send, recv = end.send, end.recv
    for _ in repeat(None, count):
        await send(await recv())
