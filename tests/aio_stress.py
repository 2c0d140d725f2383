"""Numbered messages that go round through zraw.aio, and a watchdog beside them.

    python tests/aio_stress.py --loop trio --minutes 3 --seed 7

A peer, which is a plain zraw.Socket in a thread, sends; the loop's side takes each
message and sends it back.  "lockstep" links have everything back before the peer
goes on, so that no later message hides that the news of one was missed; "flood"
links keep both directions full.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

import zraw
from aio_watch import (
    Complaints,
    Side,
    Thread,
    Watchdog,
    make,
    number_of,
    persistently,
    running,
    unraisable,
)
from conftest import wait_until
from loops import LOOPS, run_on
from zraw import aio

BOTH = zraw.ZMQ_POLLIN | zraw.ZMQ_POLLOUT


class Link:
    """A socket on the loop, its peer, and messages that go round."""

    def __init__(
        self, near: zraw.Socket, far: zraw.Socket, window: int, flood: bool
    ) -> None:
        self.near, self.far = near, far
        self.window = window
        self.flood = flood
        self.may_be_taken = False  # by the user, beside the handle
        self.limit = sys.maxsize
        self.goal = 0
        self.pause_until = 0.0
        self.sent = 0  # by the peer
        self.taken: set[int] = set()  # by the loop's side
        self.blocked = 0  # tasks of the loop's side that send
        self.servers = 1
        self.given = 0  # messages that the loop's side has sent back
        self.back: set[int] = set()
        self.mail: deque[list[bytes]] = deque()  # taken by another thread
        self.errors: list[BaseException] = []

    def sides(self, name: str) -> list[Side]:
        return [
            Side(
                f"{name} in",
                self.near,
                zraw.ZMQ_POLLIN,
                lambda: self.sent > len(self.taken) and self.blocked < self.servers,
                lambda: len(self.taken),
            ),
            Side(
                f"{name} out",
                self.near,
                zraw.ZMQ_POLLOUT,
                lambda: self.blocked > 0,
                lambda: self.given,
            ),
        ]

    def take(self, frames: list[bytes] | bytes) -> list[bytes]:
        """Note a message that was received from the peer."""
        frames = frames if isinstance(frames, list) else [frames]
        number = number_of(frames)
        assert number not in self.taken, f"{number} was received twice"
        self.taken.add(number)
        return frames

    def is_over(self) -> bool:
        return len(self.back) == self.sent

    def step(self, rng: random.Random, over: bool) -> bool:
        """What the peer's thread does; return whether anything was done."""
        before = self.sent + len(self.back)
        while (frames := self.far.try_recv_multipart()) is not None:
            number = number_of(frames)
            assert number not in self.back, f"{number} came back twice"
            self.back.add(number)
        if self.flood:
            self.goal = len(self.back) + self.window
        elif self.is_over() and self.goal == self.sent:
            self.goal = min(self.goal + rng.randint(1, self.window), self.limit)
            # Now and then the loop is to fall asleep.
            self.pause_until = time.monotonic() + rng.choice((0, 0, 0.001, 0.004))
        if not over and time.monotonic() >= self.pause_until:
            for number in range(self.sent, min(self.goal, self.sent + 20)):
                try:
                    self.far.send_multipart(make(number), zraw.ZMQ_DONTWAIT)
                except zraw.Again:
                    break
                self.sent = number + 1
        if over and not self.flood:
            self.goal = self.sent
        return self.sent + len(self.back) > before

    async def answer(self, handle: aio.Handle, frames: list[bytes]) -> None:
        self.blocked += 1
        try:
            await persistently(handle.send_multipart, frames)
        finally:
            self.blocked -= 1
        self.given += 1

    def push(self, handle: aio.Handle, frames: list[bytes]) -> None:
        """Answer when there is room, which is when the callable is asked."""

        def ask(_: aio.Handle) -> list[bytes]:
            self.given += 1
            self.blocked -= 1
            return frames

        self.blocked += 1
        handle.push_write(ask)

    def fail(self, _: object, error: BaseException) -> None:
        self.errors.append(error)


# ---- what the loop's side may do


async def by_recv(link: Link, handle: aio.Handle) -> None:
    while True:
        frames = await persistently(handle.recv_multipart)
        await link.answer(handle, link.take(frames))


async def by_many(link: Link, handle: aio.Handle) -> None:
    link.servers = sys.maxsize
    while True:
        many = partial(handle.recv_many, 50, multipart=True)
        for frames in await persistently(many):
            link.push(handle, link.take(frames))


async def by_iteration(link: Link, handle: aio.Handle) -> None:
    while True:
        with contextlib.suppress(zraw.SocketInUse):
            async for message in handle:
                await link.answer(handle, link.take(message))


async def by_callback(link: Link, handle: aio.Handle) -> None:
    link.servers = sys.maxsize
    handle.on_read = lambda handle, message: link.push(handle, link.take(message))
    await anyio.sleep_forever()


