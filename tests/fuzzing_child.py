"""A child that makes calls of a seed: fuzzing_child.py SEED CALLS NOTES.

It prints what no docstring names as lines of JSON, and a summary at last.  NOTES is
a file of the last calls, for who wants to know after a crash.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from fuzzing_values import Seeded
from fuzzing_world import World, quiet_hooks, where

WIDTH, SLOTS = 256, 32


def notes(path: str) -> Callable[[str], None]:
    """Return a function that keeps the last texts in a file, whatever happens then."""
    Path(path).write_bytes(bytes(WIDTH * SLOTS))
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    number = 0

    def note(text: str) -> None:
        nonlocal number
        line = f"{number:08} {text}".encode("utf-8", "replace")[:WIDTH]
        at = number % SLOTS * WIDTH
        memory[at : at + WIDTH] = line.ljust(WIDTH)
        number += 1

    return note


def last_calls(path: str | Path, count: int = 8) -> list[str]:
    """Return the last texts of such a file."""
    data = Path(path).read_bytes()
    slots = (data[at : at + WIDTH] for at in range(0, len(data), WIDTH))
    lines = sorted(slot.decode("utf-8", "replace").strip(" \0") for slot in slots)
    return [line for line in lines if line][-count:]


def say(what: dict[str, object]) -> None:
    """Print a line at once: a signal handler, or another thread, may print another."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Findings:
    """What was found, each kind once."""

    def __init__(self) -> None:
        self.kinds: set[tuple[object, ...]] = set()

    def __call__(self, name: str, args: str, error: BaseException) -> None:
        kind = (name, type(error).__name__, getattr(error, "errno", None))
        if kind not in self.kinds:
            self.kinds.add(kind)
            found = {"call": name, "error": repr(error)[:300], "arguments": args[:300]}
            say(found | {"where": where(error)})


def main() -> None:
    seed, calls, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    warnings.simplefilter("ignore")  # sockets are collected unclosed all the time
    findings = Findings()
    world = World(Seeded(seed), findings, notes(path))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        quiet_hooks(findings)
        world.start_clock()
        start = time.monotonic()
        world.run(calls)
        seconds = time.monotonic() - start
        world.stop_clock()
        os.chdir("/")
    summary = {
        "calls": world.calls,
        "seconds": round(seconds, 2),
        "waited": world.waited,
        "raised": world.refused,
        "threads": len(os.listdir("/proc/self/task")),
    }
    say(summary)
    sys.stderr.flush()
    if "GCOV_PREFIX_STRIP" not in os.environ and "ZRAW_EXIT" not in os.environ:
        os._exit(0)  # contexts whose term() was ended early would be waited for


if __name__ == "__main__":
    main()
