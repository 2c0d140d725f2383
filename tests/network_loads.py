"""Large messages, and many sockets, on a network that breaks."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from namespaces import Network, Program, wait_for
from network_faults import PATIENT, STREAMS, Spec, clients, record, servers

SHAPES: dict[str, dict[str, Any]] = {
    "20 frames of 100 kB": {"parts": 20, "size": 100_000, "SNDHWM": 3, "RCVHWM": 3},
    "500 frames of 100 bytes": {"parts": 500, "size": 100, "SNDHWM": 99, "RCVHWM": 99},
}
WIDTHS = dict(zip(SHAPES, (30, 10), strict=True))  # of the link, in MB a second
HOW: dict[str, dict[str, Any]] = {
    "dealer": {"how": "waiting", "SNDTIMEO": 20},
    "push": {"how": "many"},
    "pub": {"rate": 50},  # it never has to wait
}
LARGE_PATTERNS = [name for name in STREAMS if "aio" not in name and "binds" not in name]


class Large:
    """Messages of many frames, on a link so narrow that one is always under way.

    Each pattern has its own connection; what kills one kills all of them, amid a
    message.
    """

    def __init__(self, net: Network, stack: ExitStack, shape: str) -> None:
        self.net = net
        for side in ("client", "server"):
            limit = f"limit rate over {WIDTHS[shape]} mbytes/second burst 500 kbytes"
            net.rules(f"oifname to-{side} {limit} drop")
        stack.callback(net.heal)

        def only(spec: Spec, names: set[str]) -> str:
            chosen = {name: each for name, each in spec.items() if name in names}
            for name, (_, options) in chosen.items():
                options.update(PATIENT, **SHAPES[shape], **HOW.get(name, {}))
            return json.dumps(chosen)

        who = [STREAMS[name] for name in LARGE_PATTERNS]
        names = {name for _, sender, _, name in who for name in (sender, name)}
        address = net["server"].address
        spec = servers(address, {})
        spec["bound-push"] = spec["pull"]  # to which nobody connects
        self.server = stack.enter_context(
            Program(net["server"], "network_peers.py", only(spec, names))
        )
        where = {"bound-push": "", **self.server.started}
        self.client = stack.enter_context(
            Program(
                net["client"],
                "network_peers.py",
                only(clients({"rep": "", **where}, {}), names),
            )
        )

    def ask(self) -> dict[str, Any]:
        server, client = self.server.ask("report"), self.client.ask("report")
        return {"server": server, "client": client}

    def records(self) -> dict[str, dict[str, Any]]:
        reports = self.ask()
        return {
            name: {
                "count": 0,
                **record(reports, name),
                "torn": reports[STREAMS[name][2]][STREAMS[name][3]]["torn"],
            }
            for name in LARGE_PATTERNS
        }

    def get_on(self, count: int = 2) -> None:
        """Wait until so many messages more have arrived of each pattern."""
        before = self.records()
        goals = {name: each["count"] + count for name, each in before.items()}

        def is_there() -> bool:
            now = self.records()
            return all(now[name]["count"] >= goal for name, goal in goals.items())

        wait_for(is_there, 30)

    def play(self, times: int) -> dict[str, dict[str, Any]]:
        """Kill all connections so often, of either side in turn; return the records."""
        self.get_on()
        for turn in range(times):
            killed = self.net["server" if turn % 2 else "client"].kill_connections()
            assert killed == 3  # DEALER and ROUTER share one
            self.get_on()
        return self.records()


def crowd(where: dict[str, str], name: str, size: int) -> Spec:
    """Half of them ask, and half of them deal."""
    spec: Spec = {}
    for number in range(size):
        own = f"{name}-{number}"
        usual = {"monitored": False, **PATIENT}
        spec[own] = ("Ask", {"connect": where["rep"], "rate": 5, **usual})
        if number % 2:
            usual = {"ROUTING_ID": own, "rate": 10, **usual}
            spec[own] = (
                "Stream",
                {"type": "DEALER", "connect": where["router"], **usual},
            )
    return spec


def play_crowd(
    net: Network, programs: int, size: int, seconds: float, percent: int
) -> dict[str, Any]:
    """So many sockets in so many programs through a loss; return the sums.

    Raises an AssertionError unless each message and each question is accounted for.
    """
    with ExitStack() as stack:
        spec = servers(net["server"].address, PATIENT)
        both = json.dumps(
            {
                "rep": spec["rep"],
                "router": (
                    "Stream",
                    {"type": "ROUTER", "bind": spec["rep"][1]["bind"], **PATIENT},
                ),
            }
        )
        server = stack.enter_context(Program(net["server"], "network_peers.py", both))
        net["client"].lose(percent)
        stack.callback(net.heal)
        peers = []
        for number in range(programs):
            each = crowd(server.started, f"peer-{number}", size)
            program = Program(net["client"], "network_peers.py", json.dumps(each))
            peers.append(stack.enter_context(program))
        time.sleep(seconds)  # that is how long packets are lost
        lossy: list[dict[str, Any]] = []
        for peer in peers:
            lossy += peer.ask("stop").values()
        net.heal()

        def look() -> tuple[dict[str, Any], dict[str, Any]]:
            mine: dict[str, Any] = {}
            for peer in peers:
                mine |= peer.ask("report")
            return mine, server.ask("report")

        def is_over() -> bool:
            mine, report = look()
            asks = [each for each in mine.values() if "asked" in each]
            sent = sum(each.get("sent", 0) for each in mine.values())
            there = report["router"]["from"].values()
            return (
                all(each["asked"] == each["answered"] for each in asks)
                and sum(each["count"] for each in there) == sent
            )

        wait_for(is_over, 30)
        mine, report = look()
    for name, each in mine.items():
        if "asked" in each:
            known = report["rep"]["from"].get(name, {"next": 0, "lost": 0})
            assert each["wrong"] == known["lost"] == 0, (name, each, known)
            assert known["next"] == each["asked"] > 0, (name, each, known)
        else:
            known = report["router"]["from"][name]
            assert known["next"] == known["count"] == each["sent"] > 0, (name, known)
            assert (known["doubles"], known["runs"]) == (0, 1), (name, known)
    assert report["router"]["torn"] == 0
    asks = [each for each in mine.values() if "asked" in each]
    return {
        "peers": len(mine),
        "answered": sum(each["answered"] for each in asks),
        "answered in the loss": sum(each.get("answered", 0) for each in lossy),
        "asked again": sum(each["resent"] for each in asks),
        "sent": sum(each.get("sent", 0) for each in mine.values()),
        "longest": max(each["longest"] for each in asks),
    }
