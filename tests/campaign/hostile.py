"""Strangers who do not keep to the protocol, at every type of socket and mechanism.

    python -m tests.campaign hostile [--minutes 10] [--connects 10000] [--seed 0]

Each socket lives in a process of its own, which reads by blocking calls, by polling or
on an event loop.  What real partners say to it is recorded, spoilt, and said by many at
once, while a peer that keeps to the rules wants to be served.  A process that ends is a
finding: what was said last is reduced, and printed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import zraw
from hostile_child import MODES, Legit, Target
from hostile_peer import (
    PARTNERS,
    connection,
    greeting,
    hello,
    message,
    old_frame,
    ready,
    upgrade,
    volley,
    ws_frame,
)
from hostile_spoiler import Relay, Spoiler, make, record

Turns = Sequence[bytes]
# Options of the process, mechanism, options of its rightful peer.
Plan = tuple[dict[str, Any], str, dict[str, Any]]
MECHANISMS = ("NULL", "PLAIN", "CURVE")
BEATS = {"HEARTBEAT_IVL": 20, "HEARTBEAT_TIMEOUT": 60, "HEARTBEAT_TTL": 100}
# Types and options whose code differs, each attacked with NULL.
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("ROUTER", {"ROUTER_HANDOVER": 1}),
    ("ROUTER", {"ROUTER_MANDATORY": 1, "SNDHWM": 2, "RCVHWM": 2}),
    ("ROUTER", {"ROUTER_RAW": 1}),
    ("ROUTER", {"PROBE_ROUTER": 1, **BEATS}),
    ("DEALER", {"PROBE_ROUTER": 1, "RCVHWM": 1}),
    ("REQ", {"REQ_CORRELATE": 1, "REQ_RELAXED": 1}),
    ("REQ", {"REQ_CORRELATE": 1, **BEATS}),
    ("REP", {"SNDHWM": 1, "RCVHWM": 1, **BEATS}),
    ("XPUB", {"XPUB_VERBOSE": 1}),
    ("XPUB", {"XPUB_VERBOSER": 1, "SNDHWM": 1}),
    ("XPUB", {"XPUB_NODROP": 1, "SNDHWM": 1}),
    ("XPUB", {"XPUB_WELCOME_MSG": {"hex": "6869"}}),
    ("XPUB", {"INVERT_MATCHING": 1}),
    ("PUB", {"CONFLATE": 1}),
    ("PUB", {"XPUB_NODROP": 1, **BEATS}),
    ("PULL", {"MAXMSGSIZE": 100, "RCVHWM": 1}),
    ("PULL", {"HANDSHAKE_IVL": 5, **BEATS}),
    ("PUSH", {"CONFLATE": 1}),
    ("PUSH", {"IMMEDIATE": 1, "SNDHWM": 1, **BEATS}),
    ("SUB", {"INVERT_MATCHING": 1, "RCVHWM": 1}),
    ("PAIR", {"MAXMSGSIZE": 20, **BEATS}),
    ("STREAM", {"STREAM_NOTIFY": 0, "RCVHWM": 1}),
    ("STREAM", {"MAXMSGSIZE": 20}),
]


class Total:
    """What was done, and what came of it."""

    def __init__(self) -> None:
        self.connections = self.bytes = self.served = self.retries = 0
        self.children = self.ended = 0
        self.slowest = 0.0
        self.rows: list[tuple[str, ...]] = []
        self.findings: set[str] = set()


def security(
    mechanism: str, keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the side that is bound, and of its partners."""
    if mechanism == "PLAIN":
        return {"PLAIN_SERVER": 1}, {
            "PLAIN_USERNAME": "user",
            "PLAIN_PASSWORD": "secret",
        }
    if mechanism == "CURVE":
        names = "CURVE_SERVERKEY", "CURVE_PUBLICKEY", "CURVE_SECRETKEY"
        bound = {"CURVE_SERVER": 1, "CURVE_SECRETKEY": keys[1]}
        return bound, dict(zip(names, (keys[0], *keys[2:]), strict=True))
    return {}, {}


def sentences(kind: str, mechanism: str) -> list[Turns]:
    """What is said where nothing can be recorded, or by peers of old."""
    name = mechanism.encode()
    partner = PARTNERS[kind] if kind != "STREAM" else "DEALER"
    body = message(b"\1", b"", b"body")
    return [
        (greeting(name), ready(partner), body),
        (greeting(name, minor=0), ready(partner), body),
        (greeting(name)[:10] + b"\0\5", old_frame(b"id") + old_frame(b"x")),
        (greeting(name)[:10] + b"\1\5", b"\0\2id" + body),
        (old_frame(b"id") + old_frame(b"a", 1) + old_frame(b"\1b"),),
        (old_frame(b""), old_frame(b"\1")),
        (greeting(name), hello(), ready(partner)),
        (upgrade(b"ZWS2.0/" + name), ws_frame(b"\2" + ready(partner)[2:])),
        (upgrade(b"ZWS2.0"), ws_frame(b"\0id"), ws_frame(b"\0\1x") + ws_frame(b"", 9)),
        (b"GET / HTTP/1.1\r\n\r\n", b"x" * 10000),
    ]


