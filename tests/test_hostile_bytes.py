"""What a stranger says byte by byte: greetings, commands, frames, right and wrong.

The sockets live in a child.  Whatever is said to them, exactly what was sent properly
arrives, and somebody who keeps to the protocol is served afterwards.
"""

from __future__ import annotations

import select
import socket
import tempfile
import time

import pytest

import zraw
from hostile_child import Sink, Target
from hostile_peer import (
    COMMAND,
    LARGE,
    MORE,
    PARTNERS,
    Peer,
    command,
    frame,
    greeting,
    hello,
    message,
    old_frame,
    properties,
    ready,
    upgrade,
    ws_frame,
)
from hostile_spoiler import LENGTHS, Spoiler

PING = command(b"PING", b"\0\0context")


@pytest.fixture(scope="module")
def sinks():
    """Return a Sink by transport, mechanism and MAXMSGSIZE; each is made once."""
    keys = (*zraw.curve_keypair(), *zraw.curve_keypair())
    security = {
        "NULL": ({}, {}),
        "PLAIN": (
            {"PLAIN_SERVER": 1},
            {"PLAIN_USERNAME": "user", "PLAIN_PASSWORD": "secret"},
        ),
        "CURVE": (
            {"CURVE_SERVER": 1, "CURVE_SECRETKEY": keys[1]},
            {
                "CURVE_SERVERKEY": keys[0],
                "CURVE_PUBLICKEY": keys[2],
                "CURVE_SECRETKEY": keys[3],
            },
        ),
    }
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        places = {"ipc": f"ipc://{folder}/s"}

        def get(transport="tcp", mechanism="NULL", limit=-1):
            key = transport, mechanism, limit
            if key not in made:
                ours, theirs = security[mechanism]
                target = Target(
                    "PULL",
                    "blocking",
                    keep=10**6,
                    bind=places.get(transport, f"{transport}://127.0.0.1:*"),
                    options={**ours, "MAXMSGSIZE": limit},
                )
                made[key] = Sink(target, theirs)
            return made[key]

        yield get
        for sink in made.values():
            sink.socket.close()
            with sink.target:
                pass  # asserts that it ends well


SOCKET_TYPE = b"\x0bSocket-Type"
GREETINGS = {
    "nothing_but_ff": b"\xff" * 64,
    "other_mechanism": greeting(b"XXX"),
    "lower_case": greeting(b"null"),
    "mechanism_with_a_tail": greeting(b"NULL\0NULL"),
    "plain": greeting(b"PLAIN"),
    "curve": greeting(b"CURVE"),
    "old_frame_of_no_bytes": b"\0",
}
FIRST_COMMANDS = {
    "empty": frame(b"", COMMAND),
    "none": frame(b"x"),
    "message": message(b"READY", b"x"),
    "lower_case": command(b"ready", properties(Socket_Type=b"PUSH")),
    "ping": PING,
    "subscribe": command(b"SUBSCRIBE", b"x"),
    "hello": hello(),
    "half_a_name": command(b"READY", SOCKET_TYPE[:5]),
    "half_a_length": command(b"READY", SOCKET_TYPE + b"\0\0"),
    "too_long": command(b"READY", SOCKET_TYPE + b"\0\0\0\5PUSH"),
    "longest": command(b"READY", SOCKET_TYPE + b"\xff\xff\xff\xffPUSH"),
    "longest_signed": command(b"READY", SOCKET_TYPE + b"\x7f\xff\xff\xffPUSH"),
    "trailing": command(b"READY", properties(Socket_Type=b"PUSH") + b"\5"),
    "no_type": command(b"READY", properties(Socket_Type=b"")),
    "wrong_type": ready("PULL"),
    "unknown_type": ready("NONSENSE"),
    "error": command(b"ERROR", b"\x03400"),
    "error_of_nothing": command(b"ERROR"),
    "error_too_long": command(b"ERROR", b"\xff400"),
}


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("name", GREETINGS)
def test_greeting__wrong_is_hung_up_on(sinks, transport, name):
    sink = sinks(transport)
    with Peer(sink.target.endpoint, GREETINGS[name]) as peer:
        assert peer.is_hung_up_on()
    assert sink.arrived() == []


