"""Hello, world: the publisher.

    python examples/publisher.py

It says hello to everybody who has subscribed: start subscriber.py beside it, once or
several times.  Which side binds and which connects is not about who talks.  Here the
subscriber is the one who can be found, and the publisher looks for it:

    python examples/subscriber.py --bind tcp://127.0.0.1:1234
    python examples/publisher.py --connect tcp://127.0.0.1:1234

Both options can be given several times, and together.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import zraw
from zraw import aio

TOPICS = [b"CATS", b"LOL.CATS", b"DOGS"]
# A publisher that connects keeps messages for a subscriber that is away.  At the end
# it waits for that one no longer than so many milliseconds; without this, for ever.
OPTIONS = {zraw.ZMQ_LINGER: 1000}


async def publish(
    context: zraw.Context, args: argparse.Namespace, message: bytes
) -> None:
    async with aio.Publish(context, options=OPTIONS) as publisher:
        for endpoint in args.bind:
            print("bound to", publisher.bind(endpoint), flush=True)
        for endpoint in args.connect:
            publisher.connect(endpoint)
        for _ in range(args.rounds):
            for topic in TOPICS:
                # Two frames.  Nobody waits: without subscribers it goes nowhere.
                publisher.publish(message, topic=topic)
            await asyncio.sleep(args.interval)


def main() -> None:
    parser = argparse.ArgumentParser(description="Say hello about several topics.")
    parser.add_argument("--bind", metavar="ENDPOINT", action="append", default=[])
    parser.add_argument("--connect", metavar="ENDPOINT", action="append", default=[])
    parser.add_argument("--rounds", metavar="N", type=int, default=30)
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=1.0)
    parser.add_argument("--message", metavar="TEXT", default="hello, world")
    args = parser.parse_args()
    if not args.bind and not args.connect:
        args.bind = ["tcp://127.0.0.1:1234"]
    with zraw.Context() as context:
        asyncio.run(publish(context, args, args.message.encode()))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
