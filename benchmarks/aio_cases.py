"""The cases on event loops, of which there are two processes too."""

from __future__ import annotations

from cases import FEW_ROUNDS, KIB, Case, Effort, Measure, size_text
from processes import PATIENCE, Figures, Load, Setup, running, two_processes

ANY_PORT = "tcp://127.0.0.1:*"
FLOOD_MILLISECONDS = 600
TICKS_MILLISECONDS = 2000  # 200 ticks
MEMORY_MESSAGES = 2_000_000
MEMORY_PATIENCE = 300  # seconds; the slowest need 40 on a machine of their own
ROUNDS = 7
ZRAW = ("zraw-asyncio", "zraw-uvloop", "zraw-trio")
MANY = ("zraw-asyncio-many", "zraw-uvloop-many", "zraw-trio-many")
PEERS = ("pyzmq-asyncio", "pyzmq-uvloop", "pyomq-asyncio")
FLOORS = ("tcp-streams", "tcp-protocol")
CONTROLS = ("sleep-alone", "sleep-loaded")


def role_of(entrant: str, role: str) -> str:
    return role if entrant == "c" else f"aio-{role}"


def mode_of(entrant: str) -> str:
    return "many" if entrant.endswith("-many") else "one"


def receive(size: int) -> Measure:
    """Messages per second that a loop receives from a C program."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        milliseconds = FLOOD_MILLISECONDS // effort.share
        load = Load(ANY_PORT, size, milliseconds, mode_of(entrant))
        got = flooded(setup, entrant, role_of(entrant, "sink"), load)
        return {"rate": got["messages"] / got["seconds"]}

    return measure


def flooded(
    setup: Setup, entrant: str, role: str, load: Load, patience: float = PATIENCE
) -> Figures:
    """What a receiver measures while a C program sends as fast as it can."""
    receiver = setup.start(entrant, role, *load.words())
    with running(receiver):
        endpoint = receiver.answer()["endpoints"][0]
        sender = setup.start("c", "flood", *load.words(endpoint))
        with running(sender):
            return receiver.answer(patience)


def send(size: int) -> Measure:
    """Messages per second that a C program receives from a loop."""

    def measure(setup: Setup, entrant: str, effort: Effort) -> Figures:
        load = Load(ANY_PORT, size, FLOOD_MILLISECONDS // effort.share)
        receiver = setup.start("c", "sink", *load.words())
        with running(receiver):
            words = load.words(receiver.answer()["endpoints"][0])
            sender = setup.start(entrant, role_of(entrant, "flood"), *words)
            with running(sender):
                got = receiver.answer()
        return {"rate": got["messages"] / got["seconds"]}

    return measure


def latency(setup: Setup, entrant: str, effort: Effort) -> Figures:
    """Microseconds for a request and its answer; both sides are on a loop."""
    load = Load(ANY_PORT, 16, effort.round_trips(16))
    roles = role_of(entrant, "rep"), role_of(entrant, "req")
    got = two_processes(setup, entrant, *roles, load)
    return {"round_trip": got["seconds"] / got["messages"] * 1e6}


def fairness(setup: Setup, entrant: str, effort: Effort) -> Figures:
    """Milliseconds that a task is late which wants to run every 10."""
    milliseconds = TICKS_MILLISECONDS // effort.share
    load = Load(ANY_PORT, 16, milliseconds, mode_of(entrant))
    if entrant not in CONTROLS:
        got = flooded(setup, entrant, "aio-ticks", load)
    elif entrant == "sleep-loaded":
        drain = setup.start("c", "drain", *load.words())
        with running(drain):
            words = load.words(drain.answer()["endpoints"][0])
            sender = setup.start("c", "flood", *words)
            with running(sender):
                got = sleeping(setup, entrant, load)
    else:
        got = sleeping(setup, entrant, load)
    return {"worst": got["worst"], "p99": got["p99"]}


def sleeping(setup: Setup, entrant: str, load: Load) -> Figures:
    worker = setup.start(entrant, "aio-sleep_ticks", *load.words())
    with running(worker):
        return worker.answer()


def memory(setup: Setup, entrant: str, effort: Effort) -> Figures:
    """Bytes that the receiver grows by."""
    load = Load(ANY_PORT, 16, MEMORY_MESSAGES, mode_of(entrant))
    return flooded(setup, entrant, "aio-memory", load, MEMORY_PATIENCE)


def aio_cases() -> list[Case]:
    cases = [
        Case(
            f"aio/recv/{size}",
            f"receive, {size_text(size)}",
            receive(size),
            ("c", *ZRAW, *(MANY if size <= 4 * KIB else ()), *PEERS),
            quick=size == 16,
            rounds=ROUNDS,
        )
        for size in (16, KIB, 64 * KIB)
    ]
    cases += [
        Case(
            f"aio/send/{size}",
            f"send, {size_text(size)}",
            send(size),
            ("c", *ZRAW, *PEERS),
            quick=size == 16,
            rounds=ROUNDS,
        )
        for size in (16, KIB, 64 * KIB)
    ]
    cases += [
        Case("aio/latency/16", "REQ/REP, 16 B", latency, ("c", *FLOORS, *ZRAW, *PEERS)),
        Case(
            "aio/fairness/16",
            "lateness beside a receiver, 16 B",
            fairness,
            (*CONTROLS, *ZRAW, *MANY, *PEERS),
            rounds=FEW_ROUNDS,
        ),
        Case(
            "aio/memory/16",
            "growth by 2 million messages of 16 B",
            memory,
            (*ZRAW, "pyzmq-asyncio", "pyomq-asyncio"),
            quick=False,
            rounds=3,
        ),
    ]
    return cases
