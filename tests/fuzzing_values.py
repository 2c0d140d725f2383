"""Arguments for calls: those that fit their name, and any others."""

from __future__ import annotations

import array
import random
import socket as sockets
from collections.abc import Callable
from typing import Any

import zraw
from options import OPTIONS, Z85


class Raised(Exception):
    """What our own objects raise when zraw calls them: it has to come through."""


class Seeded:
    """Choices from a seed."""

    def __init__(self, seed: int):
        self.random = random.Random(seed).random

    def below(self, limit: int) -> int:
        return int(self.random() * limit)


class Exhausted(Exception):
    """There are no more choices."""


class Given:
    """Choices from bytes, as a fuzzer that is led by coverage gives them."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def below(self, limit: int) -> int:
        width = 1 if limit <= 256 else 4
        piece = self.data[self.at : self.at + width]
        if not piece:
            raise Exhausted
        self.at += width
        return int.from_bytes(piece, "little") % limit


INTS = (
    *(0, 1, 2, 3, 4, 5, 7, 8, 16, 33, 34, 100, 255, 256, 1000, 65535, 65536),
    *(-1, -2, -3, -100, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64),
    *(-(2**31), -(2**31) - 1, -(2**63), -(2**63) - 1, 10**30, -(10**30), True, False),
)
# Up to a MiB, or more than there is: what is in between would be given, and filled.
SIZES = (
    0,
    1,
    2,
    32,
    33,
    34,
    100,
    8191,
    65535,
    65536,
    1 << 20,
    2**62,
    2**63,
    -1,
    -(2**63),
)
TEXTS = (
    *("", "x", "topic", "\0", "a\0b", "ü", "\udc80", "\ud800", "x" * 15, "x" * 16),
    *("y" * 255, "y" * 256, "z" * 5000, "curve", "draft", "ipc", "Socket-Type"),
    *("User-Id", "Identity", "Peer-Address", "NULL", Z85, Z85[:-1], Z85 + "x", "#" * 5),
    *("HelloWorld", "\\" * 40, "%s%n", "127.0.0.1", "lo", "X-key:value", "~~~~~"),
)
BYTES = (
    *(b"", b"x", b"\0", b"\xff" * 5, b"four", b"PAUSE", b"s" * 33, b"l" * 34),
    *(b"\1topic", b"\0topic", b"m" * 1000, b"k" * 32, b"i" * 255, b"i" * 256),
    *(b"p" * 65535, b"p" * 65536, b"q" * 70000, *(text.encode("utf-8", "replace")
                                               for text in TEXTS[:12])),
)  # fmt: skip
CONSTANTS = (b"", b"const", b"c" * 34, b"C" * 70000)
HOSTS = ("127.0.0.1", "*", "[::1]", "lo", "0.0.0.0", "[::]", "", "127.0.0.1;127.0.0.1")
PORTS = ("*", "!", "0", "1", "9", "65535", "65536", "-1", "x", "", " 1", "*x", "1/path")
TRANSPORTS = (
    "tcp",
    "ws",
    "udp",
    "tipc",
    "vmci",
    "wss",
    "TCP",
    "inproc",
    "ipc",
    "",
    "x",
)
OTHER = (
    *("tcp", "tcp:", "tcp:/", "tcp://", "://", "inproc://", "ipc://", "ipc://*"),
    *("tipc://{1,2,3}", "tipc://{1,2}", "tipc://<1.1.1:1>", "tipc://{1,0,10}@0.0.0"),
    *("vmci://1:2", "udp://127.0.0.1:*", "inproc://" + "n" * 300, "ipc://" + "p" * 200),
    *(
        "ipc://@abstract-zraw",
        "ipc://nowhere/at/all",
        "ipc://.",
        "ipc://ü",
        "inproc://ü",
    ),
    *("tcp://127.0.0.1:*/x", "ws://127.0.0.1:*/a/b", "wss://127.0.0.1:*", "ipc:///"),
    *(
        "tcp://lo:*",
        "tcp://nosuch0:*",
        "tcp://127.0.0.1",
        "tcp://1.2.3.4:*",
        "inproc://\0",
    ),
)
NUMBERS = {option.number: option for option in OPTIONS}
# As LEFT_OUT in fuzzing.py says.
NEVER_SET = {
    *(zraw.ZMQ_USE_FD, zraw.ZMQ_RECONNECT_IVL, zraw.ZMQ_SOCKS_PROXY, zraw.ZMQ_CONFLATE),
    *(103, 104),  # ZMQ_WSS_KEY_PEM, ZMQ_WSS_CERT_PEM
}
STRICT = {"address", "io_threads"}  # by name: never just anything
WAITS = {zraw.ZMQ_RCVTIMEO, zraw.ZMQ_SNDTIMEO, zraw.ZMQ_LINGER}
CONTEXT_OPTIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 42, 70, 0, -1, 1000)
SAFE_CONTEXT = {
    zraw.ZMQ_IO_THREADS: (0, 1, 2, 3, -1),
    zraw.ZMQ_MAX_SOCKETS: (0, 1, 3, 50, 2000, -1),
    zraw.ZMQ_THREAD_PRIORITY: (-1, -2),
    zraw.ZMQ_THREAD_SCHED_POLICY: (0, -2),
    zraw.ZMQ_THREAD_AFFINITY_CPU_ADD: (0, -1),
    zraw.ZMQ_THREAD_AFFINITY_CPU_REMOVE: (0, 1, -1),
}


class Values:
    """Makes arguments, from the objects of a world."""

    def __init__(self, choose: Seeded | Given, pools: dict[type, list[Any]]):
        self.choose = choose
        self.below = choose.below
        self.pools = pools
        self.endpoints = ["inproc://a", "inproc://b", "inproc://c", "ipc://s1"]
        self.fresh = 0
        self.reenter: Callable[[], object] = lambda: None
        self.pipe = sockets.socketpair()
        self.makers: dict[str, Callable[[], Any]] = {
            "context": lambda: self.one(zraw.Context),
            "message": lambda: self.one(zraw.Message),
            "source": lambda: self.one(zraw.Message),
            "tracker": lambda: self.one(zraw.Tracker),
            "control": self.lonely,
            "data": self.data,
            "buffer": self.memory,
            "parts": self.parts,
            "messages": self.messages,
            "flags": lambda: self.of(0, 1, 0, 1, 0, 1, 2, 3, 4, -1),
            "option": self.option,
            "value": self.of_ints,
            "type": lambda: self.of(
                *range(21), 0, 1, 5, 6, 8, 7, 7, 8, int, bytes, None
            ),
            "endpoint": self.endpoint,
            "group": self.text,
            "name": self.text,
            "capability": self.text,
            "string": self.text,
            "secret": self.text,
            "routing_id": lambda: self.of(1, 2**32 - 1, 0, b"x", 2**32, b"\0\0\0\0\1"),
            "timeout": lambda: self.of(0, 0, 0, 0, 0, 0, 0, 0, 1, -1, -2, 2**31 - 1),
            "seconds": lambda: self.of(0, 0, 0, 0, -1, 2**31 - 1, 2**31),
            "linger": lambda: self.of(0, 0, 0, 0, 1, None, -2, 2**31),
            "exit_linger": lambda: self.of(0, 1, 1000, -1, 2**31),
            "io_threads": lambda: self.of(0, 1, 1, 2, -1, 2**31),
            "events": lambda: self.of(0, 1, 2, 3, 1, 4, 8, 15, 16, 0xFFFF, 0x1FFFF, -1),
            "event_version": lambda: self.of(1, 2, 0, 3),
            "items": self.items,
            "fd": self.descriptor,
            "n": lambda: self.of(1, 2, 10, 0, -1, 2**31, 2**63 - 1),
            "size": lambda: self.of(*SIZES),
            "pin_threshold": lambda: self.of(*SIZES),
            "interval": lambda: self.of(1, 1, 1, 2, 1000, 0, -1, 2**62, 2**64),
            "timer_id": lambda: self.of(1, 2, 3, 4, 5, 0, -1, 2**31),
            "handler": self.callback,
            "on_free": lambda: self.of(None, self.callback()),
            "max_messages": lambda: self.of(1, 2, 10, 1000, 0, -1, 2**63),
            "copy": lambda: self.of(True, False),
            "multipart": lambda: self.of(True, False),
            "property": lambda: self.of(1, 2, 3, 0, 4, -1, 2**31),
            "errnum": self.of_ints,
            "sigmask": lambda: self.of(None, [], [10], [64, 65], range(3), 5),
            # No number that could be an address.
            "address": lambda: self.of(0, -1, 2**64, 2**64 + 5, "1", None, 1.5),
        }
        for name in ("socket", "frontend", "backend", "capture", "reader", "other"):
            self.makers[name] = lambda: self.one(zraw.Socket)

    def of(self, *values: Any) -> Any:
        return values[self.below(len(values))]

    def of_ints(self) -> int:
        return INTS[self.below(len(INTS))]

    def one(self, kind: type) -> Any:
        pool = self.pools[kind]
        return pool[self.below(len(pool))] if pool else None

    def text(self) -> str | bytes:
        if self.below(3):
            return TEXTS[self.below(len(TEXTS))]
        return BYTES[self.below(len(BYTES))]

    def memory(self) -> Any:
        """Return a buffer of some kind, now and then one that nobody can use."""
        data = BYTES[self.below(len(BYTES))]
        kind = self.below(12)
        if kind < 6:
            return bytearray(data)
        if kind == 6:
            return memoryview(data)
        if kind == 7:
            return memoryview(bytearray(data))[:: self.of(1, 2, -1)]
        if kind == 8:
            return array.array("i", range(self.below(50)))
        if kind == 9:
            view = memoryview(data)
            view.release()
            return view
        return self.one(memoryview) if kind == 10 else self.one(zraw.Message)

    def data(self) -> Any:
        kind = self.below(10)
        if kind < 6:
            return BYTES[self.below(len(BYTES))]
        return self.memory() if kind < 9 else self.one(zraw.Message)

    def parts(self) -> Any:
        parts = [self.data() for _ in range(self.below(5))]
        kind = self.below(8)
        if kind == 0:
            return tuple(parts)
        return iter(parts) if kind == 1 else parts

    def messages(self) -> Any:
        return [
            self.data() if self.below(3) else self.parts() for _ in range(self.below(6))
        ]

    def endpoint(self) -> Any:
        """Return an endpoint: one that is known, a new one, or none at all."""
        kind = self.below(16)
        if kind < 8:
            return self.endpoints[self.below(len(self.endpoints))]
        if kind == 8:
            return "tcp://127.0.0.1:*"
        if kind == 9:
            return f"ipc://s{self.below(5)}"
        if kind == 10:
            return f"inproc://{self.below(20)}"
        if kind == 11:
            return self.of(*OTHER)
        if kind == 12:
            return self.of(*OTHER).encode()
        if kind == 13:
            return None
        return f"{self.of(*TRANSPORTS)}://{self.of(*HOSTS)}:{self.of(*PORTS)}"

    def descriptor(self) -> Any:
        return self.of(
            self.pipe[0].fileno(), self.pipe[1], self.pipe[0], 0, 1000, -1, 2**31, 10**6
        )

    def items(self) -> Any:
        return [
            (
                self.one(zraw.Socket) if self.below(3) else self.descriptor(),
                self.of(0, 1, 2, 3, 4, 8, 16, -1) if self.below(8) else self.any(),
            )
            for _ in range(self.below(4))
        ]

    def lonely(self) -> Any:
        """Return None, or a socket that nobody can send to."""
        context = self.one(zraw.Context)
        try:
            return self.of(None, None, zraw.Socket(context, zraw.ZMQ_PAIR))
        except (zraw.ZMQError, TypeError):
            return None

    def option(self) -> int:
        return self.of(*NUMBERS, 0, 1, 2, 3, 1000, -1)

    def options(self, name: str) -> list[Any]:
        """Return option and value, and the type now and then, for a call."""
        if name.startswith("Context."):
            option = self.of(*CONTEXT_OPTIONS)
            value = self.of(*SAFE_CONTEXT.get(option, INTS))
            if not self.below(4):
                value = self.of(*TEXTS) if option not in SAFE_CONTEXT else None
            return [option, value][: 2 if ".set" in name else 1]
        number = self.option()
        if "get" in name:
            return [number, self.of(int, bytes, None)] if self.below(2) else [number]
        known = NUMBERS.get(number)
        kind = self.below(10)
        value = self.of_ints() if self.below(2) else self.data()
        if known is not None and kind < 8:
            value = self.of(*known.good, *known.bad, None)
        if number in WAITS and self.below(20):
            value = 0
        if number == zraw.ZMQ_CONNECT_ROUTING_ID and isinstance(value, bytes):
            self.fresh += 1
            value = b"never again %d" % self.fresh
        if number in NEVER_SET:
            value = self.of(1.5, [], 10**30)
        return (
            [number, value] if self.below(8) else [number, value, self.of(int, bytes)]
        )

    def callback(self) -> Callable[..., object]:
        return self.of(Odd(self), self.reenter, print_nothing, raise_it)

    def any(self) -> Any:
        """Return anything."""
        kind = self.below(12)
        if kind < 3:
            return self.of_ints()
        if kind == 3:
            return self.text()
        if kind == 4:
            return self.data()
        if kind == 5:
            pools = list(self.pools.values())
            pool = pools[self.below(len(pools))]
            return pool[self.below(len(pool))] if pool else None
        if kind == 6:
            return Odd(self)
        if kind == 7:
            return [self.any() for _ in range(self.below(3))]
        if kind == 8:
            return (self.any(), self.any())
        return self.of(None, 1.5, float("nan"), 1j, {}, set(), object(), zraw, int, ...)

    def argument(self, name: str) -> Any:
        maker = self.makers.get(name)
        if maker is None or not (name in STRICT or self.below(9)):
            return self.any()
        return maker()


def print_nothing(*args: object) -> None:
    """Be called back."""


def raise_it(*args: object) -> None:
    raise Raised


class Odd:
    """An object that zraw may ask for anything: it answers, calls zraw, or raises."""

    def __init__(self, values: Values):
        self.values = values
        self.mood = values.below(6)
        self.number = values.of_ints()

    def act(self, answer: object) -> Any:
        if self.mood < 2:
            raise Raised
        if self.mood < 4:
            self.values.reenter()
        return answer

    def __index__(self) -> int:
        return self.act(self.number)

    def __len__(self) -> int:
        return self.act(2)

    def __bool__(self) -> bool:
        return self.act(True)

    def __iter__(self) -> Any:
        return iter(self.act((b"x", b"y")))

    def __getitem__(self, index: object) -> bytes:
        return self.act(b"x")

    def __eq__(self, other: object) -> bool:
        return self.act(False)

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, *args: object) -> object:
        return self.act(None)

    def __repr__(self) -> str:
        return "<an odd one>"

    def fileno(self) -> Any:
        return self.act(self.values.descriptor())

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self.act(b"odd"))
