"""A serializer: objects out of raw bytes, and no copy on the way.

    pip install msgspec
    python examples/serializer.py

ZeroMQ carries strings of bytes and does not look into them.  What they mean is agreed
between those who talk; here by a class that msgspec writes as MessagePack.  It reads
from any buffer, so a Message is decoded where it is, and binary fields stay there.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

import zraw
from zraw import aio


class Picture(msgspec.Struct):
    """What travels: fields of any type, one of them large."""

    name: str
    size: tuple[int, int]
    tags: list[str]
    pixels: memoryview  # not bytes: it is not copied out of the message


class Thanks(msgspec.Struct):
    name: str
    brightness: float


async def serve(server: aio.Reply) -> None:
    decoder, encoder = msgspec.msgpack.Decoder(Picture), msgspec.msgpack.Encoder()
    while True:
        message = await server.recv_msg()
        try:
            picture = decoder.decode(message)
        except msgspec.DecodeError as error:
            # Anybody can send anything.
            await server.send(encoder.encode(str(error)))
            continue
        brightness = sum(picture.pixels) / len(picture.pixels)
        await server.send(encoder.encode(Thanks(picture.name, brightness)))


async def ask(client: aio.Request) -> None:
    encoder = msgspec.msgpack.Encoder()
    decoder = msgspec.msgpack.Decoder(Thanks | str)
    pixels = memoryview(bytes(range(256)) * 1000)
    picture = Picture("cat.png", (640, 400), ["CATS", "LOL.CATS"], pixels)
    for question in (encoder.encode(picture), b"what is this?"):
        answer = await client.request(question, timeout=10)
        assert isinstance(answer, bytes)
        print(decoder.decode(answer), flush=True)


async def run(context: zraw.Context) -> None:
    async with (
        aio.Reply(context) as server,
        aio.Request(context, connect=server.bind("tcp://127.0.0.1:*")) as client,
    ):
        serving = asyncio.create_task(serve(server))
        try:
            await ask(client)
        finally:
            serving.cancel()


def main() -> None:
    with zraw.Context() as context:
        asyncio.run(run(context))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
