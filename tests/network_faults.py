"""Every pattern through a fault of the network, and what may be lost of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from namespaces import Network, Program, wait_for

Spec = dict[str, tuple[str, dict[str, Any]]]

PATIENT = {"HEARTBEAT_IVL": 0}  # TCP alone decides when a connection is over


@dataclass
class Fault:
    """Something that happens to the network, and ends.

    cuts: whether connections have to be found dead; None where that is chance.
    options: socket options of both sides.
    """

    begin: Callable[[Network], object]
    seconds: float
    cuts: bool | None
    options: dict[str, Any] = field(default_factory=dict)


FAULTS = {
    "cut for 0.4 s": Fault(lambda net: net["client"].cut(), 0.4, None),
    # On a busy machine a heartbeat may take its time.
    "cut for 0.4 s, heartbeats of 2 s": Fault(
        lambda net: net["client"].cut(), 0.4, False, {"HEARTBEAT_TIMEOUT": 2000}
    ),
    "cut for 2 s": Fault(lambda net: net["client"].cut(), 2, True),
    "cut for 2 s, no heartbeats": Fault(
        lambda net: net["client"].cut(), 2, False, PATIENT
    ),
    "20 % loss": Fault(lambda net: net["client"].lose(20), 2, None),
    "20 % loss, no heartbeats": Fault(
        lambda net: net["client"].lose(20), 2, False, PATIENT
    ),
    "resets by a firewall": Fault(lambda net: net["client"].reset(), 0.5, True),
    "connections killed, client": Fault(
        lambda net: net["client"].kill_connections(), 0, True
    ),
    "connections killed, server": Fault(
        lambda net: net["server"].kill_connections(), 0, True
    ),
    "cable pulled for 2 s": Fault(lambda net: net["client"].unplug(), 2, True),
    "interface down for 2 s": Fault(lambda net: net["server"].down(), 2, True),
}
STREAMS = {  # receiver: (program and name of the sender, program of the receiver)
    "PUSH → PULL": ("client", "push", "server", "pull"),
    "PUSH (binds) → PULL": ("server", "bound-push", "client", "far-pull"),
    "PUB → SUB": ("server", "pub", "client", "sub"),
    "DEALER → ROUTER": ("client", "dealer", "server", "router"),
    "ROUTER → DEALER": ("server", "router", "client", "dealer"),
    "aio.Push → aio.Pull": ("client aio", "aio-push", "server aio", "aio-pull"),
}
QUESTIONS = {"REQ, REP": ("req", "rep"), "aio.Request, aio.Reply": ("aio", "aio")}
PATTERNS = [*STREAMS, *QUESTIONS]
SOCKETS = 7  # pairs of them, hence connections


def servers(address: str, options: dict[str, Any]) -> Spec:
    """The sockets that bind."""
    usual: dict[str, Any] = {"bind": f"tcp://{address}:*", **options}
    router = {"to": "dealer", "ROUTER_MANDATORY": 1, "ROUTER_HANDOVER": 1, "rate": 400}
    return {
        "pull": ("Stream", {"type": "PULL", **usual}),
        "bound-push": ("Stream", {"type": "PUSH", "rate": 400, **usual}),
        # A PUB drops what is above the mark, which is not what is measured here.
        "pub": (
            "Stream",
            {"type": "PUB", "rate": 400, "noise": True, "SNDHWM": 0, **usual},
        ),
        "router": ("Stream", {"type": "ROUTER", **router, **usual}),
        "rep": ("Answer", usual),
    }


def clients(where: dict[str, str], options: dict[str, Any]) -> Spec:
    """The sockets that connect."""
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "push": ("pull", "PUSH", {"rate": 400}),
        "far-pull": ("bound-push", "PULL", {}),
        "sub": ("pub", "SUB", {"SUBSCRIBE": "n", "RCVHWM": 0}),
        "dealer": ("router", "DEALER", {"ROUTING_ID": "dealer", "rate": 400}),
    }
    spec: Spec = {
        name: ("Stream", {"type": kind, "connect": where[peer], **more, **options})
        for name, (peer, kind, more) in kinds.items()
    }
    spec["req"] = ("Ask", {"connect": where["rep"], **options})
    return spec


@dataclass
class Outcome:
    """What became of a pattern's messages; figures as network_peers.py has them."""

    sent: int
    disconnects: int
    seconds: float  # from the end of the fault until messages flowed again
    lost: int = 0
    gaps: int = 0
    doubles: int = 0
    late: int = 0
    runs: int = 1
    torn: int = 0
    retries: int = 0
    wrong: int = 0


