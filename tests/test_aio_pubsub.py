"""zraw.aio: Publish and Subscribe."""

from __future__ import annotations

from collections.abc import MutableSet

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    until,
)
from zraw import aio


@pytest.fixture
def station(ctx):
    """An XPublish and a Subscribe of it; both to be closed."""
    made = []

    def make(endpoint="inproc://station", **arguments):
        publisher = aio.XPublish(ctx, bind=endpoint)
        made.append(publisher)
        subscriber = aio.Subscribe(ctx, connect=last_endpoint(publisher), **arguments)
        made.append(subscriber)
        return publisher, subscriber

    yield make
    for handle in made:
        handle.close(0)


# ---- publish


@pytest.mark.parametrize("cls", [aio.Publish, aio.XPublish])
def test_publish__data_and_topic(on_loop, ctx, cls):
    async def main():
        async with (
            cls(ctx, bind="inproc://x") as publisher,
            aio.Subscribe(ctx, connect="inproc://x", topics=[b""]) as subscriber,
        ):
            for arguments, frames in (
                ((b"x",), [b"x"]),
                ((bytearray(b"x"),), [b"x"]),
                ((zraw.Message(b"x"),), [b"x"]),
                (([b"a", memoryview(b"b")],), [b"a", b"b"]),
                ((b"x", b"topic"), [b"topic", b"x"]),
                ((b"x", bytearray(b"")), [b"", b"x"]),
                (([b"a", b"b"], b"topic"), [b"topic", b"a", b"b"]),
                (((b"a", b"b"), memoryview(b"topic")), [b"topic", b"a", b"b"]),
                ((zraw.Message(b"x"), b"topic"), [b"topic", b"x"]),
            ):
                assert publisher.publish(*arguments) is None
                assert await subscriber.recv_multipart() == frames
            publisher.publish(data=b"x", topic=b"topic")
            assert await subscriber.recv_multipart() == [b"topic", b"x"]

    on_loop(main)


@pytest.mark.parametrize("cls", [aio.Publish, aio.XPublish])
def test_publish__what_cannot_be_sent(on_loop, ctx, cls):
    async def main():
        errors = Errors()
        async with cls(ctx, bind="inproc://x", on_error=errors) as publisher:
            for arguments, error in (
                (("text",), TypeError),
                ((7,), TypeError),
                ((None,), TypeError),
                (([],), ValueError),
                ((lambda _: b"x",), TypeError),
                ((b"x", "topic"), TypeError),
                ((b"x", 7), TypeError),
                ((b"x", [b"topic"]), TypeError),
                (([[b"x"]], b"topic"), TypeError),
            ):
                with pytest.raises(error, match=r"publish\(\)"):
                    publisher.publish(*arguments)
        with pytest.raises(zraw.NotASocket):
            publisher.publish(b"x")
        assert not errors.all

    on_loop(main)


def test_publish__needs_no_loop(ctx):
    publisher = aio.Publish(ctx, bind="inproc://x")
    publisher.publish(b"x", topic=b"nobody listens")
    publisher.close()


def test_publish__in_order_to_many(on_loop, ctx):
    async def main():
        async with aio.XPublish(ctx, bind="tcp://127.0.0.1:*") as publisher:
            where = last_endpoint(publisher)
            got = [[], [], []]
            subscribers = [
                aio.Subscribe(
                    ctx,
                    connect=where,
                    topics=[b"t"],
                    on_read=lambda _, message, mine=mine: mine.append(message),
                )
                for mine in got
            ]
            await publisher.wait_for_subscribers(3)
            for number in range(500):
                publisher.publish(b"%d" % number, topic=b"t")
                publisher.publish(b"unheard", topic=b"other")
            await until(lambda: all(len(mine) == 500 for mine in got))
            assert got == [[[b"t", number] for number in numbers(500)]] * 3
            for subscriber in subscribers:
                subscriber.close()

    on_loop(main)


