"""zraw.aio: push_write."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Boom,
    Errors,
    beside,
    fill,
    full,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    reported,
    settle,
    until,
)
from zraw import aio

SMALL = {"SNDHWM": 1, "RCVHWM": 1}


# ---- data


DATA = [
    (b"data", [b"data"]),
    (b"", [b""]),
    (bytearray(b"data"), [b"data"]),
    (memoryview(b"data"), [b"data"]),
    ([b"a", bytearray(b""), memoryview(b"c")], [b"a", b"", b"c"]),
    ((b"a", b"b"), [b"a", b"b"]),
    ([b"alone"], [b"alone"]),
]


@pytest.mark.parametrize("when", ["now", "later", "asked"])
def test_push_write__data_of_each_kind(on_loop, pair, when):
    async def main():
        pusher, puller, room = full(pair)
        if when == "now":
            room()
        for given, _ in DATA:
            data = (lambda _, given=given: given) if when == "asked" else given
            assert pusher.push_write(data) is None
            if when == "now":
                await settle()
        if when != "now":
            room()
        for _, expected in DATA:
            assert await puller.recv_multipart() == expected
        await pusher.drain()

    on_loop(main)


@pytest.mark.parametrize("when", ["now", "later", "asked"])
def test_push_write__message_is_emptied_when_it_is_sent(on_loop, pair, when):
    async def main():
        pusher, puller, room = full(pair)
        single, part = zraw.Message(b"single"), zraw.Message(b"part")
        if when == "now":
            room()
        if when == "asked":
            pusher.push_write(lambda _: single)
            pusher.push_write(lambda _: [b"a", part])
        else:
            pusher.push_write(single)
            pusher.push_write([b"a", part])
        if when != "now":
            await settle()
            assert (single, part) == (b"single", b"part")
            room()
        assert await puller.recv() == b"single"
        assert await puller.recv_multipart() == [b"a", b"part"]
        await pusher.drain()
        assert (len(single), len(part)) == (0, 0)

    on_loop(main)


def test_push_write__what_is_changed_afterwards_counts_not(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        array, part = bytearray(b"array"), bytearray(b"part")
        parts = [b"a", part]
        pusher.push_write(array)
        pusher.push_write(memoryview(array)[1:3])
        pusher.push_write(parts)
        array[:] = b"*" * 100
        part.clear()
        parts.clear()
        room()
        assert await puller.recv() == b"array"
        assert await puller.recv() == b"rr"
        assert await puller.recv_multipart() == [b"a", b"part"]

    on_loop(main)


WRONG = [
    ("text", TypeError, "str: encode it"),
    (7, TypeError, "int"),
    (None, TypeError, "NoneType"),
    ([[b"a"]], TypeError, "list"),
    ([b"a", (b"b",)], TypeError, "tuple"),
    ([b"a", "b"], TypeError, "str: encode it"),
    ([], ValueError, "at least one frame"),
    ((), ValueError, "at least one frame"),
]


@pytest.mark.parametrize("when", ["now", "later"])
def test_push_write__what_cannot_be_sent(on_loop, pair, when):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)
        if when == "now":
            room()
        for data, error, text in WRONG:
            with pytest.raises(error, match=text) as caught:
                pusher.push_write(data)
            assert "push_write()" in str(caught.value)
        if when == "later":
            room()
        pusher.push_write(b"good")
        assert await puller.recv_multipart() == [b"good"]
        assert not errors.all

    on_loop(main)


@pytest.mark.parametrize("when", ["now", "later"])
def test_push_write__the_same_message_twice(on_loop, pair, when):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)
        if when == "now":
            room()
        message = zraw.Message(b"body")
        with pytest.raises(ValueError, match="the same Message twice"):
            pusher.push_write([message, b"between", message])
        assert message == b"body"
        if when == "later":
            room()
        pusher.push_write([message, b"rest"])
        assert await puller.recv_multipart() == [b"body", b"rest"]
        assert not errors.all

    on_loop(main)


def test_push_write__message_with_views_alive_is_told_to_on_error(on_loop, pair):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)
        message = zraw.Message(b"body")
        with message.data():
            pusher.push_write(message)
            pusher.push_write(b"next")
            room()
            assert await puller.recv() == b"next"
        await pusher.drain()
        assert errors.types == [BufferError]
        assert message == b"body"

    on_loop(main)


def test_push_write__closed(on_loop, pair):
    async def main():
        pusher, _, _ = full(pair)
        pusher.close()
        for data in (b"x", [b"x", b"y"], lambda _: b"x"):
            with pytest.raises(zraw.NotASocket):
                pusher.push_write(data)

    on_loop(main)


def test_push_write__type_that_cannot_send(on_loop, sock):
    async def main():
        handle = aio.Handle(sock(zraw.ZMQ_PULL), on_error=Errors())
        handle.push_write(b"x")
        assert handle.on_error.types == [zraw.NotSupported]

    on_loop(main)


# ---- callables


def test_push_write__callable_is_asked_when_it_can_be_sent(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        asked = []

        def ask(handle):
            asked.append(handle)
            return b"fresh"

        pusher.push_write(ask)
        await settle()
        await anyio.sleep(0.02)
        assert asked == []
        room()
        assert await puller.recv() == b"fresh"
        assert asked == [pusher]

    on_loop(main)


def test_push_write__callable_is_not_asked_within_the_call(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        room()
        asked = []
        pusher.push_write(asked.append)
        assert asked == []
        await pusher.drain()
        assert asked == [pusher]
        assert puller.socket.try_recv() is None

    on_loop(main)


def test_push_write__callable_that_has_nothing(on_loop, pair):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)
        pusher.push_write(lambda _: None)
        pusher.push_write(b"next")
        pusher.push_write(lambda _: None)
        room()
        assert await puller.recv() == b"next"
        await pusher.drain()
        assert puller.socket.try_recv() is None
        assert not errors.all

    on_loop(main)


def test_push_write__callable_without_an_answer(on_loop, pair):
    async def main():
        errors = Errors()
        pusher, puller, room = full(pair, on_error=errors)

        def raising(_):
            raise Boom

        async def ask_later(_):
            raise AssertionError("never awaited, and nobody is warned of it")

        for wrong in ("text", 7, [], [[b"x"]]):
            pusher.push_write(lambda _, wrong=wrong: wrong)
        pusher.push_write(raising)
        pusher.push_write(ask_later)
        pusher.push_write(b"next")
        room()
        assert await puller.recv() == b"next"
        await pusher.drain()
        wrong = [TypeError, TypeError, ValueError, TypeError]
        assert errors.types == [*wrong, Boom, TypeError]
        assert all(handle is pusher for handle, _ in errors.all)

    on_loop(main)


def test_push_write__callable_that_raises_without_on_error(on_loop, pair):
    async def main():
        pusher, _, room = full(pair)

        def ask(_):
            raise Boom

        with reported() as errors:
            pusher.push_write(ask)
            room()
            await until(lambda: errors)
        assert [type(error) for error in errors] == [Boom]

    on_loop(main)


def test_push_write__callable_that_pushes(on_loop, pair):
    """It is asked for the next when the one before is gone: a stream of messages."""

    async def main():
        drained = []
        pusher, puller, room = full(pair, on_drain=drained.append)
        left = numbers(300)

        def ask(handle):
            message = left.pop(0)
            if left:
                handle.push_write(ask)
            return message

        pusher.push_write(ask)
        room()
        received = [await puller.recv() for _ in range(300)]
        assert received == numbers(300)
        await pusher.drain()
        assert drained == [pusher]

    on_loop(main)


def test_push_write__callable_that_uses_up_the_room(on_loop, pair):
    """What it has returned waits then, before what came behind it."""

    async def main():
        pusher, puller, room = full(pair)

        def ask(handle):
            fill(handle.socket, b"between")
            return b"1"

        pusher.push_write(ask)
        pusher.push_write(b"2")
        pusher.push_write(lambda _: b"3")
        room()
        received = []
        while len(received) < 3:
            message = await puller.recv()
            if message != b"between":
                received.append(message)
        assert received == [b"1", b"2", b"3"]

    on_loop(main)


# ---- order


def test_push_write__in_order_among_all_who_send(on_loop, pair):
    async def main():
        pusher, puller, room = full(pair)
        called = []

        async def send(message):
            called.append(message)
            await pusher.send(message)

        async with beside() as start:
            for number in range(90):
                message = b"%d" % number
                if number % 3 == 0:
                    called.append(message)
                    pusher.push_write(message)
                elif number % 3 == 1:
                    called.append(message)
                    pusher.push_write(lambda _, message=message: message)
                else:
                    start(send, message)
                    await settle(3)
            room()
            received = [await puller.recv() for _ in range(90)]
        assert received == called

    on_loop(main)


def test_push_write__many_to_a_slow_reader(on_loop, pair):
    async def main():
        pusher, puller = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp", **SMALL)
        for number in range(5000):
            pusher.push_write(b"%d" % number)
        received = [await puller.recv() for _ in range(5000)]
        assert received == numbers(5000)
        await pusher.drain()

    on_loop(main)
