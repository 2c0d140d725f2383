"""pyzmq on its own backend, and on zraw.pyzmq: the same pyzmq, in turn.

    python benchmarks/pyzmq_backends.py [--rounds 9] [--quick] [--only PATTERN]

Two processes, one for each backend, measure the same case one after the other, round by
round; the other one sleeps meanwhile.  A process talks to itself, over tcp or inproc:
whatever is not the backend is the same for both, but for libzmq, which pyzmq's wheel
brings along.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from table import markdown, number

BACKENDS = {"pyzmq's": "cython", "zraw.pyzmq": "zraw.pyzmq"}
BATCH = 400  # messages under way: fewer than a queue has room for
Work = Callable[[int], None]


def connected(zmq: Any, endpoint: str) -> tuple[Any, Any]:
    """Return two sockets that know each other."""
    context = zmq.Context.instance()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    pull.bind(endpoint)
    push.connect(pull.last_endpoint.decode())
    push.send(b"")
    pull.recv()
    return push, pull


def in_batches(count: int, batch: int, send: Work, recv: Work) -> None:
    """Send and receive so many, `batch` of them at a time."""
    while count > 0:
        send(min(count, batch))
        recv(min(count, batch))
        count -= batch


def messages(zmq: Any, endpoint: str, size: int, copy: bool) -> Work:
    """send() and recv() of one frame."""
    push, pull = connected(zmq, endpoint)
    data = b"x" * size

    def send(count: int) -> None:
        for _ in range(count):
            push.send(data, copy=copy)

    def recv(count: int) -> None:
        for _ in range(count):
            pull.recv(copy=copy)

    batch = BATCH if size < 100000 else 4
    return lambda count: in_batches(count, batch, send, recv)


def multipart(zmq: Any, endpoint: str) -> Work:
    """send_multipart() and recv_multipart() of three frames."""
    push, pull = connected(zmq, endpoint)
    parts = [b"x" * 16] * 3

    def send(count: int) -> None:
        for _ in range(count):
            push.send_multipart(parts)

    def recv(count: int) -> None:
        for _ in range(count):
            pull.recv_multipart()

    return lambda count: in_batches(count, BATCH, send, recv)


def polled(zmq: Any) -> Work:
    """Poller.poll() of two sockets, one of them ready."""
    push, pull = connected(zmq, "inproc://polled")
    poller = zmq.Poller()
    poller.register(push, zmq.POLLIN)
    poller.register(pull, zmq.POLLIN)
    push.send(b"x")

    def work(count: int) -> None:
        for _ in range(count):
            poller.poll(1000)

    return work


def echo(zmq: Any) -> Work:
    """A request and its reply, both ends on one event loop."""
    import zmq.asyncio as on_loop

    def sockets() -> tuple[Any, Any]:
        context = on_loop.Context.shadow(zmq.Context.instance())
        rep, req = context.socket(zmq.REP), context.socket(zmq.REQ)
        port = rep.bind_to_random_port("tcp://127.0.0.1")
        req.connect(f"tcp://127.0.0.1:{port}")
        return rep, req

    async def talk(count: int) -> None:
        rep, req = sockets()

        async def serve() -> None:
            for _ in range(count):
                await rep.send(await rep.recv())

        async def ask() -> None:
            for _ in range(count):
                await req.send(b"x" * 16)
                await req.recv()

        both: list[Awaitable[None]] = [serve(), ask()]
        await asyncio.gather(*both)
        rep.close(linger=0)
        req.close(linger=0)

    return lambda count: asyncio.run(talk(count))


TCP = "tcp://127.0.0.1:*"
# What is done, how often in a round, and what makes it.
CASES: dict[str, tuple[int, Callable[[Any], Work]]] = {
    "`send`, `recv`, 16 B, inproc": (
        20000,
        lambda zmq: messages(zmq, "inproc://one", 16, True),
    ),
    "`send`, `recv`, 16 B, tcp": (20000, lambda zmq: messages(zmq, TCP, 16, True)),
    "`send_multipart`, `recv_multipart`, 3 x 16 B, inproc": (
        10000,
        lambda zmq: multipart(zmq, "inproc://parts"),
    ),
    "`send_multipart`, `recv_multipart`, 3 x 16 B, tcp": (
        10000,
        lambda zmq: multipart(zmq, TCP),
    ),
    "`copy=False`, 1 KiB, tcp": (
        10000,
        lambda zmq: messages(zmq, TCP, 1024, False),
    ),
    "`copy=False`, 1 MiB, inproc": (
        2000,
        lambda zmq: messages(zmq, "inproc://large", 1 << 20, False),
    ),
    "`copy=False`, 1 MiB, tcp": (100, lambda zmq: messages(zmq, TCP, 1 << 20, False)),
    "`copy=True`, 1 MiB, tcp": (100, lambda zmq: messages(zmq, TCP, 1 << 20, True)),
    "`Poller.poll` of two, one ready": (20000, polled),
    "`zmq.asyncio` echo, 16 B, tcp": (1000, echo),
}


def measure() -> None:
    """Read the names of cases, and answer each with nanoseconds per message."""
    import zmq

    works: dict[str, Work] = {}
    print(f"{zmq.__version__}, libzmq {zmq.zmq_version()}", flush=True)
    for line in sys.stdin:
        name, count = line.rstrip("\n").rsplit("\t", 1)
        if name not in works:
            works[name] = CASES[name][1](zmq)
            works[name](max(1, int(count) // 10))
        start = time.perf_counter_ns()
        works[name](int(count))
        print((time.perf_counter_ns() - start) / int(count), flush=True)
    os._exit(0)  # what is left open is nobody's business


class Worker:
    """A process that measures with one backend."""

    def __init__(self, backend: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--measure"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYZMQ_BACKEND": backend},
        )
        self.about = self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"a process ended with {self.process.wait()}")
        return line.strip()

    def ask(self, name: str, count: int) -> float:
        assert self.process.stdin is not None
        print(name, count, sep="\t", file=self.process.stdin, flush=True)
        return float(self.answer())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--only", default="", help="cases that this is found in")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure()
        return
    workers = {name: Worker(backend) for name, backend in BACKENDS.items()}
    for name, worker in workers.items():
        print(f"{name}: pyzmq {worker.about}")
    print(f"\nNanoseconds per message; of {options.rounds} rounds min and median.\n")
    rows = [
        ["", *(f"{name}, {what}" for name in workers for what in ("min", "median"))]
    ]
    rows[0].append("times as fast")
    for name, (often, _) in CASES.items():
        if not re.search(options.only, name):
            continue
        count = max(1, often // 10) if options.quick else often
        found: dict[str, list[float]] = {each: [] for each in workers}
        for _ in range(options.rounds):
            for each, worker in workers.items():
                found[each].append(worker.ask(name, count))
        medians = [statistics.median(times) for times in found.values()]
        cells = [name]
        for times, median in zip(found.values(), medians, strict=True):
            cells += [number(min(times)), number(median)]
        rows.append([*cells, f"{medians[0] / medians[1]:.2f}"])
    for worker in workers.values():
        worker.end()
    print(markdown(rows))


if __name__ == "__main__":
    main()
