"""Nanoseconds per call over inproc: zraw beside pyzmq and beside the same loop in C.

    python benchmarks/inproc.py [--size 16] [--rounds 200]

One thread sends 1000 messages and then receives them, so the figure is the cost of
the binding and of libzmq's queue, not of a network.  Best of all rounds; rounds of
the three take turns.  The C program is compiled on the spot against the libzmq
that pkg-config finds.  "less loop" is a Python `for` that does nothing.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import zraw

COUNT = 1000
Case = tuple[str, Callable[[], object], Callable[[], object]]


def compile_floor(folder: str) -> str:
    """Build inproc.c and return the path of the program."""
    program = str(Path(folder, "inproc"))
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "libzmq"])
    source = str(Path(__file__).with_suffix(".c"))
    command = ["cc", "-O2", "-o", program, source, *shlex.split(flags.decode())]
    subprocess.check_call(command)
    return program


def loop(call: Callable[..., object], *args: object) -> Callable[[], None]:
    """Return a function that makes one call COUNT times."""

    def run() -> None:
        for _ in repeat:
            call(*args)

    repeat = range(COUNT)
    return run if args else loop_bare(call)


def loop_bare(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(COUNT):
            call()

    return run


def zraw_cases(size: int) -> list[Case]:
    """The cases for zraw: name, a thousand sends, a thousand receives."""
    context = zraw.Context()
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    push.setsockopt(zraw.ZMQ_SNDHWM, 0)
    pull.setsockopt(zraw.ZMQ_RCVHWM, 0)
    pull.connect(push.bind("inproc://zraw"))
    body, parts, message = bytes(size), [bytes(size)] * 3, zraw.Message()
    batch, parts_batch = [body] * COUNT, [parts] * COUNT
    return [
        ("send/recv", loop(push.send, body), loop(pull.recv)),
        ("send/recv_msg", loop(push.send, body), loop(pull.recv_msg, message)),
        ("3-part", loop(push.send_multipart, parts), loop(pull.recv_multipart)),
        (
            "many",
            lambda: push.send_many(batch),
            lambda: pull.recv_many(COUNT),
        ),
        (
            "3-part many",
            lambda: push.send_many(parts_batch),
            lambda: pull.recv_many(COUNT),
        ),
    ]


def pyzmq_cases(size: int) -> list[Case]:
    """The same for pyzmq, which has no batches."""
    import zmq

    context = zmq.Context()
    push, pull = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    push.linger = pull.linger = 0
    push.sndhwm = pull.rcvhwm = 0
    push.bind("inproc://pyzmq")
    pull.connect("inproc://pyzmq")
    body, parts = bytes(size), [bytes(size)] * 3
    return [
        ("send/recv", loop(push.send, body), loop(pull.recv)),
        (
            "send/recv_msg",
            loop(push.send, body),
            loop(lambda: pull.recv(copy=False)),
        ),
        ("3-part", loop(push.send_multipart, parts), loop(pull.recv_multipart)),
    ]


def each(call: Callable[[], object]) -> float:
    """Nanoseconds per message of one call that moves COUNT messages."""
    start = perf_counter_ns()
    call()
    return (perf_counter_ns() - start) / COUNT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16, help="bytes per frame")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    cases = {"zraw": zraw_cases(options.size), "pyzmq": pyzmq_cases(options.size)}
    best: dict[tuple[str, str], list[float]] = {}
    floor = [float("inf")] * 4
    empty = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        program = compile_floor(folder)
        for round_number in range(options.rounds):
            if round_number % 20 == 0:
                printed = subprocess.check_output([program, str(options.size), "20"])
                floor = list(map(min, floor, map(float, printed.split())))
            empty = min(empty, each(lambda: [None for _ in range(COUNT)]))
            for library, its_cases in cases.items():
                for name, send, recv in its_cases:
                    figures = best.setdefault((library, name), [1e18, 1e18])
                    figures[0] = min(figures[0], each(send))
                    figures[1] = min(figures[1], each(recv))
    c_figures = {
        "send/recv": floor[:2],
        "send/recv_msg": floor[:2],
        "3-part": floor[2:],
    }
    print(
        f"{options.size} B frames over inproc, ns per message, Python "
        f"{sys.version.split()[0]}, libzmq {'.'.join(map(str, zraw.version()))}, "
        f"empty loop {empty:.0f}"
    )
    print(f"{'':15}{'send':>24}{'recv':>27}")
    print(f"{'':15}{'C':>8}{'zraw':>8}{'pyzmq':>8}{'C':>11}{'zraw':>8}{'pyzmq':>8}")
    for name, *_ in cases["zraw"]:
        cells = []
        for side in (0, 1):
            row = [
                c_figures.get(name, [None, None])[side],
                best["zraw", name][side],
                best.get(("pyzmq", name), [None, None])[side],
            ]
            cells += [
                f"{'-' if cell is None else format(cell, '.0f'):>8}" for cell in row
            ]
        print(f"{name:15}{''.join(cells[:3])}   {''.join(cells[3:])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
