"""The floor of a round trip: asyncio's own tcp between the same two processes.

"tcp-streams" is what a program would use, "tcp-protocol" the least that asyncio does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from roles import show


@dataclass(frozen=True)
class Trip:
    """Where to, and how often."""

    endpoint: str
    size: int
    count: int

    @property
    def warm(self) -> int:
        return self.count // 10

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.endpoint.rpartition(":")
        return host, int(port)

    def show(self, start: float) -> None:
        timed = self.count - self.warm
        show(messages=timed, seconds=perf_counter() - start)


def listen() -> socket.socket:
    """A socket that accepts connections, and whose address was told."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    show(endpoints=[f"{host}:{port}"])
    return listener


async def streams_rep(trip: Trip) -> None:
    done = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for _ in range(trip.count):
            writer.write(await reader.readexactly(trip.size))
            await writer.drain()
        writer.close()
        done.set()

    await asyncio.start_server(answer, sock=listen())
    await done.wait()


async def streams_req(trip: Trip) -> None:
    reader, writer = await asyncio.open_connection(*trip.address)
    body, start = bytes(trip.size), 0.0
    for number in range(trip.count):
        if number == trip.warm:
            start = perf_counter()
        writer.write(body)
        await writer.drain()
        await reader.readexactly(trip.size)
    trip.show(start)
    writer.close()


class Counting(asyncio.Protocol):
    """Writes a message whenever one has come, so many times; who asks, begins."""

    transport: asyncio.Transport

    def __init__(self, trip: Trip, asks: bool) -> None:
        self.trip = trip
        self.asks = asks
        self.body = bytes(trip.size)
        self.number = self.come = 0
        self.start = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.asks:
            transport.write(self.body)

    def data_received(self, data: bytes) -> None:
        self.come += len(data)
        if self.come < self.trip.size:
            return
        self.come = 0
        self.number += 1
        if self.number == self.trip.warm:
            self.start = perf_counter()
        if self.number < self.trip.count or not self.asks:
            self.transport.write(self.body)
        if self.number == self.trip.count:
            self.transport.close()
            self.done.set_result(None)


async def protocol_rep(trip: Trip) -> None:
    loop, made = asyncio.get_running_loop(), list[Counting]()
    accepted = loop.create_future()

    def make() -> Counting:
        made.append(Counting(trip, asks=False))
        accepted.set_result(None)
        return made[0]

    await loop.create_server(make, sock=listen())
    await accepted
    await made[0].done


async def protocol_req(trip: Trip) -> None:
    _, protocol = await asyncio.get_running_loop().create_connection(
        lambda: Counting(trip, asks=True), *trip.address
    )
    await protocol.done
    trip.show(protocol.start)


ROLES: dict[str, Callable[[Trip], Coroutine[Any, Any, None]]] = {
    role.__name__: role
    for role in (streams_rep, streams_req, protocol_rep, protocol_req)
}


def play(entrant: str, role: str, endpoint: str, size: int, count: int) -> None:
    """Do one of the two parts of a round trip."""
    how = entrant.partition("-")[2]
    asyncio.run(ROLES[f"{how}_{role}"](Trip(endpoint, size, count)))
