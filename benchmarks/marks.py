"""Medians, quartiles and ratios of the rounds, and whether the marks are reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from entrants import LOOPS, label

Results = dict[str, Any]
Spread = tuple[float, float, float]  # lower quartile, median, upper quartile
UNITS = {
    "send": "ns",
    "recv": "ns",
    "pair": "ns",
    "call": "ns",
    "open": "ns",
    "close": "ns",
    "rate": "msg/s",
    "round_trip": "µs",
    "sends": "/s",
    "computed": "/s",
    "bytes": "B",
    "added": "ms",
    "worst": "ms",
    "p99": "ms",
}
KIB, MIB = 1 << 10, 1 << 20
NETWORK = ("tcp/", "ipc/", "aio/")


def more_is_better(figure: str) -> bool:
    return UNITS[figure].endswith("/s")


def spread(values: list[float]) -> Spread | None:
    """Quartiles and median of what there is."""
    if not values:
        return None
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def series(results: Results, key: str, entrant: str, figure: str) -> list[Any]:
    """A value for each round, None where there is none."""
    rounds = results["cases"].get(key, {}).get("rounds", {}).get(entrant, [])
    return [figures.get(figure) for figures in rounds]


def paired(
    results: Results, key: str, figure: str, subject: str, other: str
) -> list[tuple[float, float]]:
    """Both values of the rounds in which there are both."""
    ours = series(results, key, subject, figure)
    theirs = series(results, key, other, figure)
    pairs = zip(ours, theirs, strict=False)
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def speed_ratio(
    results: Results, key: str, figure: str, subject: str, other: str
) -> Spread | None:
    """How many times as fast, or as small, as the other it is: round by round."""
    pairs = paired(results, key, figure, subject, other)
    if more_is_better(figure):
        return spread([a / b for a, b in pairs if b])
    return spread([b / a for a, b in pairs if a > 0])


@dataclass(frozen=True)
class Mark:
    """One mark: "at least" of a speed, "at most" of a cost, "within" nanoseconds.

    "never above" is for a figure by itself, and for the worst of all rounds.
    """

    title: str
    key: str
    figure: str
    other: str
    kind: str
    limit: float
    subject: str = "zraw"

    def value(self, results: Results) -> Spread | None:
        if self.kind == "at least":
            return speed_ratio(results, self.key, self.figure, self.subject, self.other)
        if self.kind == "never above":
            had = series(results, self.key, self.subject, self.figure)
            values = [value for value in had if value is not None]
            found = spread(values)
            return found and (min(values), found[1], max(values))
        pairs = paired(results, self.key, self.figure, self.subject, self.other)
        if self.kind == "at most":
            return spread([a / b for a, b in pairs if b])
        return spread([a - b for a, b in pairs])

    def reached(self, found: Spread) -> bool:
        """Over a network the better quartile has to, elsewhere the median."""
        low, median, high = found
        if self.kind == "never above":
            return high <= self.limit
        network = self.key.startswith(NETWORK)
        if self.kind == "at least":
            return (high if network else median) >= self.limit
        return (low if network else median) <= self.limit

    def text(self) -> str:
        if self.kind == "within":
            return f"C + {self.limit:g} ns"
        if self.kind == "never above":
            return f"≤ {self.limit:g} {UNITS[self.figure]}, always"
        sign = "≥" if self.kind == "at least" else "≤"
        return f"{sign} {self.limit:.2f} x {label(self.other)}"


def at_least(
    title: str, key: str, subject: str = "zraw", **limits: float
) -> list[Mark]:
    """Marks for the speed of one case against several entrants."""
    figure = "rate" if key.startswith("tcp/") else "pair"
    return [
        Mark(title, key, figure, other, "at least", limit, subject)
        for other, limit in limits.items()
    ]


def all_marks() -> list[Mark]:
    return [
        Mark("inproc 16 B, send", "inproc/send_recv/16", "send", "c", "within", 45),
        Mark("inproc 16 B, recv", "inproc/send_recv/16", "recv", "c", "within", 45),
        *at_least("inproc 16 B, send and recv", "inproc/send_recv/16", pyzmq=4),
        *at_least("inproc 3 parts, both", "inproc/multipart/16", pyzmq=10, pyomq=4),
        Mark("inproc send_many", "inproc/batches/16", "send", "c", "at most", 1.10),
        Mark("inproc recv_many", "inproc/batches/16", "recv", "c", "within", 30),
        *at_least("inproc batches, both", "inproc/batches/16", pyzmq=5),
        *at_least("tcp 16 B", "tcp/throughput/16", c=0.60, pyzmq=2.5, pyomq=2.5),
        *at_least(
            "tcp 16 B, batches",
            "tcp/throughput/16",
            "zraw-many",
            c=0.80,
            pyzmq=4,
            pyomq=4,
        ),
        *at_least("tcp 1 KiB", f"tcp/throughput/{KIB}", c=0.95, pyzmq=1),
        *at_least("tcp 64 KiB", f"tcp/throughput/{64 * KIB}", c=0.95, pyzmq=1),
        *at_least("tcp 1 KiB, drafts, 256 KiB a read", f"tcp/drafts/{KIB}", pyomq=1),
        *at_least(
            "tcp 1 MiB zero-copy", f"tcp/zero_copy/{MIB}", c=0.95, pyzmq=1, pyomq=1.1
        ),
        *[
            Mark(
                "tcp REQ/REP, 16 B",
                "tcp/latency/16",
                "round_trip",
                other,
                "at most",
                limit,
            )
            for other, limit in (("c", 1.08), ("pyzmq", 1.0), ("pyomq", 1.0))
        ],
        Mark(
            "try_recv, nothing there", "inproc/try_recv/16", "call", "c", "within", 45
        ),
        Mark(
            "try_recv, nothing there",
            "inproc/try_recv/16",
            "call",
            "pyzmq",
            "at least",
            8,
        ),
        Mark("sends beside a loop", "threads/16", "sends", "pyzmq", "at least", 5),
        Mark("import", "import", "added", "pyzmq", "at most", 0.5),
        *loop_marks(),
    ]


def loop_marks() -> list[Mark]:
    receive, ask = "asyncio, receive 16 B", "asyncio, REQ/REP, 16 B"
    ours, pyzmq, pyomq = "zraw-asyncio", "pyzmq-asyncio", "pyomq-asyncio"
    return [
        Mark(receive, "aio/recv/16", "rate", pyzmq, "at least", 15, ours),
        Mark(receive, "aio/recv/16", "rate", pyomq, "at least", 2, ours),
        Mark(ask, "aio/latency/16", "round_trip", pyzmq, "at most", 0.85, ours),
        *[
            Mark(title, "aio/fairness/16", "worst", "", "never above", 20, subject)
            for loop in LOOPS
            for subject in (f"zraw-{loop}", f"zraw-{loop}-many")
            for title in [f"a task beside {label(subject)}"]
        ],
    ]