# ---- topics


def test_topics__is_a_set_of_bytes(ctx):
    subscriber = aio.Subscribe(ctx, topics=[b"b", bytearray(b"a"), b"b"])
    topics = subscriber.topics
    assert isinstance(topics, MutableSet)
    assert topics == {b"a", b"b"}
    assert set(topics) == {b"a", b"b"}
    assert len(topics) == 2
    assert b"a" in topics
    assert b"c" not in topics
    assert "a" not in topics
    assert repr(topics) == "Topics([b'a', b'b'])"
    for result, expected in (
        (topics | {b"c"}, {b"a", b"b", b"c"}),
        ({b"c"} | topics, {b"a", b"b", b"c"}),
        (topics & {b"a", b"z"}, {b"a"}),
        (topics - {b"a"}, {b"b"}),
        ({b"a", b"z"} - topics, {b"z"}),
        (topics ^ {b"a", b"z"}, {b"b", b"z"}),
    ):
        assert result == expected
    assert topics == {b"a", b"b"}
    assert topics <= {b"a", b"b"} < {b"a", b"b", b"c"}
    assert topics.isdisjoint({b"c"})
    subscriber.close()


def changes():
    """Ways to go from the topics b"a" and b"b" to other ones."""

    def assign(subscriber):
        subscriber.topics = [b"b", memoryview(b"c")]

    def union(subscriber):
        subscriber.topics |= {b"c", b"d"}

    def intersection(subscriber):
        subscriber.topics &= {b"b", b"z"}

    def difference(subscriber):
        subscriber.topics -= {b"b", b"z"}

    def symmetric(subscriber):
        subscriber.topics ^= [b"b", b"q"]

    def to_itself(subscriber):
        subscriber.topics = subscriber.topics

    def nothing_left(subscriber):
        subscriber.topics = ()

    return [
        (assign, {b"b", b"c"}),
        (union, {b"a", b"b", b"c", b"d"}),
        (intersection, {b"b"}),
        (difference, {b"a"}),
        (symmetric, {b"a", b"q"}),
        (to_itself, {b"a", b"b"}),
        (nothing_left, set()),
        (lambda one: one.topics.add(b"c"), {b"a", b"b", b"c"}),
        (lambda one: one.topics.add(b"a"), {b"a", b"b"}),
        (lambda one: one.topics.discard(b"a"), {b"b"}),
        (lambda one: one.topics.discard(b"z"), {b"a", b"b"}),
        (lambda one: one.topics.remove(b"a"), {b"b"}),
        (lambda one: one.topics.clear(), set()),
        (lambda one: [one.topics.pop(), one.topics.pop()], set()),
    ]


def test_topics__a_change_counts_at_once(on_loop, station):
    """What the publisher hears of, one by one, is what libzmq believes."""

    async def main():
        for number, (change, expected) in enumerate(changes()):
            await check(f"inproc://{number}", change, expected)

    async def check(endpoint, change, expected):
        publisher, subscriber = station(endpoint, topics=[b"a", b"b"])
        change(subscriber)
        assert subscriber.topics == expected
        subscriber.topics.add(b"end")
        subscribed = set()
        while b"end" not in subscribed:
            message = await publisher.recv()
            if message[:1] == b"\x01":
                assert message[1:] not in subscribed
                subscribed.add(message[1:])
            else:
                subscribed.remove(message[1:])
        assert subscribed == {*expected, b"end"}
        assert set(publisher.subscriptions) == subscribed

    on_loop(main)


def test_topics__prefixes_and_everything(on_loop, station):
    async def main():
        publisher, subscriber = station(topics=[b"CATS"])
        await publisher.wait_for_subscribers()
        for topic in (b"CAT", b"CATS", b"CATS.LOL", b"DOGS", b"xCATS"):
            publisher.publish(b"", topic=topic)
        got = [await subscriber.recv_multipart() for _ in range(2)]
        assert got == [[b"CATS", b""], [b"CATS.LOL", b""]]
        subscriber.topics = [b""]
        await publisher.wait_for_subscribers(topic=b"")
        publisher.publish(b"DOGS")
        assert await subscriber.recv() == b"DOGS"

    on_loop(main)


