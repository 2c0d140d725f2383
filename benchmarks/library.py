"""What every library under test has to offer, and how pyzmq and pyomq offer it.

The loops stand here and not in the cases, so that each library is called the way
its documentation has it, with nothing in between.  repeat() is the shortest
loop there is: range() would make an int each time.
"""

from __future__ import annotations

import importlib
import resource
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any, Protocol

ENOUGH_SOCKETS = 20_100
Socket = Any
Context = Any
SUBSCRIBE, LINGER, SNDHWM, RCVHWM = 6, 17, 23, 24  # in all of them the same
IN_BATCH_SIZE, OUT_BATCH_SIZE = 101, 102  # draft options


def high_water_mark(size: int) -> int:
    """No limit makes a fast sender of large messages measure the allocator."""
    if size <= 16:
        return 0
    return 1000 if size < 1 << 20 else 16


def allow_files() -> None:
    """A socket has a descriptor; the soft limit is often 1024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Library(Protocol):
    """One of the libraries: sockets, and a loop for each kind of call."""

    def about(self) -> dict[str, str]: ...
    def open(self, kind: str, size: int) -> Socket: ...
    def bind(self, socket: Socket, endpoint: str) -> str: ...
    def connect(self, socket: Socket, endpoint: str) -> None: ...
    def set(self, socket: Socket, option: int, value: int | bytes) -> None: ...
    def close(self, socket: Socket) -> None: ...
    def finish(self) -> None: ...
    def send(self, socket: Socket, body: bytes, count: int) -> None: ...
    def recv(self, socket: Socket, count: int) -> bytes: ...
    def recv_msg(self, socket: Socket, count: int) -> Any: ...
    def send_lent(self, socket: Socket, body: bytes, count: int) -> None: ...
    def send_multipart(self, socket: Socket, parts: list[bytes], count: int) -> None:
        """Send `parts` `count` times."""

    def recv_multipart(self, socket: Socket, count: int) -> list[bytes]: ...
    def send_many(self, socket: Socket, batch: list[Any]) -> None: ...
    def recv_many(self, socket: Socket, count: int) -> None: ...
    def recv_many_multipart(self, socket: Socket, count: int) -> None: ...
    def try_recv(self, socket: Socket, count: int) -> None: ...
    def poll(self, sockets: list[Socket]) -> Callable[[int], None]: ...
    def poller(self, sockets: list[Socket]) -> Callable[[int], None]: ...
    def ask(self, socket: Socket, body: bytes, count: int) -> None: ...
    def echo(self, socket: Socket, count: int) -> None: ...
    def route(self, socket: Socket, count: int) -> None: ...
    def proxy(self, frontend: Socket, backend: Socket) -> None: ...


class PeerLibrary:
    """pyzmq, and pyomq, which has the same methods."""

    def __init__(self, name: str) -> None:
        self.zmq = importlib.import_module({"pyzmq": "zmq"}.get(name, name))
        self.name = name
        self.context = self.zmq.Context()
        if name == "pyzmq":
            self.context.set(self.zmq.MAX_SOCKETS, ENOUGH_SOCKETS)

    def about(self) -> dict[str, str]:
        libzmq = self.zmq.zmq_version() if self.name == "pyzmq" else "none (omq)"
        return {"version": self.zmq.__version__, "libzmq": libzmq}

    def open(self, kind: str, size: int) -> Socket:
        socket = self.context.socket(getattr(self.zmq, kind))
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = high_water_mark(size)
        return socket

    def bind(self, socket: Socket, endpoint: str) -> str:
        socket.bind(endpoint)
        bound = socket.getsockopt(self.zmq.LAST_ENDPOINT)
        text = bound.decode() if isinstance(bound, bytes) else str(bound)
        return text.rstrip("\0")

    def connect(self, socket: Socket, endpoint: str) -> None:
        socket.connect(endpoint)

    def set(self, socket: Socket, option: int, value: int | bytes) -> None:
        socket.setsockopt(option, value)

    def close(self, socket: Socket) -> None:
        socket.close()

    def finish(self) -> None:
        """Wait until everything is sent."""
        self.context.term()

    def send(self, socket: Socket, body: bytes, count: int) -> None:
        send = socket.send
        for _ in repeat(None, count):
            send(body)

    def recv(self, socket: Socket, count: int) -> bytes:
        recv = socket.recv
        got = b""
        for _ in repeat(None, count):
            got = recv()
        return got

    def recv_msg(self, socket: Socket, count: int) -> Any:
        recv = socket.recv
        got = None
        for _ in repeat(None, count):
            got = recv(copy=False)
        return got

    def send_lent(self, socket: Socket, body: bytes, count: int) -> None:
        send = socket.send
        for _ in repeat(None, count):
            send(body, copy=False)

    def send_multipart(self, socket: Socket, parts: list[bytes], count: int) -> None:
        send_multipart = socket.send_multipart
        for _ in repeat(None, count):
            send_multipart(parts)

    def recv_multipart(self, socket: Socket, count: int) -> list[bytes]:
        recv_multipart = socket.recv_multipart
        got: list[bytes] = []
        for _ in repeat(None, count):
            got = recv_multipart()
        return got

    def send_many(self, socket: Socket, batch: list[Any]) -> None:
        """Neither has batches: this is what their users write."""
        send = socket.send_multipart if isinstance(batch[0], list) else socket.send
        for message in batch:
            send(message)

    def recv_many(self, socket: Socket, count: int) -> None:
        recv = socket.recv
        [recv() for _ in repeat(None, count)]

    def recv_many_multipart(self, socket: Socket, count: int) -> None:
        recv_multipart = socket.recv_multipart
        [recv_multipart() for _ in repeat(None, count)]

    def try_recv(self, socket: Socket, count: int) -> None:
        recv, again, noblock = socket.recv, self.zmq.Again, self.zmq.NOBLOCK
        for _ in repeat(None, count):
            try:
                recv(noblock)
            except again:
                continue

    def poll(self, sockets: list[Socket]) -> Callable[[int], None]:
        poller = self.zmq.Poller()
        for socket in sockets:
            poller.register(socket, self.zmq.POLLIN)
        poll = poller.poll

        def run(count: int) -> None:
            for _ in repeat(None, count):
                poll(1000)

        return run

    poller = poll

    def ask(self, socket: Socket, body: bytes, count: int) -> None:
        send, recv = socket.send, socket.recv
        for _ in repeat(None, count):
            send(body)
            recv()

    def echo(self, socket: Socket, count: int) -> None:
        send, recv = socket.send, socket.recv
        for _ in repeat(None, count):
            send(recv())

    def route(self, socket: Socket, count: int) -> None:
        send, recv = socket.send_multipart, socket.recv_multipart
        for _ in repeat(None, count):
            send(recv())

    def proxy(self, frontend: Socket, backend: Socket) -> None:
        self.zmq.proxy(frontend, backend)


def load(name: str) -> Library:
    """Import a library by the name it has in the table."""
    allow_files()
    if name.startswith("zraw"):
        from zraw_library import ZrawLibrary

        return ZrawLibrary()
    return PeerLibrary(name)


def python_version() -> str:
    return sys.version.split()[0]
