"""The process under attack: hostile_child.py CONFIG, and CONFIG is JSON.

It has one socket that strangers reach, and one, on the same I/O thread, that is asked
how it goes.  It reads and answers by blocking calls in threads, by polling, or on an
event loop, until it is told to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import zraw
from hostile_peer import (
    counts,
)
from hostile_spoiler import make
from peers import accept, refuse, zap_handler
from zraw.aio import Handle

MODES = ("blocking", "poll", "aio")
TICKING = ("PUB", "XPUB", "PUSH", "REQ")  # those that speak first
TICK = 0.005
TICK_TOCK = [b"tick", b"tock"]


class World:
    """The socket under attack, and what happened to it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.kind: str = config["kind"]
        self.manual = "XPUB_MANUAL" in config.get("options", {})
        self.tick = [b"tick"] if "CONFLATE" in config.get("options", {}) else TICK_TOCK
        self.context = zraw.Context()
        options = {
            name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
            for name, value in config.get("options", {}).items()
        }
        timeouts = {"RCVTIMEO": 50, "SNDTIMEO": 50}
        self.socket = make(self.context, self.kind, timeouts | options)
        self.control = make(self.context, "REP", {"RCVTIMEO": 50, "LINGER": 1000})
        self.received = self.sent = self.refused = 0
        self.messages: list[list[str]] = []
        self.keep: int = config.get("keep", 0)
        self.legit = ""
        self.over = False
        self.events = 0
        if self.kind == "XSUB":
            self.socket.send(b"\1")
        self.where = self.control.bind("tcp://127.0.0.1:*")
        if config.get("monitor"):
            self.monitor = self.socket.monitor("inproc://monitor")
            self.watcher = threading.Thread(target=self.watch)
            self.watcher.start()
        if "connect" in config:
            self.endpoint = config["connect"]
            self.socket.connect(self.endpoint)
        else:
            self.endpoint = self.socket.bind(config.get("bind", "tcp://127.0.0.1:*"))

    def watch(self) -> None:
        self.monitor.setsockopt(zraw.ZMQ_RCVTIMEO, 50)
        while not self.over:
            with contextlib.suppress(zraw.Again):
                self.monitor.recv_multipart()
                self.events += 1
        self.monitor.close()

    def got(self, frames: list[bytes]) -> list[bytes] | None:
        """Note a message; return what is answered."""
        self.received += 1
        if len(self.messages) < self.keep:
            self.messages.append([frame.hex() for frame in frames])
        if frames[-1].startswith(b"legit"):
            self.legit = frames[-1].decode("ascii", "replace")
        if self.kind == "XPUB" and self.manual and frames[0][:1] in (b"\0", b"\1"):
            option = zraw.ZMQ_SUBSCRIBE if frames[0][0] else zraw.ZMQ_UNSUBSCRIBE
            self.socket.setsockopt(option, frames[0][1:])
        if self.kind in ("ROUTER", "REP") or (self.kind == "STREAM" and frames[1]):
            return frames
        return None

    def ask(self) -> list[bytes] | None:
        """Return what is said without having been asked."""
        return self.tick if self.kind in TICKING else None

    def answer(self, question: bytes) -> bytes:
        """What the control socket says."""
        if question == b"end":
            self.over = True
            if hasattr(self, "watcher"):
                self.watcher.join()
        kilobytes, files = counts(os.getpid())
        said = {
            "received": self.received, "sent": self.sent, "refused": self.refused,
            "legit": self.legit, "rss": kilobytes, "fds": files,
            "messages": self.messages, "events": self.events,
        }  # fmt: skip
        if question == b"take":
            self.messages = []
        return json.dumps(said).encode()

    def step(self) -> None:
        """Receive one message, answer it, say something; wait for neither for long."""
        said = None
        if self.kind not in ("PUB", "PUSH"):
            with contextlib.suppress(zraw.Again, zraw.InvalidState):
                while self.kind == "XPUB":  # whatever there is, between two ticks
                    self.got(self.socket.recv_multipart(zraw.ZMQ_DONTWAIT))
                said = self.got(self.socket.recv_multipart())
        said = said or self.ask()
        if said is not None:
            try:
                self.socket.send_multipart(said)
                self.sent += 1
            except (zraw.Again, zraw.InvalidState, zraw.HostUnreachable):
                self.refused += 1
            if self.kind in ("PUB", "XPUB", "PUSH"):
                time.sleep(TICK)


