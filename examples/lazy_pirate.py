"""A client that asks again, and a server that dies: the Lazy Pirate.

    python examples/lazy_pirate.py

Request.request() asks, waits for a time, asks again, and at last gives up; then the
next question can be asked.  The program kills its server, asks in vain, starts it
again while a question waits, and gets the answer.  In two terminals, or on two
machines, kill -9 and restart the server as you like:

    python examples/lazy_pirate.py server tcp://127.0.0.1:5555
    python examples/lazy_pirate.py client tcp://127.0.0.1:5555 --questions 1000

A question may be delivered twice, if it was the answer that got lost or came late: a
server has to be able to bear that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator

import zraw
from zraw import aio

# At the end, do not wait for a server that is away to take the last question.
CLIENT = {zraw.ZMQ_LINGER: 0}


async def serve(context: zraw.Context, endpoint: str, delay: float) -> None:
    await asyncio.sleep(delay)  # many a server takes its time to start
    async with aio.Reply(context, bind=endpoint) as server:
        while True:
            question = await server.recv()
            await server.send(b"answer to " + question)


async def ask(
    client: aio.Request, question: str, *, timeout: float = 0.25, retries: int = 3
) -> None:
    """Ask, and print what came of it: after 0.25, 0.5, 1 and 2 s, nothing."""
    try:
        answer = await client.request(
            question.encode(), timeout=timeout, retries=retries, backoff=2
        )
    except TimeoutError:
        print(f"{question}: no answer, given up", flush=True)
    else:
        assert isinstance(answer, bytes)
        print(f"{question}: {answer.decode()}", flush=True)


async def ask_many(context: zraw.Context, endpoint: str, questions: int) -> None:
    async with aio.Request(context, connect=endpoint, options=CLIENT) as client:
        for number in range(questions):
            await ask(client, f"question {number}", retries=5)
            await asyncio.sleep(0.01)


# ---- the story


@contextlib.asynccontextmanager
async def running_server(endpoint: str, *args: str) -> AsyncIterator[None]:
    """Start a server, and kill -9 it in the end."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "server", endpoint, *args
    )
    print("the server is started", flush=True)
    try:
        yield
    finally:
        server.kill()
        await server.wait()
        print("the server is killed", flush=True)


async def tell_story(context: zraw.Context, endpoint: str) -> None:
    async with aio.Request(context, connect=endpoint, options=CLIENT) as client:
        async with running_server(endpoint):
            await ask(client, "first question", retries=5)
        await ask(client, "second question", timeout=0.05, retries=2)
        async with running_server(endpoint, "--delay", "0.5"):
            await ask(client, "third question", retries=5)  # more than once


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a server that may be away.")
    roles = ["story", "server", "client"]
    parser.add_argument("role", nargs="?", default="story", choices=roles)
    parser.add_argument("endpoint", nargs="?", default="tcp://127.0.0.1:5555")
    parser.add_argument("--questions", metavar="N", type=int, default=10)
    parser.add_argument("--delay", metavar="SECONDS", type=float, default=0.0)
    args = parser.parse_args()
    with zraw.Context() as context:
        if args.role == "server":
            asyncio.run(serve(context, args.endpoint, args.delay))
        elif args.role == "client":
            asyncio.run(ask_many(context, args.endpoint, args.questions))
        else:
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(tell_story(context, f"ipc://{folder}/pirate"))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