@pytest.mark.parametrize("name", FIRST_COMMANDS)
def test_ready__wrong_is_hung_up_on(sinks, name):
    sink = sinks()
    with Peer(sink.target.endpoint, greeting()) as peer:
        peer.take(64)
        peer.send(FIRST_COMMANDS[name])
        assert peer.is_hung_up_on()
    assert sink.arrived() == []


@pytest.mark.parametrize("said", [
    b"", SOCKET_TYPE, ready("PUSH")[8:] * 2,
    properties(X=b""), properties(Identity=b"i" * 300),
    properties(User_Id=b"admin"), properties(**{"X" * 255: b"\xff\0" * 999}),
], ids=["none", "no_length", "twice", "empty", "long", "borrowed", "much"])  # fmt: skip
def test_ready__odd_properties_do_no_harm(sinks, said):
    """Who does not say what he is, is let in as well."""
    sink = sinks()
    with Peer(sink.target.endpoint, greeting()) as peer:
        peer.take(64)
        peer.send(command(b"READY", said))
        peer.take_frame()
        peer.send(message(b"odd"))
        peer.finish()
    assert sink.arrived() == [[b"odd"]]


def test_greeting__http_is_taken_for_zmtp_1(sinks):
    """What does not begin with ff is a frame of old; where nobody asks who it is."""
    routing_id = b"GET / HTTP/1.1\r\nX: ".ljust(ord("G") + 1, b"x")
    body = b"A: b\r\n".ljust(ord("A") + 1, b"y")
    for mechanism in ("NULL", "PLAIN", "CURVE"):
        sink = sinks(mechanism=mechanism)
        with Peer(sink.target.endpoint, routing_id + body + b"\0") as peer:
            assert peer.is_hung_up_on()
        assert sink.arrived() == ([[body[2:]]] if mechanism == "NULL" else [])


def test_ready__peer_address_is_not_the_peers_to_say(sock):
    pull = sock(zraw.ZMQ_PULL)
    with Peer(pull.bind("tcp://127.0.0.1:*")) as peer:
        peer.shake_hands("PUSH", Peer_Address=b"1.2.3.4", X=b"\xff\xfe")
        peer.send(message(b"x"))
        got = pull.recv_msg()
    assert got.gets("Peer-Address") == "127.0.0.1"
    assert got.gets("X") == "\udcff\udcfe"


