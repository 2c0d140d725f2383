"""zraw.aio: what keeps handles alive, and what is left when they are gone."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref

import anyio
import pytest

import zraw
from aio_tools import (
    beside,
    full,
    handles,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
    until,
)
from zraw import aio

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc"
)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def settled_descriptors(most):
    """Wait until there are no more than so many descriptors; libzmq closes later."""
    gc.collect()
    await until(lambda: descriptors() <= most)


@pytest.fixture
def quiet():
    """Sockets that are dropped unclosed are meant to be."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


# ---- who is gone


@pytest.mark.parametrize(
    "way", ["recv", "on_read", "on_read cleared", "push_read", "io"]
)
def test_handle__that_is_collected_leaves_the_loop(on_loop, ctx, quiet, way):
    async def main():
        async def turn():
            handle = aio.Handle(ctx.socket(zraw.ZMQ_PULL))
            if way.startswith("on_read"):
                handle.on_read = print
                await settle(2)
                if way != "on_read":
                    handle.on_read = None
            elif way == "io":
                aio.io(handle.socket, zraw.ZMQ_POLLIN, print).cancel()
            elif way == "push_read":
                handle.push_read(print)
                handle.close()
            else:
                with anyio.move_on_after(0):
                    await handle.recv()
                async with beside() as start:
                    start(handle.recv)
                    await settle(2)
            return weakref.ref(handle)

        for _ in range(3):
            await turn()
        gc.collect()
        await settle()
        before = descriptors()
        dead = [await turn() for _ in range(30)]
        await settle()
        await settled_descriptors(before)
        assert [ref() for ref in dead] == [None] * 30

    on_loop(main)


def test_handle__dropped_while_on_read_is_set_leaves_the_socket(on_loop, pair):
    """Who drops the handle has ended it; the socket is its maker's."""

    async def main():
        sender, receiver = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
        got = []
        handle = aio.Handle(receiver, on_read=lambda *args: got.append(args[1]))
        sender.send(b"1")
        await until(lambda: got == [b"1"])
        gone = weakref.ref(handle)
        del handle
        gc.collect()
        assert gone() is None
        sender.send(b"2")
        await settle()
        assert got == [b"1"]
        assert receiver.recv() == b"2"
        sender.send(b"3")
        assert await aio.Handle(receiver).recv() == b"3"

    on_loop(main)


def test_handle__on_read_of_itself_is_no_leak(on_loop, ctx, quiet):
    async def main():
        class Service:
            def __init__(self):
                self.handle = aio.Pull(ctx, on_read=self.read)

            def read(self, handle, message):
                raise AssertionError

        services = [Service() for _ in range(10)]
        dead = [weakref.ref(service) for service in services]
        await settle()
        services.clear()
        gc.collect()
        assert [ref() for ref in dead] == [None] * 10
        await settle()

    on_loop(main)


@pytest.mark.parametrize("times", [1000])
def test_handle__opened_and_closed_a_thousand_times(on_loop, ctx, times):
    async def main():
        before = None
        for number in range(times):
            handle = aio.Pull(ctx, on_read=print)
            if number % 3 == 0:
                await settle(1)
            handle.close()
            if number == 20:
                await settle()
                gc.collect()
                await anyio.sleep(0.05)
                before = descriptors()
            if number % 100 == 0:
                await settle()
        await settle()
        await settled_descriptors(before + 5)

    on_loop(main, 60)


# ---- who stays


@pytest.mark.parametrize("way", ["recv", "push_write", "push_read", "drain"])
def test_handle__that_is_waited_for_stays(on_loop, pair, way):
    async def main():
        pusher, puller, room = full(pair)
        got = []
        async with beside() as start:
            if way in ("recv", "push_read"):
                room()
                handle = aio.Handle(puller.socket)
                sender = pusher.socket
                if way == "recv":
                    running = start(handle.recv)
                else:
                    handle.push_read(lambda *args: got.append(args[1]))
                await settle()
                del handle
                gc.collect()
                sender.send(b"x")
                if way == "recv":
                    got.append(await running.result())
                await until(lambda: got == [b"x"])
            else:
                handle = aio.Handle(pusher.socket)
                handle.push_write(b"last")
                if way == "drain":
                    running = start(handle.drain)
                await settle()
                del handle
                gc.collect()
                room()
                assert await puller.recv() == b"last"
                if way == "drain":
                    await running.result()

    on_loop(main)


# ---- several on one socket


