"""What the state machines share: bodies, what a call raises, and their budget."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

import zraw

# Of bodies: what is stored in the message itself, or not; what is pinned.
SIZES = st.sampled_from([0, 1, 5, 33, 34, 1000, 65535, 65536, 70000])
PARTS = st.lists(SIZES, min_size=1, max_size=4)
BUDGET = settings(
    max_examples=120,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


numbers = itertools.count()


def body_of(size: int) -> bytes:
    """Return a body unlike the one before."""
    return bytes([next(numbers) % 256]) * size


def raised(call: Callable[..., Any], *args: Any) -> type[BaseException] | None:
    try:
        call(*args)
    except Exception as error:
        if isinstance(error, zraw.ZMQError):
            assert zraw.errno() == error.errno
        return type(error)
    return None


def run(machine: type[RuleBasedStateMachine]) -> None:
    """Run a state machine; it has to close what it opens."""
    run_state_machine_as_test(machine, settings=BUDGET)
    gc.collect()
    assert not [one for one in zraw.live().contexts if one.sockets]