# Between the two frames of a message, and what arrives then.  A command that is no
# subscription is not for the socket; a subscription is, whatever its type.
BETWEEN = {
    "command_of_nothing": (frame(b"", COMMAND), [[b"a", b"z"]]),
    "command_name_too_long": (frame(b"\xff", COMMAND), [[b"a", b"z"]]),
    "unknown_command": (command(b"NOSUCH", b"x" * 300), [[b"a", b"z"]]),
    "second_ready": (ready("PUSH"), [[b"a", b"z"]]),
    "error": (command(b"ERROR", b"\x03400"), [[b"a", b"z"]]),
    "ping_without_ttl": (command(b"PING"), [[b"a", b"z"]]),
    "ping_with_half_a_ttl": (command(b"PING", b"\0"), [[b"a", b"z"]]),
    "ping_with_much_context": (command(b"PING", b"\0\0" + b"c" * 300), [[b"a", b"z"]]),
    "ping_with_more": (command(b"PING", b"\0\0", COMMAND | MORE), [[b"a", b"z"]]),
    "pings": (PING * 500, [[b"a", b"z"]]),
    "pong": (command(b"PONG", b"x" * 50), [[b"a", b"z"]]),
    "reserved_flags": (frame(b"r", 0xF8), [[b"a", b"r"], [b"z"]]),
    "large_though_small": (frame(b"l", LARGE), [[b"a", b"l"], [b"z"]]),
    "empty_frames": (frame(b"", MORE) * 100, [[b"a", *[b""] * 100, b"z"]]),
    "subscription": (
        command(b"SUBSCRIBE", b"t"), [[b"a", b"\tSUBSCRIBEt"], [b"z"]],
    ),
    "subscription_with_more": (
        command(b"CANCEL", b"t", COMMAND | MORE), [[b"a", b"\6CANCELt", b"z"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("name", BETWEEN)
def test_frame__between_two_of_a_message(sinks, transport, name):
    between, expected = BETWEEN[name]
    sink = sinks(transport)
    with Peer(sink.target.endpoint) as peer:
        peer.shake_hands("PUSH")
        peer.send(frame(b"a", MORE) + between + frame(b"z"))
        peer.finish()
    assert sink.arrived() == expected


def test_frame__half_a_message_never_arrives(sinks):
    sink = sinks()
    with Peer(sink.target.endpoint) as peer:
        peer.shake_hands("PUSH")
        peer.send(message(b"whole") + frame(b"a", MORE) + frame(b"b", MORE) + b"\0\5zz")
        peer.finish()
    assert sink.arrived() == [[b"whole"]]


@pytest.mark.parametrize("size", [size for size in LENGTHS if size > 1000])
@pytest.mark.parametrize("limit", [-1, 1000])
def test_maxmsgsize__length_that_is_claimed(sinks, limit, size):
    """What fits into the address space is waited for, and takes no memory yet."""
    sink = sinks(limit=limit)
    before = sink.target.ask()["rss"]
    for flags in (0, MORE):
        with Peer(sink.target.endpoint) as peer:
            peer.shake_hands("PUSH")
            peer.send(frame(b"x", flags | LARGE, size))
            if limit > 0 or size >= 2**62:
                assert peer.is_hung_up_on()
            else:
                assert not select.select([peer.socket], [], [], 0.02)[0]
    assert sink.arrived() == []
    assert sink.target.ask()["rss"] - before < 10_000


@pytest.mark.parametrize("size", [2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
def test_maxmsgsize__length_that_is_claimed_by_zmtp_1(sinks, size):
    sink = sinks()
    with Peer(sink.target.endpoint, old_frame(b"")) as peer:
        peer.send(old_frame(b"fine") + old_frame(b"x", 0, size))
        assert peer.is_hung_up_on()
    assert sink.arrived() == [[b"fine"]]


def test_maxmsgsize__counts_frames(sinks):
    sink = sinks(limit=1000)
    with Peer(sink.target.endpoint) as peer:
        peer.shake_hands("PUSH")
        peer.send(message(*[b"x" * 1000] * 5) + message(b"x" * 1001))
        assert peer.is_hung_up_on()
    assert sink.arrived() == [[b"x" * 1000] * 5]


OLD = {
    "1.0": old_frame(b""),
    "1.0_in_a_greeting": greeting()[:10] + b"\0\5" + old_frame(b""),
    "2.0": greeting()[:10] + b"\1\5" + frame(b""),
}


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("mechanism", ["NULL", "PLAIN", "CURVE"])
def test_greeting__of_old(sinks, mechanism, version):
    """Peers of old are heard, but not where anybody has to say who he is."""
    sink = sinks(mechanism=mechanism)
    make_frame = frame if version == "2.0" else old_frame
    with Peer(sink.target.endpoint, OLD[version]) as peer:
        if mechanism == "NULL":
            peer.send(make_frame(b"a", MORE) + make_frame(b"b" * 300))
            peer.send(make_frame(b"half", MORE))
            peer.finish()
            assert sink.arrived() == [[b"a", b"b" * 300]]
            return
        assert peer.is_hung_up_on()
    assert sink.arrived() == []


HELLOS = {
    "other_password": hello(password=b"secreT"),
    "half": hello()[:-3],
    "no_user": command(b"HELLO"),
    "no_password": command(b"HELLO", b"\4user"),
    "user_too_long": command(b"HELLO", b"\xffuser\6secret"),
    "password_too_long": command(b"HELLO", b"\4user\xffsecret"),
    "trailing": command(b"HELLO", b"\4user\6secretx"),
    "initiate": command(b"INITIATE", properties(Socket_Type=b"PUSH")),
    "ready": ready("PUSH"),
    "message": message(b"x"),
    "curve_of_zeros": command(b"HELLO", b"\1\0" + bytes(192)),
    "curve_short": command(b"HELLO", b"\1\0" + bytes(191)),
    "curve_initiate": command(b"INITIATE", bytes(249)),
    "curve_message": command(b"MESSAGE", bytes(33)),
    "ping": PING,
}


@pytest.mark.parametrize("mechanism", ["PLAIN", "CURVE"])
@pytest.mark.parametrize("name", HELLOS)
def test_hello__wrong_lets_nobody_in(sinks, mechanism, name):
    sink = sinks(mechanism=mechanism)
    with Peer(sink.target.endpoint, greeting(mechanism.encode())) as peer:
        peer.take(64)
        peer.send(HELLOS[name])
        if name != "half":  # the rest is waited for
            refused = [command(b"ERROR", b"\x03400"), frame(b"^RROR\x03400", COMMAND)]
            # libzmq 4.3.4 spells it so, for "\x5E" is one character in C
            assert peer.socket.recv(100) in (b"", *refused)
    assert sink.arrived() == []


@pytest.mark.parametrize("kind", ["PULL", "ROUTER", "REP", "DEALER", "PAIR", "SUB"])
def test_subscribe__command_is_a_message_where_nobody_publishes(kind):
    """Of any other type, libzmq takes a subscription for a message."""
    with Target(kind, "poll", keep=10) as target, Peer(target.endpoint) as peer:
        peer.shake_hands(PARTNERS[kind])
        peer.send(command(b"SUBSCRIBE", b"A") + message(b"", b"z"))
        deadline = time.monotonic() + 5
        found = []
        while len(found) < (1 if kind == "REP" else 2) and time.monotonic() < deadline:
            found = target.ask()["messages"]
        got = [[bytes.fromhex(one) for one in frames] for frames in found]
        name = [got[0][0]] if kind == "ROUTER" else []
        expected = [[*name, b"\tSUBSCRIBEA"], [*name, b"", b"z"]]
        assert got == ([[b"z"]] if kind == "REP" else expected)


def messages_in(data):
    """Return the messages of so many bytes, by the specification of ZMTP 3.1."""
    found, parts, at = [], [], 0
    while at < len(data):
        flags = data[at]
        start = at + (9 if flags & LARGE else 2)
        size = int.from_bytes(data[at + 1 : start], "big")
        at = start + size
        if at > len(data):
            break
        body = data[start:at]
        if flags & COMMAND and not body.startswith((b"\tSUBSCRIBE", b"\6CANCEL")):
            continue
        parts.append(body)
        if not flags & MORE:
            found.append(parts)
            parts = []
    return found


def test_frame__spoilt_traffic_brings_what_it_says(sinks):
    """The messages of 300 spoilt conversations are those that stand in the bytes."""
    sink = sinks()
    traffic = message(b"one") + message(b"two", b"x" * 300) + message(b"", b"z")
    nothing = 0
    for seed in range(300):
        spoilt = b"".join(Spoiler(seed).spoil([traffic]))
        with Peer(sink.target.endpoint) as peer:
            peer.shake_hands("PUSH")
            peer.try_send(spoilt)
            peer.finish()
        found = sink.arrived()
        assert found == messages_in(spoilt), (seed, spoilt)
        nothing += not found
    assert nothing < 150


# Over ws://, a frame that begins a message of two, or none; and what arrives of it.
# A mask is a must, and so are whole frames.
WS = {
    "message": (ws_frame(b"\0ok"), [[b"ok"]]),
    "two_frames": (ws_frame(b"\1a") + ws_frame(b"\0b"), [[b"a", b"b"]]),
    "large": (ws_frame(b"\0" + b"x" * 70000), [[b"x" * 70000]]),
    "masked": (b"\x82\x83abcd" + bytes([97, 98 ^ 111, 99 ^ 107]), [[b"ok"]]),
    "ping": (ws_frame(b"", 9) + ws_frame(b"\0ok"), [[b"ok"]]),
    "pong": (ws_frame(b"p" * 125, 10) + ws_frame(b"\0ok"), [[b"ok"]]),
    "ping_between": (
        ws_frame(b"\1a") + ws_frame(b"p", 9) + ws_frame(b"\0b"), [[b"a", b"b"]],
    ),
    "flags_are_missing": (ws_frame(b""), []),
    "text": (ws_frame(b"\0x", 1), []),
    "continuation": (ws_frame(b"\0x", 0), []),
    "not_final": (ws_frame(b"\0x", 2, 0), []),
    "without_mask": (b"\x82\x02\0x", []),
    "reserved_opcode": (ws_frame(b"\0x", 15), []),
    "close": (ws_frame(b"\3\xe8", 8), []),
    "closes_and_pings": (ws_frame(b"", 8) * 3 + ws_frame(b"", 9) * 3, []),
    "longest": (b"\x82\xff" + b"\xff" * 8 + bytes(4) + b"\0x", []),
    "longest_signed": (b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4) + b"\0x", []),
}  # fmt: skip


@pytest.mark.skipif(not zraw.has("WS"), reason="libzmq has no ws://")
@pytest.mark.parametrize("name", WS)
def test_ws__frame(sinks, name):
    said, expected = WS[name]
    sink = sinks("ws")
    with Peer(sink.target.endpoint) as peer:
        peer.upgrade("PUSH")
        peer.send(said)
        deadline = time.monotonic() + 5
        found = sink.arrived()
        while len(found) < len(expected) and time.monotonic() < deadline:
            found += sink.arrived()
        assert found == expected
    assert sink.arrived() == []


@pytest.mark.skipif(not zraw.has("WS"), reason="libzmq has no ws://")
@pytest.mark.parametrize("asked", [
    b"x", b"GET / HTTP/1.0\r\n", b"GET /\r\n", b"POST", b"GET / HTTP/1.1\n",
    upgrade(b"ZWS2.0/NONSENSE"), upgrade(b"ZWS2.0/CURVE"), upgrade(b",,,, ,"),
    upgrade(b"ZWS2.0" * 500), upgrade().replace(b"Upgrade: ", b"X: "),
    upgrade().replace(b"Key: d", b"Key: " + b"d" * 3000),
    upgrade().replace(b"Host: x", b"H" * 1025 + b": x"), b"GET / HTTP/1.1\r\n\r\n",
], ids=range(13))  # fmt: skip
def test_ws__wrong_request_is_hung_up_on(sinks, asked):
    sink = sinks("ws")
    with Peer(sink.target.endpoint, asked) as peer:
        assert peer.is_hung_up_on()
    assert sink.arrived() == []


def test_frame__byte_by_byte(sinks):
    """Whoever speaks slowly is understood."""
    sink = sinks()
    with Peer(sink.target.endpoint) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in greeting():
            peer.send(bytes([byte]))
        assert peer.take(64) == greeting()
        for byte in ready("PUSH"):
            peer.send(bytes([byte]))
        peer.take_frame()
        for byte in message(b"slow", b"x" * 300):
            peer.send(bytes([byte]))
        peer.finish()
    assert sink.arrived() == [[b"slow", b"x" * 300]]
