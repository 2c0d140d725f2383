"""zraw.aio: the edge of a descriptor is never missed, nor paid for by spinning.

aio_stress.py and aio_full.py have the programs; each runs for minutes by itself.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator

import anyio
import pytest

import aio_full
import aio_stress
import zraw
from aio_watch import Complaints, Thread, running, unraisable
from conftest import is_inside, wait_until
from loops import LOOPS
from zraw import aio
from zraw.aio.edge import Edge

SECONDS = 0.3


@pytest.fixture(params=[1, 2])
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def switching() -> Iterator[None]:
    """Have threads take turns at every chance."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_edge__two_way_at_full_speed(on_loop):
    count, _ = aio_stress.run(on_loop.kind, aio_stress.two_way, 1, SECONDS)
    assert count > 500


def test_edge__single_messages(on_loop):
    aio_stress.run(on_loop.kind, aio_stress.one_by_one, 1, SECONDS)


def test_edge__many_handles(on_loop):
    aio_stress.run(on_loop.kind, aio_stress.many_handles, 1, SECONDS)


def test_edge__user_takes_the_news(on_loop, seed):
    aio_stress.run(on_loop.kind, aio_stress.meddled, seed, SECONDS)


def test_edge__other_thread_takes_the_news(on_loop, switching):
    with unraisable() as errors:
        aio_stress.run(on_loop.kind, aio_stress.from_threads, 1, SECONDS)
    assert not errors


def test_edge__loop_that_sleeps(on_loop):
    """No timer, no other task: only the news wakes the loop."""
    aio_stress.run_asleep(on_loop.kind, 1, 300)


def test_edge__push_write_while_another_thread_is_inside(on_loop, sock):
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://edge"))
    thread = threading.Thread(target=near.poll, args=(200,))
    errors = []

    async def main():
        handle = aio.Handle(near, on_error=lambda _, error: errors.append(error))
        thread.start()
        wait_until(lambda: is_inside(near))
        handle.push_write(b"1")
        handle.push_write(lambda _: b"2")
        await handle.drain()

    on_loop(main)
    thread.join()
    assert [far.try_recv(), far.try_recv(), errors] == [b"1", b"2", []]


def test_edge__thread_enters_before_the_descriptor_is_known(on_loop, sock, monkeypatch):
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://edge"))
    find, crossed, got = Edge._find_descriptor, [], []

    def find_late(edge, socket):
        thread = threading.Thread(target=enter)
        thread.start()
        wait_until(lambda: is_inside(socket))
        try:
            return find(edge, socket)
        except zraw.SocketInUse:
            crossed.append(edge)
            raise
        finally:
            monkeypatch.undo()
            threads.append(thread)

    def enter():
        while True:
            try:
                return near.poll(500)
            except zraw.SocketInUse:
                pass

    threads = [threading.Thread(target=enter)]
    monkeypatch.setattr(Edge, "_find_descriptor", find_late)

    async def main():
        threads[0].start()
        wait_until(lambda: is_inside(near))
        handle = aio.Handle(near)
        handle.on_read = lambda _, message: got.append(message)  # may not ask yet
        while not crossed:
            await anyio.sleep(0.001)
        far.send(b"x")
        while not got:
            await anyio.sleep(0.001)

    on_loop(main)
    for thread in threads:
        thread.join()
    assert got == [b"x"]


def test_edge__who_was_not_reached_waits_for_no_timer(on_loop, sock, monkeypatch):
    """Reading takes up a whole turn; what was pushed goes out as fast as it can."""
    near, far = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    far.connect(near.bind("inproc://edge"))
    total, left = 5000, 5000
    timers = []

    def note(edge):
        timers.append(edge)

    monkeypatch.setattr(Edge, "_try_again", note)

    def play():
        nonlocal left
        while far.try_recv():
            left -= 1
        for _ in range(50):
            far.try_send(b"y")

    player = Thread(play)

    async def main():
        handle = aio.Handle(near, on_read=lambda _, __: None)
        for _ in range(total):
            handle.push_write(b"x")
        with running(player):
            await handle.drain()
            while left:
                player.check()
                await anyio.sleep(0.001)
        handle.on_read = None

    on_loop(main)
    assert not timers


