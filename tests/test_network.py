"""Every pattern on a network that breaks: what is lost, and what never is.

`python -m tests.campaign network` does it at greater length, and counts the losses.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conftest import run_child
from namespaces import Network, Program, Slow, namespaces, network_or_skip, wait_for
from network_faults import (
    FAULTS,
    PATIENT,
    PATTERNS,
    Fault,
    Outcome,
    Scene,
    judge,
)
from network_loads import SHAPES, Large, play_crowd
from network_peers import Record, make, parse


def test_record__tells_what_is_wrong() -> None:
    """The tests below can fail: nothing of it goes unnoticed."""
    messages = [make(number, "me", 3, 10) for number in range(9)]
    assert [parse(each) for each in messages] == [("me", number) for number in range(9)]
    for torn in (
        messages[0][1:],
        messages[0][:-1],
        [*messages[0], b""],
        messages[0][:1] + messages[1][1:],
    ):
        with pytest.raises(ValueError):
            parse(torn)
    record = Record()
    for number in (0, 1, 5, 3, 5, 8, 4, 2):
        record.note(number)
    assert record.report() == {
        "count": 7,
        "first": 0,
        "next": 9,
        "lost": 2,
        "gaps": 1,
        "doubles": 1,
        "late": 3,
        "runs": 3,
    }


@pytest.fixture(scope="module")
def whole_net() -> Iterator[Network]:
    with network_or_skip("client", "server") as net:
        yield net


@pytest.fixture
def net(whole_net: Network) -> Iterator[Network]:
    yield whole_net
    whole_net.heal()


def is_as_promised(fault: Fault, found: dict[str, Outcome]) -> None:
    wrong = {name: judge(fault, name, each) for name, each in found.items()}
    assert wrong == {name: [] for name in PATTERNS}, found


@pytest.mark.parametrize(
    "name",
    [
        "cut for 0.4 s, heartbeats of 2 s",
        "20 % loss, no heartbeats",
        "resets by a firewall",
        "connections killed, client",
        "interface down for 2 s",
    ],
)
def test_patterns__through_a_fault(net: Network, name: str) -> None:
    fault = FAULTS[name]
    with Scene(net, fault.options) as scene:
        is_as_promised(fault, scene.play(fault))


def test_router__knows_who_is_away_and_who_is_back(net: Network) -> None:
    """ZMQ_ROUTER_MANDATORY says it, and ZMQ_ROUTER_HANDOVER lets the same id in."""
    fault = FAULTS["cut for 2 s"]
    with Scene(net, fault.options) as scene:
        is_as_promised(fault, scene.play(fault))
        before, during, after = (
            each["server"]["router"]
            for each in (scene.before, scene.during, scene.after)
        )
    assert during["unreachable"] > before["unreachable"]
    assert after["sent"] > during["sent"]
    # What was not read before the handover comes under an id that libzmq makes up.
    assert after["ids"][0] == "dealer"
    assert all(each[0] == "\0" and len(each) == 5 for each in after["ids"][1:])


def test_patterns__on_a_slow_link(net: Network) -> None:
    """50 to 60 ms late each way, in another order, and 3 % lost: TCP mends it all."""
    fault = Fault(lambda net: None, 1.5, False, PATIENT)
    with (
        Slow(net["client"], net["server"], delay=50, jitter=10, loss=3) as link,
        Scene(net, fault.options, link.second) as scene,
    ):
        is_as_promised(fault, scene.play(fault))
        assert scene.after["client"]["req"]["longest"] >= 0.1


def lost_of(records: dict[str, dict[str, Any]]) -> int:
    """How many messages died with connections; a PUB drops some anyway."""
    return sum(each["lost"] for name, each in records.items() if "PUB" not in name)


@pytest.mark.parametrize("shape", SHAPES)
def test_send_multipart__no_peer_gets_a_part(net: Network, shape: str) -> None:
    """Connections die amid messages, of either side."""
    with ExitStack() as stack:
        large = Large(net, stack, shape)
        records = large.play(times=2)
        tries = 0
        while not lost_of(records) and tries < 10:  # none was under way just then
            tries += 1
            records = large.play(times=2)
    for name, each in records.items():
        assert (each["torn"], each["doubles"]) == (0, 0), (name, each)
        # There were so many connections.
        assert each["runs"] <= 3 + 2 * tries, (name, each)
    assert lost_of(records) > 0


def test_connections__found_dead_in_time(net: Network) -> None:
    """By heartbeats, by TCP's keepalive, by its limit for what is not acknowledged."""
    kinds: dict[str, tuple[dict[str, Any], float, float]] = {  # after how many seconds
        "heartbeats": ({"HEARTBEAT_IVL": 300, "HEARTBEAT_TIMEOUT": 900}, 0.8, 1.2),
        "keepalive": (
            {
                "TCP_KEEPALIVE": 1,
                "TCP_KEEPALIVE_IDLE": 1,
                "TCP_KEEPALIVE_INTVL": 1,
                "TCP_KEEPALIVE_CNT": 1,
                **PATIENT,
            },
            1,
            2.1,
        ),
        "unacknowledged": ({"TCP_MAXRT": 1000, "rate": 50, **PATIENT}, 0.9, 2),
        "nothing": (PATIENT, 0, 0),
    }
    address = net["server"].address
    server = {
        name: ["Stream", {"type": "PULL", "bind": f"tcp://{address}:*", **options}]
        for name, (options, _, _) in kinds.items()
    }
    for _, options in server.values():
        options.pop("rate", None)
    with Program(net["server"], "network_peers.py", json.dumps(server)) as far:
        client = {
            name: ["Stream", {"type": "PUSH", "connect": far.started[name], **options}]
            for name, (options, _, _) in kinds.items()
        }
        with Program(net["client"], "network_peers.py", json.dumps(client)) as near:

            def times(event: str, side: Program = near) -> dict[str, float]:
                """When it first happened to each socket of a side."""
                found: dict[str, float] = {}
                for name, report in side.ask("report").items():
                    for what, when in report["events"]:
                        if what == event:
                            found.setdefault(name, when)
                return found

            wait_for(lambda: times("HANDSHAKE_SUCCEEDED").keys() == kinds.keys())
            started = max(times("HANDSHAKE_SUCCEEDED").values())
            # Keepalive begins when all is acknowledged, the handshake, too.
            hosts = net["client"], net["server"]
            for host in hosts:
                wait_for(lambda host=host: "timer:(keepalive" in host.ss("-Htno"))
            wait_for(lambda: far.ask("report")["unacknowledged"]["from"] != {})
            cut = time.monotonic()
            net["client"].cut()
            expected = kinds.keys() - {"nothing"}
            wait_for(lambda: times("DISCONNECTED").keys() >= expected)
            found = times("DISCONNECTED")
            # Who only receives has nothing that is not acknowledged.
            knows = {"heartbeats", "keepalive"}
            wait_for(lambda: times("DISCONNECTED", far).keys() >= knows)
            assert times("DISCONNECTED", far).keys() == knows
    assert found.keys() == expected
    for name in expected:
        _, least, most = kinds[name]
        # Keepalive counts from when the connection was last heard of.
        since = started if name == "keepalive" else cut
        assert found[name] - since >= least, (name, found[name] - since)
        assert found[name] - cut <= most + 0.8, (name, found[name] - cut)