def blocking(world: World) -> None:
    def loop() -> None:
        while not world.over:
            world.step()

    thread = threading.Thread(target=loop)
    thread.start()
    while not world.over:
        with contextlib.suppress(zraw.Again):
            world.control.send(world.answer(world.control.recv()))
    thread.join()


def poll(world: World) -> None:
    items = [(world.socket, zraw.ZMQ_POLLIN), (world.control, zraw.ZMQ_POLLIN)]
    world.socket.setsockopt(zraw.ZMQ_SNDTIMEO, 0)
    world.socket.setsockopt(zraw.ZMQ_RCVTIMEO, 0)
    while not world.over:
        ready = dict(zraw.poll(items, int(TICK * 1000)))
        if world.control in ready:
            world.control.send(world.answer(world.control.recv()))
        if world.socket in ready or world.kind in TICKING:
            world.step()


async def on_loop(world: World) -> None:
    async def read(handle: Handle) -> None:
        while True:
            said = world.got(await handle.recv_multipart())
            if said is not None:
                try:
                    await asyncio.wait_for(handle.send_multipart(said), 0.05)
                    world.sent += 1
                except (TimeoutError, asyncio.TimeoutError, zraw.HostUnreachable):
                    world.refused += 1

    async def tick(handle: Handle) -> None:
        while True:
            said = world.ask()
            try:
                await asyncio.wait_for(handle.send_multipart(said or []), 0.05)
                world.sent += 1
            except (TimeoutError, asyncio.TimeoutError, zraw.InvalidState):
                world.refused += 1
            await asyncio.sleep(TICK)

    async def ask_req(handle: Handle) -> None:
        while True:
            try:
                await asyncio.wait_for(handle.send_multipart(world.tick), 0.05)
                world.sent += 1
                while True:
                    world.got(await asyncio.wait_for(handle.recv_multipart(), 0.05))
            except (TimeoutError, asyncio.TimeoutError, zraw.InvalidState):
                world.refused += 1
                await asyncio.sleep(TICK)

    handle, control = Handle(world.socket), Handle(world.control)
    tasks = []
    if world.kind == "REQ":
        tasks.append(asyncio.ensure_future(ask_req(handle)))
    elif world.kind in TICKING:
        tasks.append(asyncio.ensure_future(tick(handle)))
    if world.kind not in ("PUB", "PUSH", "REQ"):
        tasks.append(asyncio.ensure_future(read(handle)))
    while not world.over:
        await control.send(world.answer(await control.recv()))
        for task in tasks:
            if task.done():
                task.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    handle.close()
    await control.aclose()


def main() -> None:
    config = json.loads(sys.argv[1])
    world = World(config)

    def decide(request: list[bytes]) -> Any:
        good = request[5] != b"PLAIN" or request[6:] == [b"user", b"secret"]
        return accept(request) if good else refuse(request)

    with zap_handler(world.context, decide):
        print(json.dumps([world.endpoint, world.where]), flush=True)
        if config["mode"] == "aio":
            asyncio.run(on_loop(world))
        else:
            (blocking if config["mode"] == "blocking" else poll)(world)
    world.socket.close()
    world.control.close()
    world.context.close()


