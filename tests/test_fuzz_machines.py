"""Pollers and timers in any order of calls, beside a model of each."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

import zraw
from fuzzing_models import raised, run


class Pollers(RuleBasedStateMachine):
    """A Poller, and sockets that come, get messages, and go.

    The model is what is registered, for which events, and what each has to read.
    """

    sockets = Bundle("sockets")

    def __init__(self) -> None:
        super().__init__()
        self.context = zraw.Context(0)
        self.poller = zraw.Poller()
        self.destroyed = False
        self.events: dict[zraw.Socket, int] = {}
        self.waiting: dict[zraw.Socket, int] = {}
        self.peers: dict[zraw.Socket, zraw.Socket] = {}

    def refusal(self, socket: zraw.Socket | None = None) -> type[BaseException] | None:
        if self.destroyed:
            return zraw.InvalidHandle
        return zraw.NotASocket if socket is not None and socket.closed else None

    @rule(target=sockets)
    def open(self) -> zraw.Socket:
        pull, push = map(self.context.socket, (zraw.ZMQ_PULL, zraw.ZMQ_PUSH))
        push.setsockopt(zraw.ZMQ_LINGER, 0)
        push.connect(pull.bind(f"inproc://{len(self.peers)}"))
        self.peers[pull], self.waiting[pull] = push, 0
        return pull

    @rule(socket=sockets, events=st.integers(0, 1))
    def add(self, socket: zraw.Socket, events: int) -> None:
        expected = self.refusal(socket)
        if expected is None and socket in self.events:
            expected = zraw.InvalidArgument
        assert raised(self.poller.add, socket, events, socket) is expected
        if expected is None:
            self.events[socket] = events

    @rule(socket=sockets, events=st.integers(0, 1))
    def modify(self, socket: zraw.Socket, events: int) -> None:
        expected = self.refusal(socket)
        if expected is None and socket not in self.events:
            expected = zraw.InvalidArgument
        assert raised(self.poller.modify, socket, events) is expected
        if expected is None:
            self.events[socket] = events

    @rule(socket=sockets)
    def remove(self, socket: zraw.Socket) -> None:
        expected = self.refusal(socket)
        if expected is None and socket not in self.events:
            expected = zraw.InvalidArgument
        assert raised(self.poller.remove, socket) is expected
        if expected is None:
            del self.events[socket]

    @rule(socket=sockets)
    def send(self, socket: zraw.Socket) -> None:
        if not socket.closed:
            self.peers[socket].send(b"x")
            self.waiting[socket] += 1

    @rule(socket=sockets)
    def receive(self, socket: zraw.Socket) -> None:
        if not socket.closed:
            got = socket.try_recv()
            assert got == (b"x" if self.waiting[socket] else None)
            self.waiting[socket] -= got is not None

    @rule(socket=consumes(sockets))
    def close(self, socket: zraw.Socket) -> None:
        socket.close()
        self.peers[socket].close()
        self.events.pop(socket, None)
        assert raised(self.poller.add, socket) is (self.refusal(socket))

    @rule(n=st.sampled_from([1, 2, 5, 2**31 - 1]))
    def wait(self, n: int) -> None:
        ready = {one for one, events in self.events.items()
                 if events and self.waiting[one]}  # fmt: skip
        expected = self.refusal() or (None if ready else zraw.Again)
        assert raised(self.poller.wait, 0) is expected
        assert raised(self.poller.wait_all, n, 0) is expected
        if expected is None:
            found = self.poller.wait_all(n, 0)
            assert len(found) == min(n, len(ready))
            assert {socket for socket, _, _ in found} <= ready
            assert all(one is data and events == 1 for one, data, events in found)

    @precondition(lambda self: len(self.events) > 2)
    @rule()
    def destroy(self) -> None:
        self.poller.destroy()
        self.destroyed = True
        self.events.clear()

    @invariant()
    def its_size_is_known(self) -> None:
        if self.destroyed:
            assert raised(self.poller.size) is zraw.InvalidHandle
        else:
            assert self.poller.size() == len(self.events)

    def teardown(self) -> None:
        self.context.close(linger=0)
        assert self.destroyed or self.poller.size() == 0


class Timing(RuleBasedStateMachine):
    """Timers that are added, changed and cancelled, from handlers too."""

    timers = Bundle("timers")

    def __init__(self) -> None:
        super().__init__()
        self.all = zraw.Timers()
        self.there: set[int] = set()
        self.called: list[int] = []
        self.cancels: dict[int, int] = {}

    def handle(self, timer_id: int) -> None:
        assert timer_id in self.there
        self.called.append(timer_id)
        other = self.cancels.pop(timer_id, None)
        if other is not None:
            expected = None if other in self.there else zraw.InvalidArgument
            assert raised(self.all.cancel, other) is expected
            self.there.discard(other)
        assert raised(self.all.destroy) is zraw.InvalidState

    @rule(target=timers, soon=st.booleans())
    def add(self, soon: bool) -> int:
        timer = self.all.add(1 if soon else 10**9, self.handle)
        assert timer not in self.there
        self.there.add(timer)
        return timer

    @rule(timer=timers, other=timers)
    def cancel_later(self, timer: int, other: int) -> None:
        self.cancels[timer] = other

    @rule(timer=timers)
    def cancel(self, timer: int) -> None:
        expected = None if timer in self.there else zraw.InvalidArgument
        assert raised(self.all.cancel, timer) is expected
        self.there.discard(timer)

    @rule(timer=timers, interval=st.sampled_from([1, 2, 10**9]))
    def set_interval(self, timer: int, interval: int) -> None:
        expected = None if timer in self.there else zraw.InvalidArgument
        assert raised(self.all.set_interval, timer, interval) is expected
        assert raised(self.all.reset, timer) is expected

    @rule()
    def execute(self) -> None:
        before = set(self.there)
        self.called.clear()
        self.all.execute()
        assert set(self.called) <= before
        assert len(self.called) == len(set(self.called))

    @invariant()
    def it_knows_when_something_is_due(self) -> None:
        left = self.all.timeout()
        assert left == -1 if not self.there else 0 <= left <= 10**9

    def teardown(self) -> None:
        self.all.destroy()
        assert raised(self.all.timeout) is zraw.InvalidHandle


@pytest.mark.parametrize("machine", [Pollers, Timing])
def test_machine__agrees_with_its_model(machine):
    run(machine)
