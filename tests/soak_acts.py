"""What a long day is made of, part 1: messages of every kind; see soak.py.

An act has a round that is played again and again.  Between rounds it may be asked for
quiet(): whatever was made in a round is closed, whatever was sent has arrived.
"""

from __future__ import annotations

import itertools
import random
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy

import zraw
from zraw import Message

PATIENCE_MS = 20_000
HEAD = struct.Struct("<QII")  # number, frames, checksum of all bodies
POOL = random.Random(0).randbytes(1 << 20)
SIZES = (0, 1, 16, 100, 100, 1000, 5000, 70_000)
names = itertools.count()


CONSTANT = POOL[:100]  # send_const() keeps for good what it is given


def payload(rng: random.Random) -> bytes:
    if rng.random() < 0.05:
        return CONSTANT
    size = rng.choice(SIZES) if rng.random() < 0.995 else 500_000
    start = rng.randrange(len(POOL) - size)
    return POOL[start : start + size]


def make(rng: random.Random, number: int, frames: int = 1) -> list[bytes]:
    """A message of so many frames, with its number and checksum in the first."""
    bodies = [payload(rng) for _ in range(frames)]
    checksum = 0
    for body in bodies:
        checksum = zlib.crc32(body, checksum)
    bodies[0] = HEAD.pack(number, frames, checksum) + bodies[0]
    return bodies


def number_of(frames: Sequence[Any]) -> int:
    """The number of a message that was received; its content is what was sent."""
    number, count, expected = HEAD.unpack_from(frames[0])
    checksum = zlib.crc32(memoryview(frames[0])[HEAD.size :])
    for frame in frames[1:]:
        checksum = zlib.crc32(frame, checksum)
    assert (count, expected) == (len(frames), checksum), (number, count, len(frames))
    return number


class Stop(Exception):
    """What a handler raises."""


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.0005)


class Act:
    """Something that is played in rounds, in a thread of its own."""

    def __init__(self, context: zraw.Context, folder: Path, seed: int) -> None:
        self.context, self.folder = context, folder
        self.rng = random.Random(f"{type(self).__name__} {seed}")
        self.counts: Counter[str] = Counter()

    def open(self) -> None:
        """Make what lives all day."""

    def round(self) -> None:
        raise NotImplementedError

    def quiet(self) -> None:
        """Let go of what was kept."""

    def close(self) -> None:
        """Close what open() has made."""

    def socket(
        self, kind: int, context: zraw.Context | None = None, **options: int
    ) -> zraw.Socket:
        socket = (context or self.context).socket(kind)
        options = {
            "LINGER": 0,
            "RCVTIMEO": PATIENCE_MS,
            "SNDTIMEO": PATIENCE_MS,
            **options,
        }
        for name, value in options.items():
            socket.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
        self.counts["sockets"] += 1
        return socket

    def endpoint(self, transport: str) -> str:
        name = f"{self.folder}/{next(names)}"
        return {
            "inproc": f"inproc://{name}",
            "ipc": f"ipc://{name}",
            "tcp": "tcp://127.0.0.1:*",
        }[transport]

    def pair(
        self, first: int, second: int, transport: str = "", **options: int
    ) -> tuple[zraw.Socket, zraw.Socket]:
        """Two sockets that are connected; by any transport if none is given."""
        transport = transport or self.rng.choice(("inproc", "ipc", "tcp"))
        bound, other = self.socket(first, **options), self.socket(second, **options)
        other.connect(bound.bind(self.endpoint(transport)))
        return bound, other

    @contextmanager
    def passing_pair(
        self, first: int, second: int
    ) -> Iterator[tuple[zraw.Socket, zraw.Socket]]:
        bound, other = self.pair(first, second)
        with bound, other:
            yield bound, other