@pytest.mark.parametrize("wrong", [b"one", bytearray(b"one"), "text", ["text"], [7], 7])
def test_topics__that_are_none(ctx, wrong):
    subscriber = aio.Subscribe(ctx, topics=[b"a"])
    with pytest.raises(TypeError):
        subscriber.topics = wrong
    assert subscriber.topics == {b"a"}
    subscriber.close()


def test_topics__of_which_one_is_wrong(ctx):
    subscriber = aio.Subscribe(ctx, topics=[b"a"])
    for call in (subscriber.topics.add, subscriber.topics.discard):
        for wrong in ("a", 7, None, [b"a"]):
            with pytest.raises(TypeError, match="topic: bytes, not"):
                call(wrong)
    with pytest.raises(KeyError):
        subscriber.topics.remove(b"z")
    assert subscriber.topics == {b"a"}
    subscriber.close()


def test_topics__of_a_closed_handle(ctx):
    subscriber = aio.Subscribe(ctx, topics=[b"a"])
    subscriber.close()
    with pytest.raises(zraw.NotASocket):
        subscriber.topics.add(b"b")
    with pytest.raises(zraw.NotASocket):
        subscriber.topics.discard(b"a")
    assert subscriber.topics == {b"a"}


def test_topics__changed_while_messages_come(on_loop, station):
    async def main():
        publisher, subscriber = station("tcp://127.0.0.1:*")
        got = []
        subscriber.on_read = lambda _, message: got.append(message)
        for number in range(20):
            subscriber.topics = [b"%d." % number]
            await publisher.wait_for_subscribers(topic=b"%d." % number)
            publisher.publish(b"%d." % number)
            await until(lambda number=number: len(got) == number + 1)
        assert got == [b"%d." % number for number in range(20)]

    on_loop(main)


# ---- XSubscribe


def test_xsubscribe__subscriptions_are_messages(on_loop, ctx):
    async def main():
        async with (
            aio.XPublish(ctx, bind="inproc://x") as publisher,
            aio.XSubscribe(ctx, connect="inproc://x") as subscriber,
        ):
            assert await subscriber.subscribe(b"a") is None
            await subscriber.subscribe(bytearray(b""))
            assert await publisher.recv_many(1) == [b"\x01a"]
            assert await publisher.recv() == b"\x01"
            publisher.publish(b"hello", topic=b"b")
            assert await subscriber.recv_multipart() == [b"b", b"hello"]
            await subscriber.unsubscribe(memoryview(b""))
            assert await publisher.recv() == b"\x00"
            publisher.publish(b"unheard", topic=b"b")
            publisher.publish(b"heard", topic=b"a")
            assert await subscriber.recv_multipart() == [b"a", b"heard"]
            for wrong in ("a", 7, None, [b"a"]):
                for call in (subscriber.subscribe, subscriber.unsubscribe):
                    with pytest.raises(TypeError, match="topic: bytes, not"):
                        await call(wrong)

    on_loop(main)


def test_subscribe__has_no_send_and_publish_no_recv(on_loop, ctx):
    async def main():
        publisher, subscriber = aio.Publish(ctx), aio.Subscribe(ctx)
        for handle, names in (
            (publisher, ("recv", "recv_multipart", "on_read", "push_read")),
            (subscriber, ("send", "publish", "push_write", "drain", "subscribe")),
        ):
            for name in names:
                assert not hasattr(handle, name)
            handle.close()
        with pytest.raises(TypeError):
            async for _ in publisher:
                pass
        await anyio.lowlevel.checkpoint()

    on_loop(main)
