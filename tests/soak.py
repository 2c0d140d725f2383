"""A long day in one process: everything at once, and a look at what it holds.

    python tests/soak.py --minutes 30 --every 10 --seed 7

Acts are played in threads, and stop together now and then: at such a quiet point
nothing is under way, and what the process holds is printed, as a line of JSON.  The
last line has what was done.  The exit code is 0 if all that was received was right.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression
from typing import Any

import soak_acts
import soak_crowd
import soak_small
import zraw
import zraw.release
from soak_acts import Act

IN_THREADS: list[type[Act]] = [
    soak_acts.Stream,
    soak_acts.Publishing,
    soak_acts.Questions,
    soak_small.Endpoints,
    soak_small.Polls,
    soak_small.Timing,
    soak_small.Contexts,
    soak_small.Errors,
    soak_crowd.Proxies,
    soak_crowd.Loop,
    soak_crowd.Peers,
    soak_crowd.Killer,
]
IN_MAIN: list[type[Act]] = [soak_crowd.Signals, soak_crowd.Forks]
# What has to be the same at every quiet point.
LEVELS = ("fds", "threads", "pins", "contexts", "sockets")
# What may grow by so much in ten minutes: KiB, blocks of CPython's, objects.
BOUNDS = {"rss": 1024, "heap": 256, "blocks": 1000, "objects": 100}
Sample = dict[str, Any]
NEVER_QUIET = "a thread does not come to rest"


def growth(samples: list[Sample], name: str) -> tuple[float, float]:
    """By how much it grows in ten minutes, and in all: a line through the samples."""
    times = [sample["seconds"] for sample in samples]
    line = linear_regression(times, [sample[name] for sample in samples])
    return line.slope * 600, line.slope * (times[-1] - times[0])


def judge(samples: list[Sample]) -> list[str]:
    """What is wrong with the last two thirds of a day; the first warms up."""
    late = samples[len(samples) // 3 :]
    wrong = []
    for name in LEVELS:
        values = sorted({sample[name] for sample in late})
        if len(values) > 1:
            wrong.append(f"{name}: {values}")
    for name, bound in BOUNDS.items():
        # Less than ten minutes say little of ten minutes.
        grown = min(growth(late, name), key=abs)
        if grown > bound:
            wrong.append(f"{name}: grows by {grown:.0f}, and {bound} is allowed")
    return wrong


class Pace:
    """Where threads stop when it is to be quiet."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.parked = 0
        self.pausing = self.over = False
        self.condition = threading.Condition()

    def go_on(self, act: Act) -> bool:
        """Wait while it is to be quiet; return False at the end."""
        if self.pausing:
            act.quiet()
            with self.condition:
                self.parked += 1
                self.condition.notify_all()
                self.condition.wait_for(lambda: not self.pausing)
                self.parked -= 1
        return not self.over

    @contextlib.contextmanager
    def quiet(self) -> Iterator[bool]:
        """Have the threads wait; yield False if one has failed instead."""
        self.pausing = True
        with self.condition:
            self.condition.wait_for(
                lambda: self.parked == self.threads or self.over, 60
            )
            failed = self.over
            assert failed or self.parked == self.threads, NEVER_QUIET
        yield not failed
        with self.condition:
            self.pausing = False
            self.condition.notify_all()

    def end(self) -> None:
        with self.condition:
            self.over = True
            self.condition.notify_all()