class Scene:
    """All patterns between two hosts, while something happens to the network."""

    def __init__(
        self, net: Network, options: dict[str, Any], address: str = ""
    ) -> None:
        self.net = net
        self.stack = ExitStack()
        address = address or net["server"].address
        with ExitStack() as stack:
            self.programs: dict[str, Program] = {}

            def start(name: str, spec: object) -> dict[str, str]:
                host, _, kind = name.partition(" ")
                file = f"network_{kind or 'peers'}.py"
                program = Program(net[host], file, json.dumps(spec))
                self.programs[name] = stack.enter_context(program)
                return program.started

            where = start("server", servers(address, options))
            bind = {"bind": f"tcp://{address}:*", **options}
            connect = {"connect": start("server aio", bind)["aio"], **options}
            start("client", clients(where, options))
            start("client aio", connect)
            self.stack = stack.pop_all()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stack.__exit__(*exc)

    def ask(self, command: str = "report") -> dict[str, dict[str, Any]]:
        return {name: each.ask(command) for name, each in self.programs.items()}

    def flowing(self) -> Callable[[], dict[str, float]]:
        """Return a function that says since when a pattern has got on by far."""
        before = progress(self.ask())
        since: dict[str, float] = {}

        def look() -> dict[str, float]:
            for name, count in progress(self.ask()).items():
                if count >= before[name] + (10 if name in STREAMS else 3):
                    since.setdefault(name, time.monotonic())
            return since

        return look

    def flow(self) -> dict[str, float]:
        """Wait until every pattern gets on; return since when."""
        look = self.flowing()
        wait_for(lambda: len(look()) == len(PATTERNS), 30)
        return look()

    def is_settled(self) -> bool:
        """Whether each socket has one connection, and both ends know of it."""
        hosts = self.net["client"], self.net["server"]
        return all(host.connections() == SOCKETS for host in hosts)

    def suffer(self, fault: Fault) -> dict[str, float]:
        """Have a fault, and wait until all is well again.

        Returns how many seconds after its end each pattern got on.
        """
        self.flow()
        self.before = self.ask()
        with ExitStack() as stack:
            stack.callback(self.net.heal)
            fault.begin(self.net)
            time.sleep(fault.seconds)  # that is how long it lasts
            self.during = self.ask()
        healed = time.monotonic()
        since = self.flow()
        # A connection that only one side believes in still swallows messages.
        wait_for(self.is_settled)
        self.flow()
        return {name: when - healed for name, when in since.items()}

    def play(self, *faults: Fault) -> dict[str, Outcome]:
        """Have faults, one after the other, and count."""
        seconds = [self.suffer(fault) for fault in faults]
        self.after = self.end()
        return {
            name: outcome(self.after, name, max(each[name] for each in seconds))
            for name in PATTERNS
        }

    def end(self) -> dict[str, dict[str, Any]]:
        """Stop who sends, and wait until the last message has arrived."""
        self.ask("stop")

        def is_over() -> bool:
            now = self.ask()
            return progress(now) == goals(now)

        wait_for(is_over)
        return self.ask()


def record(reports: dict[str, Any], pattern: str) -> dict[str, Any]:
    """The record of a stream, at its receiver."""
    _, sender, program, name = STREAMS[pattern]
    return reports[program][name]["from"].get(sender, {"next": 0})


def progress(reports: dict[str, Any]) -> dict[str, int]:
    """How far each pattern has come."""
    far = {name: record(reports, name)["next"] for name in STREAMS}
    far["REQ, REP"] = reports["client"]["req"]["answered"]
    far["aio.Request, aio.Reply"] = reports["client aio"]["aio"]["answered"]
    return far


def goals(reports: dict[str, Any]) -> dict[str, int]:
    """How far each pattern has to come."""
    goal = {name: reports[who[0]][who[1]]["sent"] for name, who in STREAMS.items()}
    goal["REQ, REP"] = reports["client"]["req"]["asked"]
    goal["aio.Request, aio.Reply"] = reports["client aio"]["aio"]["asked"]
    return goal


def outcome(reports: dict[str, Any], pattern: str, seconds: float) -> Outcome:
    if pattern in STREAMS:
        program, sender, receiver, name = STREAMS[pattern]
        sent, got = reports[program][sender], reports[receiver][name]
        figures = record(reports, pattern)
        return Outcome(
            sent["sent"],
            max(sent["disconnected"], got["disconnected"]),
            seconds,
            *(figures[key] for key in ("lost", "gaps", "doubles", "late")),
            figures["runs"],
            got["torn"],
        )
    asks, answers = QUESTIONS[pattern]
    if pattern == "REQ, REP":
        asked, server = reports["client"][asks], reports["server"][answers]
        disconnects = max(asked["disconnected"], server["disconnected"])
    else:
        asked, server = reports["client aio"][asks], reports["server aio"][answers]
        disconnects = 0
    known = server["from"][asks]
    assert asked["asked"] == asked["answered"] == known["count"], (asked, known)
    return Outcome(
        asked["asked"],
        disconnects,
        seconds,
        lost=known["lost"],
        late=known["late"],
        retries=known["doubles"],
        wrong=asked["wrong"],
    )


def judge(fault: Fault, pattern: str, found: Outcome) -> list[str]:
    """What is not as libzmq promises it."""
    asks = pattern in QUESTIONS
    whole = {"torn": 0, "doubles": 0, "wrong": 0}
    wrong = [name for name, value in whole.items() if getattr(found, name) != value]
    if pattern != "aio.Request, aio.Reply":  # it has no monitor
        wrong += ["disconnects"] * (
            fault.cuts is not None and bool(found.disconnects) != fault.cuts
        )
        wrong += ["order"] * (found.runs > found.disconnects + 1)
        # TCP keeps the order and loses nothing while there is a connection.
        wrong += [
            name
            for name in ("lost", "late")
            if not found.disconnects and getattr(found, name)
        ]
        # Who publishes does not wait for who is away.
        wrong += ["gap"] * bool(
            fault.cuts and pattern == "PUB → SUB" and not found.gaps
        )
    # A question is asked until it is answered.
    wrong += ["lost"] * (asks and found.lost > 0)
    # A connection takes with it what it carries, one piece; but who binds a PUSH has a
    # new connection beside the old one for a while, and gives each every other message.
    if not asks and pattern != "PUSH (binds) → PULL":
        wrong += ["gaps"] * (found.gaps > found.disconnects)
    return wrong