def test_socket__with_two_handles(on_loop, pair):
    async def main():
        near, far = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
        one, other = aio.Handle(near), aio.Handle(near)
        peer = aio.Handle(far)
        async with beside() as start:
            first = start(one.recv)
            await settle()
            second = start(other.recv)
            await settle()
            third = start(one.recv_multipart)
            await settle()
            for data in (b"1", b"2", b"3"):
                await peer.send(data)
            assert await first.result() == b"1"
            assert await second.result() == b"2"
            assert await third.result() == [b"3"]
            waiting = start(other.recv)
            await settle()
            one.close()
            with pytest.raises(zraw.NotASocket):
                await waiting.result()
        assert other.closed

    on_loop(main)


def test_socket__with_two_handles_the_last_on_read_counts(on_loop, pair):
    async def main():
        near, far = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
        one, other = aio.Handle(near), aio.Handle(near)
        got = []
        one.on_read = lambda _, message: got.append(("one", message))
        other.on_read = lambda _, message: got.append(("other", message))
        far.send(b"1")
        await until(lambda: len(got) == 1)
        assert got == [("other", b"1")]
        other.on_read = None
        one.on_read = one.on_read
        far.send(b"2")
        await until(lambda: len(got) == 2)
        assert got[1] == ("one", b"2")

    on_loop(main)


def test_socket__with_two_handles_each_drains_its_own(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        other = aio.Handle(pusher.socket)
        pusher.push_write(b"1")
        other.push_write(b"2")
        pusher.push_write(b"3")
        async with beside() as start:
            draining = start(pusher.drain), start(other.drain)
            room()
            assert [await puller.recv() for _ in range(3)] == [b"1", b"2", b"3"]
            for running in draining:
                await running.result()

    on_loop(main)


def test_socket__with_a_handle_and_io(on_loop, pair):
    async def main():
        near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
        seen = []
        watcher = aio.io(near.socket, zraw.ZMQ_POLLIN, lambda *args: seen.append(args))
        async with beside() as start:
            for number in range(20):
                waiting = start(near.recv)
                await settle(3)
                await far.send(b"%d" % number)
                assert await waiting.result() == b"%d" % number
            watcher.cancel()
            await settle()
            seen.clear()
            await far.send(b"last")
            assert await near.recv() == b"last"
        assert seen == []

    on_loop(main)


# ---- the collector


def test_handle__collected_in_another_thread(on_loop, ctx, quiet):
    async def main():
        heap = []
        for _ in range(30):
            handle = aio.Handle(ctx.socket(zraw.ZMQ_PULL), on_read=print)
            handle.cycle = handle
            heap.append(weakref.ref(handle))
            await settle(1)
        del handle
        await anyio.to_thread.run_sync(gc.collect)
        await settle()
        assert [ref() for ref in heap] == [None] * 30
        async with (
            aio.Push(ctx, bind="tcp://127.0.0.1:*") as push,
            aio.Pull(ctx, connect=last_endpoint(push)) as pull,
        ):
            await push.send(b"x")
            assert await pull.recv() == b"x"

    on_loop(main)


def test_handle__collected_at_any_moment(on_loop, pair):
    """A collector that always runs, in this thread and in another one."""

    async def main():
        near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, "ipc")
        stop = threading.Event()
        problems = []
        before, sys.unraisablehook = sys.unraisablehook, problems.append

        def collect():
            while not stop.wait(0.001):
                gc.collect(0)

        thread = threading.Thread(target=collect)
        thread.start()
        limits = gc.get_threshold()
        gc.set_threshold(20)
        try:
            for number in range(100):
                one, other = aio.Handle(near.socket), aio.Handle(near.socket)
                one.cycle, other.cycle = other, one
                one.on_read = print
                one.on_read = None
                async with beside() as start:
                    waiting = start(other.recv)
                    await settle(3)
                    del one, other
                    far.push_write(b"%d" % number)
                    assert await waiting.result() == b"%d" % number
        finally:
            gc.set_threshold(*limits)
            stop.set()
            thread.join()
            sys.unraisablehook = before
        assert not problems

    on_loop(main)


def test_handle__dropped_after_its_loop(ctx, on_loop, quiet):
    kept = []

    async def main():
        kept.append(aio.Handle(ctx.socket(zraw.ZMQ_PULL), on_read=print))
        kept.append(aio.Pull(ctx, bind="inproc://x", on_read=print))
        await settle()

    on_loop(main)
    kept.clear()
    gc.collect()
    on_loop(main)
    for handle in kept:
        handle.close()
