"""Cancellation at random, and numbered messages of which none may be lost by it.

    python tests/aio_cancel.py --loop trio --minutes 3 --seed 7

Tasks receive and send with limits of 0 to 2 ms, and are killed and started again;
callbacks come and go.  The peers are plain sockets in a thread.  Every message is
noted by who gets it, without an await in between, and so is what becomes of a send:
what was returned was sent, what was cancelled was not.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import anyio

import zraw
from aio_crew import Crew, limited
from aio_watch import (
    Complaints,
    Side,
    Thread,
    Watchdog,
    make,
    number_of,
    running,
    unraisable,
)
from loops import LOOPS, run_on
from zraw import Message, aio

WINDOW = 200  # messages that a peer sends before it waits for their being received
PUSHES = 20  # at a time

# Types of the socket on the loop, and of its peers.
KINDS = {
    "pair": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR),
    "dealer": (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER),
    "router": (zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER),
}

Unit = tuple[str, int, int]  # a frame: its peer, the number of its message, its place


def frames_of(salt: str, number: int) -> list[Unit]:
    return [(salt, number, i) for i in range(len(make(number, salt)))]


def unit_of(frame: bytes) -> Unit:
    salt, number, _, place, _ = frame.decode().split(" ")
    assert frame in make(int(number), salt), f"not as it was sent: {frame!r}"
    return salt, int(number), int(place)


class Flow:
    """A socket on the loop, driven in every way, and its peers.

    addresses: of the peers, if the socket is a ROUTER; messages begin with one then.
    """

    def __init__(
        self,
        near: zraw.Socket,
        fars: dict[str, zraw.Socket],
        seed: int,
        is_router: bool,
    ) -> None:
        self.near, self.fars = near, fars
        self.is_router = is_router
        self.rng = random.Random(seed)
        self.peer_rng = random.Random(seed + 1)
        self.salts = list(fars)
        self.handle = aio.Handle(near, on_error=self.note_error)
        self.handles = 1
        self.errors: list[BaseException] = []
        # Received from the peers: frames, by who noted them.
        self.sent = dict.fromkeys(fars, 0)
        self.got: defaultdict[Hashable, list[Unit]] = defaultdict(list)
        self.count = 0
        self.pushed_reads = 0
        self.callbacks = 0
        # Sent to the peers.
        self.numbers = itertools.count()
        self.tries = 0
        self.accepted: list[tuple[str, int]] = []  # in this order
        self.refused: set[tuple[str, int]] = set()
        self.pushes = 0
        self.pushed: list[tuple[str, int]] = []  # in this order
        self.asked: list[tuple[str, int]] = []  # by callables, in this order
        self.read: dict[str, list[int]] = {salt: [] for salt in fars}
        self.paused = threading.Event()  # the peers are not to send
        self.steps = 0
        self.watchers: list[aio.Watcher] = []
        self._running: dict[int, list[int]] = {}

    def note_error(self, _: object, error: BaseException) -> None:
        self.errors.append(error)

    # ---- the peers' thread

    def step(self) -> None:
        moved, paused = False, self.paused.is_set()
        rng = self.peer_rng
        for salt, far in self.fars.items():
            for _ in range(rng.randrange(6)):
                moved |= self.read_one(salt, far)
            for _ in range(0 if paused else rng.randrange(6)):
                moved |= self.send_one(salt, far)
        self.steps += 1
        if not moved or rng.random() < 0.05:
            time.sleep(rng.choice((0.0001, 0.001, 0.003)))

    def send_one(self, salt: str, far: zraw.Socket) -> bool:
        number = self.sent[salt]
        if number % WINDOW == 0 and self.count < self.frames_sent():
            return False  # nothing more comes that would wake a receiver
        try:
            far.send_multipart(make(number, salt), zraw.ZMQ_DONTWAIT)
        except zraw.Again:
            return False
        self.sent[salt] = number + 1
        return True

    def read_one(self, salt: str, far: zraw.Socket) -> bool:
        frames = far.try_recv_multipart()
        if frames is not None:
            self.read[salt].append(number_of(frames, salt))
        return frames is not None

    def frames_sent(self) -> int:
        whole = sum(count // 3 * 6 for count in self.sent.values())
        return whole + sum((0, 1, 3)[count % 3] for count in self.sent.values())

    # ---- receiving

    def take(self, frames: list[bytes] | bytes, source: Hashable = "direct") -> None:
        """Note what was received."""
        frames = frames if isinstance(frames, list) else [frames]
        if self.is_router:
            salt = frames.pop(0).decode()
            number_of(frames, salt)
        units = [unit_of(frame) for frame in frames]
        self.got[source] += units
        self.count += len(units)

    async def receive(self) -> None:
        handle, rng = self.handle, self.rng
        how = rng.randrange(0 if not self.is_router else 2, 6)
        if how == 0:
            self.take(await handle.recv())
        elif how == 1:
            self.take(bytes(await handle.recv_msg()))
        elif how == 2:
            for message in await handle.recv_many(rng.randint(1, 4), multipart=True):
                self.take(message)
        elif how == 3:
            for message in await handle.recv_many(rng.randint(1, 4), copy=False):
                parts = message if isinstance(message, list) else [message]
                self.take([bytes(part) for part in parts])
        elif how == 4:
            async for message in handle:
                self.take(message)
                break
        else:
            self.take(await handle.recv_multipart())

    async def receive_limited(self) -> None:
        await limited(self.rng, self.receive)

    def push_read(self) -> None:
        """Have one message called back with."""
        if self.pushed_reads < PUSHES:
            self.pushed_reads += 1
            callback = self.callback()

            def note(handle: aio.Handle, message: Any) -> Any:
                self.pushed_reads -= 1
                return callback(handle, message)

            self.handle.push_read(note)

    def callback(self) -> Callable[[aio.Handle, Any], Any]:
        """A callback; those of a handle are called one after another."""
        source = ("callbacks", self.handles)
        running = self.running_of(self.handles)

        def plain(_: aio.Handle, message: Any) -> None:
            assert not running, "a callback while another one runs"
            self.take(message, source)

        async def slow(_: aio.Handle, message: Any) -> None:
            assert not running, "a callback while another one runs"
            self.take(message, source)
            running.append(1)
            await anyio.sleep(self.rng.choice((0, 0, 0.001)))
            running.pop()

        return self.rng.choice((plain, slow))

    def running_of(self, handle: int) -> list[int]:
        return self._running.setdefault(handle, [])

    # ---- sending

    async def send(self) -> None:
        """Send a message, and note what became of it."""
        rng, number, salt = self.rng, next(self.numbers), self.rng.choice(self.salts)
        single = not self.is_router and rng.random() < 0.5
        frames: list[Any] = make(number, salt, int(single))
        if rng.random() < 0.3:
            frames = [Message(frame) for frame in frames]
        before = [bytes(frame) for frame in frames]
        self.tries += 1
        try:
            if single:
                await self.handle.send(frames[0])
            else:
                await self.handle.send_multipart([*self.address(salt), *frames])
        except BaseException:
            self.refused.add((salt, number))
            assert [bytes(frame) for frame in frames] == before, "taken, not sent"
            raise
        finally:
            self.tries -= 1
        self.accepted.append((salt, number))

    async def send_limited(self) -> None:
        await limited(self.rng, self.send)

    def address(self, salt: str) -> list[bytes]:
        return [salt.encode()] if self.is_router else []

    def push_write(self) -> None:
        """Push a message, or a callable, unless many are on their way."""
        arrived = sum(len(read) for read in self.read.values())
        if self.pushes > arrived // 3 + PUSHES:
            return
        self.pushes += 1
        salt = self.rng.choice(self.salts)

        def ask(_: aio.Handle) -> list[bytes]:
            number = next(self.numbers)
            # Asked in turn: it goes out before all others, that wait for any peer.
            (self.asked if self.is_router else self.accepted).append((salt, number))
            return [*self.address(salt), *make(number, salt)]

        if self.rng.random() < 0.3:
            self.handle.push_write(ask)
        else:
            number = next(self.numbers)
            self.pushed.append((salt, number))
            self.handle.push_write([*self.address(salt), *make(number, salt)])

    # ---- all the rest

    async def tinker(self) -> None:
        """What else may be done with a handle."""
        rng = self.rng
        what = rng.randrange(9)
        if what == 0:
            self.handle.on_read = self.callback()
        elif what == 1:
            self.handle.on_read = None
        elif what == 2:
            self.push_read()
        elif what in (3, 4):
            self.push_write()
        elif what == 5:
            self.handles += 1
            self.handle = aio.Handle(self.near, on_error=self.note_error)
        elif what == 6:
            self.watch()
        elif what == 7:
            self.near.poll(0, rng.choice((zraw.ZMQ_POLLIN, zraw.ZMQ_POLLOUT)))
        else:
            frames = self.near.try_recv_multipart()
            if frames is not None:
                self.take(frames)
        if what == 3:
            await limited(rng, self.handle.drain)
        await anyio.sleep(rng.choice((0, 0, 0.001)))

    def watch(self) -> None:
        """Have a watcher, or no longer."""
        if self.watchers:
            self.watchers.pop().cancel()
            return

        def on_readable(socket: zraw.Socket, events: int) -> None:
            frames = socket.try_recv_multipart()
            if frames is not None:
                self.take(frames)

        watcher = aio.io(self.near, zraw.ZMQ_POLLIN, on_readable)
        self.watchers.append(watcher)

    def sides(self) -> list[Side]:
        """What the watchdog looks at: somebody always waits, without a limit."""
        inward = Side(
            "in",
            self.near,
            zraw.ZMQ_POLLIN,
            lambda: self.frames_sent() > self.count,
            lambda: self.count,
        )
        outward = Side(
            "out",
            self.near,
            zraw.ZMQ_POLLOUT,
            lambda: self.tries > 0,
            lambda: len(self.accepted),
        )
        return [inward] if self.is_router else [inward, outward]

    async def play(self, seconds: float, last: bool) -> None:
        """Do all of it for a while, on the loop that runs."""
        dog = Watchdog()
        dog.sides = self.sides()
        crew = Crew(self.rng)
        self.paused.clear()
        for work in (self.receive, self.send):
            crew.enlist(work)
        for work in (self.receive_limited, self.send_limited, self.tinker) * 3:
            crew.enlist(work)
        async with anyio.create_task_group() as group:
            group.start_soon(dog.run)
            async with anyio.create_task_group() as killers:
                crew.start(killers)
                killers.start_soon(crew.kill)
                with anyio.move_on_after(seconds):
                    await self.until(lambda: crew.errors)
                self.paused.set()
                with anyio.fail_after(10):
                    before = self.steps  # the one that goes on may still send
                    await self.until(lambda: self.steps > before + 1)
                    await self.until(lambda: self.count == self.frames_sent())
                killers.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await crew.stop()
            await self.settle(last)
            group.cancel_scope.cancel()
        for error in (*crew.errors, *self.errors):
            raise error

    async def settle(self, last: bool) -> None:
        """Come to an end on this loop; pushes may wait for the next one."""
        self.handle.on_read = None
        while self.watchers:
            self.watchers.pop().cancel()
        with anyio.fail_after(10):
            await self.until(lambda: not any(self._running.values()))
            if last:
                for salt in self.salts:
                    number = next(self.numbers)
                    message = [*self.address(salt), *make(number, salt)]
                    await self.handle.send_multipart(message)
                    self.accepted.append((salt, number))
                await self.until(self.is_all_read)

    def is_all_read(self) -> bool:
        """Whether the last message that was sent to each peer has come."""
        last = dict(self.accepted)
        return all(last[salt] in self.read[salt] for salt in self.salts)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.thread.check()
            await anyio.sleep(0.002)

    def run(self, loops: list[str], seconds: float) -> None:
        """Play on one loop after the other, with the same socket."""
        self.thread = Thread(self.step)
        try:
            with Complaints(), running(self.thread):
                for i, loop in enumerate(loops, 1):
                    play = partial(self.play, seconds / len(loops), i == len(loops))
                    run_on(loop, play, seconds + 40)
        finally:
            self.handle.close()
        self.check()

    def check(self) -> None:
        """See whether all that was sent has come, once, in order, and nothing else."""
        expected = [
            unit
            for salt, count in self.sent.items()
            for number in range(count)
            for unit in frames_of(salt, number)
        ]
        got = [unit for units in self.got.values() for unit in units]
        assert sorted(got) == sorted(expected), difference(got, expected)
        for source, units in self.got.items():
            for salt in self.salts:
                mine = [unit for unit in units if unit[0] == salt]
                assert mine == sorted(mine), f"out of order by {source}"
        for salt, read in self.read.items():
            self.check_read(salt, read)

    def check_read(self, salt: str, read: list[int]) -> None:
        """See whether a peer has got what it should."""
        ways = [
            [number for to, number in way if to == salt]
            for way in (self.accepted, self.pushed, self.asked)
        ]
        expected = [number for numbers in ways for number in numbers]
        refused = {number for to, number in self.refused if to == salt}
        assert not refused & set(read), "cancelled, and sent"
        assert sorted(read) == sorted(expected), difference(read, expected)
        for numbers in ways:
            chosen = set(numbers)
            ordered = [number for number in read if number in chosen]
            pairs = zip(ordered, numbers, strict=True)
            wrong = [pair for pair in pairs if pair[0] != pair[1]]
            assert not wrong, f"out of order: {wrong[:9]} read for sent"


def difference(got: list[Any], expected: list[Any]) -> str:
    twice = [unit for unit, count in Counter(got).items() if count > 1]
    missing = sorted(set(expected) - set(got))
    extra = sorted(set(got) - set(expected))
    return f"lost: {missing[:9]}, twice: {twice[:9]}, from nowhere: {extra[:9]}"


def fuzz(loops: list[str], kind: str, seed: int, seconds: float) -> Flow:
    """Fuzz a PAIR, a DEALER or a ROUTER."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, zraw.Context() as context:
        near_type, far_type = KINDS[kind]
        near = small(context.socket(near_type))
        endpoint = rng.choice(
            (f"inproc://{folder}/s", f"ipc://{folder}/s", "tcp://127.0.0.1:*")
        )
        salts = ["p0", "p1", "p2"] if kind == "router" else ["p"]
        if kind == "router":
            near.setsockopt(zraw.ZMQ_ROUTER_MANDATORY, 1)
        bound = near.bind(endpoint)
        fars = {}
        for salt in salts:
            far = small(context.socket(far_type))
            far.setsockopt(zraw.ZMQ_ROUTING_ID, salt.encode())
            far.connect(bound)
            fars[salt] = far
            if kind == "router":
                far.send(b"hello")  # from now on it can be sent to
                near.recv_multipart()
        flow = Flow(near, fars, seed, kind == "router")
        try:
            flow.run(loops, seconds)
        finally:
            near.close(0)
            for far in fars.values():
                far.close(0)
        return flow


def small(socket: zraw.Socket) -> zraw.Socket:
    """Have sends wait most of the time."""
    for option in (zraw.ZMQ_SNDHWM, zraw.ZMQ_RCVHWM):
        socket.setsockopt(option, 3)
    for option in (zraw.ZMQ_SNDBUF, zraw.ZMQ_RCVBUF):
        socket.setsockopt(option, 128 * 1024)
    return socket


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=[*LOOPS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    loops = LOOPS if given.loop == "all" else [given.loop]
    end = time.monotonic() + given.minutes * 60
    with unraisable() as errors:
        for seed in itertools.count(given.seed):
            for loop, kind in itertools.product(loops, KINDS):
                if time.monotonic() > end:
                    return
                print(f"{loop:7}{kind:7}", end="", flush=True)
                flow = fuzz([loop, loop], kind, seed, 2)
                print(
                    f"{sum(flow.sent.values()):6} received, "
                    f"{len(flow.accepted):6} sent, {len(flow.pushed):6} pushed, "
                    f"{len(flow.refused):6} cancelled"
                )
                assert not errors, errors


if __name__ == "__main__":
    main()
