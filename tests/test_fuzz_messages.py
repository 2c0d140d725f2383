"""Messages in any order of calls, beside a model of their bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

import zraw
from fuzzing_models import SIZES, body_of, raised, run


class Messages(RuleBasedStateMachine):
    """Messages that are filled, moved, copied, viewed, sent and closed.

    The model is the body of each; None for one that is closed.
    """

    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[int, bytes | None] = {}
        self.views: dict[int, list[memoryview]] = {}
        self.writable: dict[int, bool] = {}
        self.kept: list[zraw.Message] = []
        self.context = zraw.Context(0)
        self.push = self.context.socket(zraw.ZMQ_PUSH)
        self.pull = self.context.socket(zraw.ZMQ_PULL)
        for socket in (self.push, self.pull):
            socket.setsockopt(zraw.ZMQ_LINGER, 0)
        self.push.connect(self.pull.bind("inproc://messages"))

    def know(self, message: zraw.Message, body: bytes, writable: bool) -> zraw.Message:
        self.kept.append(message)
        self.bodies[id(message)] = body
        self.views[id(message)] = []
        self.writable[id(message)] = writable
        return message

    def stuck(self, message: zraw.Message) -> type[BaseException] | None:
        """Return what a call on the message that would change it raises."""
        if self.bodies[id(message)] is None:
            return zraw.InvalidHandle
        return BufferError if self.views[id(message)] else None

    @rule(target=messages, size=SIZES)
    def make(self, size: int) -> zraw.Message:
        body = body_of(size)
        return self.know(zraw.Message(body), body, False)

    @rule(target=messages, size=SIZES)
    def lend(self, size: int) -> zraw.Message:
        body = body_of(size)
        return self.know(zraw.Message.init_data(bytearray(body)), body, False)

    @rule(target=messages, size=st.sampled_from([0, 1, 33, 34, 1000]))
    def make_size(self, size: int) -> zraw.Message:
        return self.know(zraw.Message.init_size(size), bytes(size), True)

    @rule(message=messages, fill=st.integers(0, 255))
    def write(self, message: zraw.Message, fill: int) -> None:
        if self.bodies[id(message)] is None:
            assert raised(message.data) is zraw.InvalidHandle
            return
        with message.data() as view:
            assert view.readonly is not self.writable[id(message)]
            if not view.readonly:
                view[:] = bytes([fill]) * len(view)
                self.bodies[id(message)] = bytes(view)

    @rule(message=messages)
    def view(self, message: zraw.Message) -> None:
        if self.bodies[id(message)] is not None:
            self.views[id(message)].append(memoryview(message))

    @rule(message=messages)
    def unview(self, message: zraw.Message) -> None:
        while self.views[id(message)]:
            self.views[id(message)].pop().release()

    @rule(message=messages, source=messages)
    def move(self, message: zraw.Message, source: zraw.Message) -> None:
        if message is source:
            closed = self.bodies[id(message)] is None
            error = raised(message.move, source)
            assert error is (zraw.InvalidHandle if closed else None)
            return
        expected = self.stuck(message) or self.stuck(source)
        assert raised(message.move, source) is expected
        if expected is None:
            for known in (self.bodies, self.writable):
                known[id(message)] = known[id(source)]  # type: ignore[index]
            self.bodies[id(source)], self.writable[id(source)] = b"", False

    @rule(message=messages, source=messages)
    def copy(self, message: zraw.Message, source: zraw.Message) -> None:
        if message is source:
            closed = self.bodies[id(message)] is None
            error = raised(message.copy, source)
            assert error is (zraw.InvalidHandle if closed else None)
            return
        expected = self.stuck(message)
        if expected is None and self.bodies[id(source)] is None:
            expected = zraw.InvalidHandle
        if expected is None and self.writable[id(source)]:
            expected = self.stuck(source)
        assert raised(message.copy, source) is expected
        if expected is None:
            self.bodies[id(message)] = self.bodies[id(source)]
            self.writable[id(message)] = self.writable[id(source)] = False

    @rule(message=messages, way=st.sampled_from(["send", "message", "parts", "many"]))
    def send(self, message: zraw.Message, way: str) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "send": lambda: self.push.send(message, zraw.ZMQ_DONTWAIT),
            "message": lambda: message.send(self.push, zraw.ZMQ_DONTWAIT),
            "parts": lambda: self.push.send_multipart([message], zraw.ZMQ_DONTWAIT),
            "many": lambda: self.push.send_many([message], zraw.ZMQ_DONTWAIT),
        }
        body, expected = self.bodies[id(message)], self.stuck(message)
        assert raised(calls[way]) is expected
        if expected is None:
            assert self.pull.recv(zraw.ZMQ_DONTWAIT) == body
            self.bodies[id(message)], self.writable[id(message)] = b"", False

    @rule(message=messages, size=SIZES)
    def receive(self, message: zraw.Message, size: int) -> None:
        body = body_of(size)
        self.push.send(body)
        expected = self.stuck(message)
        assert raised(message.recv, self.pull, zraw.ZMQ_DONTWAIT) is expected
        if expected is not None:
            assert self.pull.recv(zraw.ZMQ_DONTWAIT) == body  # it was not taken
        else:
            self.bodies[id(message)], self.writable[id(message)] = body, False

    @rule(message=messages)
    def close(self, message: zraw.Message) -> None:
        expected = self.stuck(message)
        if expected is zraw.InvalidHandle:
            expected = None  # a second close() does nothing
        assert raised(message.close) is expected
        if expected is None:
            self.bodies[id(message)] = None

    @invariant()
    def bodies_are_as_they_should(self) -> None:
        for message in self.kept:
            body = self.bodies[id(message)]
            if body is None:
                assert raised(message.size) is zraw.InvalidHandle
                assert raised(bytes, message) is zraw.InvalidHandle
            else:
                assert message.size() == len(message) == len(body)
                assert message == body
                assert bytes(message) == body
                assert not message.more()

    def teardown(self) -> None:
        self.context.close(linger=0)


def test_msg__agrees_with_its_model():
    run(Messages)
