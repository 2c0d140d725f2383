"""What real sockets say to each other, recorded; and how it is spoilt, seed by seed."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

import zraw
from hostile_peer import (
    COMMAND,
    MORE,
    PARTNERS,
    SECONDS,
    command,
    connection,
    frame,
    greeting,
    hello,
    message,
    old_frame,
    properties,
    ws_frame,
)
from peers import zap_handler

# As a length says it, and as a program would add to it or multiply it.
LENGTHS = (0, 1, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**32)
LENGTHS += (2**62, 2**63 - 1, 2**63, 2**64 - 64, 2**64 - 2, 2**64 - 1)


class Relay:
    """Join one connection to an endpoint, and keep what both sides say, in turns.

    change: gets the number of a turn of the connecting side, and what it says there,
    and returns what is said instead.
    """

    def __init__(
        self, endpoint: str, change: Callable[[int, bytes], bytes] | None = None
    ) -> None:
        self.endpoint, self.change = endpoint, change
        self.turns: list[tuple[int, bytes]] = []  # 0 is the connecting side
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(SECONDS)
        scheme = endpoint.partition("://")[0].replace("ipc", "tcp")
        self.address = f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self.listener.accept()
            with client, connection(self.endpoint) as server:
                self.join(client, server)

    def join(self, *ends: socket.socket) -> None:
        while not self.over.is_set():
            for end in select.select(ends, [], [], 0.02)[0]:
                data = end.recv(65536)
                if not data:
                    return
                who = ends.index(end)
                if who == 0 and self.change:
                    data = self.change(len(self.turns), data)
                ends[1 - who].sendall(data)
                if self.turns and self.turns[-1][0] == who:
                    data = self.turns.pop()[1] + data
                self.turns.append((who, data))

    def said(self, who: int) -> list[bytes]:
        return [data for by, data in self.turns if by == who]

    def close(self) -> None:
        self.over.set()
        self.thread.join(SECONDS)
        self.listener.close()
        assert not self.thread.is_alive()


def make(context: zraw.Context, kind: str, options: dict[str, object]) -> zraw.Socket:
    """Make a socket that waits for no longer than 5 seconds."""
    made = context.socket(getattr(zraw, f"ZMQ_{kind}"))
    if kind == "SUB":
        made.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
    options = {"LINGER": 0, "RCVTIMEO": 5000, "SNDTIMEO": 5000, **options}
    for name, value in options.items():
        made.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
    return made


def converse(bound: zraw.Socket, other: zraw.Socket, kind: str) -> None:
    """Let two sockets say something of every sort, and wait until it has arrived."""
    parts = [b"two", b"x" * 300]
    if kind in ("REQ", "PUSH"):
        bound.send_multipart(parts)
        other.recv_multipart()
        if kind == "REQ":
            other.send_multipart(parts)
            bound.recv_multipart()
        return
    if kind in ("PUB", "XPUB", "SUB", "XSUB"):
        out, into = (bound, other) if "PUB" in kind else (other, bound)
        if into.type == zraw.ZMQ_XSUB:
            for subscription in (b"\1topic", b"\1", b"\0topic"):
                into.send(subscription)
        deadline = time.monotonic() + SECONDS
        while into.try_recv_multipart() is None:  # until the subscription has arrived
            assert time.monotonic() < deadline
            out.send_multipart(parts)
            into.poll(5)
        return
    for said in ([b"one"], parts):
        other.send_multipart(said)
        got = bound.recv_multipart()
        if kind in ("REP", "ROUTER"):
            bound.send_multipart(got)
            other.recv_multipart()


def record(
    kind: str,
    transport: str = "tcp",
    options: dict[str, object] | None = None,
    partner: dict[str, object] | None = None,
) -> list[bytes]:
    """Return what a real partner says to a bound socket, in turns."""
    with zraw.Context() as context, zap_handler(context):
        bound = make(context, kind, options or {})
        other = make(context, PARTNERS[kind], partner or {})
        relay = Relay(bound.bind(f"{transport}://127.0.0.1:*"))
        try:
            other.connect(relay.address)
            # libzmq hangs up on who answers a REQ that has asked a ZAP handler.
            with contextlib.suppress(zraw.Again):
                converse(bound, other, kind)
        finally:
            relay.close()
            bound.close()
            other.close()
    return relay.said(0)


class Spoiler:
    """Spoil what was said: the same seed does the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def bits(self, data: bytearray) -> None:
        for _ in range(self.random.choice((1, 1, 2, 8))):
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)

    def byte(self, data: bytearray) -> None:
        place = self.random.randrange(len(data))
        data[place] = self.random.choice((0, 1, 2, 3, 4, 5, 6, 7, 127, 128, 254, 255))

    def cut(self, data: bytearray) -> None:
        del data[self.random.randrange(len(data)) :]

    def lose(self, data: bytearray) -> None:
        start = self.random.randrange(len(data))
        del data[start : start + self.random.choice((1, 2, 4, 16))]

    def double(self, data: bytearray) -> None:
        start = self.random.randrange(len(data))
        end = self.random.randrange(start, len(data)) + 1
        data[end:end] = data[start:end] * self.random.choice((1, 1, 2, 20))

    def insert(self, data: bytearray) -> None:
        place = self.random.randrange(len(data) + 1)
        data[place:place] = self.random.randbytes(self.random.choice((1, 2, 9, 64)))

    def length(self, data: bytearray) -> None:
        """Put a length where one may stand."""
        value = self.random.choice(LENGTHS)
        size = next((n for n in (1, 4, 8) if value < 1 << 8 * n), 8)
        size = max(size, self.random.choice((1, 1, 4, 8)))
        place = self.random.randrange(len(data))
        data[place : place + size] = value.to_bytes(size, "big")

    def sentence(self, data: bytearray) -> None:
        """Put something right where it is wrong."""
        place = self.random.choice((len(data), self.random.randrange(len(data) + 1)))
        data[place:place] = self.random.choice(SENTENCES)

    def spoil(self, turns: Sequence[bytes]) -> list[bytes]:
        """Return the same turns with some of them spoilt, lost or said twice."""
        spoilt = [bytearray(turn) for turn in turns]
        for _ in range(self.random.choice((1, 1, 2, 4))):
            # What comes later goes deeper: the greeting is but the first of them.
            turn = self.random.choice(spoilt[self.random.randrange(len(spoilt)) :])
            if turn:
                self.random.choice(WAYS)(self, turn)
        how = self.random.random()
        if how < 0.05:
            spoilt.append(bytearray(self.random.randbytes(self.random.choice((1, 99)))))
        elif how < 0.1:
            del spoilt[self.random.randrange(len(spoilt))]
        elif how < 0.15:
            again = self.random.choice(spoilt)
            spoilt.insert(self.random.randrange(len(spoilt)), again)
        elif how < 0.2:
            spoilt = [bytearray().join(spoilt)]  # without waiting for an answer
        return [bytes(turn) for turn in spoilt] or [b""]


