"""What a long day is made of, part 3: threads, loops, signals, processes; soak.py."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import zraw
from soak_acts import Act, Stop, Stream, make, names, number_of, until
from zraw import aio


class Proxies(Act):
    """A proxy in a thread, with a copy of all that it forwards."""

    def round(self) -> None:
        context = zraw.Context()
        steered = self.rng.random() < 0.5
        front = self.socket(zraw.ZMQ_PULL, context)
        back, capture = (self.socket(zraw.ZMQ_PUSH, context) for _ in "12")
        control, boss = (self.socket(zraw.ZMQ_PAIR, context) for _ in "12")
        push, pull = self.socket(zraw.ZMQ_PUSH), self.socket(zraw.ZMQ_PULL)
        copies = self.socket(zraw.ZMQ_PULL, context)
        push.connect(front.bind(self.endpoint("ipc")))
        pull.connect(back.bind(self.endpoint("tcp")))
        copies.connect(capture.bind("inproc://capture"))
        boss.connect(control.bind("inproc://control"))
        ended: list[object] = []

        def forward() -> None:
            try:
                if steered:
                    zraw.proxy_steerable(front, back, capture, control)
                else:
                    zraw.proxy(front, back, capture)
                ended.append(None)
            except zraw.ContextTerminated:
                ended.append("terminated")

        thread = threading.Thread(target=forward)
        thread.start()
        count = self.rng.randrange(1, 100)
        for number in range(count):
            push.send_multipart(make(self.rng, number, self.rng.randrange(1, 3)))
        for number in range(count):
            assert number_of(pull.recv_multipart()) == number
            assert number_of(copies.recv_multipart()) == number
        if steered:
            boss.send(b"TERMINATE")
        else:
            context.shutdown()
        thread.join(30)
        assert ended == [None if steered else "terminated"]
        push.close()
        pull.close()
        context.close()
        self.counts["messages"] += 2 * count
        self.counts["proxies"] += 1


class Loop(Act):
    """zraw.aio: requests that are repeated, receives that are cancelled, a topic."""

    loop: asyncio.AbstractEventLoop | None = None

    def round(self) -> None:
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        main = asyncio.wait_for(self.main(), 30)
        self.loop.run_until_complete(main)
        self.counts["loops"] += 1

    async def main(self) -> None:
        await asyncio.gather(self.ask(), self.stream(), self.publish())

    async def ask(self) -> None:
        """The first answer comes too late, and is never taken for a later one."""
        late = self.rng.random() < 0.2

        async def answer(handle: aio.Reply, question: Any) -> Any:
            nonlocal late
            if late:
                late = False
                await asyncio.sleep(0.03)
                return b"late"
            return question

        async with aio.Reply(self.context, on_request=answer) as reply:
            where = reply.bind(self.endpoint("ipc"))
            async with aio.Request(self.context, connect=where) as request:
                if late:
                    asked = request.request(b"1", timeout=0.01, retries=12, backoff=2)
                    assert await asked == b"1"
                    self.counts["retried"] += 1
                for number in range(self.rng.randrange(1, 10)):
                    question = make(self.rng, number, 2)
                    answered = await request.request(question, timeout=2, retries=5)
                    assert answered == question
                    self.counts["messages"] += 2

    async def stream(self) -> None:
        count = self.rng.randrange(1, 200)
        pull = aio.Pull(self.context)
        where = pull.bind(self.endpoint(self.rng.choice(("tcp", "inproc"))))
        push = aio.Push(self.context, connect=where)
        async with pull, push:
            sending = asyncio.ensure_future(self.send(push, count))
            received: list[int] = []
            while len(received) < count:
                kind = self.rng.randrange(3)
                if kind == 0:
                    batch = await pull.recv_many(multipart=True)
                    received += map(number_of, batch)
                elif kind == 1:
                    received.append(number_of(await pull.recv_multipart()))
                else:
                    task = asyncio.ensure_future(pull.recv_multipart())
                    await asyncio.sleep(self.rng.choice((0, 0, 0.0005)))
                    task.cancel()
                    # It was returned, or is still in the queue.
                    try:
                        received.append(number_of(await task))
                    except asyncio.CancelledError:
                        self.counts["cancelled"] += 1
            await sending
            assert received == list(range(count))
        self.counts["messages"] += count

    async def send(self, push: aio.Push, count: int) -> None:
        for number in range(count):
            frames = make(self.rng, number, self.rng.randrange(1, 3))
            if self.rng.random() < 0.5:
                await push.send_multipart(frames)
            else:
                push.push_write(frames)
            if number % 10 == 0:
                await asyncio.sleep(0)
        await push.drain()

    async def publish(self) -> None:
        publish = aio.XPublish(self.context)
        where = publish.bind(self.endpoint("inproc"))
        subscribe = aio.Subscribe(self.context, connect=where, topics=[b"a"])
        async with publish, subscribe:
            await publish.wait_for_subscribers(1, b"a")
            for number in range(10):
                publish.publish(make(self.rng, number), topic=b"ab"[number % 2 :])
            for number in range(0, 10, 2):
                _, *frames = await subscribe.recv_multipart()
                assert number_of(frames) == number
            self.counts["messages"] += 5

    def quiet(self) -> None:
        if self.loop is not None:
            self.loop.close()
            self.loop = None


class Peers(Act):
    """Another process, which is killed and comes back: what returns was sent, once."""

    PROGRAM = """