def test_sockets__a_hundred_through_a_loss(net: Network) -> None:
    """50 REQ and 50 DEALER begin, and end, while every tenth packet is lost."""
    sums = play_crowd(net, programs=2, size=50, seconds=1.5, percent=10)
    assert sums["peers"] == 100
    assert sums["answered in the loss"] > 0


def test_network__says_why_there_is_none(tmp_path: Path) -> None:
    """And tests are skipped then; here, because there is no ip, nft, ss."""
    program = """
    import namespaces
    print(namespaces.why_not())
    """
    done = run_child(program, env={"PATH": str(tmp_path)})
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no networks of namespaces here: ")


def test_network__nothing_is_left_of_a_killed_process() -> None:
    """Neither namespaces nor who runs in them."""
    with network_or_skip():
        pass
    program = """
import time
from conftest import run_child
from namespaces import Network, Program
net = Network("client")
inside = Program(net["client"], "-c", "print('{}', flush=True); input(); input()")
print(net.prefix, inside.process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    ) as child:
        assert child.stdout is not None
        prefix, pid = child.stdout.readline().split()
        there = namespaces(prefix)
        os.kill(child.pid, signal.SIGKILL)
    assert sorted(there) == [f"{prefix}client", f"{prefix}switch"]
    wait_for(lambda: not namespaces(prefix))
    wait_for(lambda: not Path(f"/proc/{pid}/cmdline").exists())