class Stream(Act):
    """Every way to send and to receive, over pairs that stay and pairs that pass."""

    def open(self) -> None:
        self.number = itertools.count()
        self.lent = self.freed = 0
        self.tracker = zraw.Tracker()
        self.buffer = bytearray(1 << 20)
        self.kept: deque[tuple[Any, int]] = deque()
        self.pairs = [
            self.pair(zraw.ZMQ_PULL, zraw.ZMQ_PUSH, transport)
            for transport in ("inproc", "ipc", "tcp")
        ]

    def round(self) -> None:
        if self.rng.random() < 0.3:
            with self.passing_pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR) as (pull, push):
                self.burst(pull, push)
        else:
            self.burst(*self.rng.choice(self.pairs))
        while len(self.kept) > 20:
            self.drop()

    def burst(self, pull: zraw.Socket, push: zraw.Socket) -> None:
        sent: list[int] = []
        for _ in range(self.rng.randrange(1, 12)):
            batch = []
            for _ in range(self.rng.randrange(1, 10)):
                frames = 1 if self.rng.random() < 0.6 else self.rng.randrange(2, 5)
                sent.append(next(self.number))
                batch.append(make(self.rng, sent[-1], frames))
            self.send(push, batch)
        received: list[int] = []
        while len(received) < len(sent):
            received += map(number_of, self.receive(pull, len(sent) - len(received)))
        assert received == sent
        assert pull.try_recv_multipart() is None
        self.counts["messages"] += len(sent)

    def on_free(self) -> None:
        self.freed += 1  # only in the thread that releases

    def wrapped(self, body: bytes) -> Any:
        """The same, as anything that can be sent."""
        kind = self.rng.randrange(10)
        if kind == 0:
            return bytearray(body)
        if kind == 1:
            return memoryview(body)
        if kind == 2:
            return numpy.frombuffer(body, numpy.uint8)
        if kind == 3:
            return Message(body)
        if kind == 4:
            self.lent += 1
            return Message.init_data(body, self.on_free, self.tracker)
        if kind == 5:
            return Message.init_data(
                numpy.frombuffer(body, numpy.uint8).copy(), None, self.tracker
            )
        if kind == 6:
            message = Message.init_size(len(body))
            message.data()[:] = body
            return message
        if kind == 7:
            message = Message()
            message.copy(Message.init_data(body, None, self.tracker))
            return message
        return body

    def send(self, push: zraw.Socket, batch: list[list[bytes]]) -> None:
        kind = self.rng.randrange(4)
        if kind == 0:
            items = [list(map(self.wrapped, frames)) for frames in batch]
            assert push.send_many(
                [item if len(item) > 1 else item[0] for item in items]
            ) == len(batch)
            return
        for frames in batch:
            if kind == 1:
                push.send_multipart(list(map(self.wrapped, frames)))
                continue
            for index, body in enumerate(frames, 1):
                flags = zraw.ZMQ_SNDMORE if index < len(frames) else 0
                item = self.wrapped(body)
                if kind == 2 and isinstance(item, Message):
                    assert item.send(push, flags) == len(body)
                elif body is CONSTANT:
                    assert push.send_const(body, flags) == len(body)
                elif flags or not push.try_send(item):
                    assert push.send(item, flags) == len(body)

    def receive(self, pull: zraw.Socket, most: int) -> list[Sequence[Any]]:
        kind = self.rng.randrange(8)
        if kind == 0:
            return [self.by_frames(pull, pull.recv)]
        if kind == 1:
            return [self.by_frames(pull, lambda: self.recv_into(pull))]
        if kind == 2:
            return [self.by_frames(pull, lambda: self.keep(pull.recv_msg()))]
        if kind == 3:
            return [pull.recv_multipart()]
        if kind == 4:
            return [[self.keep(each) for each in pull.recv_multipart(copy=False)]]
        if kind == 5:
            return pull.recv_many(most, copy=self.rng.random() < 0.5, multipart=True)
        if kind == 6:
            many = pull.recv_many(most, copy=self.rng.random() < 0.5)
            return [each if isinstance(each, list) else [each] for each in many]
        assert pull.poll(PATIENCE_MS) == zraw.ZMQ_POLLIN
        message = Message()
        assert pull.try_recv_msg(message)
        if message.more():
            return [[self.keep(message), *self.by_frames(pull, pull.recv)]]
        return [[self.keep(message)]]

    def by_frames(self, pull: zraw.Socket, recv: Callable[[], Any]) -> list[Any]:
        frames = [recv()]
        while pull.getsockopt(zraw.ZMQ_RCVMORE):
            frames.append(recv())
        return frames

    def recv_into(self, pull: zraw.Socket) -> bytes:
        return bytes(memoryview(self.buffer)[: pull.recv_into(self.buffer)])

    def keep(self, message: Message) -> Any:
        """Look at a message for a while, without a copy."""
        view: Any = message.data()
        if self.rng.random() < 0.5:
            view = numpy.frombuffer(message, numpy.uint8)
        if self.rng.random() < 0.3:
            self.kept.append((view, zlib.crc32(view)))
        return view

    def drop(self) -> None:
        view, checksum = self.kept.popleft()
        assert zlib.crc32(view) == checksum

    def quiet(self) -> None:
        while self.kept:
            self.drop()
        assert self.tracker.wait(PATIENCE_MS)
        until(lambda: self.freed == self.lent, "every on_free")
        self.counts["lent"] = self.lent

    def close(self) -> None:
        for socket in itertools.chain(*self.pairs):
            socket.close()