async def by_pushed_reads(link: Link, handle: aio.Handle) -> None:
    link.servers = sys.maxsize

    def on_message(handle: aio.Handle, message: Any) -> None:
        handle.push_read(on_message)
        link.push(handle, link.take(message))

    handle.push_read(on_message)
    await anyio.sleep_forever()


async def by_watcher(link: Link, handle: aio.Handle) -> None:
    """io(): one for what comes in, and another while something has to go out."""
    waiting: deque[list[bytes]] = deque()
    writers: list[aio.Watcher] = []
    link.servers = sys.maxsize

    def on_readable(socket: zraw.Socket, events: int) -> None:
        with contextlib.suppress(zraw.SocketInUse):
            frames = socket.try_recv_multipart()
            if frames is not None:
                waiting.append(link.take(frames))
                link.blocked += 1
            if waiting and not writers:
                writers.append(aio.io(socket, zraw.ZMQ_POLLOUT, on_writable))

    def on_writable(socket: zraw.Socket, events: int) -> None:
        with contextlib.suppress(zraw.SocketInUse, zraw.Again):
            while waiting:
                socket.send_multipart(waiting[0], zraw.ZMQ_DONTWAIT)
                waiting.popleft()
                link.blocked -= 1
                link.given += 1
            writers.pop().cancel()

    reader = aio.io(link.near, zraw.ZMQ_POLLIN, on_readable)
    try:
        await anyio.sleep_forever()
    finally:
        reader.cancel()
        for writer in writers:
            writer.cancel()


SERVERS = [by_recv, by_many, by_iteration, by_callback, by_pushed_reads, by_watcher]


# ---- what the user does beside it


def meddle_once(link: Link, rng: random.Random, timeout: int) -> list[bytes] | None:
    """Do something with the socket that takes in the news others wait for.

    What takes messages, too, would help out where somebody was forgotten.
    """
    socket = link.near
    what = rng.randrange(7 if link.may_be_taken else 6)
    if what == 0:
        socket.getsockopt(zraw.ZMQ_EVENTS)
    elif what == 1:
        socket.poll(timeout, rng.choice((zraw.ZMQ_POLLIN, zraw.ZMQ_POLLOUT, BOTH)))
    elif what == 2:
        zraw.poll([(socket, BOTH)], timeout)
    elif what == 3:
        with zraw.Poller() as poller:
            poller.add(socket, zraw.ZMQ_POLLIN)
            with contextlib.suppress(zraw.Again):
                poller.wait(timeout)
    elif what == 4:
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, rng.randrange(5))
    elif what == 5:
        aio.probe(socket, BOTH)
    else:
        return socket.try_recv_multipart()
    return None


async def meddle(link: Link, handle: aio.Handle, rng: random.Random) -> None:
    """Use the socket of a handle, between turns of the loop."""
    while True:
        frames = meddle_once(link, rng, 0)
        if frames is not None:
            link.push(handle, link.take(frames))
        await anyio.sleep(rng.choice((0, 0, 0.0005, 0.002)))


def meddler(links: list[Link], rng: random.Random) -> Thread:
    """Use the sockets of handles from another thread, now and then."""

    def work() -> None:
        if time.monotonic() % 0.25 > 0.1:
            time.sleep(0.002)  # each call would help those out who were forgotten
            return
        link = rng.choice(links)
        try:
            frames = meddle_once(link, rng, rng.randrange(3))
        except zraw.SocketInUse:
            frames = None
        if frames is not None:
            link.mail.append(link.take(frames))
        time.sleep(rng.choice((0, 0.0002, 0.001)))

    return Thread(work)


async def deliver(link: Link, handle: aio.Handle) -> None:
    """Answer what another thread has taken."""
    while True:
        while link.mail:
            await persistently(handle.send_multipart, link.mail.popleft())
        await anyio.sleep(0.001)