class Target:
    """A child under attack, seen from outside; `with` ends it."""

    def __init__(self, kind: str, mode: str = "blocking", **config: Any) -> None:
        self.kind = kind
        self.options = config.get("options", {})
        config |= {"kind": kind, "mode": mode}
        command = [sys.executable, "-X", "faulthandler", __file__, json.dumps(config)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent,
        )  # fmt: skip
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(self.process.communicate()[1])
        self.endpoint, where = json.loads(first)
        self.context = zraw.Context()
        options = {"REQ_RELAXED": 1, "REQ_CORRELATE": 1}
        self.control = make(self.context, "REQ", options)
        self.control.connect(where)
        self.code: int | None = None
        self.err = ""

    def ask(self, question: bytes = b"how are you?") -> dict[str, Any]:
        """Ask the process how it goes; it has 5 seconds."""
        self.control.send(question)
        return dict(json.loads(self.control.recv()))

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Have it end, and keep how it did."""
        if self.is_alive():
            with contextlib.suppress(zraw.Again):
                self.ask(b"end")
        self.control.close()
        self.context.close()
        try:
            self.err = self.process.communicate(timeout=10)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.err = "did not end: " + self.process.communicate()[1]
        self.code = self.process.returncode

    def __enter__(self) -> Target:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self.close()
        if kind is None:
            assert (self.code, self.err) == (0, ""), f"{self.code}\n{self.err}"


class Sink:
    """A PULL under attack, and what arrives there."""

    def __init__(self, target: Target, partner: dict[str, Any]) -> None:
        self.target = target
        self.socket = make(target.context, "PUSH", partner)
        self.socket.connect(target.endpoint)

    def arrived(self) -> list[list[bytes]]:
        """Return the messages of strangers since the last call.

        They are queued by now, or their connection is closed.  The queues are read in
        turn, so that 64 messages of one's own come after 63 of each stranger's.
        """
        self.socket.send_many([b"mine %d" % n for n in range(64)])
        found: list[list[bytes]] = []
        deadline = time.monotonic() + 5
        while True:
            for frames in self.target.ask(b"take")["messages"]:
                found.append([bytes.fromhex(one) for one in frames])
            if [b"mine 63"] in found:
                return [one for one in found if not one[0].startswith(b"mine ")]
            assert time.monotonic() < deadline, "a rightful peer is not served"


class Legit:
    """A peer of the socket under attack that keeps to the rules, and wants service."""

    def __init__(self, target: Target, partner: dict[str, Any]) -> None:
        self.target, self.number = target, 0
        self.slowest, self.served, self.retries = 0.0, 0, 0
        self.socket: Any = None
        kind = {"REP": "REQ", "ROUTER": "DEALER", "PULL": "PUSH", "SUB": "PUB",
                "XSUB": "PUB", "DEALER": "DEALER", "PUB": "XSUB", "XPUB": "XSUB"}.get(
            target.kind
        )  # fmt: skip
        if target.options.keys() & {"ROUTER_RAW", "INVERT_MATCHING"}:
            kind = None  # it would have to be another one
        if kind is not None:
            if kind == "REQ":
                partner = {"REQ_RELAXED": 1, "REQ_CORRELATE": 1, **partner}
            self.socket = make(target.context, kind, partner)
            self.socket.connect(target.endpoint)
            if kind == "XSUB":  # a SUB is not heard by libzmq over ws:// with CURVE
                self.socket.send(b"\1")

    def serve(self, text: str) -> bool:
        """Be served once, within a second."""
        kind, end = self.target.kind, time.monotonic() + 1
        if self.socket is None:  # whom it speaks to is for the attackers to say
            return bool(self.target.ask())
        if kind in ("PUB", "XPUB"):
            while self.socket.try_recv_multipart() is not None:
                pass  # what had been waiting
        elif "SUB" not in kind:
            self.socket.send(text.encode())
        while (left := end - time.monotonic()) > 0:
            if kind in ("SUB", "XSUB", "PULL", "DEALER"):
                if "SUB" in kind:  # it may not have subscribed yet
                    self.socket.send(text.encode())
                if self.target.ask()["legit"] == text:
                    return True
            elif self.socket.poll(max(1, int(left * 1000))):
                said = self.socket.recv_multipart()
                if kind in ("PUB", "XPUB") or said == [text.encode()]:
                    return True
        return False

    def check(self) -> None:
        """Be served, at the tenth try at the latest; the process answers, too."""
        self.number += 1
        for _ in range(10):
            start = time.monotonic()
            if self.serve(f"legit {self.number}"):
                break
            self.retries += 1
        else:
            raise TimeoutError(f"a peer of {self.target.kind} was not served")
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.served += 1

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()


if __name__ == "__main__":
    main()