import sys, zraw
with zraw.Context() as context, context.socket(zraw.ZMQ_DEALER) as dealer:
    dealer.setsockopt(zraw.ZMQ_LINGER, 0)
    dealer.setsockopt(zraw.ZMQ_RCVTIMEO, 60000)
    getattr(dealer, sys.argv[1])(sys.argv[2])
    try:
        while True:
            dealer.send_multipart([sys.argv[3].encode(), *dealer.recv_multipart()])
    except zraw.Again:  # whoever has started this one is gone
        pass
"""

    def open(self) -> None:
        self.number = itertools.count()
        bound = self.socket(zraw.ZMQ_DEALER)
        connected = self.socket(zraw.ZMQ_DEALER, RECONNECT_IVL=20)
        where = self.endpoint("ipc")
        connected.connect(where)
        self.sides = {
            bound: ("connect", bound.bind(self.endpoint("tcp"))),
            connected: ("bind", where),
        }
        self.outstanding: dict[zraw.Socket, set[int]] = {}
        self.late: dict[zraw.Socket, set[int]] = {}
        self.latest: dict[zraw.Socket, dict[int, int]] = {}
        self.life = dict.fromkeys(self.sides, 0)
        self.processes: dict[zraw.Socket, subprocess.Popen[bytes]] = {}
        for socket in self.sides:
            self.outstanding[socket], self.late[socket] = set(), set()
            self.latest[socket] = {}
            self.start(socket)

    def start(self, socket: zraw.Socket) -> None:
        self.latest[socket].pop(self.life[socket] - 1, None)
        self.life[socket] += 1
        args = [sys.executable, "-c", self.PROGRAM, *self.sides[socket]]
        args.append(str(self.life[socket]))
        self.processes[socket] = subprocess.Popen(args)
        end = time.monotonic() + 60
        while self.life[socket] not in self.latest[socket]:
            assert time.monotonic() < end, "the peer does not come back"
            self.send(socket)  # it may be for the one that is dead
            while socket.poll(200):
                self.take(socket)
        self.take_until(socket, self.send(socket))
        # The last one had them; what it has sent back may still come.
        self.counts["lost"] += len(self.outstanding[socket])
        self.late[socket] = self.outstanding[socket]
        self.outstanding[socket] = set()

    def send(self, socket: zraw.Socket) -> int:
        number = next(self.number)
        self.outstanding[socket].add(number)
        socket.send_multipart(make(self.rng, number, self.rng.randrange(1, 4)))
        return number

    def take(self, socket: zraw.Socket) -> int:
        """Receive what was not yet seen, and in the order of each peer."""
        name, *frames = socket.recv_multipart()
        life, number = int(name), number_of(frames)
        if number in self.late[socket]:
            assert life < self.life[socket]
            self.late[socket].remove(number)
            self.counts["lost"] -= 1
        else:
            self.outstanding[socket].remove(number)
        assert number > self.latest[socket].get(life, -1), (number, life)
        self.latest[socket][life] = number
        self.counts["messages"] += 2
        return number

    def take_until(self, socket: zraw.Socket, expected: int) -> None:
        while self.take(socket) != expected:
            pass

    def round(self) -> None:
        for socket in self.sides:
            numbers = [self.send(socket) for _ in range(self.rng.randrange(1, 50))]
            if self.rng.random() < 0.02:
                self.end(socket)
                self.start(socket)
                continue
            for number in numbers:
                self.take_until(socket, number)
            assert not self.outstanding[socket]
            time.sleep(0.005)

    def end(self, socket: zraw.Socket) -> None:
        process = self.processes[socket]
        process.kill()
        assert process.wait(30) == -signal.SIGKILL
        self.counts["killed"] += 1

    def close(self) -> None:
        for socket in self.sides:
            self.end(socket)
            socket.close()


class Signals(Stream):
    """The main thread's stream: handlers raise in mid-call, and nothing is lost."""

    def open(self) -> None:
        super().open()
        self.armed = False
        signal.signal(signal.SIGUSR1, self.on_signal)

    def on_signal(self, *_: object) -> None:
        self.counts["signals"] += 1
        if self.armed and self.rng.random() < 0.5:
            self.armed = False
            self.counts["raised"] += 1
            raise Stop

    def result_of(self, call: Callable[[], Any]) -> tuple[list[Any], Any]:
        """The results, one or none, and the exception of a handler.

        list.extend() keeps what a call has returned, and runs no handler itself.
        """
        results: list[Any] = []
        error: Any = None
        try:
            self.armed = True
            results.extend(map(methodcaller("__call__"), (call,)))
            self.armed = False
        except Stop as stop:
            error = stop
        return results, error

    def send(self, push: zraw.Socket, batch: list[list[bytes]]) -> None:
        if self.rng.random() < 0.5:
            while batch:
                results, error = self.result_of(partial(push.send_many, batch))
                done = results[0] if results else getattr(error, "sent", 0)
                batch = batch[done:]
        for frames in batch:
            while not self.result_of(partial(push.send_multipart, frames))[0]:
                pass

    def receive(self, pull: zraw.Socket, most: int) -> list[Any]:
        if self.rng.random() < 0.5:
            return self.result_of(pull.recv_multipart)[0]
        call = partial(pull.recv_many, most, 0, True, True)
        results, error = self.result_of(call)
        return results[0] if results else getattr(error, "received", [])