class Scene:
    """Links, and who is at them."""

    def __init__(self, context: zraw.Context, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.dog = Watchdog()
        self.links: list[Link] = []
        self.threads: list[Thread] = []
        self._context = context
        self._folder = folder
        self._names = itertools.count()
        self._servers: list[Callable[[], Awaitable[None]]] = []
        self._tasks: list[Callable[[], Awaitable[None]]] = []
        self._ending = False

    def link(
        self,
        transport: str,
        serve: Callable[[Link, aio.Handle], Awaitable[None]],
        *,
        kind: int = zraw.ZMQ_PAIR,
        window: int = 3,
        flood: bool = False,
        meddled: bool = False,
    ) -> Link:
        near, far = self.socket(kind), self.socket(kind)
        far.connect(near.bind(self.endpoint(transport)))
        link = Link(near, far, window, flood)
        handle = aio.Handle(near, on_error=link.fail)
        self.links.append(link)
        name = f"{len(self.links)} {transport} {serve.__name__}"
        self.dog.sides += link.sides(name)
        self._servers.append(lambda: serve(link, handle))
        if meddled:
            rng = random.Random(self.rng.random())
            self._tasks.append(lambda: meddle(link, handle, rng))
        self._tasks.append(lambda: deliver(link, handle))
        return link

    def socket(self, kind: int) -> zraw.Socket:
        socket = self._context.socket(kind)
        for option in (zraw.ZMQ_SNDHWM, zraw.ZMQ_RCVHWM):
            socket.setsockopt(option, 5)
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        return socket

    def endpoint(self, transport: str) -> str:
        name = next(self._names)
        return {
            "inproc": f"inproc://{self._folder}/{name}",
            "ipc": f"ipc://{self._folder}/{name}",
            "tcp": "tcp://127.0.0.1:*",
        }[transport]

    def step(self) -> None:
        """What the thread of the peers does."""
        moved = [link.step(self.rng, self._ending) for link in self.links]
        if not any(moved):
            zraw.poll([(link.far, zraw.ZMQ_POLLIN) for link in self.links], 1)

    async def play_asleep(self, count: int) -> None:
        """Have so many messages go round, with nothing else that wakes the loop."""
        peers = Thread(self.step)
        for link in self.links:
            link.limit = count
        with running(peers, *self.threads):
            async with anyio.create_task_group() as group:
                for serve in self._servers:
                    group.start_soon(serve)
                # It wakes the loop once, at the end.
                await anyio.to_thread.run_sync(self._wait_for_all, peers)
                group.cancel_scope.cancel()

    def _wait_for_all(self, peers: Thread) -> None:
        def is_over() -> bool:
            return all(
                each.is_over() and each.sent == each.limit for each in self.links
            )

        wait_until(lambda: is_over() or not peers.is_alive())

    async def play(self, seconds: float) -> int:
        """Have messages go round; return their number."""
        threads = [*self.threads, Thread(self.step)]
        with Complaints() as complaints, running(*threads):
            async with anyio.create_task_group() as group:
                for task in (self.dog.run, *self._servers, *self._tasks):
                    group.start_soon(task)
                await anyio.sleep(seconds)
                self._ending = True
                with anyio.fail_after(10):
                    while not all(link.is_over() for link in self.links):
                        self.check(threads, complaints)
                        await anyio.sleep(0.005)
                group.cancel_scope.cancel()
            self.check(threads, complaints)
        return sum(link.sent for link in self.links)

    def check(self, threads: list[Thread], complaints: Complaints) -> None:
        complaints.check()
        for thread in threads:
            thread.check()
        for link in self.links:
            assert not link.errors, link.errors

    def close(self) -> None:
        for link in self.links:
            link.near.close()
            link.far.close()


# ---- scenes


def two_way(scene: Scene) -> None:
    """Few sockets, as fast as they can."""
    scene.link("inproc", by_recv, flood=True, window=30)
    scene.link("tcp", by_callback, kind=zraw.ZMQ_DEALER, flood=True, window=30)


def one_by_one(scene: Scene) -> None:
    """Every kind of server, waiting for single messages."""
    for transport in ("inproc", "tcp"):
        for serve in SERVERS:
            scene.link(transport, serve)


def many_handles(scene: Scene) -> None:
    for serve in SERVERS * 6:
        scene.link(scene.rng.choice(("inproc", "ipc", "tcp")), serve)


def meddled(scene: Scene) -> None:
    """The user, too, uses the sockets between turns of the loop."""
    for flood, taken in ((False, False), (False, True), (True, True)):
        for serve in SERVERS:
            transport = scene.rng.choice(("inproc", "tcp"))
            link = scene.link(transport, serve, flood=flood, meddled=True)
            link.may_be_taken = taken


def from_threads(scene: Scene) -> None:
    """Another thread uses the sockets at any time."""
    for serve in SERVERS:
        for taken in (False, True):
            link = scene.link(scene.rng.choice(("inproc", "tcp")), serve)
            link.may_be_taken = taken
    scene.threads.append(meddler(scene.links, random.Random(scene.rng.random())))


SCENES = [two_way, one_by_one, many_handles, meddled, from_threads]


def run(
    loop: str, build: Callable[[Scene], None], seed: int, seconds: float
) -> tuple[int, Watchdog]:
    """Play a scene; return the number of messages, and the watchdog."""
    with tempfile.TemporaryDirectory() as folder, zraw.Context() as context:
        scene = Scene(context, Path(folder), seed)
        try:
            build(scene)
            count = run_on(loop, partial(scene.play, seconds), seconds + 20)
        finally:
            scene.close()
        return count, scene.dog


def run_asleep(loop: str, seed: int, count: int) -> None:
    """As run(), on a loop that sleeps all the time."""
    with tempfile.TemporaryDirectory() as folder, zraw.Context() as context:
        scene = Scene(context, Path(folder), seed)
        try:
            from_threads(scene)
            for link in scene.links:
                link.may_be_taken = False  # nobody would answer it
            with Complaints():
                run_on(loop, partial(scene.play_asleep, count), 20)
        finally:
            scene.close()


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
            for loop, build in itertools.product(loops, SCENES):
                if time.monotonic() > end:
                    return
                print(f"seed {seed} {loop:7}{build.__name__:13}", end="", flush=True)
                count, dog = run(loop, build, seed, 2)
                print(f"{count:7} messages, longest wait {dog.longest_wait:.3f} s")
                assert not errors, errors


if __name__ == "__main__":
    main()
