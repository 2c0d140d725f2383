"""What eight threads look at while others change it, and monitors; see shared.py."""

from __future__ import annotations

import contextlib
import itertools
import random
import time

import zraw
from shared_crew import Crew
from zraw import Message


def shared_looks(crew: Crew) -> dict[str, int]:
    """Whatever can be looked at, while others make, use, change and close it."""
    looks = zraw.ZMQ_PULL, zraw.ZMQ_XPUB
    context, poller, tracker = zraw.Context(), zraw.Poller(), zraw.Tracker()
    timers, watch = zraw.Timers(), zraw.Stopwatch()
    sockets: list[zraw.Socket] = []
    messages: list[Message] = [Message(bytes(100))]
    made = itertools.count()

    def make(rng: random.Random) -> None:
        socket = context.socket(rng.choice(looks))
        sockets.append(socket)
        socket.bind(f"inproc://look-{next(made)}")
        for old in sockets[:-5]:
            old.close()
            with contextlib.suppress(ValueError):  # another thread was faster
                sockets.remove(old)

    def some(rng: random.Random) -> zraw.Socket:
        return rng.choice(list(sockets) or [zraw.Socket.__new__(zraw.Socket)])

    def change(rng: random.Random) -> None:
        socket = some(rng)
        socket.pin_threshold = rng.choice((-1, 0, 5))
        context.exit_linger = rng.randrange(1000)
        poller.add(socket)
        poller.remove(socket)

    def lend(rng: random.Random) -> None:
        messages[0] = Message.init_data(bytes(100), None, tracker)

    def look(rng: random.Random) -> None:
        """Each of them says what it is at some moment, and nothing in between."""
        socket = some(rng)
        assert socket.pin_threshold in (-1, 0, 5, 65536)
        assert socket.closed in (False, True)
        assert socket.type in (*looks, -1)
        assert 0 <= context.exit_linger <= 1000
        assert not context.closed
        assert repr(socket).startswith("<zraw.Socket")
        assert repr(messages[0]) in (
            "<zraw.Message 100 bytes>",
            "<zraw.Message in use>",
        )
        assert repr(poller)[:16] == "<zraw.Poller of "
        assert zraw.live().pins >= 0
        assert (repr(timers), repr(watch)) == (
            "<zraw.Timers of 0>",
            "<zraw.Stopwatch running>",
        )
        assert tracker.pending >= 0
        assert tracker.done in (False, True)

    def handle(rng: random.Random) -> None:
        assert context.handle
        assert some(rng).handle

    def count(_: object) -> None:
        (mine,) = (row for row in zraw.live().contexts if row.handle == context.handle)
        assert {row.type for row in mine.sockets} <= {"ZMQ_PULL", "ZMQ_XPUB"}
        assert str(zraw.live())

    crew.run(make, change, lend, look, look, handle, count, lambda _: timers.execute())
    context.close()
    messages.clear()
    assert tracker.wait(10_000), tracker
    return {"sockets": next(made)}


def shared_monitor(crew: Crew) -> dict[str, int]:
    """Monitors of each thread's own sockets, and of one that all of them watch."""
    with zraw.Context() as context:
        common = context.socket(zraw.ZMQ_PULL)
        seen = itertools.count()

        def own(_: object) -> None:
            with context.socket(zraw.ZMQ_PULL) as socket, socket.monitor() as reader:
                endpoint = socket.bind("tcp://127.0.0.1:*")
                assert reader.poll(10_000) == zraw.ZMQ_POLLIN
                event = zraw.recv_event(reader)
                assert (event.event, event.address) == (
                    zraw.ZMQ_EVENT_LISTENING,
                    endpoint,
                )
                next(seen)

        def shared(_: object) -> None:
            common.monitor().close()

        crew.run(own, shared)
        with last_monitor(common) as reader:  # which nobody else's end has stopped
            common.bind("tcp://127.0.0.1:*")
            assert reader.poll(10_000) == zraw.ZMQ_POLLIN
        common.close()
        return {"events": next(seen)}


def last_monitor(socket: zraw.Socket) -> zraw.Socket:
    """Return a reader once libzmq has put away enough of the others."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.monitor()
        except zraw.TooManySockets:
            assert time.monotonic() < deadline
            time.sleep(0.01)
