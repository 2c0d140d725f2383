"""What is measured: every case, its entrants, and how one round of it is run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from processes import Figures, Load, Setup, running, two_processes

KIB, MIB = 1 << 10, 1 << 20
ALL = ("c", "zraw", "pyzmq", "pyomq")
BATCHED = ("c", "zraw", "zraw-many", "pyzmq", "pyomq")
PYTHON = ("zraw", "pyzmq", "pyomq")
QUICK_SIZES = (16, KIB, 64 * KIB, MIB)
SIZES = (16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)
IPC_SIZES = (16, 256, KIB, 4 * KIB, 64 * KIB, MIB, 4 * MIB)
LATENCY_SIZES = (16, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)
IPC_LATENCY_SIZES = (16, KIB, 64 * KIB, MIB)
DRAFT_BATCH_BYTES = 256 * KIB
FEW_ROUNDS = 5


@dataclass(frozen=True)
class Effort:
    """How long a figure may take."""

    milliseconds: int  # in a case with one thread
    share: int  # messages are divided by this

    def count(self, size: int) -> int:
        """Messages for a throughput: a fraction of a second at any size."""
        return min(1_200_000, max(100, 300 * MIB // size)) // self.share

    def round_trips(self, size: int) -> int:
        return max(30, min(4000, max(60, 128 * MIB // size)) // self.share)


Measure = Callable[[Setup, str, Effort], Figures]


@dataclass(frozen=True)
class Case:
    """A line of the table.  `key` is what --only looks at."""

    key: str
    title: str
    measure: Measure
    entrants: tuple[str, ...] = ALL
    quick: bool = True
    rounds: int | None = None  # at most so many

    @property
    def group(self) -> str:
        return self.key.rpartition("/")[0] or self.key


def size_text(size: int) -> str:
    if size < KIB:
        return f"{size} B"
    return f"{size // KIB} KiB" if size < MIB else f"{size // MIB} MiB"


def single(name: str, size: int = 16, parameter: int = 0) -> Measure:
    """A case of single.py and c/single.c."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        figures = setup.serve(entrant, name, size, effort.milliseconds, parameter)
        if "send" in figures and "recv" in figures:
            figures["pair"] = figures["send"] + figures["recv"]
        return figures

    return measure


def where(transport: str, folder: str) -> str:
    return "tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{folder}/bench"


def throughput(
    transport: str, size: int, mode: str = "one", batch_bytes: int = 0
) -> Measure:
    """Messages per second at the receiver, from the first to the last."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        how = "many" if entrant == "zraw-many" else mode
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            endpoint = where(transport, folder)
            load = Load(endpoint, size, effort.count(size), how, batch_bytes)
            got = two_processes(setup, entrant, "pull", "push", load)
        return {"rate": got["messages"] / got["seconds"]}

    return measure


def latency(transport: str, size: int) -> Measure:
    """Microseconds for a request and its answer."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            load = Load(where(transport, folder), size, effort.round_trips(size))
            got = two_processes(setup, entrant, "rep", "req", load)
        return {"round_trip": got["seconds"] / got["messages"] * 1e6}

    return measure


def proxy(size: int) -> Measure:
    """A sender and a receiver in C, and the proxy of a library between them."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        count = effort.count(size) // 2
        load = Load("tcp://127.0.0.1:*", size, count)
        middle = setup.start(entrant, "proxy", *load.words())
        with running(middle):
            front, back = middle.answer()["endpoints"]
            pull = setup.start("c", "pull-from", *load.words(back))
            push = setup.start("c", "push", *load.words(front))
            with running(pull, push):
                got = pull.answer()
        return {"rate": got["messages"] / got["seconds"]}

    return measure


def threads(setup: Setup, entrant: str, effort: Effort) -> Figures:
    """Sends per second of two threads while a third computes."""
    load = Load("tcp://127.0.0.1:*", 16, 0)
    drains = [setup.start("c", "drain", *load.words()) for _ in range(2)]
    with running(*drains):
        endpoints = ",".join(drain.answer()["endpoints"][0] for drain in drains)
        worker = setup.start(entrant, "gil", *load.words(endpoints))
        with running(worker):
            return worker.answer()


def memory(what: str, size: int, count: int) -> Measure:
    """Bytes of resident memory each."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        worker = setup.start(entrant, "memory", "-", size, count, what, 0)
        with running(worker):
            return worker.answer()

    return measure


def start_up(setup: Setup, entrant: str, effort: Effort) -> Figures:
    """Milliseconds that an import adds to a process, start to end."""
    python = setup.python(entrant)[0]
    module = {"pyzmq": "zmq"}.get(entrant, entrant)

    def once(code: str) -> float:
        start = perf_counter()
        subprocess.run([python, "-I", "-c", code], check=True)
        return perf_counter() - start

    pairs = [(once(f"import {module}"), once("pass")) for _ in range(3)]
    with_it, without = (min(times) for times in zip(*pairs, strict=True))
    return {"added": (with_it - without) * 1e3}