class Day:
    """The acts, their threads, and the quiet points."""

    def __init__(self, folder: Path, seed: int, only: list[str]) -> None:
        self.start = time.monotonic()
        self.context = zraw.Context()
        self.acts = [
            kind(self.context, folder, seed)
            for kind in IN_THREADS
            if not only or kind.__name__ in only
        ]
        self.mine = [kind(self.context, folder, seed) for kind in IN_MAIN]
        self.pace = Pace(len(self.acts))
        self.errors: list[str] = []
        self.last: Sample = {}

    def run(self, seconds: float, every: float) -> None:
        threads = [
            threading.Thread(target=self.work, args=(act,), name=type(act).__name__)
            for act in self.acts
        ]
        for act in self.mine:
            act.open()
        for thread in threads:
            thread.start()
        due = self.start + min(every, 2)
        forks = 0.0
        while not self.errors and time.monotonic() < self.start + seconds:
            self.mine[0].round()
            if time.monotonic() > forks:
                self.mine[1].round()
                forks = time.monotonic() + 0.5
            if time.monotonic() > due:
                self.sample()
                due += every
        if not self.errors:
            self.sample()
        self.pace.end()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} does not end"
        for act in self.mine:
            act.quiet()
            act.close()
        self.context.close()

    def work(self, act: Act) -> None:
        try:
            act.open()
            while self.pace.go_on(act):
                act.round()
            act.quiet()
            act.close()
        except BaseException:
            self.errors.append(f"{type(act).__name__}: {traceback.format_exc()}")
            self.pace.end()

    def sample(self) -> None:
        """Print what the process holds when nothing is under way."""
        with self.pace.quiet() as is_quiet:
            if not is_quiet:
                return
            for act in self.mine:
                act.quiet()
            gc.collect()
            self.settle()
            # What glibc keeps of freed memory, for the next malloc(), is no leak.
            if TRIM:
                TRIM(0)
            self.last = self.look()
            print(json.dumps(self.last), flush=True)

    def settle(self) -> None:
        """libzmq closes descriptors and ends threads in the background.

        Wait until everything is as it was at the last quiet point; or, at the first
        one and if it never is, until nothing has changed for a while.
        """
        end = time.monotonic() + 10
        before, since = levels(), time.monotonic()
        while time.monotonic() < end:
            now = levels()
            if self.last and all(now[name] == self.last[name] for name in LEVELS):
                return
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() - since > (3 if self.last else 1):
                return
            time.sleep(0.01)

    def look(self) -> Sample:
        counts = self.counts()
        return {
            "seconds": round(time.monotonic() - self.start, 1),
            "messages": counts["messages"],
            "rss": resident() // 1024,
            "heap": heap() // 1024,
            "blocks": sys.getallocatedblocks(),
            "objects": len(gc.get_objects()),
            **levels(),
        }

    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for act in (*self.acts, *self.mine):
            total.update(act.counts)
        return total


def levels() -> dict[str, int]:
    live = zraw.live()
    return {
        "fds": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "pins": zraw.release.pinned(),
        "contexts": len(live.contexts),
        "sockets": sum(len(context.sockets) for context in live.contexts),
    }


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class MallInfo(ctypes.Structure):
    """struct mallinfo2."""

    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(10)]
    # hblkhd and uordblks: what is in mappings of its own, and the rest.
    in_use = property(lambda self: self.field4 + self.field7)


LIBC = ctypes.CDLL(None)
TRIM = getattr(LIBC, "malloc_trim", None)
MALLINFO = getattr(LIBC, "mallinfo2", None)
if MALLINFO:
    MALLINFO.restype = MallInfo


def heap() -> int:
    """Bytes that malloc() has given out, libzmq's and CPython's; 0 without glibc."""
    if not MALLINFO:
        return 0
    return MALLINFO().in_use


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--every", type=float, default=5, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="an act in a thread")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # os.fork's
    warnings.simplefilter("ignore", ResourceWarning)
    seconds = given.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        day = Day(Path(folder), given.seed, given.only or [])
        try:
            day.run(seconds, given.every)
        except BaseException:
            day.errors.append(traceback.format_exc())
        if day.errors:
            print("\n".join(day.errors), file=sys.stderr, flush=True)
            if NEVER_QUIET in day.errors[0]:
                faulthandler.dump_traceback(all_threads=True)
            os._exit(1)  # threads may wait for one that is gone
    print(json.dumps({"counts": dict(sorted(day.counts().items()))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
