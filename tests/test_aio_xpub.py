"""zraw.aio: XPublish, which counts its subscribers."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
    until,
)
from zraw import aio


@pytest.fixture
def station(ctx):
    """An XPublish, and what makes a subscriber to topics; all to be closed."""
    publisher = aio.XPublish(ctx, bind="inproc://station")
    made = [publisher]

    def subscribe(*topics):
        subscriber = aio.Subscribe(ctx, connect="inproc://station", topics=topics)
        made.append(subscriber)
        return subscriber

    yield publisher, subscribe
    for handle in made:
        handle.close(0)


def test_wait_for_subscribers__waits_for_so_many(on_loop, station):
    async def main():
        publisher, subscribe = station
        async with beside() as start:
            waiting = start(publisher.wait_for_subscribers, 3)
            for _ in range(2):
                subscribe(b"t")
                await settle()
            assert not waiting.ended
            subscribe(b"t")
            assert await waiting.result() is None
        assert publisher.subscriptions == {b"t": 3}
        await publisher.wait_for_subscribers()
        await publisher.wait_for_subscribers(n=2, topic=b"t")

    on_loop(main)


def test_wait_for_subscribers__over_tcp_nothing_is_lost_afterwards(on_loop, ctx):
    async def main():
        async with aio.XPublish(ctx, bind="tcp://127.0.0.1:*") as publisher:
            where = last_endpoint(publisher)
            for _ in range(5):
                async with aio.Subscribe(ctx, connect=where, topics=[b"t"]) as one:
                    await publisher.wait_for_subscribers(1)
                    publisher.publish(b"hello", topic=b"t")
                    assert await one.recv_multipart() == [b"t", b"hello"]
                assert await publisher.recv() == b"\x00t"
                assert publisher.subscriptions == {}

    on_loop(main)


def test_wait_for_subscribers__of_a_topic(on_loop, station):
    async def main():
        publisher, subscribe = station
        async with beside() as start:
            waiting = start(publisher.wait_for_subscribers, 2, bytearray(b"t"))
            subscribe(b"t", b"other")
            subscribe(b"tt")
            subscribe(b"")
            await settle()
            assert not waiting.ended
            subscribe(b"t")
            await waiting.result()
        assert publisher.subscriptions == {b"t": 2, b"other": 1, b"tt": 1, b"": 1}

    on_loop(main)


def test_wait_for_subscribers__who_is_gone_does_not_count(on_loop, station):
    async def main():
        publisher, subscribe = station
        gone = subscribe(b"t")
        await publisher.wait_for_subscribers()
        gone.topics.discard(b"t")
        async with beside() as start:
            waiting = start(publisher.wait_for_subscribers, 2)
            subscribe(b"u")
            await until(lambda: publisher.subscriptions == {b"u": 1})
            await settle()
            assert not waiting.ended
            subscribe(b"u")
            await waiting.result()

    on_loop(main)


def test_wait_for_subscribers__several_at_once(on_loop, station):
    """Each waits for his own number, in whatever order they came."""

    async def main():
        publisher, subscribe = station
        async with beside() as start:
            waiting = {}
            for n in (3, 1, 4, 2, 1):
                waiting.setdefault(n, []).append(
                    start(publisher.wait_for_subscribers, n)
                )
                await settle()
            for have in range(1, 5):
                subscribe(b"t")
                for n, those in waiting.items():
                    for running in those:
                        if n <= have:
                            await running.result()
                        else:
                            assert not running.ended

    on_loop(main)


@pytest.mark.parametrize("ahead", ["recv", "wait_for_subscribers"])
def test_wait_for_subscribers__when_the_one_ahead_is_cancelled(on_loop, station, ahead):
    async def main():
        publisher, subscribe = station
        async with beside() as start:
            first = start(getattr(publisher, ahead))
            await settle()
            waiting = start(publisher.wait_for_subscribers, 2)
            await settle()
            first.cancel()
            await settle()
            assert not waiting.ended
            subscribe(b"t")
            await settle()
            assert not waiting.ended
            subscribe(b"t")
            await waiting.result()

    on_loop(main)


def test_wait_for_subscribers__beside_recv(on_loop, station):
    """recv() gets every subscription that comes while it waits; all are counted."""

    async def main():
        publisher, subscribe = station
        async with beside() as start:
            receiving = start(publisher.recv)
            await settle()
            waiting = start(publisher.wait_for_subscribers, 2)
            await settle()
            subscribe(b"1")
            assert await receiving.result() == b"\x011"
            subscribe(b"2")
            await waiting.result()

    on_loop(main)


def test_wait_for_subscribers__enough_already_while_recv_waits(on_loop, station):
    async def main():
        publisher, subscribe = station
        subscribe(b"t")
        await publisher.wait_for_subscribers()
        async with beside() as start:
            receiving = start(publisher.recv)
            await settle()
            with anyio.fail_after(5):
                await publisher.wait_for_subscribers(1)
            assert not receiving.ended

    on_loop(main)


def test_wait_for_subscribers__on_read_gets_the_subscriptions(on_loop, station):
    async def main():
        publisher, subscribe = station
        got = []
        publisher.on_read = lambda _, message: got.append(message)
        async with beside() as start:
            waiting = start(publisher.wait_for_subscribers, 3)
            await settle()
            subscribe(b"t")
            subscribe(b"u", b"v")
            await waiting.result()
            await until(lambda: len(got) == 3)
        assert sorted(got) == [b"\x01t", b"\x01u", b"\x01v"]

    on_loop(main)


def test_wait_for_subscribers__leaves_other_messages(on_loop, ctx, station):
    async def main():
        publisher, _ = station
        async with aio.XSubscribe(ctx, connect="inproc://station") as other:
            async with beside() as start:
                waiting = start(publisher.wait_for_subscribers, 2)
                await other.send(b"hello")
                await other.subscribe(b"a")
                await other.send_multipart([b"more", b"frames"])
                await other.send(b"")
                await other.subscribe(b"b")
                await waiting.result()
            assert await publisher.recv() == b"hello"
            assert await publisher.recv() == b"more"
            assert await publisher.recv() == b"frames"
            message = zraw.Message()
            assert await publisher.recv_msg(message) is message
            assert message == b""
            await other.subscribe(b"c")
            assert await publisher.recv_multipart() == [b"\x01c"]

    on_loop(main)


def test_wait_for_subscribers__on_read_gets_what_was_left(on_loop, ctx, station):
    async def main():
        publisher, _ = station
        async with aio.XSubscribe(ctx, connect="inproc://station") as other:
            await other.send(b"1")
            await other.send(b"2")
            await other.subscribe(b"a")
            await publisher.wait_for_subscribers()
            got = []
            publisher.push_read(lambda _, message: got.append(("pushed", message)))
            publisher.on_read = lambda _, message: got.append(("on_read", message))
            await until(lambda: len(got) == 2)
            assert got == [("pushed", b"1"), ("on_read", b"2")]

    on_loop(main)


def test_wait_for_subscribers__cancelled(on_loop, station):
    async def main():
        publisher, subscribe = station
        subscribe(b"t")
        with anyio.move_on_after(0.02):
            await publisher.wait_for_subscribers(2)
        assert publisher.subscriptions == {b"t": 1}
        subscribe(b"t")
        await publisher.wait_for_subscribers(2)

    on_loop(main)


def test_wait_for_subscribers__arguments_that_are_wrong(on_loop, station):
    async def main():
        publisher, _ = station
        for n, error in ((0, ValueError), (-1, ValueError), ("1", TypeError)):
            with pytest.raises(error, match=r"wait_for_subscribers\(\): n"):
                await publisher.wait_for_subscribers(n)
        for n in (1.0, True, None):
            with pytest.raises(TypeError, match=r"wait_for_subscribers\(\): n"):
                await publisher.wait_for_subscribers(n)
        for topic in ("t", 7, [b"t"]):
            with pytest.raises(TypeError, match="topic: bytes, not"):
                await publisher.wait_for_subscribers(1, topic)

    on_loop(main)


def test_xpublish__recv_many(on_loop, station):
    async def main():
        publisher, subscribe = station
        for number in range(5):
            subscribe(b"%d" % number)
        for wrong, error in ((0, ValueError), (-1, ValueError), ("1", TypeError)):
            with pytest.raises(error, match=r"recv_many\(\): max_messages"):
                await publisher.recv_many(wrong)
        assert await publisher.recv_many(2) == [b"\x010", b"\x011"]
        assert await publisher.recv_many(1, multipart=True) == [[b"\x012"]]
        (message,) = await publisher.recv_many(1, copy=False)
        assert isinstance(message, zraw.Message)
        assert message == b"\x013"
        assert await publisher.recv_many() == [b"\x014"]
        assert publisher.subscriptions.total() == 5

    on_loop(main)


def test_xpublish__recv_msg_with_views_alive_takes_nothing(on_loop, station):
    async def main():
        publisher, subscribe = station
        subscribe(b"t")
        message = zraw.Message(b"old")
        with message.data(), pytest.raises(BufferError):
            await publisher.recv_msg(message)
        assert await publisher.recv() == b"\x01t"

    on_loop(main)


def test_subscriptions__is_a_copy(on_loop, station):
    async def main():
        publisher, subscribe = station
        assert publisher.subscriptions == {}
        subscribe(b"t")
        await publisher.wait_for_subscribers()
        publisher.subscriptions.clear()
        publisher.subscriptions[b"u"] = 7
        assert publisher.subscriptions == {b"t": 1}

    on_loop(main)


def test_xpublish__iteration_and_errors(on_loop, station):
    async def main():
        publisher, subscribe = station
        publisher.on_error = errors = Errors()
        got = []

        async def collect():
            async for message in publisher:
                got.append(message)

        async with beside() as start:
            collecting = start(collect)
            await settle()
            subscribe(b"a")
            subscribe(b"b")
            await until(lambda: len(got) == 2)
            publisher.close()
            await collecting.result()
        assert got == [b"\x01a", b"\x01b"]
        assert not errors.all

    on_loop(main)
