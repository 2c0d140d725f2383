"""One application on three machines: collectors, a broker, workers, and a sink.

    python network_spread.py NAME '{"role": "collect", "broker": "tcp://...", ...}'

Messages may be lost with any connection, and nothing may be missing in the end: who
sends something keeps it, and sends it again, until he is told that it is done.  So
everything may come twice, and is known by its id, source and number.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import zlib
from collections import OrderedDict, deque
from typing import Any

import zraw
from network_peers import USUAL, Commands, say

AGAIN = 0.7  # seconds after which something is sent again

Id = tuple[bytes, bytes]  # source and number


def work(source: bytes, number: bytes, value: bytes) -> bytes:
    """What is to be done with a value."""
    return b"%08x" % zlib.crc32(b" ".join((source, number, value)))


class Part:
    """One process of the application."""

    def __init__(self, context: zraw.Context, name: str) -> None:
        self.context = context
        self.name = name.encode()
        self.sockets: list[zraw.Socket] = []
        self.stopped = False

    def socket(self, kind: int, **options: object) -> zraw.Socket:
        socket = self.context.socket(kind)
        self.sockets.append(socket)
        for option, value in {**USUAL, **options}.items():
            socket.setsockopt(getattr(zraw, f"ZMQ_{option}"), value)
        return socket

    def router(self, **options: object) -> zraw.Socket:
        """A ROUTER for peers that come back under their name."""
        return self.socket(zraw.ZMQ_ROUTER, ROUTER_HANDOVER=1, **options)

    def dealer(self, endpoint: str) -> zraw.Socket:
        socket = self.socket(zraw.ZMQ_DEALER, ROUTING_ID=self.name)
        socket.connect(endpoint)
        return socket

    def endpoints(self) -> dict[str, str]:
        return {}

    def step(self, now: float) -> None:
        """Do whatever can be done without waiting."""

    def report(self) -> dict[str, Any]:
        return {}


def try_send(socket: zraw.Socket, frames: list[bytes]) -> None:
    """Send, or leave it to the next time."""
    with contextlib.suppress(zraw.Again, zraw.HostUnreachable):
        socket.send_multipart(frames, zraw.ZMQ_DONTWAIT)


class Collect(Part):
    """Sends readings to the broker, and keeps each until it is done."""

    WINDOW = 64

    def __init__(self, context: zraw.Context, name: str, broker: str) -> None:
        super().__init__(context, name)
        self.broker = self.dealer(broker)
        self.kept: dict[bytes, float] = {}  # number: when it is sent again
        self.number = self.resent = 0

    def step(self, now: float) -> None:
        while (frames := self.broker.try_recv_multipart()) is not None:
            self.kept.pop(frames[0], None)
        for number, due in self.kept.items():
            if now >= due:
                self.resent += 1
                self.send(number, now)
        if len(self.kept) < self.WINDOW and not self.stopped:
            self.send(b"%d" % self.number, now)
            self.number += 1

    def send(self, number: bytes, now: float) -> None:
        self.kept[number] = now + AGAIN
        try_send(self.broker, [number, b"value " * (int(number) % 50)])

    def report(self) -> dict[str, Any]:
        return {"sent": self.number, "kept": len(self.kept), "resent": self.resent}


class Broker(Part):
    """Has every reading worked on by somebody, and tells its collector."""

    def __init__(self, context: zraw.Context, name: str, host: str) -> None:
        super().__init__(context, name)
        self.front = self.router()
        self.back = self.router(ROUTER_MANDATORY=1)  # a worker that is away is known
        self.where = {
            "front": self.front.bind(f"tcp://{host}:*"),
            "back": self.back.bind(f"tcp://{host}:*"),
        }
        self.jobs: dict[Id, bytes] = {}
        self.waiting: deque[Id] = deque()
        self.given: dict[Id, float] = {}  # when it is given to another worker
        self.idle: OrderedDict[bytes, None] = OrderedDict()
        self.done: set[Id] = set()
        self.regiven = self.unreachable = 0

    def endpoints(self) -> dict[str, str]:
        return self.where

    def step(self, now: float) -> None:
        while (frames := self.front.try_recv_multipart()) is not None:
            source, number, value = frames
            job = source, number
            if job in self.done:
                try_send(self.front, [source, number])
            elif job not in self.jobs:
                self.jobs[job] = value
                self.waiting.append(job)
        while (frames := self.back.try_recv_multipart()) is not None:
            worker, *what = frames
            if what != [b"ready"]:
                self.finish((what[0], what[1]))
            self.idle[worker] = None
        for job, due in list(self.given.items()):
            if now >= due:
                del self.given[job]
                self.waiting.append(job)
                self.regiven += 1
        while self.waiting and self.idle:
            self.give(self.waiting.popleft(), now)

    def finish(self, job: Id) -> None:
        self.done.add(job)
        self.jobs.pop(job, None)
        self.given.pop(job, None)
        try_send(self.front, [*job])

    def give(self, job: Id, now: float) -> None:
        if job in self.done:
            return
        worker, _ = self.idle.popitem(last=False)
        try:
            message = [worker, *job, self.jobs[job]]
            self.back.send_multipart(message, zraw.ZMQ_DONTWAIT)
        except (zraw.Again, zraw.HostUnreachable):
            self.unreachable += 1
            self.waiting.appendleft(job)
        else:
            self.given[job] = now + AGAIN

    def report(self) -> dict[str, Any]:
        return {
            "jobs": len(self.jobs),
            "done": len(self.done),
            "regiven": self.regiven,
            "unreachable": self.unreachable,
        }


class Work(Part):
    """Works, and tells the broker when the sink has the result."""

    def __init__(
        self, context: zraw.Context, name: str, broker: str, sink: str
    ) -> None:
        super().__init__(context, name)
        self.broker, self.sink = self.dealer(broker), self.dealer(sink)
        self.kept: dict[Id, tuple[float, bytes]] = {}
        self.ready = 0.0  # when to say so again
        self.resent = 0

    def step(self, now: float) -> None:
        while (frames := self.sink.try_recv_multipart()) is not None:
            self.kept.pop((frames[0], frames[1]), None)
            self.tell(now, frames)
        while (frames := self.broker.try_recv_multipart()) is not None:
            source, number, value = frames
            self.deliver((source, number), work(source, number, value), now)
        for job, (due, result) in self.kept.items():
            if now >= due:
                self.resent += 1
                self.deliver(job, result, now)
        if now >= self.ready and not self.kept:
            self.tell(now, [b"ready"])

    def tell(self, now: float, what: list[bytes]) -> None:
        self.ready = now + AGAIN
        try_send(self.broker, what)

    def deliver(self, job: Id, result: bytes, now: float) -> None:
        self.kept[job] = now + AGAIN, result
        try_send(self.sink, [*job, result])

    def report(self) -> dict[str, Any]:
        return {"kept": len(self.kept), "resent": self.resent}


class Sink(Part):
    """Keeps each result once, however often it comes."""

    def __init__(self, context: zraw.Context, name: str, host: str) -> None:
        super().__init__(context, name)
        self.workers = self.router()
        self.where = self.workers.bind(f"tcp://{host}:*")
        self.results: dict[Id, bytes] = {}
        self.repeated = self.wrong = 0

    def endpoints(self) -> dict[str, str]:
        return {"sink": self.where}

    def step(self, now: float) -> None:
        while (frames := self.workers.try_recv_multipart()) is not None:
            worker, source, number, result = frames
            job = source, number
            self.repeated += job in self.results
            value = b"value " * (int(number) % 50)
            self.wrong += result != work(source, number, value)
            self.results[job] = result
            try_send(self.workers, [worker, *job])

    def report(self) -> dict[str, Any]:
        sources: dict[str, int] = {}
        numbers = set()
        for source, number in self.results:
            sources[source.decode()] = sources.get(source.decode(), 0) + 1
            numbers.add((source, int(number)))
        whole = all(
            (source.encode(), number) in numbers
            for source, count in sources.items()
            for number in range(count)
        )
        return {
            "counts": sources,
            "whole": whole,
            "repeated": self.repeated,
            "wrong": self.wrong,
        }


PARTS = {"collect": Collect, "broker": Broker, "work": Work, "sink": Sink}


def main() -> None:
    name, options = sys.argv[1], json.loads(sys.argv[2])
    commands = Commands()
    with zraw.Context() as context:
        part = PARTS[options.pop("role")](context, name, **options)
        say(part.endpoints())
        items: list[Any] = [(0, zraw.ZMQ_POLLIN)]
        items += [(socket, zraw.ZMQ_POLLIN) for socket in part.sockets]
        while True:
            ready = [item for item, _ in zraw.poll(items, 5)]
            part.step(time.monotonic())
            if 0 in ready:
                lines = commands.read()
                if lines is None:
                    break
                for line in lines:
                    part.stopped = part.stopped or line == "stop"
                    say(part.report())
        for socket in part.sockets:
            socket.close()


if __name__ == "__main__":
    main()
