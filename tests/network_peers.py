"""The program that runs on the hosts of a network: sockets that count what they do.

    python network_peers.py '{"out": ["Stream", {"type": "PUSH", ...}], ...}'

One loop serves all sockets.  The first line of output says where they are bound; each
line of input, `report` or `stop`, is answered by a line of JSON.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import time
from bisect import bisect
from collections import defaultdict
from typing import Any

import zraw

USUAL = {
    "LINGER": 0,
    "RECONNECT_IVL": 100,
    "CONNECT_TIMEOUT": 500,
    "HEARTBEAT_IVL": 300,
    "HEARTBEAT_TIMEOUT": 900,
}
COUNTED = (
    zraw.ZMQ_EVENT_CONNECTED
    | zraw.ZMQ_EVENT_ACCEPTED
    | zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zraw.ZMQ_EVENT_DISCONNECTED
)


@functools.lru_cache(64)
def body(byte: int, size: int) -> bytes:
    return bytes([byte]) * size


def make(number: int, source: str, parts: int, size: int) -> list[bytes]:
    """A message that tells of itself, so that a torn one is known."""
    head = f"n{number:09} {source} {parts} {size}".encode()
    return [head, *(body((number + part) % 251, size) for part in range(parts))]


def parse(frames: list[bytes]) -> tuple[str, int]:
    """The source and number of a message; ValueError if it is not as it was made."""
    number, source, parts, size = frames[0][1:].decode().split()
    if frames != make(int(number), source, int(parts), int(size)):
        raise ValueError("torn")
    return source, int(number)


class Record:
    """What arrived of the messages that a source has numbered."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.doubles = self.late = 0
        self.first: int | None = None
        self.next = 0
        self.last: list[int] = []  # of each run of rising numbers, sorted

    def note(self, number: int) -> bool:
        """Note a number; return whether it is new."""
        if number in self.seen:
            self.doubles += 1
            return False
        self.seen.add(number)
        if self.first is None:
            self.first = number
        self.late += number < self.next
        # A connection keeps the order, but the next one may overtake what was not yet
        # read of it.  Put together of as few rising runs as possible, the numbers tell
        # of how many connections they came.
        run = bisect(self.last, number)
        if run:
            self.last[run - 1] = number
        else:
            self.last.insert(0, number)
        self.next = max(self.next, number + 1)
        return True

    def report(self) -> dict[str, Any]:
        first = 0 if self.first is None else min(self.seen)
        gaps = sum(n - 1 not in self.seen for n in self.seen if n > first)
        return {
            "count": len(self.seen),
            "first": first,
            "next": self.next,
            "lost": self.next - first - len(self.seen),
            "gaps": gaps,
            "doubles": self.doubles,
            "late": self.late,
            "runs": len(self.last),
        }


class Role:
    """A socket, its monitor, and what is counted of both."""

    receives = True

    def __init__(
        self,
        context: zraw.Context,
        name: str,
        *,
        type: str,
        bind: str = "",
        connect: str = "",
        monitored: bool = True,
        **options: Any,
    ) -> None:
        self.name = name
        self.socket = context.socket(getattr(zraw, f"ZMQ_{type}"))
        for option, value in {**USUAL, **options}.items():
            number = getattr(zraw, f"ZMQ_{option}")
            text = isinstance(value, str)
            self.socket.setsockopt(number, value.encode() if text else value)
        self.monitor = self.socket.monitor(events=COUNTED) if monitored else None
        self.events: list[tuple[str, float]] = []
        self.endpoint = self.socket.bind(bind) if bind else ""
        if connect:
            self.socket.connect(connect)
        self.over = False

    def watch(self) -> None:
        while self.monitor and self.monitor.poll(0):
            event = zraw.recv_event(self.monitor)
            name = event.name.removeprefix("ZMQ_EVENT_")
            self.events.append((name, time.monotonic()))

    def step(self, now: float) -> None:
        """Do whatever can be done without waiting."""

    def report(self) -> dict[str, Any]:
        names = [name for name, _ in self.events]
        counts = {name.lower(): names.count(name) for name in set(names)}
        return {"disconnected": 0, **counts, "events": self.events}