class Killer(Act):
    """Signals for the main thread, at random moments."""

    def round(self) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        time.sleep(self.rng.choice((0.001, 0.005, 0.02)))


class Forks(Act):
    """A child cannot use what is its parent's, uses its own, and leaves."""

    def open(self) -> None:
        self.push, self.pull = self.pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")

    def round(self) -> None:
        self.push.send(b"before")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self.live_as_child()
                code = 0
            finally:
                os._exit(code)
        status: list[int] = []

        def ended() -> bool:
            found, code = os.waitpid(pid, os.WNOHANG)
            status.extend([code] * bool(found))
            return bool(found)

        until(ended, "the end of a child")
        assert status == [0]
        assert self.pull.recv() == b"before"
        self.counts["children"] += 1

    def live_as_child(self) -> None:
        for call in (self.pull.recv, lambda: self.push.send(b"x" * 100_000)):
            try:
                call()
            except zraw.ForkError:
                continue
            raise AssertionError("a child may use what is its parent's")
        rng = random.Random(next(names))
        with zraw.Context() as context:
            push = self.socket(zraw.ZMQ_PUSH, context)
            pull = self.socket(zraw.ZMQ_PULL, context)
            push.connect(pull.bind("tcp://127.0.0.1:*"))
            for number in range(10):
                push.send_multipart(make(rng, number, 2))
                assert number_of(pull.recv_multipart()) == number
        self.pull.close()
        del self.push
        gc.collect()

    def close(self) -> None:
        self.push.close()
        self.pull.close()
