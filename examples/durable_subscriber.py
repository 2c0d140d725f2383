"""A durable subscriber: it dies, and gets its messages when it comes back.

    python examples/durable_subscriber.py

The subscriber binds and the publisher connects: that is all.  Who connects keeps the
queue of a connection that is lost, with the subscriptions, and goes on filling it.

How far that holds, which the program shows as well:

- The queue has room for ZMQ_SNDHWM messages (here 10, by default 1000).  What comes
  beyond is dropped.
- The queue is in the publisher's memory: one that is killed loses it.
- What was on its way as the subscriber died is lost, and so is what is published
  before the publisher has noticed.

The program starts both as processes of their own.  You can, too: then kill -9 the
subscriber as often as you like, and type numbers to the publisher, as 3 for 3 messages.

    python examples/durable_subscriber.py subscriber ipc:///tmp/durable
    python examples/durable_subscriber.py publisher ipc:///tmp/durable
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from asyncio.subprocess import PIPE, Process

import zraw

HWM = 10


def subscribe(endpoint: str) -> None:
    """Print what is published, for ever."""
    with zraw.Context() as context:
        subscriber = context.socket(zraw.ZMQ_SUB)
        subscriber.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        subscriber.bind(endpoint)
        while True:
            print(subscriber.recv().decode(), flush=True)


def publish(endpoint: str, number: int) -> None:
    """Publish numbers: as many as each line of standard input says.

    The line "gone" waits until the subscriber is gone.
    """
    with zraw.Context() as context:
        publisher = context.socket(zraw.ZMQ_XPUB)
        publisher.setsockopt(zraw.ZMQ_SNDHWM, HWM)
        publisher.setsockopt(zraw.ZMQ_LINGER, 1000)  # for who is away at the end
        monitor = publisher.monitor(events=zraw.ZMQ_EVENT_DISCONNECTED)
        publisher.connect(endpoint)
        publisher.recv()  # the subscription: before, there is nobody to queue for
        print("subscribed", flush=True)
        for line in sys.stdin:
            if line.strip() == "gone":
                zraw.recv_event(monitor)
            else:
                for _ in range(int(line)):
                    publisher.send(str(number).encode())
                    number += 1
            print("done", flush=True)


# ---- the story


async def start(*args: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, *args, stdin=PIPE, stdout=PIPE
    )


async def kill(program: Process) -> None:
    if program.returncode is None:
        program.kill()  # -9
        await program.wait()


async def hear(program: Process) -> str:
    """Wait for a line of output."""
    assert program.stdout is not None
    line = await program.stdout.readline()
    if not line:
        raise EOFError("a program has ended before its time")
    return line.decode().strip()


async def hear_until(program: Process, number: int) -> list[int]:
    """Wait for numbers until this one comes."""
    numbers = [int(await hear(program))]
    while numbers[-1] != number:
        numbers.append(int(await hear(program)))
    return numbers


async def tell(program: Process, command: str) -> None:
    """Give a line of input, and wait until that is done."""
    assert program.stdin is not None
    program.stdin.write(f"{command}\n".encode())
    await hear(program)


async def tell_story(endpoint: str) -> None:
    async with contextlib.AsyncExitStack() as programs:

        async def start_subscriber() -> Process:
            program = await start("subscriber", endpoint)
            programs.push_async_callback(kill, program)
            return program

        async def start_publisher(number: int) -> Process:
            program = await start("publisher", endpoint, "--from", str(number))
            programs.push_async_callback(kill, program)
            await hear(program)  # "subscribed"
            return program

        subscriber = await start_subscriber()
        publisher = await start_publisher(1)
        await tell(publisher, "3")
        show("the subscriber is there", 3, await hear_until(subscriber, 3))

        await kill(subscriber)
        await tell(publisher, "gone")
        await tell(publisher, "3")  # 4 to 6
        subscriber = await start_subscriber()
        show("it was killed, and is back", 3, await hear_until(subscriber, 6))

        await kill(subscriber)
        await tell(publisher, "gone")
        await tell(publisher, "100")  # 7 to 106
        subscriber = await start_subscriber()
        numbers: list[int] = []
        while not numbers or numbers[-1] <= 106:
            # Until one finds room, and so comes after all that were queued.
            await tell(publisher, "1")
            with contextlib.suppress(asyncio.TimeoutError):
                numbers.append(int(await asyncio.wait_for(hear(subscriber), 0.05)))
        queued = [number for number in numbers if number <= 106]
        show(f"it was away for more than {HWM} messages", 100, queued)

        await kill(subscriber)
        await tell(publisher, "gone")
        await tell(publisher, "3")
        await kill(publisher)
        subscriber = await start_subscriber()
        publisher = await start_publisher(1001)
        await tell(publisher, "1")
        numbers = await hear_until(subscriber, 1001)
        show("the publisher was killed as well", 3, numbers[:-1])


def show(what: str, published: int, numbers: list[int]) -> None:
    received = " ".join(map(str, numbers)) or "none"
    print(f"{what}: {published} published, received: {received}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A subscriber that dies, and is back.")
    roles = ["story", "publisher", "subscriber"]
    parser.add_argument("role", nargs="?", default="story", choices=roles)
    parser.add_argument("endpoint", nargs="?", default="ipc:///tmp/zraw-durable")
    parser.add_argument("--from", metavar="N", dest="first", type=int, default=1)
    args = parser.parse_args()
    if args.role == "publisher":
        publish(args.endpoint, args.first)
    elif args.role == "subscriber":
        subscribe(args.endpoint)
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(tell_story(f"ipc://{folder}/durable"))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
