"""Two sockets in any order of calls, beside a model of their queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

import zraw
from fuzzing_models import PARTS, SIZES, body_of, raised, run

INDEX = st.integers(0, 2)


class Sockets(RuleBasedStateMachine):
    """A PUSH and a PULL over inproc, and a PAIR of them, until all is closed.

    The model is what is in the queue, and which sockets are open.
    """

    LIMIT = 6  # messages: of both high-water marks together

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[list[bytes]] = deque()
        self.rest: list[bytes] = []  # of a message that was begun to be received
        self.open: list[bytes] = []  # of one that was begun to be sent
        self.bound: set[str] = set()

    @initialize(pair=st.booleans(), first=st.booleans())
    def make(self, pair: bool, first: bool) -> None:
        kinds = [zraw.ZMQ_PAIR] * 2 if pair else [zraw.ZMQ_PUSH, zraw.ZMQ_PULL]
        self.context = zraw.Context(0)
        self.sender, self.receiver = map(self.context.socket, kinds)
        for socket in (self.sender, self.receiver):
            socket.setsockopt(zraw.ZMQ_LINGER, 0)
            socket.setsockopt(zraw.ZMQ_SNDHWM, 3)
            socket.setsockopt(zraw.ZMQ_RCVHWM, 3)
        binds, connects = self.sender, self.receiver
        if first:
            binds, connects = connects, binds
        connects.connect(binds.bind("inproc://machine"))
        self.shut = False

    def refusal(self, socket: zraw.Socket) -> type[BaseException] | None:
        if socket.closed:
            return zraw.NotASocket
        return zraw.ContextTerminated if self.shut else None

    @rule(sizes=PARTS, way=st.sampled_from(["send", "try", "parts", "many", "const"]))
    def send(self, sizes: list[int], way: str) -> None:
        parts = [body_of(size) for size in sizes]
        part = parts[0]
        whole = way in ("parts", "many") and len(parts) > 1
        now = zraw.ZMQ_DONTWAIT
        calls: dict[str, Callable[[], Any]] = {
            "send": lambda: self.sender.send(part, now),
            "try": lambda: self.sender.try_send(part),
            "parts": lambda: self.sender.send_multipart(parts, now),
            "many": lambda: self.sender.send_many([parts], now),
            "const": lambda: self.sender.send_const(b"const", now),
        }
        expected = self.refusal(self.sender)
        if way in ("parts", "many") and self.open and expected is not zraw.NotASocket:
            expected = zraw.InvalidState  # zraw's own, libzmq is not asked
        full = len(self.queue) >= self.LIMIT
        try:
            sent = calls[way]()
        except Exception as error:
            if isinstance(error, zraw.Again):
                assert expected is None and self.queue and not self.open
            else:
                assert type(error) is expected, error
            return
        assert expected is None
        if sent in (False, 0) and way in ("try", "many"):
            assert self.queue
            return
        assert not full or self.open
        sent_parts = parts if whole or way in ("parts", "many") else [part]
        if way == "const":
            sent_parts = [b"const"]
        self.queue.append(self.open + sent_parts)
        self.open = []

    @rule(size=SIZES)
    def begin_message(self, size: int) -> None:
        part = body_of(size)
        flags = zraw.ZMQ_DONTWAIT | zraw.ZMQ_SNDMORE
        error = raised(self.sender.send, part, flags)
        if error is zraw.Again:
            assert self.queue and not self.open
        else:
            assert error is self.refusal(self.sender)
        if error is None:
            self.open.append(part)

    @rule(way=st.sampled_from(["recv", "try", "parts", "many", "msg", "into"]))
    def receive(self, way: str) -> None:
        now = zraw.ZMQ_DONTWAIT
        buffer = bytearray(100000)
        calls: dict[str, Callable[[], Any]] = {
            "recv": lambda: self.receiver.recv(now),
            "try": self.receiver.try_recv,
            "msg": lambda: bytes(self.receiver.recv_msg(None, now)),
            "into": lambda: bytes(buffer[: self.receiver.recv_into(buffer, now)]),
            "parts": lambda: self.receiver.recv_multipart(now),
            "many": lambda: self.receiver.recv_many(1, now, multipart=True)[0],
        }
        expected = self.refusal(self.receiver)
        there = self.rest or (self.queue[0] if self.queue else None)
        if expected is None and there is None and way != "try":
            expected = zraw.Again
        try:
            got = calls[way]()
        except zraw.ZMQError as error:
            assert type(error) is expected, error
            return
        assert expected is None
        if there is None:
            assert got is None
            return
        parts = self.rest or self.queue.popleft()
        if way in ("parts", "many"):
            assert got == parts
            self.rest = []
        else:
            assert got == parts[0]
            self.rest = parts[1:]
            assert self.receiver.getsockopt(zraw.ZMQ_RCVMORE) == bool(self.rest)

    @rule(number=INDEX)
    def bind(self, number: int) -> None:
        where = f"inproc://more{number}"
        expected = self.refusal(self.receiver)
        if expected is None and where in self.bound:
            expected = zraw.AddressInUse
        assert raised(self.receiver.bind, where) is expected
        if expected is None:
            self.bound.add(where)

    @rule(number=INDEX)
    def unbind(self, number: int) -> None:
        where = f"inproc://more{number}"
        expected = self.refusal(self.receiver)
        if expected is None and where not in self.bound:
            expected = zraw.NotFound
        assert raised(self.receiver.unbind, where) is expected
        if expected is None:
            self.bound.discard(where)

    @rule(sender=st.booleans())
    def close(self, sender: bool) -> None:
        socket = self.sender if sender else self.receiver
        # What was sent to nobody any more is not the model's concern.
        if len(self.queue) < 2 or self.shut:
            socket.close()
            self.receiver.close()
            self.sender.close()
            self.queue.clear()
            self.rest, self.open = [], []

    @rule()
    def shutdown(self) -> None:
        if len(self.bound) == 3:  # late: little can be done after it
            assert raised(self.context.shutdown) is None
            self.shut = True
            for socket in (self.sender, self.receiver):  # a send may not look at once
                error = raised(socket.getsockopt, zraw.ZMQ_EVENTS)
                assert error is self.refusal(socket)

    @rule()
    def end(self) -> None:
        if len(self.bound) == 3 and self.shut:
            self.context.close()
            self.context.close()
            assert raised(self.context.socket, zraw.ZMQ_PUSH) is zraw.ContextTerminated

    @invariant()
    def the_context_knows_its_sockets(self) -> None:
        if hasattr(self, "context"):
            both = (self.sender, self.receiver)
            there = {socket for socket in both if not socket.closed}
            assert set(self.context.sockets) == there

    @invariant()
    def what_is_queued_can_be_polled(self) -> None:
        if hasattr(self, "context") and not self.refusal(self.receiver):
            ready = self.receiver.poll(0)
            assert ready == (zraw.ZMQ_POLLIN if self.queue or self.rest else 0)

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.close(linger=0)


def test_socket__agrees_with_its_model():
    run(Sockets)
