"""Every pattern on a network that breaks, in namespaces of Linux: what is lost of it.

    python -m tests.campaign network [--rounds 3] [--only NAME] [--seed 0]

Each fault of tests/network_faults.py, then slow links, one fault after another at
random, large messages that are cut, many sockets, an application on three machines.
Needs root, and about 6 minutes.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import namespaces
import network_faults
import network_loads
import test_network_spread
from namespaces import Network, Slow
from network_faults import (
    FAULTS,
    PATIENT,
    QUESTIONS,
    STREAMS,
    Fault,
    Outcome,
    Scene,
)

SLOW = {  # delay, jitter, loss
    "50 ms late": (50, 0, 0),
    "50 to 80 ms late": (50, 30, 0),
    "50 to 80 ms late, 10 % loss": (50, 30, 10),
}


class Campaign:
    """The rows of the table, and what was wrong."""

    def __init__(self, rounds: int, seed: int) -> None:
        self.rounds = rounds
        self.rng = random.Random(seed)
        self.wrong: list[str] = []
        self.has_head = False

    def head(self) -> None:
        self.has_head = True
        names = [*STREAMS, *(f"{name}: asked again" for name in QUESTIONS)]
        print("|", " | ".join(["lost of sent", *names, "seconds until all flows"]), "|")
        print("|---" + "|---:" * (len(names) + 1) + "|", flush=True)

    def row(
        self, name: str, play: Callable[[], dict[str, Outcome]], fault: Fault
    ) -> None:
        """Play so many rounds, and print a line of the table."""
        if not self.has_head:
            self.head()
        sums: dict[str, Counter[str]] = {}
        slowest = 0.0
        for _ in range(self.rounds):
            try:
                found = play()
            except (AssertionError, OSError) as error:
                self.wrong.append(f"{name}: {error!r}")
                continue
            for pattern, each in found.items():
                for what in network_faults.judge(fault, pattern, each):
                    self.wrong.append(f"{name}, {pattern}: {what}: {each}")
                sums.setdefault(pattern, Counter()).update(asdict(each))
                slowest = max(slowest, each.seconds)
        if sums:
            cells = [
                f"{sums[each]['lost']} of {sums[each]['sent']}" for each in STREAMS
            ]
            cells += [
                f"{sums[each]['retries']} of {sums[each]['sent']}" for each in QUESTIONS
            ]
            print("|", " | ".join([name, *cells, f"{slowest:.1f}"]), "|", flush=True)

    def faults(self) -> None:
        with Network("client", "server") as net:
            for name, fault in FAULTS.items():

                def play(fault: Fault = fault) -> dict[str, Outcome]:
                    with Scene(net, fault.options) as scene:
                        return scene.play(fault)

                self.row(name, play, fault)

    def slow(self) -> None:
        fault = Fault(lambda net: None, 3, False, PATIENT)
        with Network("client", "server") as net:
            for name, figures in SLOW.items():

                def play(figures: tuple[int, int, int] = figures) -> dict[str, Outcome]:
                    with (
                        Slow(net["client"], net["server"], *figures) as link,
                        Scene(net, fault.options, link.second) as scene,
                    ):
                        return scene.play(fault)

                self.row(name, play, fault)

    def storm(self) -> None:
        """The same sockets all the time."""
        choice = [fault for fault in FAULTS.values() if not fault.options]

        def play() -> dict[str, Outcome]:
            faults = self.rng.choices(choice, k=8)
            with Scene(net, {}) as scene:
                return scene.play(*faults)

        with Network("client", "server") as net:
            self.row("8 of them, at random", play, Fault(lambda net: None, 0, None))

    def large(self) -> None:
        print("| torn | ", " | ".join(network_loads.LARGE_PATTERNS), "|")
        print("|---" * 5 + "|", flush=True)
        for shape in network_loads.SHAPES:
            with Network("client", "server") as net, ExitStack() as stack:
                load = network_loads.Large(net, stack, shape)
                records = load.play(12 * self.rounds)
            cells = [
                f"{each['torn']} of {each['count'] + each['torn']}"
                for each in records.values()
            ]
            print("|", " | ".join([shape, *cells]), "|", flush=True)
            for name, each in records.items():
                if each["torn"] or each["doubles"]:
                    self.wrong.append(f"{shape}, {name}: {each}")

    def crowd(self) -> None:
        with Network("client", "server") as net:
            sums = network_loads.play_crowd(net, 10, 10, 10 * self.rounds, 20)
        print(f"20 % loss for {10 * self.rounds} s:", sums, flush=True)

    def spread(self) -> None:
        with Network("field", "centre", "works") as net:
            hosts = list(net.hosts.values())
            faults: list[tuple[Callable[[], Any], float]] = []
            for _ in range(4 * self.rounds):
                host = self.rng.choice(hosts)
                kinds = [host.cut, host.down, host.unplug, host.reset]
                faults.append((self.rng.choice(kinds), self.rng.choice((0.5, 1, 2))))
                faults.append((host.kill_connections, 0))
            sums = test_network_spread.play(net, faults)
        test_network_spread.is_complete(sums)
        print(
            f"three machines, {len(faults)} faults: {sum(sums['sent'].values())} "
            f"readings, none missing; {sums['resent']} sent again, "
            f"{sums['broker']['regiven']} given to another worker, "
            f"{sums['sink']['repeated']} came twice",
            flush=True,
        )


PARTS = ["faults", "slow", "storm", "large", "crowd", "spread"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if reason := namespaces.why_not():
        print(reason)
        return 2
    start = time.monotonic()
    campaign = Campaign(options.rounds, options.seed)
    for name in options.only or PARTS:
        try:
            getattr(campaign, name)()
        except (AssertionError, OSError) as error:
            campaign.wrong.append(f"{name}: {error!r}")
    print(f"{time.monotonic() - start:.0f} s; wrong: {len(campaign.wrong)}")
    for line in campaign.wrong:
        print(line)
    return int(bool(campaign.wrong))


if __name__ == "__main__":
    sys.exit(main())
