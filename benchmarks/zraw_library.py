"""The calls of zraw that the benchmarks make."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from library import ENOUGH_SOCKETS, high_water_mark

import zraw


class ZrawLibrary:
    """zraw as `library.Library` wants it."""

    name = "zraw"

    def __init__(self) -> None:
        self.context = zraw.Context()
        self.context.set(zraw.ZMQ_MAX_SOCKETS, ENOUGH_SOCKETS)

    def about(self) -> dict[str, str]:
        libzmq = ".".join(map(str, zraw.version()))
        return {"version": zraw.__version__, "libzmq": libzmq}

    def open(self, kind: str, size: int) -> zraw.Socket:
        socket = self.context.socket(getattr(zraw, f"ZMQ_{kind}"))
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        socket.setsockopt(zraw.ZMQ_SNDHWM, high_water_mark(size))
        socket.setsockopt(zraw.ZMQ_RCVHWM, high_water_mark(size))
        return socket

    def bind(self, socket: zraw.Socket, endpoint: str) -> str:
        return socket.bind(endpoint)

    def connect(self, socket: zraw.Socket, endpoint: str) -> None:
        socket.connect(endpoint)

    def set(self, socket: zraw.Socket, option: int, value: int | bytes) -> None:
        socket.setsockopt(option, value, type(value))

    def close(self, socket: zraw.Socket) -> None:
        socket.close()

    def finish(self) -> None:
        """Wait until everything is sent, which the exit would not do for long."""
        self.context.term()

    def send(self, socket: zraw.Socket, body: bytes, count: int) -> None:
        send = socket.send
        for _ in repeat(None, count):
            send(body)

    def recv(self, socket: zraw.Socket, count: int) -> bytes:
        recv = socket.recv
        got = b""
        for _ in repeat(None, count):
            got = recv()
        return got

    def recv_msg(self, socket: zraw.Socket, count: int) -> zraw.Message:
        recv_msg, message = socket.recv_msg, zraw.Message()
        for _ in repeat(None, count):
            recv_msg(message)
        return message

    def send_lent(self, socket: zraw.Socket, body: bytes, count: int) -> None:
        """Bytes of `pin_threshold` and more are read in place."""
        socket.pin_threshold = 0
        send = socket.send
        for _ in repeat(None, count):
            send(body)

    def send_multipart(
        self, socket: zraw.Socket, parts: list[bytes], count: int
    ) -> None:
        send_multipart = socket.send_multipart
        for _ in repeat(None, count):
            send_multipart(parts)

    def recv_multipart(self, socket: zraw.Socket, count: int) -> list[bytes]:
        recv_multipart = socket.recv_multipart
        got: list[bytes] = []
        for _ in repeat(None, count):
            got = recv_multipart()
        return got

    def send_many(self, socket: zraw.Socket, batch: list[Any]) -> None:
        socket.send_many(batch)

    def recv_many(self, socket: zraw.Socket, count: int) -> None:
        while count > 0:
            count -= len(socket.recv_many(min(count, 1000)))

    def recv_many_multipart(self, socket: zraw.Socket, count: int) -> None:
        while count > 0:
            count -= len(socket.recv_many(min(count, 1000), multipart=True))

    def try_recv(self, socket: zraw.Socket, count: int) -> None:
        try_recv = socket.try_recv
        for _ in repeat(None, count):
            try_recv()

    def poll(self, sockets: list[zraw.Socket]) -> Callable[[int], None]:
        poll = zraw.poll
        items = [(socket, zraw.ZMQ_POLLIN) for socket in sockets]

        def run(count: int) -> None:
            for _ in repeat(None, count):
                poll(items, 1000)

        return run

    def poller(self, sockets: list[zraw.Socket]) -> Callable[[int], None]:
        poller = zraw.Poller()
        for socket in sockets:
            poller.add(socket)
        wait_all, wanted = poller.wait_all, len(sockets)

        def run(count: int) -> None:
            for _ in repeat(None, count):
                wait_all(wanted, 1000)

        return run

    def ask(self, socket: zraw.Socket, body: bytes, count: int) -> None:
        send, recv = socket.send, socket.recv
        for _ in repeat(None, count):
            send(body)
            recv()

    def echo(self, socket: zraw.Socket, count: int) -> None:
        send, recv = socket.send, socket.recv
        for _ in repeat(None, count):
            send(recv())

    def route(self, socket: zraw.Socket, count: int) -> None:
        send, recv = socket.send_multipart, socket.recv_multipart
        for _ in repeat(None, count):
            send(recv())

    def proxy(self, frontend: zraw.Socket, backend: zraw.Socket) -> None:
        zraw.proxy(frontend, backend)
