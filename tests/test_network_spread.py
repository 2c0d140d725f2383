"""An application on three machines, of which one after the other is cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from namespaces import Network, Program, network_or_skip, wait_for

COLLECTORS, WORKERS = ["collector-1", "collector-2"], ["worker-1", "worker-2"]


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network_or_skip("field", "centre", "works") as net:
        yield net


class Application:
    """Collectors in the field, broker and sink in the centre, workers in the works."""

    def __init__(self, net: Network, stack: ExitStack) -> None:
        def start(where: str, name: str, role: str, **options: str) -> Program:
            spec = json.dumps({"role": role, **options})
            program = Program(net[where], "network_spread.py", name, spec)
            return stack.enter_context(program)

        centre = net["centre"].address
        self.broker = start("centre", "broker", "broker", host=centre)
        self.sink = start("centre", "sink", "sink", host=centre)
        front, back = (self.broker.started[name] for name in ("front", "back"))
        sink = self.sink.started["sink"]
        self.workers = [
            start("works", name, "work", broker=back, sink=sink) for name in WORKERS
        ]
        self.collectors = [
            start("field", name, "collect", broker=front) for name in COLLECTORS
        ]

    def results(self) -> int:
        return sum(self.sink.ask("report")["counts"].values())

    def get_on(self) -> None:
        """Wait until more results have come than could be under way."""
        goal = self.results() + 300
        wait_for(lambda: self.results() >= goal, 30)

    def end(self) -> dict[str, Any]:
        """Have no more collected; wait until all that was is done; add it up."""
        for collector in self.collectors:
            collector.ask("stop")
        wait_for(
            lambda: not any(each.ask("report")["kept"] for each in self.collectors), 20
        )
        collected = [each.ask("report") for each in self.collectors]
        sent = [each["sent"] for each in collected]
        return {
            "sent": dict(zip(COLLECTORS, sent, strict=True)),
            "sink": self.sink.ask("report"),
            "broker": self.broker.ask("report"),
            "resent": sum(each["resent"] for each in collected),
            "results resent": sum(
                each.ask("report")["resent"] for each in self.workers
            ),
        }


def play(net: Network, faults: list[tuple[Callable[[], object], float]]) -> Any:
    """Run the application through faults, one after the other; return the sums."""
    with ExitStack() as stack:
        application = Application(net, stack)
        stack.callback(net.heal)
        application.get_on()
        for begin, seconds in faults:
            begin()
            time.sleep(seconds)  # that is how long it lasts
            net.heal()
            application.get_on()
        return application.end()


def is_complete(sums: Any) -> None:
    """Every reading of every collector is there, and was worked on rightly."""
    assert sums["sink"]["counts"] == sums["sent"]
    assert sums["sink"]["whole"]
    assert sums["sink"]["wrong"] == 0
    assert sums["broker"]["done"] == sum(sums["sent"].values())
    assert sums["broker"]["jobs"] == 0


def test_application__works_cut_off_and_back(net: Network) -> None:
    sums = play(net, [(net["works"].cut, 2)])
    is_complete(sums)
    # What the workers had when they were cut off was given to them once more.
    assert sums["broker"]["regiven"] > 0


def test_application__field_switched_off_and_connections_killed(net: Network) -> None:
    kill = net["centre"].kill_connections
    sums = play(net, [(net["field"].down, 1.5), (kill, 0), (net["works"].reset, 0.5)])
    is_complete(sums)
    assert sums["resent"] > 0
