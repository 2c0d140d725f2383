"""Objects that eight threads share, and what may come of it.

    python tests/shared.py socket --seconds 60 --seed 7

Every thread does one thing after another, at random, with the same object.  It may be
refused, by the exceptions of shared_crew.ALLOWED; whatever is sent arrives, once.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import zraw
from shared_crew import Crew
from shared_looks import shared_looks, shared_monitor
from zraw import Message


def numbers() -> Callable[[], bytes]:
    """Return what gives every caller another number."""
    counter = itertools.count()
    return lambda: b"%d" % next(counter)


class Traffic:
    """What all the threads have sent and received through one pair of sockets."""

    def __init__(self, near: zraw.Socket, far: zraw.Socket) -> None:
        self.near, self.far = near, far
        self.number = numbers()
        self.sent: list[bytes] = []
        self.got: list[bytes] = []

    def send(self, _: random.Random) -> None:
        number = self.number()
        self.near.send(number, zraw.ZMQ_DONTWAIT)
        self.sent.append(number)

    def send_message(self, _: random.Random) -> None:
        number = self.number()
        Message(number).send(self.near, zraw.ZMQ_DONTWAIT)
        self.sent.append(number)

    def send_multipart(self, rng: random.Random) -> None:
        parts = [self.number() for _ in range(rng.randrange(1, 4))]
        self.near.send_multipart(parts, zraw.ZMQ_DONTWAIT)
        self.sent += parts

    def send_many(self, rng: random.Random) -> None:
        batch = [self.number() for _ in range(rng.randrange(1, 20))]
        self.sent += batch[: self.near.send_many(batch, zraw.ZMQ_DONTWAIT)]

    def recv(self, _: random.Random) -> None:
        self.got.append(self.far.recv(zraw.ZMQ_DONTWAIT))

    def recv_message(self, _: random.Random) -> None:
        self.got.append(bytes(self.far.recv_msg(None, zraw.ZMQ_DONTWAIT)))

    def recv_multipart(self, _: random.Random) -> None:
        self.got += self.far.recv_multipart(zraw.ZMQ_DONTWAIT)

    def recv_many(self, _: random.Random) -> None:
        for message in self.far.recv_many(10, zraw.ZMQ_DONTWAIT):
            self.got += message if isinstance(message, list) else [message]

    def wait(self, rng: random.Random) -> None:
        rng.choice((self.near, self.far)).poll(rng.randrange(2))

    def look(self, rng: random.Random) -> None:
        socket = rng.choice((self.near, self.far))
        repr(socket)
        assert socket.getsockopt(zraw.ZMQ_TYPE) == socket.type
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        assert socket.handle and socket.fileno() >= 0

    def settle(self) -> dict[str, int]:
        while (parts := self.far.try_recv_multipart()) is not None:
            self.got += parts
        assert Counter(self.sent) == Counter(self.got)
        assert self.sent
        return {"messages": len(self.sent)}


def shared_socket(crew: Crew) -> dict[str, int]:
    """One PUSH, one PULL."""
    with zraw.Context() as context:
        far = context.socket(zraw.ZMQ_PULL)
        near = context.socket(zraw.ZMQ_PUSH)
        near.connect(far.bind("inproc://shared"))
        traffic = Traffic(near, far)
        crew.run(
            *(traffic.send, traffic.send_message, traffic.send_many),
            *(traffic.send_multipart, traffic.recv, traffic.recv_message),
            *(traffic.recv_many, traffic.recv_multipart, traffic.wait, traffic.look),
        )
        return traffic.settle()


def shared_close(crew: Crew) -> dict[str, int]:
    """Sockets that are closed while others use them."""
    with zraw.Context() as context:
        pull = context.socket(zraw.ZMQ_PULL)
        pull.bind("inproc://close")
        sockets: list[zraw.Socket] = []
        made = itertools.count()

        def make(_: object = None) -> None:
            socket = context.socket(zraw.ZMQ_PUSH)
            socket.connect("inproc://close")
            next(made)
            sockets.append(socket)

        def some(rng: random.Random) -> zraw.Socket:
            while len(newest := sockets[-3:]) < 3:
                make()
            return rng.choice(newest)

        def close(rng: random.Random) -> None:
            some(rng).close(rng.choice((None, 0)))
            make()
            if len(sockets) > 100:
                for old in sockets[:50]:
                    old.close()
                    with contextlib.suppress(ValueError):  # another thread was faster
                        sockets.remove(old)

        crew.run(
            lambda rng: some(rng).send(b"x", zraw.ZMQ_DONTWAIT),
            lambda rng: some(rng).poll(0, zraw.ZMQ_POLLOUT),
            lambda rng: some(rng).getsockopt(zraw.ZMQ_EVENTS),
            lambda rng: repr(some(rng)),
            lambda rng: zraw.live(),
            lambda rng: pull.recv_many(1000, zraw.ZMQ_DONTWAIT),
            close,
        )
        for socket in context.sockets:
            socket.close(0)
        return {"sockets": next(made)}


def shared_context(crew: Crew) -> dict[str, int]:
    """A context in which threads make sockets, until one of them ends it."""
    rounds = 0
    deadline = time.monotonic() + crew.seconds
    total, crew.seconds = crew.seconds, min(0.2, crew.seconds)
    while time.monotonic() < deadline or not rounds:
        rounds += 1
        context = zraw.Context(0)
        ends = [0.001 + 0.01 * rounds % crew.seconds]
        began = time.monotonic()

        def talk(rng: random.Random, context: zraw.Context = context) -> None:
            endpoint = f"inproc://{rng.random()}"
            pair = zraw.ZMQ_PAIR
            with context.socket(pair) as one, context.socket(pair) as other:
                one.bind(endpoint)
                other.connect(endpoint)
                one.send(b"x")
                assert other.recv() == b"x"

        def wait(rng: random.Random, context: zraw.Context = context) -> None:
            with context.socket(zraw.ZMQ_PULL) as socket:
                socket.bind(f"inproc://{rng.random()}")
                socket.setsockopt(zraw.ZMQ_RCVTIMEO, 5)
                socket.recv()

        def look(rng: random.Random, context: zraw.Context = context) -> None:
            repr(context)
            zraw.live()
            len(context.sockets)
            assert context.handle
            context.set(zraw.ZMQ_MAX_SOCKETS, rng.randrange(500, 1000))
            context.get(zraw.ZMQ_MAX_SOCKETS)

        def end(
            rng: random.Random,
            context: zraw.Context = context,
            after: float = began + ends[0],
        ) -> None:
            if time.monotonic() > after:
                rng.choice((context.shutdown, context.close, context.term))()

        crew.run(talk, wait, look, end, until=lambda context=context: context.closed)
        context.close()
        assert context.closed
    crew.seconds = total
    return {"contexts": rounds}


def shared_message(crew: Crew) -> dict[str, int]:
    """One Message, sent, received, copied, moved, viewed and closed."""
    with zraw.Context() as context:
        far = context.socket(zraw.ZMQ_PAIR)
        near = context.socket(zraw.ZMQ_PAIR)
        near.connect(far.bind("inproc://message"))
        box = [Message(b"x" * 100)]
        whole = {bytes(size) for size in (0, 10, 100, 1000)}

        def send_parts(_: object) -> None:
            try:
                near.send_multipart([box[0]], zraw.ZMQ_DONTWAIT)
            except ValueError as error:
                assert "in use" in str(error)
                raise zraw.SocketInUse from error

        def fresh(rng: random.Random) -> None:
            box[0].close()
            box[0] = Message(bytes(rng.choice((0, 10, 100, 1000))))

        def view(_: object) -> None:
            with box[0].data() as data:
                assert set(bytes(data)) <= {0, ord("x")}

        def other(rng: random.Random) -> None:
            mine = Message(bytes(10))
            if rng.random() < 0.5:
                mine.copy(box[0])
            else:
                box[0].move(mine)
            bytes(mine)

        def look(_: object) -> None:
            message = box[0]
            repr(message)
            assert message.more() in (False, True)
            assert message.get(zraw.ZMQ_SHARED) in (0, 1)
            assert (message == bytes(100)) in (False, True)
            assert message.size() in {len(each) for each in whole}

        crew.run(
            lambda rng: box[0].send(near, zraw.ZMQ_DONTWAIT),
            lambda rng: box[0].recv(far, zraw.ZMQ_DONTWAIT),
            lambda rng: bytes(box[0]),
            *(send_parts, view, other, look, fresh),
        )
        box[0].close()
        return {}


def shared_poller(crew: Crew) -> dict[str, int]:
    """One Poller; sockets come, are waited for, and are closed."""
    with zraw.Context() as context:
        poller = zraw.Poller()
        made = itertools.count()
        sockets: list[zraw.Socket] = []

        def some(rng: random.Random) -> zraw.Socket:
            while len(open_ones := sockets[-5:]) < 5:
                socket = context.socket(zraw.ZMQ_PULL)
                socket.bind(f"inproc://poller-{next(made)}")
                sockets.append(socket)
            return rng.choice(open_ones)

        def close(rng: random.Random) -> None:
            socket = some(rng)
            socket.close(0)
            with contextlib.suppress(ValueError):  # another thread was faster
                sockets.remove(socket)

        crew.run(
            lambda rng: poller.add(some(rng), rng.randrange(4), b"data"),
            lambda rng: poller.modify(some(rng), rng.randrange(4)),
            lambda rng: poller.remove(some(rng)),
            lambda rng: poller.wait(rng.randrange(2)),
            lambda rng: poller.wait_all(5, 0),
            lambda rng: (len(poller), repr(poller), poller.size()),
            close,
        )
        poller.destroy()
        for socket in context.sockets:
            socket.close(0)
        return {"sockets": next(made)}


def shared_tracker(crew: Crew) -> dict[str, int]:
    """One Tracker for memory that every thread lends."""
    before = zraw.live().pins
    tracker = zraw.Tracker()
    freed = itertools.count()
    lent = itertools.count()
    with zraw.Context() as context:
        pull = context.socket(zraw.ZMQ_PULL)
        endpoint = pull.bind("inproc://tracker")
        own = threading.local()
        pushes: list[zraw.Socket] = []  # which outlive their threads

        def push() -> zraw.Socket:
            if not hasattr(own, "push"):
                own.push = context.socket(zraw.ZMQ_PUSH)
                own.push.connect(endpoint)
                pushes.append(own.push)
            return own.push

        def send(rng: random.Random) -> None:
            message = Message.init_data(
                bytearray(rng.randrange(200)), lambda: next(freed), tracker
            )
            next(lent)
            message.send(push(), zraw.ZMQ_DONTWAIT)

        crew.run(
            send,
            send,
            lambda rng: pull.recv_many(100, zraw.ZMQ_DONTWAIT),
            lambda rng: tracker.wait(rng.randrange(2)),
            lambda rng: (tracker.done, repr(tracker), zraw.live().pins),
        )
        while pull.try_recv() is not None:
            pass
        assert tracker.wait(10_000), tracker
        for socket in context.sockets:
            socket.close(0)
    total = next(lent)
    deadline = time.monotonic() + 10
    while zraw.live().pins > before or next(freed) < total:
        assert time.monotonic() < deadline, (zraw.live().pins, before, total)
        time.sleep(0.01)
        freed = itertools.count(next(freed) - 1)
    return {"lent": total}


def shared_timers(crew: Crew) -> dict[str, int]:
    """One Timers, one AtomicCounter, one Stopwatch."""
    timers, counter, watch = zraw.Timers(), zraw.AtomicCounter(), zraw.Stopwatch()
    ids: list[int] = []
    counted = itertools.count()

    def add(_: object) -> None:
        ids.append(timers.add(1, lambda number: number))

    def cancel(rng: random.Random) -> None:
        timers.cancel(rng.choice(ids[-5:] or [0]))
        del ids[:-20]

    def count(_: object) -> None:
        counter.inc()
        next(counted)

    crew.run(
        *(add, cancel, count),
        lambda rng: timers.execute(),
        lambda rng: timers.timeout(),
        lambda rng: timers.reset(rng.choice(ids[-5:] or [0])),
        lambda rng: (repr(timers), len(timers), repr(counter), repr(watch)),
        lambda rng: watch.intermediate(),
    )
    assert counter.value() == next(counted)
    crew.seconds = min(crew.seconds, 0.2)
    crew.run(
        lambda rng: counter.inc(),
        lambda rng: watch.intermediate(),
        lambda rng: timers.timeout(),
        lambda rng: rng.random() < 0.01 and (counter.destroy(), timers.destroy()),
        lambda rng: rng.random() < 0.01 and watch.stop(),
    )
    return {"timers": len(ids)}


SHARED = {
    function.__name__.removeprefix("shared_"): function
    for function in (
        *(shared_socket, shared_close, shared_context, shared_message, shared_poller),
        *(shared_tracker, shared_timers, shared_looks, shared_monitor),
    )
}


def run(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """Have eight threads share one thing; return what happened how often."""
    crew = Crew(seconds, seed)
    figures = SHARED[name](crew)
    assert crew.counts["done"]
    return {**figures, **crew.counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*SHARED, "all"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    for name in SHARED if args.name == "all" else [args.name]:
        figures = run(name, args.seconds, args.seed)
        print(f"{name:<8} GIL {'on' if gil else 'off'}", figures, flush=True)
    assert gil == getattr(sys, "_is_gil_enabled", lambda: True)()


if __name__ == "__main__":
    main()
