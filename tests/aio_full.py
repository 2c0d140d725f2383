"""Peers that take nothing any more, where ZMQ_POLLOUT does not say so.

    python tests/aio_full.py --loop trio --minutes 3

A ROUTER with ZMQ_ROUTER_MANDATORY and an XPUB with ZMQ_XPUB_NODROP refuse messages
although ZMQ_POLLOUT is set.  Senders wait then; this measures what their wait costs,
what goes on meanwhile, and how soon they notice that there is room again.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial

import anyio

import zraw
from aio_watch import STALL, Complaints, Side, Thread, Watchdog, running, unraisable
from loops import LOOPS, run_on
from zraw import aio

BODY = b"." * 10_000
PROBE = b"probe"
# Small, but more than a segment on the loopback: below that TCP itself takes up to
# 200 ms to notice that there is room again.
BUFFER = 128 * 1024
SMALL = {"SNDHWM": 5, "RCVHWM": 5, "SNDBUF": BUFFER, "RCVBUF": BUFFER, "LINGER": 0}


def socket(context: zraw.Context, kind: int, **options: object) -> zraw.Socket:
    made = context.socket(kind)
    for name, value in {**SMALL, **options}.items():
        made.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
    return made


def read_numbers(peer: zraw.Socket, numbers: list[int]) -> None:
    """Read what a Sender has sent, for a moment."""
    if peer.poll(5):
        while (frames := peer.try_recv_multipart()) is not None:
            assert frames[-1] == BODY
            if frames[-2] != PROBE:
                numbers.append(int(frames[-2]))


class Sender:
    """Sends numbered messages to a peer that does not read, one after another."""

    def __init__(
        self, handle: aio.Handle, peer: zraw.Socket, address: list[bytes], pushed: bool
    ) -> None:
        self.sent = 0
        self.read: list[int] = []
        self._handle = handle
        self._peer = peer
        self._address = address
        self._pushed = pushed

    def message(self) -> list[bytes]:
        return [*self._address, b"%d" % self.sent, BODY]

    async def run(self) -> None:
        while True:
            if self._pushed:
                self._handle.push_write(self.message())
                await self._handle.drain()
            else:
                await self._handle.send_multipart(self.message())
            self.sent += 1

    def is_taken(self) -> bool:
        """Whether libzmq takes a message that does not count."""
        try:
            probe = [*self._address, PROBE, BODY]
            self._handle.socket.send_multipart(probe, zraw.ZMQ_DONTWAIT)
        except zraw.Again:
            return False
        return True

    def reader(self) -> Thread:
        """The peer, when it reads."""
        return Thread(lambda: read_numbers(self._peer, self.read))

    async def finish(self) -> None:
        """See whether all have come, in order."""
        with anyio.fail_after(10):
            while len(self.read) < self.sent:
                read_numbers(self._peer, self.read)
                await anyio.sleep(0.001)
        assert self.read == list(range(len(self.read)))
        assert len(self.read) - self.sent in (0, 1)  # the last send was cancelled


class Full:
    """A socket with full peers on a loop."""

    def __init__(self, context: zraw.Context, kind: int, **options: object) -> None:
        self.near = socket(context, kind, **options)
        self.where = self.near.bind("tcp://127.0.0.1:*")
        self.handle = aio.Handle(self.near, on_error=self.fail)
        self.context = context
        self.peers: list[zraw.Socket] = []
        self.senders: list[Sender] = []
        self.dog = Watchdog()
        self.dog.sides.append(
            Side(
                "receives",
                self.near,
                zraw.ZMQ_POLLIN,
                lambda: self.expecting,
                lambda: self.received,
            )
        )
        self.expecting = False
        self.received = 0
        self.numbers = itertools.count()
        self.errors: list[BaseException] = []

    def fail(self, _: object, error: BaseException) -> None:
        self.errors.append(error)

    def peer(self, kind: int, **options: object) -> zraw.Socket:
        made = socket(self.context, kind, **options)
        self.peers.append(made)
        made.connect(self.where)
        return made

    async def prepare(self) -> None:
        """Have the peers connected, and known."""
        raise NotImplementedError

    async def exchange(self, number: int) -> None:
        """What has to go on: messages of others, and to others."""
        raise NotImplementedError

    async def fill(self) -> list[int]:
        """Wait until nothing has gone out for a while; return what has, to each."""
        before = None
        with anyio.fail_after(10):
            while True:
                taken = [sender.is_taken() for sender in self.senders]
                sent = [sender.sent for sender in self.senders]
                if sent == before and not any(taken):
                    return sent
                before = sent
                await anyio.sleep(0.15)

    async def receive(self) -> list[bytes]:
        self.expecting = True
        frames = await self.handle.recv_multipart()
        self.expecting = False
        self.received += 1
        return frames

    async def idle(self, seconds: float) -> float:
        """Return the share of a processor that this thread takes while all are full."""
        while True:
            seen = await self.fill()
            cpu, wall = time.thread_time(), time.monotonic()
            await anyio.sleep(seconds)
            share = (time.thread_time() - cpu) / (time.monotonic() - wall)
            if seen == [sender.sent for sender in self.senders]:
                return share

    async def play(self, seconds: float, rounds: int) -> dict[str, float]:
        figures = {"cpu": 0.0, "exchange": 0.0, "resume": 0.0}
        with anyio.fail_after(10):
            await self.prepare()
        with Complaints():
            async with anyio.create_task_group() as group:
                for sender in self.senders:
                    group.start_soon(sender.run)
                if seconds:
                    figures["cpu"] = await self.idle(seconds)
                group.start_soon(self.dog.run)
                for number in range(rounds):
                    # One after the other, and then all at once.
                    at = number % (len(self.senders) + 1)
                    chosen = self.senders[at : at + 1] or self.senders
                    await self.measure(figures, chosen)
                group.cancel_scope.cancel()
        for sender in self.senders:
            await sender.finish()
        assert not self.errors, self.errors
        return figures

    async def measure(self, figures: dict[str, float], chosen: list[Sender]) -> None:
        """Have some peers read; the others stay full."""
        seen: list[int] = []
        while seen != [sender.sent for sender in self.senders]:
            # TCP may have found room for a last one after all.
            seen = await self.fill()
            for _ in range(10):
                start = self.dog.now
                with anyio.fail_after(10):
                    await self.exchange(next(self.numbers))
                figures["exchange"] = max(figures["exchange"], self.dog.now - start)
        figures["resume"] = max(figures["resume"], await self.resume(chosen))

    async def resume(self, chosen: list[Sender]) -> float:
        """Return how long senders wait when their peers begin to read.

        When it has no window, TCP itself may take its time before there is room.
        """
        seen = [sender.sent for sender in chosen]
        async with anyio.create_task_group() as group:
            # Nothing comes: it waits, and takes in the news that the senders wait for.
            group.start_soon(self.handle.recv_multipart)
            await anyio.sleep(0.01)
            start = self.dog.now
            with running(*(sender.reader() for sender in chosen)), anyio.fail_after(10):
                for sender, before in zip(chosen, seen, strict=True):
                    while sender.sent == before:
                        await anyio.sleep(0.001)
                        if self.dog.now - start > STALL and not sender.is_taken():
                            start = self.dog.now
            group.cancel_scope.cancel()
            return self.dog.now - start
        raise AssertionError

    def close(self) -> None:
        self.handle.close()
        for peer in self.peers:
            peer.close()


class FullRouter(Full):
    """One or several full peers of a ROUTER, and one that is not."""

    def __init__(self, context: zraw.Context, count: int = 1) -> None:
        super().__init__(context, zraw.ZMQ_ROUTER, ROUTER_MANDATORY=1)
        for i in range(count):
            name = b"full %d" % i
            peer = self.peer(zraw.ZMQ_DEALER, ROUTING_ID=name)
            self.senders.append(Sender(self.handle, peer, [name], pushed=i > 0))
        self.free = self.peer(zraw.ZMQ_DEALER, ROUTING_ID=b"free")
        self.away = aio.Handle(self.free)

    async def prepare(self) -> None:
        for peer in self.peers:
            peer.send(b"hello")
        for _ in self.peers:
            await self.receive()

    async def exchange(self, number: int) -> None:
        text = b"%d" % number
        await self.away.send(text)
        assert await self.receive() == [b"free", text]
        await self.handle.send_multipart([b"free", text])
        assert await self.away.recv() == text
        full = self.peers[number % len(self.senders)]
        full.send(text)  # it can still send
        assert (await self.receive())[1:] == [text]


class FullXPub(Full):
    """A full subscriber of an XPUB, and one that subscribes to ever more."""

    def __init__(self, context: zraw.Context) -> None:
        super().__init__(context, zraw.ZMQ_XPUB, XPUB_NODROP=1)
        full = self.peer(zraw.ZMQ_SUB, SUBSCRIBE=b"news")
        self.senders.append(Sender(self.handle, full, [b"news"], pushed=False))
        # It never comes to count what the publisher has read of its subscriptions.
        self.other = self.peer(zraw.ZMQ_SUB, SNDHWM=0)

    async def prepare(self) -> None:
        assert await self.receive() == [b"\x01news"]

    async def exchange(self, number: int) -> None:
        topic = b"topic %d" % number
        self.other.setsockopt(zraw.ZMQ_SUBSCRIBE, topic)
        assert await self.receive() == [b"\x01" + topic]


KINDS: dict[str, Callable[[zraw.Context], Full]] = {
    "one peer": FullRouter,
    "two peers": partial(FullRouter, count=2),
    "xpub": FullXPub,
}


def run(loop: str, kind: str, seconds: float, rounds: int) -> dict[str, float]:
    """Return figures: a share of a processor, and the longest waits in seconds."""
    with zraw.Context() as context:
        full = KINDS[kind](context)
        try:
            play = partial(full.play, seconds, rounds)
            return run_on(loop, play, 30 + 3 * (seconds + rounds))
        finally:
            full.close()


def check(figures: dict[str, float]) -> None:
    assert figures["cpu"] < 0.02, figures
    assert figures["resume"] < STALL, figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=[*LOOPS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=1.0)
    given = parser.parse_args()
    loops = LOOPS if given.loop == "all" else [given.loop]
    end = time.monotonic() + given.minutes * 60
    with unraisable() as errors:
        for loop, kind in itertools.cycle(itertools.product(loops, KINDS)):
            if time.monotonic() > end:
                return
            print(f"{loop:7}{kind:10}", end="", flush=True)
            figures = run(loop, kind, 5, 10)
            print(
                f"{figures['cpu']:6.2%} of a processor, resumes in "
                f"{figures['resume'] * 1000:3.0f} ms at most, "
                f"exchanges in {figures['exchange'] * 1000:3.0f} ms"
            )
            check(figures)
            assert not errors, errors


if __name__ == "__main__":
    main()
