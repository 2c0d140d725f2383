"""zraw.aio: the talks' programs, on every loop."""

from __future__ import annotations

import anyio

import zraw
from zraw import aio


def test_aio__publisher_and_subscriber_of_the_talk(ctx, on_loop):
    async def main():
        subscriber = aio.Subscribe(
            ctx, bind="tcp://127.0.0.1:*", identity=b"mysub", topics=[b"CATS"]
        )
        where = subscriber.socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
        publisher = aio.Publish(ctx, identity=b"mypub", connect=where)
        async with subscriber, publisher:
            with anyio.move_on_after(10):
                while not aio.probe(subscriber.socket, zraw.ZMQ_POLLIN):
                    publisher.publish(b"a message", topic=b"CATS")
                    await anyio.sleep(0.001)
            assert await subscriber.recv_multipart() == [b"CATS", b"a message"]

    on_loop(main)
