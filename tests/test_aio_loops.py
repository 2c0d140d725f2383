"""zraw.aio: one loop after another, another loop, and none."""

from __future__ import annotations

import asyncio
import gc
import sys

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    fill,
    flow,
    full,
    handles,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    settle,
    until,
)
from loops import FACTORIES, run_on
from zraw import aio

# ---- the next run


def test_run__one_after_another_with_the_same_handles(on_loop, pair):
    near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, "tcp")
    got = []

    for run in range(3):

        async def main(run=run):
            async with beside() as start:
                receiving = start(far.recv)
                await settle()
                await near.send(b"%d" % run)
                assert await receiving.result() == b"%d" % run
                # Left behind when the run ends.
                start(far.recv)
                start(far.recv_multipart)
                await settle()
            far.on_read = lambda _, message, run=run: got.append((run, message))
            near.push_write(b"to on_read %d" % run)
            await until(lambda: len(got) == run + 1)
            far.on_read = None

        on_loop(main)
        # And between the runs, by who has no loop.
        near.socket.send(b"sync")
        assert far.socket.recv() == b"sync"
    assert got == [(run, b"to on_read %d" % run) for run in range(3)]


@pytest.mark.parametrize("before", ["epoll", "uvloop", "thread", "trio"])
def test_run__on_a_loop_of_another_kind(on_loop, pair, before):
    near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)

    async def main():
        async with beside() as start:
            receiving = start(far.recv)
            await settle()
            near.push_write(b"x")
            assert await receiving.result() == b"x"

    run_on(before, main, 10)
    on_loop(main)
    run_on(before, main, 10)


def test_run__on_read_goes_on_in_the_next_one(on_loop, pair):
    """As soon as the handle is used there: then it knows of the loop."""
    sender, handle = flow(pair)
    got = []

    async def first():
        handle.on_read = lambda _, message: got.append(message)
        sender.send(b"1")
        await until(lambda: got == [b"1"])

    async def second():
        sender.send(b"2")
        await settle()
        handle.on_read = handle.on_read
        await until(lambda: got == [b"1", b"2"])
        sender.send(b"3")
        await until(lambda: got == [b"1", b"2", b"3"])

    on_loop(first)
    on_loop(second)
    handle.on_read = None


def test_run__what_was_pushed_goes_out_in_the_next_one(on_loop, pair):
    pusher, puller, room = full(pair)
    drained = []
    pusher.on_drain = drained.append

    async def first():
        for number in range(5):
            pusher.push_write(b"%d" % number)
        pusher.push_write(lambda _: b"5")
        await settle()

    async def second():
        async with beside() as start:
            draining = start(pusher.drain)
            room()
            received = [await puller.recv() for _ in range(6)]
            await draining.result()
        assert received == numbers(6)
        assert drained == [pusher]

    on_loop(first)
    assert drained == []
    on_loop(second)


def test_run__room_was_made_between_the_runs(on_loop, pair):
    pusher, puller, room = full(pair)

    async def first():
        pusher.push_write(b"1")
        await settle()

    async def second():
        await pusher.drain()
        assert await puller.recv() == b"1"

    on_loop(first)
    room()
    on_loop(second)


def test_run__task_of_a_closed_loop_is_collected_later(ctx, pair):
    sender, handle = flow(pair)
    loop = asyncio.new_event_loop()
    receiving = loop.create_task(handle.recv())
    other = aio.Push(ctx, bind="inproc://nobody")
    sending = loop.create_task(other.send(b"x"))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def main():
        sender.send(b"1")
        assert await handle.recv() == b"1"

    asyncio.run(main())
    for task in (receiving, sending):
        task._log_destroy_pending = False
    problems = []
    before, sys.unraisablehook = sys.unraisablehook, problems.append
    try:
        del receiving, sending, task
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert not problems
    asyncio.run(main())
    other.close()


# ---- beside the loop


def test_socket__used_directly_while_tasks_wait(on_loop, pair):
    """What others take is not theirs; and no news is lost."""

    async def main():
        sender, handle = flow(pair)
        async with beside() as start:
            waiting = start(handle.recv)
            await settle()
            for number in range(50):
                sender.send(b"%d" % number)
                if number < 49:
                    assert handle.socket.recv() == b"%d" % number
                    await settle(number % 3)
            assert await waiting.result() == b"49"

    on_loop(main)


def test_socket__used_by_another_thread_while_tasks_wait(on_loop, pair):
    async def main():
        near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, "tcp")

        def meddle():
            for _ in range(200):
                near.socket.getsockopt(zraw.ZMQ_EVENTS)
                near.socket.poll(0)

        async def read():
            received = []
            while len(received) < 200:
                try:
                    received.append(await near.recv())
                except zraw.SocketInUse:  # the other thread is inside
                    await anyio.sleep(0)
            return received

        async with beside() as start:
            meddling = start(anyio.to_thread.run_sync, meddle)
            reading = start(read)
            for number in range(200):
                far.push_write(b"%d" % number)
                await settle(1)
            assert await reading.result() == numbers(200)
            await meddling.result()

    on_loop(main)


