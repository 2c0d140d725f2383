"""Other people's ZeroMQ talks with zraw, in every pattern, thousands of messages each.

    python -m tests.campaign interop [--install] [--messages 2000] [--only czmq]

Messages have one to six frames of random sizes, mostly small and sometimes a megabyte;
each side compares them byte for byte.  --install gets what is missing by apt, npm and
pip, by name, and does nothing else; it needs no zraw.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import interop_peers
from interop_peers import KINDS, OTHERS, ZRAW, Kind

AT_ONCE = 400  # fewer than a queue has room for: a PUB may not drop any


def messages(number: int, seed: int) -> list[str]:
    """Return messages, as sizes of their frames."""
    chance = random.Random(seed)
    found = []
    for _ in range(number):
        sizes = []
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            limit = chance.choice((0, 40, 300, 300, 9000, 9000, 70000))
            sizes.append(chance.randint(0, limit))
        if chance.random() < 0.01:
            sizes.append(1000000)
        found.append(",".join(map(str, sizes)))
    return found


def runs(kind: Kind, number: int, seed: int) -> list[tuple[str, bool, list[str]]]:
    """Return all that is to be said: our role, whether we bind, the messages."""
    found = []
    for role in OTHERS:
        for binds in (True, False):
            left = number
            while left > 0:
                seed += 1
                said = messages(min(left, AT_ONCE), seed)
                left -= len(said)
                found.append((role, binds, kind.able(OTHERS[role], said)))
    return found


def talk(kind: Kind, number: int, seed: int) -> tuple[int, int, int, list[str]]:
    """Talk with a peer; return how many processes, messages, bytes, and what failed."""
    total = size = processes = 0
    wrong = []
    for role, binds, said in runs(kind, number, seed):
        processes += 1
        try:
            interop_peers.talk(kind, role, binds, said)
        except (AssertionError, OSError) as error:
            wrong.append(f"{role}, binds={binds}, {said[:3]}...: {error!r:.500}")
            continue
        ways = 2 if role in ("req", "rep") else 1
        total += ways * len(said)
        size += ways * sum(sum(map(int, each.split(","))) for each in said)
    return processes, total, size, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="what is missing")
    parser.add_argument("--messages", type=int, default=2000, help="a role and side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one peer")
    options = parser.parse_args()
    if options.install:
        interop_peers.install()
        return 0
    failed = False
    print("| peer | roles and sides | processes | messages | MB | seconds | wrong |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in (ZRAW, *KINDS.values()):
        if options.only not in (None, kind.name):
            continue
        if missing := kind.missing():
            print(f"| {kind.name}: missing {missing} | | | | | | |", flush=True)
            continue
        start = time.monotonic()
        processes, total, size, wrong = talk(kind, options.messages, options.seed)
        seconds = time.monotonic() - start
        print(
            f"| {kind.version()} | {2 * len(OTHERS)} | {processes} | {total} "
            f"| {size / 1e6:.0f} | {seconds:.0f} | {len(wrong)} |",
            flush=True,
        )
        for each in wrong:
            print(each, file=sys.stderr)
        failed = failed or bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