class Stream(Role):
    """Numbered messages at a rate, and a record of those that arrive.

    to: the routing id of whom a ROUTER sends to.
    noise: messages that no subscriber has asked for are sent in between.
    how: send() never waits; or it waits for SNDTIMEO; or many are sent at once.
    """

    def __init__(
        self,
        context: zraw.Context,
        name: str,
        *,
        rate: int = 0,
        to: str = "",
        parts: int = 0,
        size: int = 100,
        noise: bool = False,
        how: str = "at once",
        **options: Any,
    ) -> None:
        super().__init__(context, name, **options)
        kind = self.socket.getsockopt(zraw.ZMQ_TYPE)
        self.receives = kind not in (zraw.ZMQ_PUSH, zraw.ZMQ_PUB)
        self.is_router = kind == zraw.ZMQ_ROUTER
        self.rate, self.noise, self.parts, self.size = rate, noise, parts, size
        self.how = how
        self.to = [to.encode()] if to else []
        self.start = time.monotonic()
        self.number = self.blocked = self.unreachable = self.torn = 0
        self.records: dict[str, Record] = defaultdict(Record)
        self.ids: list[str] = []

    def step(self, now: float) -> None:
        if self.receives:
            self.receive()
        if self.rate and not self.over:
            due = self.number + 50  # at once, then others have their turn
            self.send(min(due, int((now - self.start) * self.rate)))

    def message(self, number: int) -> list[bytes]:
        parts = self.parts or number % 4
        return self.to + make(number, self.name, parts, self.size)

    def send(self, due: int) -> None:
        while self.number < due:
            message = self.message(self.number)
            try:
                if self.how == "many":
                    messages = [message, self.message(self.number + 1)]
                    sent = self.socket.send_many(messages, zraw.ZMQ_DONTWAIT)
                    self.number += sent - 1
                else:
                    flags = zraw.ZMQ_DONTWAIT if self.how == "at once" else 0
                    self.socket.send_multipart(message, flags)
            except zraw.Again:
                self.blocked += 1
                return
            except zraw.HostUnreachable:
                self.unreachable += 1
                return
            self.number += 1
            if self.noise:
                self.socket.send_multipart([b"other", *message])

    def receive(self) -> None:
        for _ in range(100):
            frames = self.socket.try_recv_multipart()
            if frames is None:
                return
            routing_id = frames.pop(0).decode("latin-1") if self.is_router else ""
            try:
                source, number = parse(frames)
            except (ValueError, IndexError):
                self.torn += 1
                continue
            self.records[source].note(number)
            if self.is_router and routing_id not in self.ids:
                self.ids.append(routing_id)

    def report(self) -> dict[str, Any]:
        return {
            **super().report(),
            "sent": self.number,
            "blocked": self.blocked,
            "unreachable": self.unreachable,
            "torn": self.torn,
            "ids": self.ids,
            "from": {source: each.report() for source, each in self.records.items()},
        }


class Ask(Role):
    """A REQ that asks one question after the other, and again if nobody answers."""

    def __init__(
        self,
        context: zraw.Context,
        name: str,
        *,
        rate: int = 100,
        patience: float = 0.3,
        **options: Any,
    ) -> None:
        relaxed = {"REQ_RELAXED": 1, "REQ_CORRELATE": 1}
        super().__init__(context, name, type="REQ", **relaxed, **options)
        self.pause, self.patience = 1 / rate, patience
        self.asked = self.answered = self.resent = self.wrong = 0
        self.due = self.longest = self.first_asked = 0.0

    def step(self, now: float) -> None:
        if self.asked == self.answered:
            if self.over or now < self.due:
                return
            self.asked += 1
            self.first_asked = now
            self.ask(now)
            return
        answer = self.socket.try_recv_multipart()
        if answer is not None:
            self.wrong += answer != [b"re", *self.question()]
            self.answered += 1
            self.longest = max(self.longest, now - self.first_asked)
            self.due = now + self.pause
        elif now > self.due:
            self.resent += 1
            self.ask(now)

    def question(self) -> list[bytes]:
        number = self.asked - 1
        return make(number, self.name, number % 4, 100)

    def ask(self, now: float) -> None:
        self.due = now + self.patience
        with contextlib.suppress(zraw.Again):  # it is asked again
            self.socket.send_multipart(self.question(), zraw.ZMQ_DONTWAIT)

    def report(self) -> dict[str, Any]:
        names = "asked", "answered", "resent", "wrong", "longest"
        return {**super().report(), **{name: getattr(self, name) for name in names}}


class Answer(Role):
    """A REP, which knows by its number what it has answered before."""

    def __init__(self, context: zraw.Context, name: str, **options: Any) -> None:
        super().__init__(context, name, type="REP", **options)
        self.records: dict[str, Record] = defaultdict(Record)

    def step(self, now: float) -> None:
        while (frames := self.socket.try_recv_multipart()) is not None:
            source, number = parse(frames)
            self.records[source].note(number)
            self.socket.send_multipart([b"re", *frames])

    def report(self) -> dict[str, Any]:
        records = {source: each.report() for source, each in self.records.items()}
        return {**super().report(), "from": records}


class Commands:
    """The lines of stdin."""

    def __init__(self) -> None:
        self.rest = b""

    def read(self) -> list[str] | None:
        """Return what has come; None at the end."""
        data = os.read(0, 4096)
        if not data:
            return None
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line.decode() for line in lines]


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


def run(spec: dict[str, Any]) -> None:
    """Serve sockets until stdin ends."""
    classes = {kind.__name__: kind for kind in (Stream, Ask, Answer)}
    commands = Commands()
    with zraw.Context() as context:
        roles = [
            classes[kind](context, name, **options)
            for name, (kind, options) in spec.items()
        ]
        say({role.name: role.endpoint for role in roles})
        items: list[Any] = [(0, zraw.ZMQ_POLLIN)]
        for role in roles:
            items += [(role.socket, zraw.ZMQ_POLLIN)] * role.receives
            items += [(role.monitor, zraw.ZMQ_POLLIN)] * (role.monitor is not None)
        while True:
            ready = [item for item, _ in zraw.poll(items, 5)]
            for role in roles:
                role.watch()
                role.step(time.monotonic())
            if 0 in ready:
                lines = commands.read()
                if lines is None:
                    break
                for line in lines:
                    for role in roles:
                        role.over = role.over or line == "stop"
                    say({role.name: role.report() for role in roles})
        for role in roles:
            role.socket.close()
            if role.monitor:
                role.monitor.close()
    # Whatever was on its way when a connection died has been given back.
    deadline = time.monotonic() + 5
    while zraw.live().pins and time.monotonic() < deadline:
        time.sleep(0.01)
    assert zraw.live().pins == 0, zraw.live()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