def test_edge__full_peers(on_loop):
    aio_full.check(aio_full.run(on_loop.kind, "one peer", 0, 3))


def test_edge__full_peers__two(on_loop):
    aio_full.check(aio_full.run(on_loop.kind, "two peers", 0, 3))


def test_edge__full_xpub(on_loop):
    aio_full.check(aio_full.run(on_loop.kind, "xpub", 0, 3))


def test_edge__full_peers_cost_nothing():
    """All of them on all loops at once, each in its thread: 5 s of waiting."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    cases = list(itertools.product(LOOPS, aio_full.KINDS))

    def measure(loop: str, kind: str) -> None:
        figures[loop, kind] = aio_full.run(loop, kind, 5, 0)

    threads = [threading.Thread(target=measure, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.keys() == set(cases)
    costs = {case: figures[case]["cpu"] for case in cases}
    assert max(costs.values()) < 0.02, costs


@pytest.fixture
def full(sock) -> tuple[zraw.Socket, zraw.Socket]:
    """A ROUTER, and a DEALER that has got 0 and 1, and takes no more."""
    router = sock(zraw.ZMQ_ROUTER, ROUTER_MANDATORY=1, SNDHWM=1)
    dealer = sock(zraw.ZMQ_DEALER, ROUTING_ID=b"d", RCVHWM=1)
    dealer.connect(router.bind("inproc://edge"))
    dealer.send(b"hello")
    assert router.recv_multipart() == [b"d", b"hello"]
    for i in range(2):
        router.send_multipart([b"d", b"%d" % i], zraw.ZMQ_DONTWAIT)
    return router, dealer


def test_edge__pushed_to_a_full_peer(on_loop, full):
    """What is refused while everybody is looked after is no reason to look again."""
    router, dealer = full

    async def main():
        handle = aio.Handle(router)
        for i in range(2, 5):
            handle.push_write([b"d", b"%d" % i])
        await anyio.sleep(0.05)
        for i in range(5):
            assert await anyio.to_thread.run_sync(dealer.recv) == b"%d" % i

    with Complaints():
        on_loop(main)


def test_edge__callables_pushed_to_a_full_peer(on_loop, full):
    """They are asked when any peer can take a message, and keep their order."""
    router, dealer = full

    async def main():
        handle = aio.Handle(router)
        async with anyio.create_task_group() as group:
            group.start_soon(handle.send_multipart, [b"d", b"2"])
            await anyio.wait_all_tasks_blocked()
            for i in range(3, 6):
                handle.push_write(lambda _, i=i: [b"d", b"%d" % i])
            await anyio.sleep(0.05)
            for i in range(6):
                assert await anyio.to_thread.run_sync(dealer.recv) == b"%d" % i

    with Complaints():
        on_loop(main)


def test_edge__reads_leave_writers_their_turn(on_loop, sock):
    """There is always more to read; who waits to send has not to wait for that."""
    near = sock(zraw.ZMQ_PAIR, SNDHWM=5, RCVHWM=0)
    far = sock(zraw.ZMQ_PAIR, RCVHWM=5, SNDHWM=0)
    far.connect(near.bind("inproc://edge"))
    while near.try_send(b"full"):
        pass
    total, room = 50_000, 1_000
    assert far.send_many([b"x"] * total) == total
    read = 0
    taken: list[int] = []  # when so many were read

    def on_read(handle, message):
        nonlocal read
        read += 1
        if read == room:
            while far.try_recv():
                pass

    def ask(handle):
        taken.append(read)
        return b"pushed"

    async def send(handle):
        await handle.send(b"sent")
        taken.append(read)

    async def main():
        handle = aio.Handle(near)
        async with anyio.create_task_group() as group:
            handle.push_write(ask)
            group.start_soon(send, handle)
            await anyio.sleep(0.01)
            handle.on_read = on_read
            while len(taken) < 2 or read < total:
                await anyio.sleep(0.001)
        assert room <= taken[0] <= taken[1] < room + 10_000, taken

    on_loop(main)