class Publishing(Act):
    """Subscriptions change; each subscriber gets what it asked for, and no more."""

    TOPICS = tuple(b"T%02d" % number for number in range(20))

    def open(self) -> None:
        self.number = itertools.count()
        self.xpub = self.socket(zraw.ZMQ_XPUB, XPUB_VERBOSER=1)
        where = [self.xpub.bind(self.endpoint(each)) for each in ("tcp", "inproc")]
        self.subs = {self.socket(zraw.ZMQ_SUB): set[bytes]() for _ in where}
        for sub, each in zip(self.subs, where, strict=True):
            sub.connect(each)

    def round(self) -> None:
        if self.rng.random() < 0.05:
            self.close()
            self.open()
        for sub, topics in self.subs.items():
            topic = self.rng.choice(self.TOPICS)
            if topic in topics:
                topics.remove(topic)
                sub.setsockopt(zraw.ZMQ_UNSUBSCRIBE, topic)
            else:
                topics.add(topic)
                sub.setsockopt(zraw.ZMQ_SUBSCRIBE, topic)
            sub.poll(0)  # what was asked for leaves, and arrives
            assert self.xpub.recv() == bytes([topic in topics]) + topic
        expected: dict[zraw.Socket, list[int]] = {sub: [] for sub in self.subs}
        for _ in range(self.rng.randrange(1, 60)):
            topic, number = self.rng.choice(self.TOPICS), next(self.number)
            self.xpub.send_multipart([topic, *make(self.rng, number)])
            for sub, topics in self.subs.items():
                if topic in topics:
                    expected[sub].append(number)
        for sub, numbers in expected.items():
            received = []
            while len(received) < len(numbers):
                for topic, *frames in sub.recv_many(multipart=True):
                    assert topic in self.subs[sub]
                    received.append(number_of(frames))
            assert received == numbers
            assert sub.try_recv() is None
            self.counts["messages"] += len(received)
        self.counts["subscriptions"] += len(self.subs)

    def close(self) -> None:
        for socket in (self.xpub, *self.subs):
            socket.close()


class Questions(Act):
    """REQ and REP, ROUTER and DEALER."""

    def open(self) -> None:
        self.number = itertools.count()
        self.rep, self.req = self.pair(zraw.ZMQ_REP, zraw.ZMQ_REQ, "tcp")
        self.router, self.dealer = self.pair(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, "ipc")
        self.router.setsockopt(zraw.ZMQ_ROUTER_MANDATORY, 1)

    def round(self) -> None:
        for _ in range(self.rng.randrange(20)):
            self.ask(self.rep, self.req)
        with self.passing_pair(zraw.ZMQ_REP, zraw.ZMQ_REQ) as (rep, req):
            self.ask(rep, req)
        self.route(self.dealer)
        where = self.router.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
        with self.socket(zraw.ZMQ_DEALER) as dealer:
            name = b"passing %d" % next(names)
            dealer.setsockopt(zraw.ZMQ_ROUTING_ID, name)
            dealer.connect(where)
            self.route(dealer)
        until(lambda: self.is_unreachable(name), "a peer that left is unreachable")

    def ask(self, rep: zraw.Socket, req: zraw.Socket) -> None:
        question, number = self.message()
        req.send_multipart(question)
        asked = rep.recv_multipart()
        assert number_of(asked) == number
        rep.send_multipart(asked, zraw.ZMQ_DONTWAIT)
        assert req.recv_multipart() == question
        self.counts["messages"] += 2

    def route(self, dealer: zraw.Socket) -> None:
        questions = [self.message() for _ in range(self.rng.randrange(1, 20))]
        assert dealer.send_many([frames for frames, _ in questions]) == len(questions)
        for frames, _ in questions:
            envelope, *received = self.router.recv_multipart()
            assert received == frames
            self.router.send_multipart([envelope, *received])
        for _, number in questions:
            assert number_of(dealer.recv_multipart()) == number
        self.counts["messages"] += 2 * len(questions)

    def message(self) -> tuple[list[bytes], int]:
        number = next(self.number)
        return make(self.rng, number, self.rng.randrange(1, 4)), number

    def is_unreachable(self, name: bytes) -> bool:
        try:
            self.router.send_multipart([name, b"anybody there?"])
        except zraw.HostUnreachable:
            return True
        return False

    def close(self) -> None:
        for socket in (self.rep, self.req, self.router, self.dealer):
            socket.close()
