"""Calls chosen by libFuzzer: fuzzing_atheris.py CORPUS OPTIONS, for the campaign."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import Any

import atheris

MOST = 200  # calls of one run
findings: list[Any] = []  # one, once zraw can be imported


def run(data: bytes) -> None:
    """Make the calls that the bytes stand for."""
    # Late: the counters in zraw's extensions are libFuzzer's, which Fuzz() loads.
    from fuzzing_child import Findings
    from fuzzing_values import Exhausted, Given
    from fuzzing_world import Enough, World, quiet_hooks

    if not findings:
        findings.append(Findings())
        quiet_hooks(findings[0])
    world = World(Given(data), findings[0])
    world.start_clock()
    with contextlib.suppress(Exhausted, Enough):
        world.begin()
        for _ in range(MOST):
            world.step()
    world.depth = 0
    world.values.below = lambda limit: 0
    with contextlib.suppress(Enough):
        world.end()
    world.inside = False
    world.stop_clock()
    for end in world.values.pipe:
        end.close()


def main() -> None:
    warnings.simplefilter("ignore")
    os.chdir(os.path.dirname(sys.argv[1]))
    sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
