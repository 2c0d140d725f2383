"""zraw.aio: thread-safe sockets of libzmq's draft API, which have no descriptor."""

from __future__ import annotations

import threading

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    fill,
    handles,
    nothing_logged,  # noqa: F401 - a fixture
    numbers,
    settle,
    until,
)
from drafts import drafts, of, to
from zraw import aio

TRANSPORTS = ["inproc", "tcp"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@drafts
def test_handle__server_and_client(on_loop, pair, transport):
    async def main():
        server, client = handles(pair, zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, transport)

        async def serve():
            while True:
                message = await server.recv_msg()
                await server.send(to(message.routing_id(), bytes(message).upper()))

        async with beside() as start:
            start(serve)
            for number in range(100):
                await client.send(b"q%d" % number)
                assert await client.recv() == b"Q%d" % number
            waiting = start(client.recv)
            await settle()
            assert not waiting.ended
            client.push_write(b"last")
            assert await waiting.result() == b"LAST"

    on_loop(main)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "types", [("CHANNEL", "CHANNEL"), ("GATHER", "SCATTER")], ids="-".join
)
@drafts
def test_handle__one_way(on_loop, pair, types, transport):
    async def main():
        kinds = [getattr(zraw, f"ZMQ_{name}") for name in types]
        receiver, sender = handles(pair, *kinds, transport)
        got = []
        async with beside() as start:
            waiting = [start(receiver.recv) for _ in range(3)]
            await settle()
            receiver.push_read(lambda _, message: got.append(message))
            receiver.on_read = lambda _, message: got.append(message)
            for number in range(50):
                await sender.send(b"%d" % number)
            received = [await running.result() for running in waiting]
            await until(lambda: len(got) == 47)
        assert sorted(received) == numbers(3)
        assert got == numbers(3, 50)

    on_loop(main)


@pytest.mark.parametrize("types", [("GATHER", "SCATTER")], ids="-".join)
@drafts
def test_handle__waits_for_room(on_loop, pair, types):
    async def main():
        kinds = [getattr(zraw, f"ZMQ_{name}") for name in types]
        receiver, sender = handles(pair, *kinds, SNDHWM=1, RCVHWM=1)
        drained = []
        sender.on_drain = drained.append
        count = fill(sender.socket)
        async with beside() as start:
            sending = start(sender.send, b"1")
            await settle()
            sender.push_write(b"2")
            sender.push_write(lambda _: b"3")
            await settle()
            assert not sending.ended
            received = [await receiver.recv() for _ in range(count + 3)]
            await sending.result()
            await sender.drain()
        assert received[count:] == [b"1", b"2", b"3"]
        assert drained == [sender]

    on_loop(main)


@drafts
def test_handle__full_client_keeps_no_other_waiting(on_loop, sock):
    async def main():
        options = {"SNDHWM": 1, "RCVHWM": 1}
        server = aio.Handle(sock(zraw.ZMQ_SERVER, **options))
        where = server.bind("inproc://server")
        clients = {}
        for _ in range(2):
            client = aio.Handle(sock(zraw.ZMQ_CLIENT, **options))
            client.connect(where)
            await client.send(b"hello")
            clients[(await server.recv_msg()).routing_id()] = client
        full, other = clients
        count = 0
        while server.socket.try_send(to(full)):
            count += 1
        async with beside() as start:
            waiting = start(server.send, to(full, b"last"))
            await settle()
            for number in range(20):
                await server.send(to(other, b"%d" % number))
                assert await clients[other].recv() == b"%d" % number
            assert not waiting.ended
            received = [await clients[full].recv() for _ in range(count + 1)]
            assert received[-1] == b"last"
            await waiting.result()

    on_loop(main)


@drafts
def test_handle__radio_and_dish(on_loop, pair):
    async def main():
        dish, radio = handles(pair, zraw.ZMQ_DISH, zraw.ZMQ_RADIO)
        dish.socket.join("group")
        async with beside() as start:
            waiting = start(dish.recv_msg)
            with anyio.fail_after(10):
                while not waiting.ended:
                    await radio.send(of("other", b"unheard"))
                    await radio.send(of("group", b"heard"))
                    await anyio.sleep(0.001)
            message = await waiting.result()
        assert (message.group(), bytes(message)) == ("group", b"heard")

    on_loop(main)


@drafts
def test_handle__thread_safe_socket_used_by_another_thread(on_loop, pair):
    """Threads may be inside at the same time; no news is lost, none is refused."""

    async def main():
        server, client = handles(pair, zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, "tcp")
        await client.send(b"hello")
        peer = (await server.recv_msg()).routing_id()
        stop = threading.Event()

        def meddle():
            while not stop.is_set():
                client.socket.poll(1, zraw.ZMQ_POLLIN)
                client.socket.getsockopt(zraw.ZMQ_EVENTS)

        async with beside() as start:
            meddling = start(anyio.to_thread.run_sync, meddle)
            try:
                for number in range(200):
                    waiting = start(client.recv)
                    await settle(number % 4)
                    server.push_write(to(peer, b"%d" % number))
                    assert await waiting.result() == b"%d" % number
            finally:
                stop.set()
                with anyio.CancelScope(shield=True):
                    await meddling.result()

    on_loop(main)


@pytest.mark.parametrize("how", ["handle", "socket", "thread", "shutdown"])
@drafts
def test_close__wakes_who_waits_for_a_thread_safe_socket(on_loop, ctx, how):
    async def main():
        handle = aio.Handle(ctx.socket(zraw.ZMQ_GATHER), on_error=Errors())
        handle.bind("tcp://127.0.0.1:*")
        error = zraw.ContextTerminated if how == "shutdown" else zraw.NotASocket
        async with beside() as start:
            waiting = [start(handle.recv) for _ in range(2)]
            await settle()
            if how == "handle":
                handle.close()
            elif how == "socket":
                handle.socket.close()
            elif how == "thread":
                await anyio.to_thread.run_sync(handle.socket.close)
            else:
                ctx.shutdown()
            for running in waiting:
                with pytest.raises(error):
                    await running.result()
        handle.close()
        assert not handle.on_error.all

    try:
        on_loop(main)
    finally:
        ctx.close(linger=0)


@drafts
def test_io__thread_safe_socket(on_loop, pair):
    async def main():
        receiver, sender = pair(zraw.ZMQ_GATHER, zraw.ZMQ_SCATTER, "tcp")
        got = []
        watcher = aio.io(
            receiver, zraw.ZMQ_POLLIN, lambda socket, _: got.append(socket.try_recv())
        )
        for number in range(50):
            sender.send(b"%d" % number)
            if number % 10 == 0:
                await settle()
        await until(lambda: [data for data in got if data is not None] == numbers(50))
        watcher.cancel()
        assert not aio.probe(receiver, zraw.ZMQ_POLLIN)

    on_loop(main)


@drafts
def test_run__one_after_another_with_thread_safe_sockets(on_loop, pair):
    receiver, sender = handles(pair, zraw.ZMQ_GATHER, zraw.ZMQ_SCATTER, "tcp")
    for run in range(3):

        async def main(run=run):
            async with beside() as start:
                waiting = start(receiver.recv)
                await settle()
                await sender.send(b"%d" % run)
                assert await waiting.result() == b"%d" % run
                start(receiver.recv)
                await settle()

        on_loop(main)
