"""Hello, world: a subscriber, on the event loop of your choice.

    python examples/publisher.py
    python examples/subscriber.py                   # asyncio
    python examples/subscriber.py --trio            # or
    python examples/subscriber.py --uvloop --topic CATS

A topic stands for all that begin with it: CATS are CATS and CATS.PERSIAN, but not
LOL.CATS.  Like the publisher, it may bind, connect, or both, as often as you like:

    python examples/subscriber.py --bind tcp://127.0.0.1:4321 \\
        --connect tcp://127.0.0.1:1234
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import zraw
from zraw import aio


async def subscribe(context: zraw.Context, args: argparse.Namespace) -> None:
    # Nothing here says which loop it is: zraw.aio sees that for itself.
    topics = [topic.encode() for topic in args.topic]
    async with aio.Subscribe(context, topics=topics) as subscriber:
        for endpoint in args.bind:
            print("bound to", subscriber.bind(endpoint), flush=True)
        for endpoint in args.connect:
            subscriber.connect(endpoint)  # the publisher may be started later
        for _ in range(args.count):
            topic, text = await subscriber.recv_multipart()
            print(f"{topic.decode()}: {text.decode()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print messages about some topics.")
    parser.add_argument("--bind", metavar="ENDPOINT", action="append", default=[])
    parser.add_argument("--connect", metavar="ENDPOINT", action="append", default=[])
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--count", metavar="N", type=int, default=10)
    loops = parser.add_mutually_exclusive_group()
    loops.add_argument("--trio", action="store_true")
    loops.add_argument("--uvloop", action="store_true")
    args = parser.parse_args()
    if not args.bind and not args.connect:
        args.connect = ["tcp://127.0.0.1:1234"]
    args.topic = args.topic or ["CATS", "LOL.CATS"]
    with zraw.Context() as context:
        if args.trio:
            import trio

            trio.run(subscribe, context, args)
        elif args.uvloop:
            import uvloop

            uvloop.run(subscribe(context, args))
        else:
            asyncio.run(subscribe(context, args))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