def reduce(config: dict[str, Any], suspects: list[Turns], tries: int = 80) -> str:
    """Return the least of what ends such a process, as text."""

    def ends(conversations: list[Turns]) -> bool:
        nonlocal tries
        tries -= 1
        try:
            target = Target(**config)
        except RuntimeError:
            return False
        try:
            with contextlib.suppress(OSError, zraw.ZMQError):
                volley(target.endpoint, conversations)
                time.sleep(0.05)
                target.ask()
        finally:
            target.close()
        return target.code != 0

    for _ in range(3):
        if ends(suspects):
            break
    else:
        return f"not seen again with the last {len(suspects)} conversations"
    size = max(1, len(suspects) // 2)
    while tries > 0:
        for start in range(0, len(suspects), size):
            fewer = suspects[:start] + suspects[start + size :]
            if tries > 0 and fewer and ends(fewer):
                suspects = fewer
                break
        else:
            if size == 1:
                break
            size //= 2
    return "\n".join(
        "    " + ", ".join(repr(turn[:400]) for turn in turns) for turns in suspects
    )


def live(target: Target, spoiler: Spoiler, partner: dict[str, Any]) -> int:
    """Have a real partner speak through a relay that spoils one of its turns."""
    which, said = spoiler.random.choice((2, 3, 3, 4, 4, 5, 6)), 0

    def change(turn: int, data: bytes) -> bytes:
        nonlocal said
        said += len(data)
        return spoiler.spoil([data])[0] if turn == which and data else data

    relay = Relay(target.endpoint, change)
    with zraw.Context() as context:
        client = make(context, PARTNERS[target.kind], {**partner, "RECONNECT_IVL": -1})
        client.setsockopt(zraw.ZMQ_RCVTIMEO, 20)
        client.setsockopt(zraw.ZMQ_SNDTIMEO, 20)
        client.connect(relay.address)
        for _ in range(3):
            with contextlib.suppress(zraw.Again, zraw.InvalidState, zraw.NotSupported):
                client.send_multipart([b"\1a", b"b"])
            with contextlib.suppress(zraw.Again, zraw.InvalidState, zraw.NotSupported):
                client.recv_multipart()
        client.close()
    relay.close()
    return said


def besiege(
    total: Total, plan: Plan, recorded: list[Turns], seconds: float, seed: int
) -> None:
    """Attack one process for some seconds."""
    config, mechanism, partner = plan
    kind = config["kind"]
    spoiler = Spoiler(seed)
    target = Target(**config)
    legit = Legit(target, partner)
    total.children += 1
    last: list[Turns] = []
    mutations = said = 0
    trouble = ""
    end = time.monotonic() + seconds
    rounds = itertools.count()
    try:
        legit.check()
        while time.monotonic() < end and target.is_alive():
            batch = [
                spoiler.spoil(spoiler.random.choice(recorded))
                for _ in range(spoiler.random.choice((1, 16, 32)))
            ]
            last = (last + batch)[-96:]
            mutations += len(batch)
            said += volley(target.endpoint, batch)
            if mechanism == "CURVE" and next(rounds) % 4 == 0 and kind != "STREAM":
                said += live(target, spoiler, partner)
                mutations += 1
            legit.check()
    except (OSError, zraw.ZMQError, RuntimeError) as error:
        trouble = f"{type(error).__name__}: {error}"
    legit.close()
    target.close()
    total.connections += mutations
    total.bytes += said
    total.served += legit.served
    total.retries += legit.retries
    total.slowest = max(total.slowest, legit.slowest)
    options = " ".join(f"{n}={v}" for n, v in config.get("options", {}).items())
    options = re.sub(r"CURVE_\w+=\S+ ?|PLAIN_SERVER=1 ?", "", options)
    where = config.get("bind", "tcp:").partition(":")[0]
    name = " ".join(filter(None, (kind, options, "monitor" * bool(config["monitor"]))))
    row = name, mechanism, where, config["mode"], mutations, said // 1000
    row += (legit.served, legit.retries, f"{legit.slowest:.2f}")
    total.rows.append(tuple(map(str, row)))
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    if target.code or target.err or trouble:
        total.ended += 1
        what = re.sub(r"0x[0-9a-f]+", "0x", target.err.strip().partition("\n")[0])
        key = what or trouble
        if key not in total.findings:
            total.findings.add(key)
            print(f"FOUND {json.dumps(config)} seed {seed}: exit code {target.code}")
            print(f"  {trouble}\n  {target.err[:1500]}")
            if target.code and last:
                print(f"  by:\n{reduce(config, last)}", flush=True)


def configurations(folder: str, keys: Sequence[str]) -> list[Plan]:
    """Return what to attack."""
    modes = itertools.cycle(MODES)
    found: list[Plan] = []
    for mechanism, kind in itertools.product(MECHANISMS, PARTNERS):
        if kind == "STREAM" and mechanism != "NULL":
            continue
        bound, partner = security(mechanism, keys)
        config = {"kind": kind, "mode": next(modes), "options": bound}
        found.append(({**config, "monitor": False}, mechanism, partner))
    for number, (kind, options) in enumerate(OPTIONS):
        config = {"kind": kind, "mode": next(modes), "options": options}
        found.append(({**config, "monitor": number % 3 == 0}, "NULL", {}))
    for mechanism, kind in itertools.product(
        MECHANISMS, ("PULL", "ROUTER", "XPUB", "REP", "DEALER")
    ):
        bound, partner = security(mechanism, keys)
        config = {"kind": kind, "mode": next(modes), "options": bound, "monitor": True}
        found.append(({**config, "bind": "ws://127.0.0.1:*"}, mechanism, partner))
    for kind in ("ROUTER", "SUB"):
        config = {"kind": kind, "mode": next(modes), "options": {}, "monitor": True}
        found.append(({**config, "bind": f"ipc://{folder}/{kind}"}, "NULL", {}))
    return found


def connects(total: Total, count: int) -> tuple[dict[int, tuple[int, int]], float]:
    """Have that many connections fail; return kilobytes and descriptors meanwhile."""
    first = (
        b"", b"\xff", greeting()[:10], greeting()[:30], greeting(), b"\1\0",
        greeting(b"PLAIN"), greeting() + ready("PULL"), greeting() + ready("DEALER"),
        b"GET / HTTP/1.1\r\n", random.Random(0).randbytes(100),
    )  # fmt: skip
    measured = {}
    with Target("ROUTER", "poll") as target:
        legit = Legit(target, {})
        legit.check()
        done = 0
        for goal in sorted({min(1000, count), count}):
            while done < goal:
                peer = connection(target.endpoint)
                with contextlib.suppress(OSError):
                    peer.sendall(first[done % len(first)])
                peer.close()
                done += 1
                if done % 100 == 0:
                    legit.check()
            settled = time.monotonic() + 10
            answer = target.ask()
            while answer["fds"] > 25 and time.monotonic() < settled:
                time.sleep(0.05)
                answer = target.ask()
            measured[goal] = answer["rss"], answer["fds"]
        legit.close()
    total.served += legit.served
    return measured, legit.slowest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connects", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="types that begin so")
    options = parser.parse_args()
    total = Total()
    start = time.monotonic()
    measured, slowest = (
        connects(total, options.connects) if options.connects else ({}, 0)
    )
    keys = (*zraw.curve_keypair(), *zraw.curve_keypair())
    with tempfile.TemporaryDirectory() as folder:
        found = configurations(folder, keys)
        found = [one for one in found if one[0]["kind"].startswith(options.only)]
        left = options.minutes * 60 - (time.monotonic() - start)
        print("| socket | mechanism | over | mode | spoilt | kB | served | again | s |")
        print("|---|---|---|---|---:|---:|---:|---:|---:|")
        for number, plan in enumerate(found):
            config, mechanism, _ = plan
            kind = config["kind"]
            recorded = [*map(tuple, sentences(kind, mechanism))]
            if kind != "STREAM" and "ROUTER_RAW" not in config["options"]:
                transport = "ws" if "ws:" in config.get("bind", "") else "tcp"
                bound, other = security(mechanism, keys)
                said = record(kind, transport, bound, other)
                recorded += [tuple(said)] * len(recorded)
            seed = options.seed * 1000 + number
            besiege(total, plan, recorded, left / len(found), seed)
    print(f"\n| | |\n|---|---:|\n| spoilt conversations | {total.connections:,} |")
    print(f"| bytes of them | {total.bytes:,} |")
    print(f"| processes attacked, and ended | {total.children}, {total.ended} |")
    print(
        f"| rightful requests served, tries without an answer | {total.served}, ",
        end="",
    )
    print(f"{total.retries} |\n| slowest of them, s | {total.slowest:.3f} |")
    for count, (kilobytes, files) in measured.items():
        print(f"| after {count:,} failed connections: kB, descriptors | ", end="")
        print(f"{kilobytes:,}, {files} |")
    print(f"| slowest meanwhile, s | {slowest:.3f} |")
    return int(total.ended > 0)


if __name__ == "__main__":
    sys.exit(main())
