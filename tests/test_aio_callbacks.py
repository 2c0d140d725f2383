"""zraw.aio: on_read and push_read."""

from __future__ import annotations

import asyncio

import anyio
import pytest

import zraw
from aio_tools import (
    beside,
    flow,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    settle,
    until,
)

# ---- on_read


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_on_read__every_message_with_the_handle(on_loop, pair, transport):
    async def main():
        sender, handle = flow(pair, transport)
        got = []
        sender.send(b"before")
        handle.on_read = lambda *args: got.append(args)
        sender.send_multipart([b"a", b"", b"c"])
        sender.send(b"")
        await until(lambda: len(got) == 3)
        assert got == [(handle, b"before"), (handle, [b"a", b"", b"c"]), (handle, b"")]

    on_loop(main)


def test_on_read__set_cleared_and_replaced(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        first, second = [], []

        def read(_, message):
            first.append(message)

        assert handle.on_read is None
        handle.on_read = read
        assert handle.on_read is read
        sender.send(b"1")
        await until(lambda: first == [b"1"])
        handle.on_read = None
        assert handle.on_read is None
        sender.send(b"2")
        await settle()
        assert first == [b"1"]
        handle.on_read = lambda _, message: second.append(message)
        sender.send(b"3")
        await until(lambda: second == [b"2", b"3"])
        handle.on_read = None
        sender.send(b"4")
        assert await handle.recv() == b"4"
        assert first == [b"1"]

    on_loop(main)


def test_on_read__cleared_by_itself_leaves_the_rest(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []

        def read(_, message):
            got.append(message)
            handle.on_read = None

        sender.send_many(numbers(3))
        handle.on_read = read
        await until(lambda: got)
        await settle()
        assert got == [b"0"]
        assert await handle.recv_many() == [b"1", b"2"]

    on_loop(main)


def test_on_read__replaced_by_itself(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []

        def first(_, message):
            got.append(("first", message))
            handle.on_read = second

        def second(_, message):
            got.append(("second", message))
            handle.on_read = first

        handle.on_read = first
        for number in range(4):
            sender.send(b"%d" % number)
        await until(lambda: len(got) == 4)
        assert got == [
            ("first", b"0"),
            ("second", b"1"),
            ("first", b"2"),
            ("second", b"3"),
        ]

    on_loop(main)


def test_on_read__not_in_the_frame_of_who_sets_it(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []
        sender.send(b"x")
        handle.on_read = lambda _, message: got.append(message)
        assert got == []
        handle.on_read = None
        await settle()
        assert got == []
        assert await handle.recv() == b"x"

    on_loop(main)


def test_on_read__what_is_not_callable(on_loop, pair):
    async def main():
        _, handle = flow(pair)
        before = handle.on_read = print
        for wrong in (42, "name", b"", [print], object()):
            for name in ("on_read", "on_drain", "on_error"):
                with pytest.raises(TypeError, match=name):
                    setattr(handle, name, wrong)
            with pytest.raises(TypeError, match=r"push_read\(\): callback"):
                handle.push_read(wrong)
        assert handle.on_read is before
        assert (handle.on_drain, handle.on_error) == (None, None)
        handle.on_read = None

    on_loop(main)


def test_push_read__none_is_no_callback(on_loop, pair):
    async def main():
        _, handle = flow(pair)
        with pytest.raises(TypeError, match="callback"):
            handle.push_read(None)

    on_loop(main)


def test_on_read__of_a_closed_handle(on_loop, pair):
    async def main():
        _, handle = flow(pair)
        handle.close()
        with pytest.raises(zraw.NotASocket):
            handle.on_read = print
        assert handle.on_read is None
        with pytest.raises(zraw.NotASocket):
            handle.push_read(print)
        handle.on_read = None

    on_loop(main)


# ---- order


def test_push_read__one_message_each_in_order(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []
        for number in range(100):
            handle.push_read(lambda _, message, n=number: got.append((n, message)))
        handle.on_read = lambda _, message: got.append(("on_read", message))
        sender.send_many(numbers(100))
        sender.send_multipart([b"a", b"b"])
        await until(lambda: len(got) == 101)
        assert got[:100] == list(enumerate(numbers(100)))
        assert got[100] == ("on_read", [b"a", b"b"])

    on_loop(main)


def test_push_read__the_handle_comes_first(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []
        handle.push_read(lambda *args: got.append(args))
        assert got == []
        sender.send(b"x")
        await until(lambda: got)
        assert got == [(handle, b"x")]

    on_loop(main)


def test_push_read__inside_of_callbacks(on_loop, pair):
    """A protocol: a header says how many more messages belong to it."""

    async def main():
        sender, handle = flow(pair)
        records = []

        def header(_, message):
            record = []
            records.append(record)
            for _ in range(int(message)):
                handle.push_read(lambda _, body: record.append(body))

        handle.on_read = header
        expected = []
        for size in range(60):
            sender.send_many([b"%d" % size, *numbers(size)])
            expected.append(numbers(size))
            await settle(2)
        await until(lambda: records == expected)

    on_loop(main)


def test_push_read__within_one_that_is_pushed_comes_last(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []

        def first(_, message):
            got.append(("first", message))
            handle.push_read(lambda _, message: got.append(("inner", message)))

        handle.push_read(first)
        handle.push_read(lambda _, message: got.append(("second", message)))
        sender.send_many(numbers(3))
        await until(lambda: len(got) == 3)
        assert got == [("first", b"0"), ("second", b"1"), ("inner", b"2")]

    on_loop(main)


def test_push_read__that_was_there_first_comes_before_recv(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []
        handle.push_read(lambda _, message: got.append(message))
        sender.send_many(numbers(2))
        assert await handle.recv() == b"1"
        assert got == [b"0"]

    on_loop(main)


def test_on_read__gets_what_no_recv_waits_for(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got, received = [], []
        handle.on_read = lambda _, message: got.append(message)

        async def receive():
            for _ in range(5):
                received.append(await handle.recv())

        async with beside() as start:
            receiving = start(receive)
            await settle()
            for number in range(20):
                sender.send(b"%d" % number)
                await settle(5)
            await receiving.result()
            await until(lambda: len(got) + len(received) == 20)
        assert received == numbers(5)
        assert got == numbers(5, 20)

    on_loop(main)


# ---- coroutine functions


@pytest.mark.parametrize("way", ["on_read", "push_read"])
def test_on_read__coroutines_run_one_after_another(on_loop, pair, way):
    async def main():
        sender, handle = flow(pair)
        log = []

        async def read(_, message):
            log.append(("begin", message))
            await anyio.sleep(0.002 if message == b"0" else 0)
            log.append(("end", message))

        if way == "on_read":
            handle.on_read = read
        for _ in range(10):
            if way == "push_read":
                handle.push_read(read)
        sender.send_many(numbers(10))
        await until(lambda: len(log) == 20)
        assert log == [(edge, n) for n in numbers(10) for edge in ("begin", "end")]

    on_loop(main)


def test_on_read__takes_nothing_while_its_coroutine_runs(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        go_on, got = anyio.Event(), []

        async def read(_, message):
            got.append(message)
            await go_on.wait()

        handle.on_read = read
        sender.send_many(numbers(3))
        await until(lambda: got)
        await settle()
        assert got == [b"0"]
        assert await handle.recv() == b"1"
        go_on.set()
        await until(lambda: got == [b"0", b"2"])

    on_loop(main)


def test_on_read__coroutine_that_is_replaced_while_it_runs(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        go_on, got = anyio.Event(), []

        async def read(_, message):
            await go_on.wait()
            got.append(("first", message))

        handle.on_read = read
        sender.send_many(numbers(2))
        await settle()
        handle.on_read = lambda _, message: got.append(("second", message))
        await settle()
        assert got == []
        go_on.set()
        await until(lambda: len(got) == 2)
        assert got == [("first", b"0"), ("second", b"1")]

    on_loop(main)


def test_on_read__coroutine_that_receives_the_rest_itself(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []

        async def read(this, message):
            rest = [await this.recv() for _ in range(int(message))]
            got.append([message, *rest])

        handle.on_read = read
        sender.send(b"3")
        await settle()
        sender.send_many([b"a", b"b", b"c", b"0", b"1", b"d", b"0"])
        await until(lambda: len(got) == 4)
        assert got == [[b"3", b"a", b"b", b"c"], [b"0"], [b"1", b"d"], [b"0"]]

    on_loop(main)


def test_on_read__callable_object_that_is_asynchronous(on_loop, pair):
    """What it returns counts, not what it looks like."""

    class Reader:
        def __init__(self):
            self.got = []

        async def __call__(self, handle, message):
            await anyio.sleep(0)
            self.got.append(message)

    async def main():
        sender, handle = flow(pair)
        reader = Reader()
        handle.on_read = reader
        sender.send_many(numbers(3))
        await until(lambda: reader.got == numbers(3))
        handle.on_read = lambda *args: reader(*args)  # noqa: PLW0108
        sender.send_many(numbers(3))
        await until(lambda: reader.got == numbers(3) * 2)

    on_loop(main)


def test_on_read__goes_on_after_a_coroutine_that_was_cancelled(on_loop, pair):
    async def main():
        sender, handle = flow(pair)
        got = []

        async def read(_, message):
            got.append(message)
            if on_loop.kind != "trio":
                raise asyncio.CancelledError
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.sleep_forever()

        handle.on_read = read
        for number in range(3):
            handle.push_read(read)
            sender.send_many([b"%d" % number])
        sender.send_many(numbers(3, 6))
        await until(lambda: got == numbers(6))

    on_loop(main)
