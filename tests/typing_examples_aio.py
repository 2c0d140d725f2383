"""What a type checker has to know of zraw.aio; see typing_examples.py."""

from collections import Counter
from collections.abc import MutableSet
from typing import Any

from typing_extensions import assert_type

import zraw
from zraw import Context, Message, Socket, aio


async def handles(context: Context, socket: Socket) -> None:
    handle = aio.Handle(socket, identity=b"x", bind="inproc://a", connect=["b", b"c"])
    assert_type(await handle.recv(), bytes)
    assert_type(await handle.recv_multipart(), list[bytes])
    assert_type(await handle.recv_msg(), Message)
    assert_type(await handle.recv_msg(Message()), Message)
    assert_type(await handle.recv_many(10), list[Any])
    assert_type(await handle.recv_many(10, multipart=True), list[list[bytes]])
    assert_type(await handle.recv_many(10, copy=False), list[Any])
    await handle.send(bytearray(3))
    await handle.send_multipart([b"a", Message(b"b")])
    await handle.drain()
    async for message in handle:
        assert_type(message, bytes | list[bytes])
    async with handle as inner:
        assert_type(inner, aio.Handle)
    handle.push_write(b"x")
    handle.push_write([b"x", memoryview(b"y")])
    handle.push_write(asked)
    handle.push_read(read)
    handle.on_read = read
    handle.on_read = read_later
    handle.on_read = None
    handle.on_drain = drained
    handle.on_error = failed
    assert_type(handle.bind("tcp://127.0.0.1:*"), str)
    assert_type(handle.identity, bytes)
    assert_type(handle.socket, Socket)
    assert_type(handle.closed, bool)
    handle.close(linger=0)

    aio.Handle(context)  # type: ignore[arg-type]
    handle.on_read = drained  # type: ignore[assignment]
    await handle.send("x")  # type: ignore[arg-type]


def read(handle: aio.Readable, message: bytes) -> None:
    """What on_read and push_read take."""


async def read_later(handle: aio.Handle, message: list[bytes]) -> None:
    """The same, as a coroutine function."""


def asked(handle: aio.Push) -> bytes | None:
    """What push_write() asks for data."""
    return None


def drained(handle: aio.Writable) -> None:
    """What on_drain takes."""


def failed(handle: aio.Handle, error: BaseException) -> None:
    """What on_error takes."""


async def roles(context: Context) -> None:
    publish = aio.Publish(context, options={zraw.ZMQ_SNDHWM: 5}, on_drain=drained)
    publish.publish(b"x", topic=b"t")
    pull = aio.Pull(context, on_read=read)
    assert_type(await pull.recv(), bytes)

    await publish.recv()  # type: ignore[attr-defined]
    await pull.send(b"x")  # type: ignore[attr-defined]
    aio.Pull(context, on_drain=drained)  # type: ignore[call-arg]
    aio.Push(context, on_read=read)  # type: ignore[call-arg]
    readable: aio.Readable = publish  # type: ignore[assignment]
    writable: aio.Writable = publish
    print(readable, writable)


async def patterns(context: Context) -> None:
    subscribe = aio.Subscribe(context, topics=[b"a"])
    assert_type(subscribe.topics, MutableSet[bytes])
    subscribe.topics.add(b"b")
    x_publish = aio.XPublish(context)
    await x_publish.wait_for_subscribers(2, topic=b"a")
    assert_type(x_publish.subscriptions, Counter[bytes])
    request = aio.Request(context, connect="tcp://127.0.0.1:1")
    answer = await request.request(b"x", timeout=0.5, retries=3, backoff=1.5)
    assert_type(answer, bytes | list[bytes])
    reply = aio.Reply(context, on_request=answered)
    await reply.send(b"x")

    await request.request(b"x", 0.5)  # type: ignore[call-arg]
    await request.send(b"x")  # type: ignore[attr-defined]


async def answered(handle: aio.Reply, message: bytes) -> list[bytes]:
    """What on_request takes."""
    return [message]


def watchers(socket: Socket) -> None:
    watcher = aio.io(socket, zraw.ZMQ_POLLIN, ready)
    assert_type(watcher, aio.Watcher)
    assert_type(watcher.active, bool)
    watcher.cancel()
    assert_type(aio.probe(socket, zraw.ZMQ_POLLIN), bool)

    aio.io(socket, zraw.ZMQ_POLLIN, drained)  # type: ignore[arg-type]


def ready(socket: Socket, events: int) -> None:
    """What io() takes."""
