"""What the tests with attackers share: whom they attack, and a man on the wire."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable

import pytest

import zraw
from conftest import wait_until
from peers import address_of
from zap_tools import AS_ALICE, MECHANISMS, SUCCEEDED, event_of

GREETING = 64  # bytes, of ZMTP 3


def greeting(mechanism: str) -> bytes:
    """What a peer that speaks ZMTP 3.0 says first."""
    signature = b"\xff" + bytes(8) + b"\x7f"
    return signature + b"\3\0" + mechanism.encode().ljust(20, b"\0") + bytes(32)


def command(name: str, body: bytes = b"") -> bytes:
    """A frame with a command."""
    content = bytes([len(name)]) + name.encode() + body
    return bytes([4, len(content)]) + content


def frame(body: bytes, flags: int = 0) -> bytes:
    """A short frame; flags: 1 if another one follows."""
    return bytes([flags, len(body)]) + body


def frame_of(data: bytes | bytearray) -> bytes:
    """The first frame of ZMTP in the data; nothing if it is not complete."""
    if len(data) < 2:
        return b""
    header = 9 if data[0] & 2 else 2
    if len(data) < header:
        return b""
    end = header + int.from_bytes(data[1:header], "big")
    return bytes(data[:end]) if len(data) >= end else b""


class Middle:
    """A man in the middle of clients and a bound socket, for any number of connections.

    edit: gets the number of the connection, the number of the client's frame after the
    greeting, and the frame; returns what goes on instead.  Whatever the server says is
    carried as it is.
    """

    def __init__(
        self, where: str, edit: Callable[[int, int, bytes], bytes] | None = None
    ) -> None:
        self.target = address_of(where)
        self.edit = edit or (lambda connection, number, frame: frame)
        # What the clients said, by connection: the greeting and each frame.
        self.heard: list[list[bytes]] = []
        self.answers: list[bytes] = []  # what the server said, by connection
        self.ended: list[int] = []  # the connections that are over
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.02)
        self.where = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.listen)]

    def listen(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            number = len(self.heard)
            self.heard.append([b""])
            self.answers.append(b"")
            thread = threading.Thread(target=self.serve, args=(client, number))
            self.threads.append(thread)
            thread.start()

    def serve(self, client: socket.socket, number: int) -> None:
        with client, socket.create_connection(self.target, timeout=5) as server:
            for side in (client, server):
                side.settimeout(5)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):  # one side has gone
                self.carry(client, server, number)
        self.ended.append(number)

    def carry(self, client: socket.socket, server: socket.socket, number: int) -> None:
        pending, heard = bytearray(), self.heard[number]
        while not self.over.is_set():
            for ready in select.select([client, server], [], [], 0.02)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is server:
                    self.answers[number] += data
                    client.sendall(data)
                    continue
                greeting = data[: GREETING - len(heard[0])]  # goes on as it comes
                heard[0] += greeting
                server.sendall(greeting)
                pending += data[len(greeting) :]
                while item := frame_of(pending):
                    del pending[: len(item)]
                    heard.append(item)
                    server.sendall(self.edit(number, len(heard) - 2, item))

    def __enter__(self) -> Middle:
        self.threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.threads[0].join(10)
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        self.listener.close()


# ---- whom they attack

# The types that receive, and who talks to them.
KINDS = {
    "PULL": "PUSH",
    "ROUTER": "DEALER",
    "REP": "REQ",
    "SUB": "XPUB",
    "DEALER": "DEALER",
    "PAIR": "PAIR",
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_mechanism = pytest.mark.parametrize("mechanism", MECHANISMS)
FAR = 60000  # milliseconds: an attacker of libzmq's tries once


def failed(name):
    value = getattr(zraw, f"ZMQ_PROTOCOL_ERROR_{name}")
    return ("FAILED_PROTOCOL", value)


CRYPTOGRAPHIC = ("FAILED_PROTOCOL", zraw.ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
MISMATCH = ("FAILED_PROTOCOL", zraw.ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)


class Served:
    """A server of some type, and a friend whom it serves."""

    def __init__(self, gate, kind, mechanism, **options):
        self.gate, self.kind, self.mechanism = gate, kind, mechanism
        number = getattr(zraw, f"ZMQ_{kind}")
        if kind == "SUB":
            options["SUBSCRIBE"] = b""
        self.server, self.where, self.reader = gate.place(
            mechanism, kind=number, **options
        )
        self.friend = None

    def come(self):
        """The friend connects; a server that has only one peer has it now."""
        number = getattr(zraw, f"ZMQ_{KINDS[self.kind]}")
        self.friend = self.gate.sock(number, **AS_ALICE[self.mechanism])
        self.friend.connect(self.where)
        assert event_of(self.reader) == SUCCEEDED
        if self.kind == "SUB":  # it says so when it is called after the connection
            wait_until(lambda: not self.server.poll(0) and self.friend.poll(1))
            assert self.friend.recv() == b"\1"
        return self

    def talk(self, what):
        """What the friend says is what is received next, and is all there is."""
        self.friend.send_multipart([what, b"2"])
        got = self.server.recv_multipart()
        if self.kind == "ROUTER":
            del got[0]
        assert got == [what, b"2"]
        if self.kind in ("REP", "DEALER", "PAIR"):
            self.server.send(b"answer")
            assert self.friend.recv() == b"answer"
        with contextlib.suppress(zraw.Again):
            got = self.server.recv_multipart(zraw.ZMQ_DONTWAIT)
            raise AssertionError(f"received, too: {got}")
