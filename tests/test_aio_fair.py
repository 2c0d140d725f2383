"""zraw.aio: whoever is always busy leaves the others their turns, and grows nothing."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import anyio
import pytest

import zraw
from aio_tools import (
    beside,
    flow,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
    until,
)
from zraw import aio

# Operations that may be done in a row; io() and the like have their own turns.
BUDGET = 64
MANY = 2000


class Ticks:
    """A task that counts its turns, and what was done between two of them."""

    def __init__(self, done):
        self._done = done
        self.longest = 0
        self.count = 0

    async def run(self):
        before = self._done()
        while True:
            await anyio.lowlevel.checkpoint()
            now = self._done()
            self.count += 1
            self.longest = max(self.longest, now - before)
            before = now


async def starve(busy, done, most=3 * BUDGET):
    """Run `busy` beside a ticking task; the latter must not wait for long.

    trio runs tasks that are ready in any order: it may come twice in between.
    """
    ticks = Ticks(done)
    async with beside() as start:
        start(ticks.run)
        await settle(2)
        await start(busy).result()
    assert ticks.longest <= most
    assert ticks.count > MANY / most / 2


RECEIVES = {
    "recv": lambda handle: handle.recv(),
    "recv_multipart": lambda handle: handle.recv_multipart(),
    "recv_msg": lambda handle: handle.recv_msg(),
    "recv_many": lambda handle: handle.recv_many(1),
    "anext": anext,
}


@pytest.mark.parametrize("call", RECEIVES)
def test_recv__leaves_others_their_turns(on_loop, pair, call):
    async def main():
        sender, handle = flow(pair, SNDHWM=0, RCVHWM=0)
        sender.send_many([b"x"] * MANY)
        done = 0

        async def busy():
            nonlocal done
            for _ in range(MANY):
                await RECEIVES[call](handle)
                done += 1

        await starve(busy, lambda: done)

    on_loop(main)


@pytest.mark.parametrize("call", ["send", "send_multipart", "push_write"])
def test_send__leaves_others_their_turns(on_loop, pair, call):
    async def main():
        handle, _ = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=0, RCVHWM=0)
        done = 0

        async def busy():
            nonlocal done
            for _ in range(MANY):
                if call == "send":
                    await handle.send(b"x")
                elif call == "send_multipart":
                    await handle.send_multipart([b"x"])
                else:
                    handle.push_write(b"x")
                    await handle.drain()
                done += 1

        await starve(busy, lambda: done)

    on_loop(main)


@pytest.mark.parametrize("kind", ["on_read", "push_read", "coroutine"])
def test_on_read__leaves_others_their_turns(on_loop, pair, kind):
    async def main():
        sender, handle = flow(pair, SNDHWM=0, RCVHWM=0)
        sender.send_many([b"x"] * MANY)
        done = 0

        def read(*_):
            nonlocal done
            done += 1

        async def read_later(*_):
            read()

        async def busy():
            if kind == "push_read":
                for _ in range(MANY):
                    handle.push_read(read)
            else:
                handle.on_read = read if kind == "on_read" else read_later
            await until(lambda: done == MANY)

        await starve(busy, lambda: done)

    on_loop(main)


def test_push_write__callables_leave_others_their_turns(on_loop, pair):
    async def main():
        handle, _ = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=0, RCVHWM=0)
        done = 0

        def ask(_):
            nonlocal done
            done += 1
            return b"x"

        async def busy():
            for _ in range(MANY):
                handle.push_write(ask)
            await handle.drain()

        await starve(busy, lambda: done)

    on_loop(main)


def test_send__several_producers_share_a_handle(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp", SNDHWM=50)
        sent = [0] * 4
        received = 0

        async def produce(number):
            while True:
                await handle.send(b"%d" % number)
                sent[number] += 1

        async with beside() as start:
            for number in range(4):
                start(produce, number)
            while received < 4000:
                received += len(await other.recv_many())
        # None of them is left behind by more than a few of its turns.
        assert max(sent) - min(sent) <= 4 * BUDGET

    on_loop(main)


def test_recv__several_consumers_share_a_handle(on_loop, pair):
    async def main():
        sender, handle = flow(pair, "tcp", SNDHWM=0, RCVHWM=0)
        received = [0] * 4

        async def consume(number):
            while True:
                await handle.recv()
                received[number] += 1

        async with beside() as start:
            for number in range(4):
                start(consume, number)
            sender.send_many([b"x"] * 4000)
            await until(lambda: sum(received) == 4000)
        assert max(received) - min(received) <= 4 * BUDGET

    on_loop(main)


def test_recv__leaves_on_read_of_another_handle_its_turns(on_loop, pair, sock):
    async def main():
        options = {"SNDHWM": 0, "RCVHWM": 0}
        one, first = flow(pair, **options)
        two = sock(zraw.ZMQ_PUSH, **options)
        second = aio.Handle(sock(zraw.ZMQ_PULL, **options), bind="inproc://second")
        two.connect("inproc://second")
        got = []
        first.on_read = lambda *_: got.append(1)
        second.on_read = lambda *_: got.append(2)
        one.send_many([b"x"] * MANY)
        two.send_many([b"x"] * MANY)
        await until(lambda: len(got) == 2 * MANY)
        assert set(got[:MANY]) == {1, 2}

    on_loop(main)


@pytest.mark.parametrize("way", ["recv", "on_read", "send", "push_write", "io"])
def test_memory__stays_flat(on_loop, pair, way):
    """Thousands of messages that never stop, and a few that have to be waited for."""

    async def main():
        near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
        got = turns = 0

        def count(*_):
            nonlocal got
            got += 1

        if way == "on_read":
            far.on_read = count
        if way == "io":
            aio.io(far.socket, zraw.ZMQ_POLLIN, lambda socket, _: count(socket.recv()))

        async def turn():
            nonlocal got, turns
            turns += 1
            for number in range(500):
                if way in ("recv", "on_read", "io"):
                    near.socket.send(b"x")
                elif way == "send":
                    await near.send(b"x")
                else:
                    near.push_write(lambda _: b"x")
                    await near.drain()
                if way not in ("on_read", "io"):
                    await far.recv()
                    got += 1
                elif number % 50 == 0:
                    await settle(2)
            await until(lambda: got == 500 * turns)

        for _ in range(3):
            await turn()
        gc.collect()
        tracemalloc.start()
        try:
            await turn()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(4):
                await turn()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 500 * 4 * 4  # four bytes for each message would be too many

    on_loop(main)


def test_recv__leaves_no_garbage(on_loop, pair):
    """Who waits again and again leaves nothing that only the collector finds."""

    async def main():
        sender, handle = flow(pair)
        async with beside() as start:

            async def read():
                while True:
                    await handle.recv()

            start(read)
            await settle()
            gc.collect()
            gc.disable()
            try:
                before = sys.getallocatedblocks()
                for _ in range(300):
                    sender.send(b"x")
                    await settle(3)
                assert sys.getallocatedblocks() - before < 300
            finally:
                gc.enable()

    on_loop(main)