WAYS = (
    Spoiler.bits, Spoiler.byte, Spoiler.cut, Spoiler.lose, Spoiler.double,
    Spoiler.insert, Spoiler.length, Spoiler.sentence,
)  # fmt: skip
SENTENCES = (
    command(b"PING", b"\0\0"),
    command(b"PING", b"\xff\xff" + b"c" * 16),
    command(b"PING", b"\0\1" + b"c" * 300),
    command(b"PING"),
    command(b"PONG"),
    command(b"SUBSCRIBE", b"a"),
    command(b"SUBSCRIBE"),
    command(b"CANCEL", b"b"),
    command(b"SUBSCRIBE", b"x" * 300, COMMAND | MORE),
    command(b"ERROR", b"\x03400"),
    command(b"ERROR", b"\xff400"),
    command(b"READY", properties(Socket_Type=b"REQ")),
    command(b"", b""),
    frame(b"", COMMAND),
    frame(b"\xff", COMMAND),
    frame(b"", MORE) * 3,
    frame(b"", 0),
    frame(b"x", 0xF8),
    frame(b"\1topic"),
    frame(b"\0topic"),
    message(b"\1a", b"\0b", b"c"),
    message(b"", b"body"),
    message(b"1234", b"", b"body"),
    hello(),
    command(b"INITIATE", properties(Socket_Type=b"DEALER", Identity=b"i")),
    greeting(),
    old_frame(b"x"),
    ws_frame(b"\0x"),
    ws_frame(b"", 9),
    ws_frame(b"", 8),
    ws_frame(b"\0x", 1),
    ws_frame(b"\0x", 2, 0),
)
