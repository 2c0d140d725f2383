"""zraw.aio: whatever sends, and what has to wait for what."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    fill,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
)
from zraw import aio

TRANSPORTS = ["inproc", "ipc", "tcp"]
SMALL = {"SNDHWM": 1, "RCVHWM": 1}


# ---- one call


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_send__whatever_socket_send_takes(on_loop, pair, transport):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, transport)
        large = b"x" * 1_000_000
        for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view"), large):
            assert await handle.send(data) is None
            assert await other.recv() == bytes(data)
        message = zraw.Message(b"body")
        await handle.send(message)
        assert len(message) == 0
        assert await other.recv() == b"body"

    on_loop(main)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_send_multipart__arrives_whole(on_loop, pair, transport):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, transport)
        part = zraw.Message(b"c")
        await handle.send_multipart([b"a", bytearray(b"b"), part, memoryview(b"d")])
        assert len(part) == 0
        assert await other.recv_multipart() == [b"a", b"b", b"c", b"d"]
        await handle.send_multipart(b"%d" % number for number in range(3))
        assert await other.recv_multipart() == [b"0", b"1", b"2"]
        await handle.send_multipart((b"alone",))
        assert await other.recv_multipart() == [b"alone"]

    on_loop(main)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_send__waits_for_room(on_loop, pair, transport):
    async def main():
        handle, other = handles(
            pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport, SNDBUF=2048, **SMALL
        )
        data = b"x" * 100_000
        fill(handle.socket, data)
        async with beside() as start:
            sending = start(handle.send, b"last")
            message = await other.recv()
            while message == data:
                message = await other.recv()
            assert message == b"last"
            await sending.result()

    on_loop(main)


def test_send__waits_for_a_peer(on_loop, ctx):
    async def main():
        async with aio.Push(ctx, bind="tcp://127.0.0.1:*") as push, beside() as start:
            waiting = []
            for send, message in (
                (push.send, b"1"),
                (push.send_multipart, [b"2", b"2"]),
                (push.send, zraw.Message(b"3")),
            ):
                waiting.append(start(send, message))
                await settle()  # trio starts tasks in any order
            assert not any(running.ended for running in waiting)
            where = push.socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
            async with aio.Pull(ctx, connect=where) as pull:
                for running in waiting:
                    await running.result()
                assert await pull.recv_many(1) == [b"1"]
                assert await pull.recv_multipart() == [b"2", b"2"]
                assert await pull.recv() == b"3"

    on_loop(main)


def test_send__waiting_message_is_emptied_when_it_is_sent(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        count = fill(handle.socket)
        message = zraw.Message(b"body")
        async with beside() as start:
            sending = start(handle.send, message)
            await settle()
            assert message == b"body"
            for _ in range(count):
                await other.recv()
            await sending.result()
        assert len(message) == 0
        assert await other.recv() == b"body"

    on_loop(main)


def test_send__cancelled_while_it_waits_is_not_sent(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        count = fill(handle.socket)
        message = zraw.Message(b"never")
        with anyio.move_on_after(0.01):
            await handle.send(message)
        assert message == b"never"
        for _ in range(count):
            assert await other.recv() == b"x"
        await handle.send(b"next")
        assert await other.recv() == b"next"

    on_loop(main)


# ---- order


def test_send__in_order_of_calling(on_loop, pair):
    """Also where every 64th operation lets other tasks run first."""

    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
        called = []  # trio starts tasks in any order

        async def send(message):
            called.append(message)
            await handle.send(message)

        async with beside() as start:
            sending = [start(send, b"%d" % number) for number in range(200)]
            for running in sending:
                await running.result()
        assert await other.recv_many() == called

    on_loop(main)


def test_send__behind_those_that_wait(on_loop, pair):
    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        count = fill(handle.socket)
        async with beside() as start:
            first = start(handle.send, b"1")
            await settle()
            handle.push_write(b"2")
            third = start(handle.send_multipart, [b"3", b"3"])
            await settle()
            handle.push_write(lambda _: b"4")
            fifth = start(handle.send, b"5")
            await settle()
            for _ in range(count):
                other.socket.recv()
            # There is room now, and nobody has noticed yet.
            sixth = start(handle.send, b"6")
            received = [await other.recv_multipart() for _ in range(6)]
            for running in (first, third, fifth, sixth):
                await running.result()
        assert received == [[b"1"], [b"2"], [b"3", b"3"], [b"4"], [b"5"], [b"6"]]

    on_loop(main)


# ---- ROUTER: a queue for every peer


@pytest.fixture
def office(sock):
    """A ROUTER that reports peers it cannot reach, and two DEALERs; little room.

    Only inproc has no buffers but its own: who is full there stays so.
    """
    router = aio.Handle(sock(zraw.ZMQ_ROUTER, ROUTER_MANDATORY=1, **SMALL))
    endpoint = router.bind("inproc://office")
    dealers = {}
    for name in (b"A", b"B"):
        dealers[name] = aio.Handle(sock(zraw.ZMQ_DEALER, ROUTING_ID=name, **SMALL))
        dealers[name].connect(endpoint)
        dealers[name].socket.send(b"here")
        assert router.socket.recv_multipart() == [name, b"here"]
    return router, dealers


def stuff(router, name):
    """Send to a peer until it cannot take any more."""
    count = 0
    while True:
        try:
            router.socket.send_multipart([name, b"x"], zraw.ZMQ_DONTWAIT)
        except zraw.Again:
            return count
        count += 1


async def skim(dealer):
    """Receive until something other than what stuff() has sent comes."""
    message = b"x"
    while message == b"x":
        message = await dealer.recv()
    return message


def test_send_multipart__full_peer_keeps_nobody_else_waiting(on_loop, office):
    async def main():
        router, dealers = office
        stuff(router, b"A")
        async with beside() as start:
            first = start(router.send_multipart, [b"A", b"1"])
            await settle()
            second = start(router.send_multipart, (b"A", b"2"))
            await settle()
            for number in range(20):
                await router.send_multipart([b"B", b"%d" % number])
                assert await dealers[b"B"].recv() == b"%d" % number
            router.push_write([b"B", b"pushed"])
            assert await dealers[b"B"].recv() == b"pushed"
            assert not first.ended
            assert not second.ended
            assert await skim(dealers[b"A"]) == b"1"
            assert await dealers[b"A"].recv() == b"2"
            await first.result()
            await second.result()

    on_loop(main)


@pytest.mark.parametrize("kind", ["send_multipart", "push_write"])
def test_send_multipart__order_for_each_peer(on_loop, office, kind):
    async def main():
        router, dealers = office
        received = {name: [] for name in dealers}
        for name in dealers:
            stuff(router, name)

        async def collect(name):
            received[name].append(await skim(dealers[name]))
            while len(received[name]) < 50:
                received[name].append(await dealers[name].recv())

        async with beside() as start:
            for number in range(50):
                for name in dealers:
                    message = [name, b"%d" % number]
                    if kind == "push_write":
                        router.push_write(message)
                    else:
                        start(router.send_multipart, message)
                await settle(2)
            collecting = [start(collect, name) for name in reversed(list(dealers))]
            for running in collecting:
                await running.result()
        assert set(map(tuple, received.values())) == {
            tuple(b"%d" % number for number in range(50))
        }

    on_loop(main)


def test_send_multipart__peer_that_is_gone_is_an_error(on_loop, office):
    async def main():
        router, dealers = office
        with pytest.raises(zraw.HostUnreachable):
            await router.send_multipart([b"nobody", b"x"])
        stuff(router, b"A")
        async with beside() as start:
            waiting = start(router.send_multipart, [b"A", b"x"])
            await settle()
            dealers[b"A"].close()
            with pytest.raises(zraw.HostUnreachable):
                await waiting.result()
        await router.send_multipart([b"B", b"still here"])
        assert await dealers[b"B"].recv() == b"still here"

    on_loop(main)


def test_push_write__peer_that_is_gone_is_told_to_on_error(on_loop, office):
    async def main():
        router, dealers = office
        router.on_error = errors = Errors()
        router.push_write([b"nobody", b"x"])
        assert errors.types == [zraw.HostUnreachable]
        stuff(router, b"A")
        router.push_write([b"A", b"x"])
        dealers[b"A"].close()
        with anyio.fail_after(10):
            await router.drain()
        assert errors.types == [zraw.HostUnreachable] * 2
        assert all(handle is router for handle, _ in errors.all)

    on_loop(main)


def test_send__xpub_nodrop_waits_for_a_slow_subscriber(on_loop, pair):
    async def main():
        publisher, subscriber = handles(pair, zraw.ZMQ_XPUB, zraw.ZMQ_SUB, **SMALL)
        publisher.socket.setsockopt(zraw.ZMQ_XPUB_NODROP, 1)
        assert await publisher.recv() == b"\x01"
        count = fill(publisher.socket)
        async with beside() as start:
            waiting = start(publisher.send, b"last")
            await settle()
            assert not waiting.ended
            for _ in range(count):
                assert await subscriber.recv() == b"x"
            assert await subscriber.recv() == b"last"
            await waiting.result()

    on_loop(main)


def test_stream__echo(on_loop, ctx, sock):
    """Its messages begin with an address, too, and ZMQ_POLLOUT says nothing."""

    async def main():
        server = aio.Handle(sock(zraw.ZMQ_STREAM))
        where = server.bind("tcp://127.0.0.1:*")
        port = int(where.rpartition(":")[2])

        async def serve():
            async for address, data in server:
                if data:
                    await server.send_multipart([address, data])

        async with beside() as start:
            start(serve)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                sent = bytes(range(256)) * 4000
                received = bytearray()

                async def collect():
                    while len(received) < len(sent):
                        received.extend(await stream.receive())

                collecting = start(collect)
                await stream.send(sent)
                await collecting.result()
        assert received == sent

    on_loop(main)


# ---- errors


def test_send__type_that_cannot_send(on_loop, sock):
    async def main():
        handle = aio.Handle(sock(zraw.ZMQ_PULL))
        with pytest.raises(zraw.NotSupported):
            await handle.send(b"x")
        with pytest.raises(zraw.NotSupported):
            await handle.send_multipart([b"x"])

    on_loop(main)


@pytest.mark.parametrize("turn", ["first", "64th", "queue"])
def test_send__what_is_no_data(on_loop, pair, turn):
    """However the call goes on: at once, after others have run, or in a queue."""

    async def main():
        handle, other = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **SMALL)
        for wrong in ("text", 7, None, (b"a", b"b"), [b"a"], object()):
            async with beside() as start:
                await handle.send(b"good")
                if turn == "64th":
                    handle._edge.loop.spare = 0
                if turn == "queue":
                    fill(handle.socket, b"good")
                    start(handle.send, b"good")
                    await settle()
                sending = start(handle.send, wrong)
                await settle()
                while other.socket.poll(0):
                    assert await other.recv_multipart() == [b"good"]
                    await settle()
                with pytest.raises(TypeError, match="data"):
                    await sending.result()

    on_loop(main)
