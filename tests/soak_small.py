"""What a long day is made of, part 2: endpoints, polls, timers, errors; soak.py."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import zraw
from soak_acts import PATIENCE_MS, Act, Stop, make, until
from zraw import Message


class Endpoints(Act):
    """The same two sockets meet at one endpoint after another, and are watched."""

    EVENTS = zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED | zraw.ZMQ_EVENT_DISCONNECTED

    def open(self) -> None:
        self.push, self.pull = self.socket(zraw.ZMQ_PUSH), self.socket(zraw.ZMQ_PULL)

    def round(self) -> None:
        transport = self.rng.choice(("tcp", "ipc"))
        with self.pull.monitor(events=self.EVENTS) as reader:
            where = self.pull.bind(self.endpoint(transport))
            self.push.connect(where)
            self.expect(reader, "ZMQ_EVENT_HANDSHAKE_SUCCEEDED")
            for number in range(self.rng.randrange(1, 10)):
                message = make(self.rng, number)
                self.push.send_multipart(message)
                assert self.pull.recv_multipart() == message
                self.counts["messages"] += 1
            # libzmq may forget an unbind that comes while a connection arrives.
            self.push.disconnect(where)
            self.expect(reader, "ZMQ_EVENT_DISCONNECTED")
            self.pull.unbind(where)
        self.counts["connections"] += 1

    def expect(self, reader: zraw.Socket, name: str) -> None:
        # libzmq ends a connection when its socket is used the next time.
        until(
            lambda: self.push.getsockopt(zraw.ZMQ_EVENTS) >= 0 and reader.poll(5), name
        )
        event = zraw.recv_event(reader)
        assert event.name == name, event

    def close(self) -> None:
        self.push.close()
        self.pull.close()


class Polls(Act):
    """poll(), ppoll() and Poller say who has a message, whatever else is there."""

    def open(self) -> None:
        self.pairs = [self.pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, "inproc") for _ in "1234"]
        self.pipe = os.pipe()

    def round(self) -> None:
        chosen = self.rng.sample(self.pairs, self.rng.randrange(len(self.pairs) + 1))
        for _, sender in chosen:
            sender.send(b"x")
        ready = [pair[0] for pair in self.pairs if pair in chosen]
        everybody: list[Any] = [(each, zraw.ZMQ_POLLIN) for each, _ in self.pairs]
        with_pipe = self.rng.random() < 0.5
        if with_pipe:
            os.write(self.pipe[1], b"x")
        expected: list[Any] = [*ready, *([self.pipe[0]] if with_pipe else [])]
        found = zraw.poll([*everybody, (self.pipe[0], zraw.ZMQ_POLLIN)], 0)
        assert found == [(each, zraw.ZMQ_POLLIN) for each in expected]
        with zraw.Poller() as poller:
            for receiver, _ in self.pairs:
                poller.add(receiver, zraw.ZMQ_POLLIN, receiver)
            poller.add_fd(self.pipe[0], zraw.ZMQ_POLLIN, self.pipe[0])
            try:
                events = poller.wait_all(10, 5)
            except zraw.Again:
                events = []
            assert {event[1] for event in events} == set(expected)
            poller.modify(self.pairs[0][0], 0)
            poller.remove(self.pairs[1][0])
        if with_pipe:
            assert os.read(self.pipe[0], 10) == b"x"
        for receiver in ready:
            assert receiver.recv(zraw.ZMQ_DONTWAIT) == b"x"
        assert zraw.poll(everybody, 0) == []
        self.counts["messages"] += len(chosen)
        self.counts["polls"] += 3

    def close(self) -> None:
        for socket in itertools.chain(*self.pairs):
            socket.close()
        for fd in self.pipe:
            os.close(fd)


class Timing(Act):
    """Timers whose handlers raise now and then."""

    def round(self) -> None:
        ran: list[int] = []

        def handler(timer: int) -> None:
            ran.append(timer)
            if len(ran) % 3 == 0:
                raise Stop

        with zraw.Timers() as timers:
            first, second = timers.add(1, handler), timers.add(2, handler)
            cancelled = timers.add(1, handler)
            timers.cancel(cancelled)
            end = time.monotonic() + 30
            while len(ran) < 7 or {first, second} - set(ran):
                assert time.monotonic() < end
                time.sleep(max(timers.timeout(), 0) / 1000)
                with contextlib.suppress(Stop):
                    timers.execute()
            assert cancelled not in ran
        self.counts["timers"] += len(ran)


class Contexts(Act):
    """Contexts come and go, in every way there is."""

    def round(self) -> None:
        context = zraw.Context(self.rng.randrange(1, 3))
        sockets = [
            self.socket(kind, context) for kind in (zraw.ZMQ_SUB, zraw.ZMQ_ROUTER)
        ]
        pull, push = (
            self.socket(kind, context) for kind in (zraw.ZMQ_PULL, zraw.ZMQ_PUSH)
        )
        where = pull.bind(self.endpoint(self.rng.choice(("inproc", "tcp"))))
        push.connect(where)
        freed: list[int] = []
        tracker = zraw.Tracker()
        lent = Message.init_data(bytearray(100_000), partial(freed.append, 1), tracker)
        push.send(lent)
        if self.rng.random() < 0.7:
            assert len(pull.recv_msg()) == 100_000
        way = self.rng.randrange(5)
        if way == 1:
            for each in (pull, push, *sockets):
                each.close()
            context.term()
        elif way == 2:
            context.shutdown()
            with contextlib.suppress(zraw.ContextTerminated):
                pull.recv()
                raise AssertionError("the context was shut down")
        del pull, push
        if way < 3:
            context.close()
        elif way == 3:
            del sockets  # they are collected, then the context is closed
            context.close()
        del context, lent  # and the last way: nobody closes anything
        gc.collect(0)
        assert tracker.wait(PATIENCE_MS)
        until(lambda: freed, "on_free")
        self.counts["contexts"] += 1


class Errors(Act):
    """What is refused, and changes nothing."""

    def open(self) -> None:
        self.rep, self.req = self.pair(zraw.ZMQ_REP, zraw.ZMQ_REQ, "inproc")
        self.router = self.socket(zraw.ZMQ_ROUTER, ROUTER_MANDATORY=1, RCVTIMEO=1)
        self.closed = self.socket(zraw.ZMQ_PUSH)
        self.closed.close()

    def round(self) -> None:
        req, rep, router, closed = self.req, self.rep, self.router, self.closed
        unreachable = [b"nobody", b"x" * 70_000]
        empty = Message(b"x")
        empty.close()
        wrong: Any = object()
        with Message(b"abc").data() as view:
            lent = view.obj
            refused: list[tuple[type[BaseException], Callable[[], object]]] = [
                (zraw.InvalidState, req.recv),
                (zraw.InvalidState, lambda: rep.send(b"x")),
                (zraw.InvalidState, lambda: rep.send_multipart([b"x" * 70_000, b"y"])),
                (zraw.Again, lambda: rep.recv(zraw.ZMQ_DONTWAIT)),
                (zraw.Again, router.recv),
                (zraw.HostUnreachable, lambda: router.send_multipart(unreachable)),
                (zraw.NotASocket, closed.recv),
                (zraw.NotASocket, lambda: closed.send(b"x" * 70_000)),
                (zraw.NotSupported, lambda: self.socket(zraw.ZMQ_PUB).recv()),
                (zraw.InvalidHandle, lambda: router.send(empty)),
                (zraw.InvalidArgument, lambda: self.socket(99)),
                (zraw.InvalidArgument, lambda: router.getsockopt(9999, int)),
                (ValueError, lambda: router.connect("nonsense")),
                (zraw.NotFound, lambda: router.disconnect("inproc://nobody")),
                (zraw.ProtocolNotSupported, lambda: router.bind("nonsense://x")),
                (BufferError, lambda: req.send(lent)),
                (TypeError, lambda: req.send(wrong)),
                (TypeError, lambda: req.send_multipart([b"x", wrong])),
                (TypeError, lambda: req.send_many([[b"x" * 70_000], wrong])),
                (TypeError, lambda: router.setsockopt(zraw.ZMQ_LINGER, wrong)),
                (ValueError, lambda: rep.recv_many(0)),
            ]
            for number, (kind, call) in enumerate(refused):
                try:
                    call()
                except kind:
                    self.counts["refused"] += 1
                else:
                    raise AssertionError(f"call {number} was let through")
        req.send(b"question")
        assert rep.recv() == b"question"
        rep.send(b"answer")
        assert req.recv() == b"answer"
        self.counts["messages"] += 2

    def close(self) -> None:
        for socket in (self.rep, self.req, self.router):
            socket.close()