# ---- another loop, and none


def test_loop__another_that_runs_is_refused_where_it_waits(on_loop, pair, sock):
    async def main():
        sender, handle = flow(pair)
        # Not tcp: room could be made later.
        push, pull = sock(zraw.ZMQ_PUSH, SNDHWM=1), sock(zraw.ZMQ_PULL, RCVHWM=1)
        pull.connect(push.bind("inproc://full"))
        pusher, puller = aio.Handle(push), aio.Handle(pull)
        fill(push)
        async with beside() as start:
            waiting = start(handle.recv)
            await settle()

            async def other():
                for call in (
                    handle.recv,
                    handle.recv_multipart,
                    handle.recv_msg,
                    handle.recv_many,
                    lambda: pusher.send(b"x"),
                    lambda: pusher.send_multipart([b"x"]),
                ):
                    with pytest.raises(RuntimeError, match="event loop of its first"):
                        await call()
                for call in (
                    lambda: handle.push_read(print),
                    lambda: setattr(handle, "on_read", print),
                    lambda: pusher.push_write(b"x"),
                    lambda: pusher.push_write(lambda _: b"x"),
                    lambda: aio.io(handle.socket, zraw.ZMQ_POLLIN, print),
                ):
                    with pytest.raises(RuntimeError, match="event loop of its first"):
                        call()
                return True

            pusher.push_write(b"here")
            assert await anyio.to_thread.run_sync(anyio.run, other)
            assert handle.on_read is None
            sender.send(b"x")
            assert await waiting.result() == b"x"
            # Nothing of what was refused is left.
            while aio.probe(puller.socket, zraw.ZMQ_POLLIN):
                puller.socket.recv()
                await settle()

    on_loop(main)


def test_loop__another_that_runs_gets_at_most_what_needs_no_waiting(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        sender.send(b"0")
        assert await handle.recv() == b"0"
        sender.send_many(numbers(3))

        async def other():
            return [await handle.recv() for _ in range(3)]

        if on_loop.kind == "trio":  # where every call looks at the loop
            with pytest.raises(RuntimeError, match="another one than runs now"):
                await anyio.to_thread.run_sync(anyio.run, other)
        else:
            assert await anyio.to_thread.run_sync(anyio.run, other) == numbers(3)

    on_loop(main)


def test_loop__none_is_needed_for_what_needs_no_waiting(ctx):
    push = aio.Push(ctx, bind="tcp://127.0.0.1:*", on_drain=print, on_error=print)
    pull = aio.Pull(ctx, connect=last_endpoint(push))
    assert push.socket.poll(5000, zraw.ZMQ_POLLOUT)
    push.push_write(b"x")
    push.push_write([b"a", b"b"])
    assert pull.socket.poll(5000)
    assert aio.probe(pull.socket, zraw.ZMQ_POLLIN)
    assert pull.socket.recv_many(1) == [b"x"]
    pull.on_read = None
    push.close()
    pull.close()


def test_loop__none_where_one_is_needed(ctx):
    push = aio.Push(ctx, bind="tcp://127.0.0.1:*", on_error=Errors())
    pull = aio.Pull(ctx, bind="tcp://127.0.0.1:*")
    for call in (
        lambda: push.push_write(b"no peer"),
        lambda: push.push_write(lambda _: b"x"),
        lambda: pull.push_read(print),
        lambda: setattr(pull, "on_read", print),
        lambda: aio.io(pull.socket, zraw.ZMQ_POLLIN, print),
        lambda: aio.Pull(ctx, on_read=print),
        lambda: aio.Reply(ctx, on_request=print),
    ):
        with pytest.raises(RuntimeError, match=r"no (running )?event loop"):
            call()
    assert pull.on_read is None
    assert set(ctx.sockets) == {push.socket, pull.socket}
    coroutine = pull.recv()
    with pytest.raises(RuntimeError, match=r"no (running )?event loop"):
        coroutine.send(None)
    pull.close()
    push.close()
    assert not push.on_error.all


def test_loop__made_before_it_runs(on_loop, pair):
    near, far = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    near.push_write(b"before")

    async def main():
        assert await far.recv() == b"before"

    on_loop(main)


@pytest.mark.parametrize("kind", FACTORIES)
def test_run__on_loops_that_are_only_closed(pair, kind):
    """Nobody has cancelled what ran on the one before, as asyncio.run() does."""
    sender, handle = flow(pair)
    for number in range(5):

        async def main(number=number):
            async with beside() as start:
                waiting = start(handle.recv)
                await settle(2)
                sender.send(b"%d" % number)
                assert await waiting.result(2) == b"%d" % number

        loop = FACTORIES[kind]()
        loop.run_until_complete(main())
        loop.close()
