"""The cases with one thread, over inproc, in Python: what c/single.c is in C."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from time import perf_counter, perf_counter_ns

from library import SUBSCRIBE, Library, Socket

Figures = dict[str, float]


@dataclass
class Run:
    """One case of one library in one round."""

    library: Library
    size: int
    seconds: float
    parameter: int
    endpoint: str
    best: Figures = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.body = bytes(self.size)
        self.burst = min(1000, max(16, (16 << 20) // self.size))
        self.deadline = perf_counter() + self.seconds

    def bursts(self) -> Iterator[None]:
        """Go on until the time is over, three times at least."""
        done = 0
        while done < 3 or perf_counter() < self.deadline:
            yield
            done += 1

    def time(
        self, name: str, calls: int, work: Callable[..., object], *args: object
    ) -> None:
        """Do `work`, which is `calls` calls, and keep the best figure."""
        start = perf_counter_ns()
        work(*args)
        each = (perf_counter_ns() - start) / calls
        self.best[name] = min(each, self.best.get(name, each))

    def times(self, calls: int) -> int:
        """How often so many calls are repeated, to be worth a look at the clock."""
        return max(1, self.burst // calls)

    def open_many(self, kind: str, count: int) -> list[Socket]:
        return [self.library.open(kind, self.size) for _ in range(count)]

    def open_pair(self, sends: str = "PUSH", receives: str = "PULL") -> list[Socket]:
        """A sender that is connected to a receiver that is bound."""
        to = self.library.open(receives, self.size)
        origin = self.library.open(sends, self.size)
        self.library.bind(to, self.endpoint)
        self.library.connect(origin, self.endpoint)
        return [origin, to]

    def close(self, sockets: list[Socket]) -> None:
        for socket in sockets:
            self.library.close(socket)


def empty(run: Run) -> None:
    """The loop itself, part of every figure of Python."""

    def loop() -> None:
        for _ in repeat(None, run.burst):
            pass

    for _ in run.bursts():
        run.time("call", run.burst, loop)


def send_recv(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    for _ in run.bursts():
        run.time("send", run.burst, run.library.send, push, run.body, run.burst)
        run.time("recv", run.burst, run.library.recv, pull, run.burst)
    run.close(sockets)


def recv_msg(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    for _ in run.bursts():
        run.time("send", run.burst, run.library.send, push, run.body, run.burst)
        run.time("recv", run.burst, run.library.recv_msg, pull, run.burst)
    run.close(sockets)


def zero_copy(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    for _ in run.bursts():
        run.time("send", run.burst, run.library.send_lent, push, run.body, run.burst)
        run.time("recv", run.burst, run.library.recv_msg, pull, run.burst)
    run.close(sockets)


def multipart(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    parts, send = [run.body] * 3, run.library.send_multipart
    for _ in run.bursts():
        run.time("send", run.burst, send, push, parts, run.burst)
        run.time("recv", run.burst, run.library.recv_multipart, pull, run.burst)
    run.close(sockets)


def batches(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    batch = [run.body] * run.burst
    for _ in run.bursts():
        run.time("send", run.burst, run.library.send_many, push, batch)
        run.time("recv", run.burst, run.library.recv_many, pull, run.burst)
    run.close(sockets)


def multipart_batches(run: Run) -> None:
    push, pull = sockets = run.open_pair()
    batch = [[run.body] * 3] * run.burst
    for _ in run.bursts():
        run.time("send", run.burst, run.library.send_many, push, batch)
        run.time("recv", run.burst, run.library.recv_many_multipart, pull, run.burst)
    run.close(sockets)


def try_recv(run: Run) -> None:
    sockets = run.open_pair()
    for _ in run.bursts():
        run.time("call", run.burst, run.library.try_recv, sockets[1], run.burst)
    run.close(sockets)


def fan_out(run: Run) -> None:
    """`parameter` subscribers; recv is per message and subscriber."""
    library, peers = run.library, run.parameter
    burst = max(1, run.burst // peers)
    pub = library.open("XPUB", run.size)
    subs = run.open_many("SUB", peers)
    library.bind(pub, run.endpoint)
    for sub in subs:
        library.set(sub, SUBSCRIBE, b"")
        library.connect(sub, run.endpoint)
    library.recv(pub, 1)

    def receive() -> None:
        for sub in subs:
            library.recv(sub, burst)

    for _ in run.bursts():
        run.time("send", burst, library.send, pub, run.body, burst)
        run.time("recv", burst * peers, receive)
    run.close([pub, *subs])


def router(run: Run) -> None:
    """`parameter` dealers ask, a router answers each: a call is a round trip."""
    library, peers = run.library, run.parameter
    centre = library.open("ROUTER", run.size)
    dealers = run.open_many("DEALER", peers)
    library.bind(centre, run.endpoint)
    for dealer in dealers:
        library.connect(dealer, run.endpoint)
    sends = [dealer.send for dealer in dealers]
    recvs = [dealer.recv for dealer in dealers]

    times = run.times(peers)

    def round_trips() -> None:
        for _ in range(times):
            for send in sends:
                send(run.body)
        library.route(centre, peers * times)
        for _ in range(times):
            for recv in recvs:
                recv()

    for _ in run.bursts():
        run.time("call", peers * times, round_trips)
    run.close([centre, *dealers])


def poll(run: Run, method: str = "poll") -> None:
    """`parameter` sockets, the last of them ready."""
    pulls = run.open_many("PULL", run.parameter)
    push = run.library.open("PUSH", run.size)
    run.library.bind(pulls[-1], run.endpoint)
    run.library.connect(push, run.endpoint)
    run.library.send(push, run.body, 1)
    work = getattr(run.library, method)(pulls)
    calls = run.times(10 * run.parameter)
    for _ in run.bursts():
        run.time("call", calls, work, calls)
    run.close([push, *pulls])


def poller(run: Run) -> None:
    """As poll, with an object that is made once."""
    poll(run, "poller")


def sockets(run: Run) -> None:
    """`parameter` sockets in pairs; all send, all receive."""
    library, pairs = run.library, max(1, run.parameter // 2)
    opened: list[list[Socket]] = [[], []]

    def open_all() -> None:
        pulls, pushes = run.open_many("PULL", pairs), run.open_many("PUSH", pairs)
        for number, (push, pull) in enumerate(zip(pushes, pulls, strict=True)):
            library.bind(pull, f"{run.endpoint}-{number}")
            library.connect(push, f"{run.endpoint}-{number}")
        opened[:] = pushes, pulls

    run.time("open", 2 * pairs, open_all)
    pushes, pulls = opened
    exchange(run, pushes, [pull.recv for pull in pulls])
    run.time("close", 2 * pairs, run.close, pushes + pulls)


def peers(run: Run) -> None:
    """`parameter` senders to one receiver."""
    pull = run.library.open("PULL", run.size)
    pushes = run.open_many("PUSH", run.parameter)
    run.library.bind(pull, run.endpoint)
    for push in pushes:
        run.library.connect(push, run.endpoint)
    exchange(run, pushes, [pull.recv] * run.parameter)
    run.close([pull, *pushes])


def exchange(run: Run, pushes: list[Socket], recvs: list[Callable[[], object]]) -> None:
    """Let the senders send in turn, and receive that."""
    body, times = run.body, run.times(len(recvs))
    sends = [push.send for push in pushes] * times
    recvs = recvs * times

    def send_all() -> None:
        for send in sends:
            send(body)

    def recv_all() -> None:
        for recv in recvs:
            recv()

    for _ in run.bursts():
        run.time("send", len(sends), send_all)
        run.time("recv", len(recvs), recv_all)


CASES: dict[str, Callable[[Run], None]] = {
    case.__name__: case
    for case in (
        empty,
        send_recv,
        recv_msg,
        zero_copy,
        multipart,
        batches,
        multipart_batches,
        try_recv,
        fan_out,
        router,
        poll,
        poller,
        sockets,
        peers,
    )
}


def serve(library: Library) -> None:
    """Answer "CASE SIZE MILLISECONDS PARAMETER" with figures until the input ends."""
    for number, line in enumerate(sys.stdin):
        name, size, milliseconds, parameter = line.split()
        run = Run(
            library,
            int(size),
            int(milliseconds) / 1000,
            int(parameter),
            f"inproc://{number}",
        )
        try:
            CASES[name](run)
        except Exception as error:  # what a library cannot do is a hole in the table
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
        else:
            print(json.dumps(run.best), flush=True)
