"""Attackers at the handshake: nothing of theirs is received, and others are served.

That nothing came is proved in order: the monitor of the server has told how the
attacker failed, then a friend says something, and that is what is received next.
"""

from __future__ import annotations

import pytest

import zraw
from attackers import (
    CRYPTOGRAPHIC,
    FAR,
    KINDS,
    MISMATCH,
    Served,
    command,
    each_kind,
    frame,
    greeting,
)
from peers import is_hung_up_on, raw_peer
from zap_tools import (
    AS_ALICE,
    DENIED,
    MECHANISMS,
    RULES,
    SERVER,
    STRANGER,
    SUCCEEDED,
    Gate,
    curve,
    event_of,
    plain,
)


@pytest.fixture
def gate(ctx, sock):
    with Gate(ctx, sock) as made:
        yield made


# ---- with libzmq's own sockets: the wrong key, no key, another mechanism

ATTACKS = {
    "password": ("PLAIN", plain("alice", "x"), DENIED),
    "user": ("PLAIN", plain("x", "her password"), DENIED),
    "PLAIN: none": ("PLAIN", {}, MISMATCH),
    "CURVE: server key": ("CURVE", curve((STRANGER[0], STRANGER[1])), CRYPTOGRAPHIC),
    "CURVE: not on the list": ("CURVE", curve(STRANGER), DENIED),
    "CURVE: with the server's": ("CURVE", curve(SERVER), DENIED),
    "CURVE: none": ("CURVE", {}, MISMATCH),
    "CURVE: by password": ("CURVE", AS_ALICE["PLAIN"], MISMATCH),
    "PLAIN: by key": ("PLAIN", AS_ALICE["CURVE"], MISMATCH),
    "NULL: by key": ("NULL", AS_ALICE["CURVE"], MISMATCH),
    "NULL: by password": ("NULL", AS_ALICE["PLAIN"], MISMATCH),
}
if MECHANISMS[-1] == "CURVE":
    ATTACKS["CURVE: server key"][1]["CURVE_SERVERKEY"] = STRANGER[0]
else:
    ATTACKS = {name: ATTACKS[name] for name in ATTACKS if "CURVE" not in name}
    del ATTACKS["PLAIN: by key"], ATTACKS["NULL: by key"]


@each_kind
@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile__socket_that_must_not(gate, kind, attack):
    mechanism, options, event = ATTACKS[attack]
    gate.handler({"test": RULES})
    served = Served(gate, kind, mechanism)
    if kind != "PAIR":
        served.come().talk(b"before")
    attacker = gate.sock(getattr(zraw, f"ZMQ_{KINDS[kind]}"), **options)
    attacker.setsockopt(zraw.ZMQ_RECONNECT_IVL, FAR)
    attacker.connect(served.where)
    attacker.try_send(b"sneaky")
    # It is told by one side only, if that hangs up before the other has looked.
    seen = event_of(served.reader)
    assert seen == event or (event == MISMATCH and seen[0] == "FAILED_NO_DETAIL")
    if kind == "PAIR":
        served.come()
    served.talk(b"after")
    if kind not in ("PULL", "SUB"):
        assert attacker.try_recv() is None
    assert not served.reader.poll(0)


# ---- with bytes: everything at once, without waiting for what the server says


def ready(kind):
    return b"\x0bSocket-Type\0\0\0" + bytes([len(kind)]) + kind.encode()


def sneaky(kind):
    """What a peer of that type would send after the handshake."""
    start = frame(b"", 1) if kind == "REQ" else b""
    return start + frame(b"sneaky", 1) + frame(b"message")


def word(text):
    return bytes([len(text)]) + text


