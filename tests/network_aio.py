"""The program of a network test: sockets of zraw.aio that count what they do.

    python network_aio.py '{"bind": "tcp://10.0.0.1:*", ...}'

A Reply and a Pull if there is `bind`, a Request and a Push if there is `connect`, a
list of their endpoints; else as network_peers.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import defaultdict
from typing import Any

import zraw
from network_peers import USUAL, Commands, Record, make, parse, say
from zraw import aio

ENDS = "aio", "aio-push", "aio-pull"  # of reports
COUNTED = zraw.ZMQ_EVENT_DISCONNECTED


class Peer:
    """What all have: counts, and commands."""

    def __init__(self) -> None:
        self.counts = {"asked": 0, "answered": 0, "timeouts": 0, "wrong": 0}
        self.sent = self.torn = self.disconnected = 0
        self.records: dict[str, Record] = defaultdict(Record)
        self.commands = Commands()
        self.over = asyncio.Event()  # no more questions
        self.ended = asyncio.Event()

    def obey(self) -> None:
        """Called by the loop when there is something to read."""
        lines = self.commands.read()
        if lines is None:
            self.ended.set()
            return
        for line in lines:
            if line == "stop":
                self.over.set()
            known = {source: each.report() for source, each in self.records.items()}
            figures = {
                "sent": self.sent,
                "torn": self.torn,
                "disconnected": self.disconnected,
                "from": known,
                **self.counts,
            }
            say(dict.fromkeys(ENDS, figures))

    def failed(self, handle: object, error: Exception) -> None:
        """Standard error has to be empty in the end."""
        print(repr(error), file=sys.stderr)

    async def answer(self, handle: aio.Reply, message: Any) -> list[bytes]:
        frames = message if isinstance(message, list) else [message]
        source, number = parse(frames)
        self.records[source].note(number)
        await asyncio.sleep(0)
        return [b"re", *frames]

    async def ask(self, request: aio.Request, patience: float) -> None:
        counts = self.counts
        while not self.over.is_set():
            question = make(counts["asked"], "aio", counts["asked"] % 4, 100)
            counts["asked"] += 1
            try:
                answer = await request.request(question, timeout=patience, retries=40)
            except TimeoutError:
                counts["timeouts"] += 1
            else:
                counts["answered"] += 1
                counts["wrong"] += answer != [b"re", *question]
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.over.wait(), 0.01)

    async def push(self, push: aio.Push) -> None:
        """Send as fast as libzmq takes it, which is not at all while it is cut off."""
        while not self.over.is_set():
            await push.send_multipart(make(self.sent, "aio-push", self.sent % 4, 100))
            self.sent += 1
            if self.sent % 10 == 0:
                await asyncio.sleep(0.02)

    async def pull(self, pull: aio.Pull) -> None:
        while True:
            try:
                source, number = parse(await pull.recv_multipart())
            except ValueError:
                self.torn += 1
            else:
                self.records[source].note(number)

    def noted(self, monitor: zraw.Socket, events: int) -> None:
        zraw.recv_event(monitor)
        self.disconnected += 1


async def run(
    bind: str = "",
    connect: tuple[str, str] = ("", ""),
    patience: float = 0.3,
    **options: Any,
) -> None:
    """Serve two sockets until stdin ends."""
    peer = Peer()
    numbers = {
        getattr(zraw, f"ZMQ_{option}"): value
        for option, value in {**USUAL, **options}.items()
    }
    with zraw.Context() as context:
        common: dict[str, Any] = {"on_error": peer.failed, "options": numbers}
        first: aio.Reply | aio.Request
        second: aio.Push | aio.Pull
        if bind:
            first = aio.Reply(context, bind=bind, on_request=peer.answer, **common)
            second = aio.Pull(context, bind=bind, **common)
            work = [peer.pull(second)]
        else:
            first = aio.Request(context, connect=connect[0], **common)
            common["options"] = {**numbers, zraw.ZMQ_SNDHWM: 10}
            second = aio.Push(context, connect=connect[1], **common)
            work = [peer.ask(first, patience), peer.push(second)]
        where = [
            handle.socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
            for handle in (first, second)
        ]
        monitor = second.socket.monitor(events=COUNTED)
        watcher = aio.io(monitor, zraw.ZMQ_POLLIN, peer.noted)
        say({"aio": where})
        asyncio.get_running_loop().add_reader(0, peer.obey)
        async with first, second:
            tasks = [asyncio.ensure_future(each) for each in work]
            await peer.ended.wait()
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if result and not isinstance(result, asyncio.CancelledError):
                    raise result
        watcher.cancel()
        monitor.close()


if __name__ == "__main__":
    asyncio.run(run(**json.loads(sys.argv[1])))