def inproc_cases() -> list[Case]:
    """One thread, one context, every size; the small ones are binding."""
    cases = [Case("inproc/empty", "empty loop", single("empty"), ("zraw",))]
    for name, title in (
        ("send_recv", "send, recv"),
        ("recv_msg", "send, recv_msg"),
    ):
        cases += [
            Case(
                f"inproc/{name}/{size}",
                f"{title}, {size_text(size)}",
                single(name, size),
                quick=size in QUICK_SIZES,
            )
            for size in SIZES
        ]
    for name, title, sizes in (
        ("multipart", "3 parts", (16, KIB)),
        ("batches", "batches", (16, KIB)),
        ("multipart_batches", "3 parts, batches", (16,)),
        ("zero_copy", "zero-copy both ways", (64 * KIB, MIB, 4 * MIB)),
        ("try_recv", "try_recv, nothing there", (16,)),
    ):
        cases += [
            Case(
                f"inproc/{name}/{size}",
                f"{title}, {size_text(size)}",
                single(name, size),
            )
            for size in sizes
        ]
    return cases


def growth_cases() -> list[Case]:
    """What it costs when there are more of them; inproc, 16 B."""
    return [
        Case(
            f"growth/{name}/{number}",
            f"{title}, {number:,}",
            single(name, 16, number),
            quick=number in (1, 100, 1000) or number == numbers[0],
            rounds=FEW_ROUNDS if number < 10_000 else 3,
        )
        for name, title, numbers in (
            ("fan_out", "PUB to SUBs", (1, 10, 100, 1000)),
            ("router", "DEALERs to ROUTER and back", (1, 10, 100, 1000)),
            ("peers", "PUSHes to PULL", (1, 10, 100, 1000)),
            ("poll", "poll(), one ready of", (1, 10, 1000)),
            ("poller", "Poller, one ready of", (1, 10, 1000)),
            ("sockets", "sockets, each used once", (1, 10, 100, 1000, 10_000)),
        )
        for number in numbers
    ]


def network_cases(drafts: bool) -> list[Case]:
    """Two processes; new ones in every round."""
    cases = []
    for transport, rates, round_trips in (
        ("tcp", SIZES, LATENCY_SIZES),
        ("ipc", IPC_SIZES, IPC_LATENCY_SIZES),
    ):
        cases += [
            Case(
                f"{transport}/throughput/{size}",
                f"PUSH/PULL, {size_text(size)}",
                throughput(transport, size),
                BATCHED if size <= 4 * KIB else ALL,
                quick=size in QUICK_SIZES and transport == "tcp",
            )
            for size in rates
        ]
        cases += [
            Case(
                f"{transport}/zero_copy/{size}",
                f"PUSH/PULL zero-copy, {size_text(size)}",
                throughput(transport, size, "zero"),
                quick=size == MIB and transport == "tcp",
            )
            for size in (64 * KIB, MIB, 4 * MIB)
        ]
        cases += [
            Case(
                f"{transport}/latency/{size}",
                f"REQ/REP, {size_text(size)}",
                latency(transport, size),
                quick=size in QUICK_SIZES and transport == "tcp",
            )
            for size in round_trips
        ]
    if drafts:
        cases += [
            Case(
                f"tcp/drafts/{size}",
                f"PUSH/PULL with drafts, 256 KiB a read, {size_text(size)}",
                throughput("tcp", size, "one", DRAFT_BATCH_BYTES),
                BATCHED,
            )
            for size in (16, KIB)
        ]
    return cases


def other_cases() -> list[Case]:
    """Proxies, threads, memory, start."""
    cases = [
        Case(
            f"tcp/proxy/{size}",
            f"proxy between C programs, {size_text(size)}",
            proxy(size),
            quick=size == KIB,
        )
        for size in (16, KIB, 64 * KIB)
    ]
    cases.append(
        Case("threads/16", "2 threads send, 1 computes", threads, PYTHON, rounds=7)
    )
    cases += [
        Case(f"memory/{what}", title, memory(what, size, count), rounds=3)
        for what, title, size, count in (
            ("socket", "a socket", 16, 1000),
            ("message", "a queued message of 16 B", 16, 100_000),
            ("pin", "a pin: 64 KiB lent to the queue", 64 * KIB, 20_000),
        )
    ]
    cases.append(Case("import", "import, start to end", start_up, PYTHON))
    return cases


def all_cases(drafts: bool) -> list[Case]:
    if sys.platform == "win32":
        raise SystemExit("the benchmarks need /proc and Unix sockets")
    return [*inproc_cases(), *network_cases(drafts), *other_cases(), *growth_cases()]