HELLO = word(b"alice") + word(b"wrong")
RAW = {
    "NULL": {
        "all at once": lambda k: command("READY", ready(k)) + sneaky(k),
        "twice ready": lambda k: command("READY", ready(k)) * 2 + sneaky(k),
        "no handshake": sneaky,
        "error": lambda k: command("ERROR", b"\x03200") + sneaky(k),
        "HELLO": lambda k: command("HELLO", HELLO) + sneaky(k),
    },
    "PLAIN": {
        "all at once": lambda k: (
            command("HELLO", HELLO) + command("INITIATE", ready(k)) + sneaky(k)
        ),
        "no HELLO": lambda k: command("INITIATE", ready(k)) + sneaky(k),
        "READY": lambda k: command("READY", ready(k)) + sneaky(k),
        "WELCOME": lambda k: command("WELCOME") + sneaky(k),
        "no handshake": sneaky,
        "HELLO twice": lambda k: command("HELLO", HELLO) * 2 + sneaky(k),
        "no password": lambda k: command("HELLO", word(b"alice")) + sneaky(k),
        "too much": lambda k: command("HELLO", HELLO + b"x") + sneaky(k),
    },
    "CURVE": {
        "MESSAGE": lambda k: command("MESSAGE", bytes(40)) + sneaky(k),
        "READY": lambda k: command("READY", ready(k)) + sneaky(k),
        "no handshake": sneaky,
        "HELLO of zeros": lambda k: command("HELLO", b"\1" + bytes(193)) + sneaky(k),
        "INITIATE": lambda k: command("INITIATE", bytes(246)) + sneaky(k),
    },
}
# Older and other greetings, which have no security at all; for every mechanism.
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
GREETINGS = {
    "ZMTP 1.0": lambda k: b"\1\0" + b"\x08\1sneaky!" + b"\x08\0message",
    "ZMTP 2.0": lambda k: SIGNATURE + b"\1\x08" + frame(b"") + sneaky(k),
    "ZMTP 3.9": lambda k: SIGNATURE + b"\3\x09" + b"XXXX".ljust(52, b"\0") + sneaky(k),
    "no mechanism": lambda k: greeting("") + command("READY", ready(k)) + sneaky(k),
}


@each_kind
@pytest.mark.parametrize(
    ("mechanism", "attack"),
    [(name, attack) for name in MECHANISMS for attack in [*RAW[name], *GREETINGS]],
)
def test_hostile__raw_peer(gate, kind, mechanism, attack):
    """It has had its time when it is hung up on."""
    rules = gate.handler({"test": {**RULES, "anonymous": False}})
    served = Served(gate, kind, mechanism)
    if mechanism != "NULL" and kind != "PAIR":
        served.come().talk(b"before")
    peer = KINDS[kind].replace("X", "")
    with raw_peer(served.where) as attacker:
        if attack in RAW[mechanism]:
            attacker.sendall(greeting(mechanism) + RAW[mechanism][attack](peer))
        else:
            attacker.sendall(GREETINGS[attack](peer))
        assert is_hung_up_on(attacker)
    while served.reader.poll(0):
        assert event_of(served.reader) != SUCCEEDED
    if served.friend is None:
        rules.load({"test": RULES})
        served.come()
    served.talk(b"after")


# ---- what a peer says of itself


def test_hostile__raw_peer_claims_to_be_somebody(gate):
    """libzmq tells what the peer says, unless the handler has said it before."""
    claims = ready("PUSH") + b"".join(
        word(name) + b"\0\0\0" + word(b"root")
        for name in (b"User-Id", b"Role", b"Peer-Address", b"Hobby")
    )
    said = greeting("NULL") + command("READY", claims) + frame(b"x")
    server, where, reader = gate.place()

    def heard():
        with raw_peer(where) as peer:
            peer.sendall(greeting("NULL") + command("READY", claims))
            assert event_of(reader) == SUCCEEDED
            peer.sendall(frame(b"x"))
            message = server.recv_msg()
        return [message.gets(n) for n in ("User-Id", "Role", "Peer-Address", "Hobby")]

    assert said.count(b"root") == 4
    assert heard() == ["root", "root", "127.0.0.1", "root"]
    gate.handler({"test": RULES})
    assert heard() == ["", "", "127.0.0.1", "root"]
