"""zraw.aio: whatever receives, and who receives what."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    beside,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
)
from zraw import aio

TRANSPORTS = ["inproc", "ipc", "tcp"]


@pytest.fixture
def flow(pair):
    """A sending socket and the handle that receives from it."""

    def make(transport="inproc"):
        sender, receiver = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
        return sender, aio.Handle(receiver)

    return make


# ---- one call


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_recv__what_is_there_and_what_comes_later(on_loop, flow, transport):
    async def main():
        sender, handle = flow(transport)
        sender.send(b"first")
        assert await handle.recv() == b"first"
        async with beside() as start:
            waiting = start(handle.recv)
            await settle()
            assert not waiting.ended
            sender.send(b"second")
            assert await waiting.result() == b"second"

    on_loop(main)


def test_recv__frames_of_a_message_one_by_one(on_loop, flow):
    async def main():
        sender, handle = flow()
        sender.send_multipart([b"a", b"", b"c"])
        received = []
        for more in (1, 1, 0):
            received.append(await handle.recv())
            assert handle.socket.getsockopt(zraw.ZMQ_RCVMORE) == more
        assert received == [b"a", b"", b"c"]

    on_loop(main)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_recv_multipart__all_frames_of_a_message(on_loop, flow, transport):
    async def main():
        sender, handle = flow(transport)
        async with beside() as start:
            waiting = start(handle.recv_multipart)
            await settle()
            sender.send_multipart([b"a", b"b" * 100_000, b""])
            assert await waiting.result() == [b"a", b"b" * 100_000, b""]
        sender.send(b"alone")
        assert await handle.recv_multipart() == [b"alone"]

    on_loop(main)


def test_recv_msg__makes_a_message(on_loop, flow):
    async def main():
        sender, handle = flow()
        sender.send_multipart([b"a", b"b"])
        message = await handle.recv_msg()
        assert isinstance(message, zraw.Message)
        assert message == b"a"
        assert message.more()
        async with beside() as start:
            last = await handle.recv_msg()
            assert last == b"b"
            assert not last.more()
            waiting = start(handle.recv_msg)
            await settle()
            sender.send(b"later")
            assert await waiting.result() == b"later"

    on_loop(main)


@pytest.mark.parametrize("when", ["there", "later"])
def test_recv_msg__fills_the_given_one(on_loop, flow, when):
    async def main():
        sender, handle = flow()
        message = zraw.Message(b"old")
        async with beside() as start:
            if when == "later":
                waiting = start(handle.recv_msg, message)
                await settle()
                sender.send(b"new")
                assert await waiting.result() is message
            else:
                sender.send(b"new")
                assert await handle.recv_msg(message) is message
        assert message == b"new"

    on_loop(main)


def test_recv_msg__with_views_alive_takes_nothing(on_loop, flow):
    async def main():
        sender, handle = flow()
        message = zraw.Message(b"old")
        sender.send(b"new")
        with message.data() as view:
            with pytest.raises(BufferError):
                await handle.recv_msg(message)
            assert view == b"old"
        assert await handle.recv() == b"new"

    on_loop(main)


def test_recv_many__those_that_are_there(on_loop, flow):
    async def main():
        sender, handle = flow()
        sender.send_many([b"%d" % number for number in range(10)])
        assert await handle.recv_many(3) == [b"0", b"1", b"2"]
        assert await handle.recv_many() == [b"%d" % n for n in range(3, 10)]
        async with beside() as start:
            waiting = start(handle.recv_many)
            await settle()
            assert not waiting.ended
            sender.send(b"later")
            assert await waiting.result() == [b"later"]

    on_loop(main)


def test_recv_many__copy_and_multipart(on_loop, flow):
    async def main():
        sender, handle = flow()
        for _ in range(3):
            sender.send_many([b"one", [b"a", b"b"]])
        assert await handle.recv_many(2) == [b"one", [b"a", b"b"]]
        assert await handle.recv_many(2, multipart=True) == [[b"one"], [b"a", b"b"]]
        single, several = await handle.recv_many(2, copy=False)
        assert [type(part) for part in (single, *several)] == [zraw.Message] * 3
        assert [bytes(part) for part in (single, *several)] == [b"one", b"a", b"b"]

    on_loop(main)


def test_recv_many__large_batches_come_in_order(on_loop, flow):
    async def main():
        sender, handle = flow("tcp")
        sent = [b"%d" % number for number in range(5000)]
        received = []

        async def send():
            other = aio.Handle(sender)
            for message in sent:
                await other.send(message)

        async with beside() as start:
            sending = start(send)
            while len(received) < len(sent):
                batch = await handle.recv_many(700)
                assert 0 < len(batch) <= 700
                received += batch
            await sending.result()
        assert received == sent

    on_loop(main)


# ---- async for


def test_aiter__bytes_or_a_list_until_it_is_closed(on_loop, flow):
    async def main():
        sender, handle = flow()
        received = []

        async def collect():
            async for message in handle:
                received.append(message)
            return "ended"

        async with beside() as start:
            collecting = start(collect)
            for message in ([b"one"], [b"a", b"b"], [b""], [b"last"]):
                sender.send_multipart(message)
            await settle()
            assert not collecting.ended
            handle.close()
            assert await collecting.result() == "ended"
        assert received == [b"one", [b"a", b"b"], b"", b"last"]

    on_loop(main)


def test_aiter__of_a_closed_handle_is_empty(on_loop, flow):
    async def main():
        _, handle = flow()
        handle.close()
        assert [message async for message in handle] == []

    on_loop(main)


def test_aiter__left_in_the_middle_loses_nothing(on_loop, flow):
    async def main():
        sender, handle = flow()
        sender.send_many([b"1", b"2", b"3"])
        async for message in handle:
            assert message == b"1"
            break
        assert await handle.recv() == b"2"
        async for message in handle:
            assert message == b"3"
            break

    on_loop(main)


def test_aiter__two_iterators_share_the_messages(on_loop, flow):
    async def main():
        sender, handle = flow()
        received = []

        async def collect():
            async for message in handle:
                received.append(message)

        async with beside() as start:
            both = [start(collect), start(collect)]
            await settle()
            sent = [b"%d" % number for number in range(200)]
            for message in sent:
                sender.send(message)
            while len(received) < len(sent):
                await anyio.sleep(0.001)
            handle.close()
            for running in both:
                await running.result()
        assert sorted(received) == sorted(sent)

    on_loop(main)


def test_aiter__end_of_the_context_is_an_error(on_loop, ctx):
    async def main():
        handle = aio.Pull(ctx, bind="tcp://127.0.0.1:*")

        async def collect():
            async for message in handle:
                raise AssertionError(message)

        async with beside() as start:
            collecting = start(collect)
            await settle()
            ctx.shutdown()
            with pytest.raises(zraw.ContextTerminated):
                await collecting.result()
        handle.close()

    on_loop(main)


# ---- order


def test_recv__waiting_calls_are_served_in_order_of_arrival(on_loop, flow):
    async def main():
        sender, handle = flow()
        got = {}

        async def wait(name, receive):
            got[name] = await receive()

        async with beside() as start:
            all_of_them = []
            for name, receive in [
                ("recv", handle.recv),
                ("multipart", handle.recv_multipart),
                ("msg", handle.recv_msg),
                ("many", lambda: handle.recv_many(1)),
                ("next", lambda: anext(aiter(handle))),
            ]:
                all_of_them.append(start(wait, name, receive))
                await settle()
            handle.push_read(lambda _, message: got.update(pushed=message))
            handle.on_read = lambda _, message: got.update(on_read=message)
            all_of_them.append(start(wait, "last", handle.recv))
            await settle()
            for number in range(8):
                sender.send(b"%d" % number)
            for running in all_of_them:
                await running.result()
            while len(got) < 8:
                await anyio.sleep(0.001)
        assert got == {
            "recv": b"0",
            "multipart": [b"1"],
            "msg": b"2",
            "many": [b"3"],
            "next": b"4",
            "pushed": b"5",
            "last": b"6",
            "on_read": b"7",
        }

    on_loop(main)


def test_recv__that_comes_later_does_not_overtake(on_loop, flow):
    """The first has been woken, and has not run yet, when the second is called."""

    async def main():
        sender, handle = flow()
        async with beside() as start:
            first = start(handle.recv)
            await settle()
            sender.send_many([b"1", b"2"])
            second = await handle.recv()
            assert await first.result() == b"1"
            assert second == b"2"

    on_loop(main)


def test_recv__many_waiting_tasks_get_one_message_each(on_loop, flow):
    async def main():
        sender, handle = flow("ipc")
        called = []  # trio starts tasks in any order

        async def receive(number):
            called.append(number)
            return await handle.recv()

        async with beside() as start:
            waiting = [start(receive, number) for number in range(100)]
            await settle()
            for number in range(100):
                sender.send(b"%d" % number)
            received = [await waiting[number].result() for number in called]
        assert received == [b"%d" % number for number in range(100)]

    on_loop(main)


# ---- errors


def test_recv__type_that_cannot_receive(on_loop, sock):
    async def main():
        handle = aio.Handle(sock(zraw.ZMQ_PUSH))
        for receive in (
            handle.recv,
            handle.recv_multipart,
            handle.recv_msg,
            handle.recv_many,
        ):
            with pytest.raises(zraw.NotSupported):
                await receive()

    on_loop(main)


def test_recv__request_before_its_question_is_an_invalid_state(on_loop, pair):
    async def main():
        asking, answering = handles(pair, zraw.ZMQ_REQ, zraw.ZMQ_REP)
        with pytest.raises(zraw.InvalidState):
            await asking.recv()
        with pytest.raises(zraw.InvalidState):
            await answering.send(b"unasked")
        await asking.send(b"question")
        assert await answering.recv() == b"question"
        await answering.send(b"answer")
        assert await asking.recv() == b"answer"

    on_loop(main)


def test_recv__of_a_monitor(on_loop, sock):
    async def main():
        listening = sock(zraw.ZMQ_PULL)
        with listening.monitor() as reader:
            handle = aio.Handle(reader)
            async with beside() as start:
                waiting = start(handle.recv_multipart)
                await settle()
                where = listening.bind("tcp://127.0.0.1:*")
                number, address = await waiting.result()
        event = int.from_bytes(number[:2], "little")
        assert (event, address.decode()) == (zraw.ZMQ_EVENT_LISTENING, where)

    on_loop(main)
