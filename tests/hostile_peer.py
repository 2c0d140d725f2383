"""Peers that do not keep to ZMTP, made of plain sockets, and what they say."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from peers import is_hung_up_on

MORE, LARGE, COMMAND = 1, 2, 4
SIGNATURE = b"\xff" + bytes(7) + b"\1\x7f"  # as libzmq says it, for ZMTP 1
PARTNERS = {
    "PAIR": "PAIR", "PUB": "SUB", "SUB": "PUB", "REQ": "REP", "REP": "REQ",
    "DEALER": "DEALER", "ROUTER": "DEALER", "PULL": "PUSH", "PUSH": "PULL",
    "XPUB": "XSUB", "XSUB": "XPUB", "STREAM": "STREAM",
}  # fmt: skip
SECONDS = 5


def greeting(
    mechanism: bytes = b"NULL", major: int = 3, minor: int = 1, server: bool = False
) -> bytes:
    """The 64 bytes that ZMTP 3 begins with."""
    name = mechanism.ljust(20, b"\0")
    return SIGNATURE + bytes([major, minor]) + name + bytes([server]) + bytes(31)


def frame(body: bytes, flags: int = 0, size: int | None = None) -> bytes:
    """A frame of ZMTP 2 and 3; size: what it claims to have, if that is another."""
    claimed = len(body) if size is None else size
    if claimed > 255 or flags & LARGE:
        return bytes([flags | LARGE]) + struct.pack(">Q", claimed) + body
    return bytes([flags, claimed]) + body


def old_frame(body: bytes, flags: int = 0, size: int | None = None) -> bytes:
    """A frame of ZMTP 1, whose length counts the flags."""
    claimed = len(body) + 1 if size is None else size
    if claimed > 254:
        return b"\xff" + struct.pack(">Q", claimed) + bytes([flags]) + body
    return bytes([claimed, flags]) + body


def message(*parts: bytes) -> bytes:
    """All frames of a message."""
    last = len(parts) - 1
    return b"".join(frame(p, MORE * (n < last)) for n, p in enumerate(parts))


def command(name: bytes, body: bytes = b"", flags: int = COMMAND) -> bytes:
    return frame(bytes([len(name)]) + name + body, flags)


def properties(**values: bytes) -> bytes:
    """Metadata of READY; Socket_Type is Socket-Type."""
    return b"".join(
        bytes([len(name)])
        + name.replace("_", "-").encode()
        + struct.pack(">I", len(value))
        + value
        for name, value in values.items()
    )


def ready(kind: str, **values: bytes) -> bytes:
    """The READY command of a socket type."""
    return command(b"READY", properties(Socket_Type=kind.encode(), **values))


def hello(user: bytes = b"user", password: bytes = b"secret") -> bytes:
    """The first command of PLAIN."""
    body = bytes([len(user)]) + user + bytes([len(password)]) + password
    return command(b"HELLO", body)


def upgrade(protocol: bytes = b"ZWS2.0/NULL") -> bytes:
    """The request that a connection over ws:// begins with."""
    return (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: " + protocol + b"\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )


def ws_frame(body: bytes, opcode: int = 2, first: int = 0x80) -> bytes:
    """A masked frame of a client; body begins with ZMTP's flags if opcode is 2."""
    size = len(body)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = struct.pack(">BH", 0x80 | 126, size)
    else:
        length = struct.pack(">BQ", 0x80 | 127, size)
    return bytes([first | opcode]) + length + bytes(4) + body  # a mask of zeros


def connection(endpoint: str, seconds: float = SECONDS) -> socket.socket:
    """A plain connection to a bound socket, over tcp, ipc or ws."""
    transport, _, where = endpoint.partition("://")
    if transport == "ipc":
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(seconds)
        try:
            made.connect(where)
        except OSError:
            made.close()
            raise
        return made
    host, _, port = where.partition("/")[0].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=seconds)


class Peer:
    """A connection to a bound socket, and what it says there."""

    def __init__(self, endpoint: str, *first: bytes, seconds: float = SECONDS) -> None:
        self.socket = connection(endpoint, seconds)
        for data in first:
            self.send(data)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """Send to one who may have hung up; return whether it could be sent."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, f"the end after {data!r}"
            data += more
        return data

    def take_frame(self) -> tuple[int, bytes]:
        """Read the flags and the body of a frame."""
        flags = self.take(1)[0]
        size = self.take(8 if flags & LARGE else 1)
        return flags, self.take(int.from_bytes(size, "big"))

    def take_message(self) -> list[bytes]:
        """Read the frames of a message."""
        parts = []
        while True:
            flags, body = self.take_frame()
            assert not flags & COMMAND, body
            parts.append(body)
            if not flags & MORE:
                return parts

    def shake_hands(self, kind: str, **values: bytes) -> Peer:
        """Do all that NULL asks for, and wait for each answer: libzmq insists on it."""
        self.send(greeting())
        assert self.take(64) == greeting()
        self.send(ready(kind, **values))
        flags, body = self.take_frame()
        assert flags & COMMAND and body.startswith(b"\5READY"), body
        return self

    def upgrade(self, kind: str, protocol: bytes = b"ZWS2.0/NULL") -> Peer:
        """Do all that NULL over ws asks for; ZWS2.0 alone asks for a routing id."""
        self.send(upgrade(protocol))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.take(1)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        if protocol == b"ZWS2.0":
            self.send(ws_frame(b"\0"))
            return self
        self.send(ws_frame(b"\2" + ready(kind)[2:]))  # 2 is a command here
        opcode, size = self.take(2)
        assert opcode == 0x82 and self.take(size).startswith(b"\2\5READY")
        return self

    def finish(self) -> None:
        """Say no more, and wait until all that was said has been read."""
        with contextlib.suppress(OSError):  # already hung up
            self.socket.shutdown(socket.SHUT_WR)
        assert self.is_hung_up_on()

    def is_hung_up_on(self, seconds: float = SECONDS) -> bool:
        """Whether the other side closes the connection, whatever it says before."""
        self.socket.settimeout(seconds)
        return is_hung_up_on(self.socket)


def volley(
    endpoint: str, conversations: Sequence[Sequence[bytes]], wait: float = 0.01
) -> int:
    """Have several peers speak, each in turns; return how many bytes they said."""
    said = 0
    made: list[socket.socket] = []
    try:
        for _ in conversations:
            made.append(connection(endpoint))
        peers = dict(zip(made, conversations, strict=True))
        for turn in range(max(map(len, conversations))):
            for peer, turns in list(peers.items()):
                try:
                    if turn < len(turns):
                        peer.sendall(turns[turn])
                        said += len(turns[turn])
                except OSError:
                    del peers[peer]  # closed below
            # An answer, or the end, or nothing because it waits for the rest.
            deadline = time.monotonic() + wait
            waiting = set(peers)
            while waiting and (left := deadline - time.monotonic()) > 0:
                for peer in select.select(waiting, [], [], left)[0]:
                    waiting.discard(peer)
                    try:
                        over = not peer.recv(65536)
                    except OSError:
                        over = True
                    if over:
                        del peers[peer]  # closed below
    finally:
        for peer in made:
            peer.close()
    return said


def counts(pid: int) -> tuple[int, int]:
    """Return the resident kilobytes and the open descriptors of a process."""
    statm = Path(f"/proc/{pid}/statm").read_text().split()
    kilobytes = int(statm[1]) * os.sysconf("SC_PAGESIZE") // 1024
    return kilobytes, len(os.listdir(f"/proc/{pid}/fd"))
