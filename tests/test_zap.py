"""The ZAP handler of examples/zap.py: whom it lets in, and by which rules.

Who is refused is known by the event of a monitor; a message of somebody who is let in
comes after that, and is the first that the server receives.
"""

from __future__ import annotations

import json

import pytest

import zraw
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
    needs_curve,
    plain,
    received,
    zap,
)


@pytest.fixture
def gate(ctx, sock):
    with Gate(ctx, sock) as made:
        yield made


# ---- who gets in


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_zap__says_who_it_was(gate, mechanism):
    gate.handler({"test": RULES})
    server, where, reader = gate.place(mechanism)
    gate.says(where, b"hello", AS_ALICE[mechanism])
    message = server.recv_msg()
    alice = mechanism != "NULL"
    assert message == b"hello"
    assert message.gets("User-Id") == ("alice" if alice else "")
    assert message.gets("Role") == ("admin" if alice else "")
    assert message.gets("Köchin") == ("ja" if alice else "")
    assert message.gets("Desk") == ""
    assert message.gets("Peer-Address") == "127.0.0.1"
    assert message.gets("Socket-Type") == "PUSH"
    with pytest.raises(zraw.InvalidArgument):
        message.gets("Cook")
    assert event_of(reader) == SUCCEEDED


@pytest.mark.parametrize(
    "case",
    [
        ("NULL", {}),
        ("PLAIN", plain("alice", "his password")),
        ("PLAIN", plain("alice", "her passwor")),
        ("PLAIN", plain("Alice", "her password")),
        ("PLAIN", plain("carol", "x")),
        pytest.param(("CURVE", curve(STRANGER)), marks=needs_curve),
        pytest.param(("CURVE", curve(SERVER)), marks=needs_curve),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_zap__denies(gate, case, missing):
    """Wrong credentials, or right ones that no rule knows."""
    mechanism, wrong = case
    rules = gate.handler({"test": {} if missing else {**RULES, "anonymous": False}})
    server, where, reader = gate.place(mechanism)
    options = AS_ALICE[mechanism] if missing else wrong
    _, refusal = gate.says_and_hears(where, b"sneaky", options)
    assert event_of(reader) == event_of(refusal) == DENIED
    rules.load({"test": RULES})
    gate.says(where, b"friendly", AS_ALICE[mechanism])
    assert received(server)[0] == b"friendly"
    assert event_of(reader) == SUCCEEDED
    assert server.try_recv() is None


ADDRESSES = {
    "nothing said": ({}, True),
    "single": ({"allow": ["127.0.0.2"]}, True),
    "another single": ({"allow": ["127.0.0.1"]}, False),
    "several": ({"allow": ["10.0.0.1", "127.0.0.2"]}, True),
    "network": ({"allow": ["127.0.0.0/8"]}, True),
    "end of a network": ({"allow": ["127.0.0.0/30"]}, True),
    "behind a network": ({"allow": ["127.0.0.0/31"]}, False),
    "no network": ({"allow": []}, False),
    "of IPv6": ({"allow": ["::/0"]}, False),
    "denied": ({"deny": ["127.0.0.2"]}, False),
    "another one denied": ({"deny": ["127.0.0.1"]}, True),
    "network denied": ({"deny": ["127.0.0.0/8"]}, False),
    "denied within a network": (
        {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.2"]},
        False,
    ),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_zap__addresses(gate, case):
    """Decided before the credentials, which are right here."""
    rules, fine = ADDRESSES[case]
    rules = gate.handler({"test": {**RULES, **rules}})
    server, where, reader = gate.place("PLAIN")
    port = where.rpartition(":")[2]
    source = f"tcp://127.0.0.2:0;127.0.0.1:{port}"
    gate.says(source, b"from 2", AS_ALICE["PLAIN"])
    if fine:
        message = server.recv_msg()
        assert (message, message.gets("Peer-Address")) == (b"from 2", "127.0.0.2")
        assert event_of(reader) == SUCCEEDED
        return
    assert event_of(reader) == DENIED
    rules.load({"test": {**RULES, "allow": ["127.0.0.1"]}})
    gate.says(where, b"from 1", AS_ALICE["PLAIN"])
    assert received(server) == (b"from 1", "alice", "admin")


@pytest.mark.parametrize("allow", [["::1"], ["127.0.0.1"], ["127.0.0.0/8"]])
@pytest.mark.parametrize("to", ["[::1]", "127.0.0.1"])
def test_zap__addresses_of_a_server_with_ipv6(gate, allow, to):
    """Who comes by IPv4 is ::ffff:127.0.0.1 there, and counts as 127.0.0.1."""
    gate.handler({"test": {**RULES, "allow": allow}})
    try:
        server, where, reader = gate.place(endpoint="tcp://[::]:*", IPV6=1)
    except zraw.ZMQError:
        pytest.skip("no IPv6 here")
    gate.says(f"tcp://{to}:{where.rpartition(':')[2]}", b"x", {"IPV6": 1})
    if (to == "[::1]") == (allow == ["::1"]):
        assert server.recv() == b"x"
        assert event_of(reader) == SUCCEEDED
    else:
        assert event_of(reader) == DENIED


def test_zap__ipc_has_no_address(gate, tmp_path):
    rules = gate.handler({"test": {**RULES, "deny": ["10.0.0.1"]}})
    server, where, reader = gate.place(endpoint=f"ipc://{tmp_path}/s")
    gate.says(where, b"sneaky", {})
    assert event_of(reader) == DENIED
    rules.load({"test": RULES})
    gate.says(where, b"friendly", {})
    assert server.recv() == b"friendly"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_zap_domain__has_rules_of_its_own(gate, mechanism):
    gate.handler({"test": RULES, "other": {}})
    there, elsewhere, unknown = (
        gate.place(mechanism, domain) for domain in ("test", "other", "unknown")
    )
    for _, where, reader in (elsewhere, unknown):
        gate.says(where, b"sneaky", AS_ALICE[mechanism])
        assert event_of(reader) == DENIED
    gate.says(there[1], b"friendly", AS_ALICE[mechanism])
    assert there[0].recv() == b"friendly"
    assert elsewhere[0].try_recv() is unknown[0].try_recv() is None


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("enforce", [0, 1])
def test_zap_domain__of_a_server_without_one(gate, mechanism, enforce):
    """NULL asks nobody; neither does CURVE, if it is told to enforce the domain."""
    if mechanism == "PLAIN" and enforce:
        with pytest.raises(zraw.InvalidArgument, match="ZMQ_ZAP_DOMAIN"):
            gate.place("PLAIN", "", ZAP_ENFORCE_DOMAIN=1)
        return
    rules = gate.handler({"": {}})
    server, where, reader = gate.place(mechanism, "", ZAP_ENFORCE_DOMAIN=enforce)
    if mechanism == "NULL" or enforce:
        gate.says(where, b"whoever", AS_ALICE[mechanism])
        message = server.recv_msg()
        assert (message, event_of(reader)) == (b"whoever", SUCCEEDED)
        with pytest.raises(zraw.InvalidArgument):
            message.gets("User-Id")
        return
    gate.says(where, b"sneaky", AS_ALICE[mechanism])
    assert event_of(reader) == DENIED
    rules.load({"": RULES})
    gate.says(where, b"friendly", AS_ALICE[mechanism])
    assert received(server) == (b"friendly", "alice", "admin")


# ---- other rules, while it runs


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_zap__comes_again_after_300(gate, mechanism):
    """When ZMQ_HANDSHAKE_IVL is over; it is let in when there are rules."""
    rules = gate.handler()
    server, where, reader = gate.place(mechanism, HANDSHAKE_IVL=50)
    gate.says(where, b"patient", {**AS_ALICE[mechanism], "RECONNECT_IVL": 1})
    for _ in range(3):
        assert event_of(reader) == ("FAILED_AUTH", 300)
    rules.load({"test": RULES})
    assert server.recv() == b"patient"
    assert server.try_recv() is None


def test_zap__reload_reads_the_file(gate, tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"test": {}}))
    rules = gate.handler(path=path)
    server, where, reader = gate.place("PLAIN")
    gate.says(where, b"too soon", AS_ALICE["PLAIN"])
    assert event_of(reader) == DENIED
    path.write_text(json.dumps({"test": RULES}))
    rules.reload()
    old = gate.says(where, b"right", AS_ALICE["PLAIN"])
    assert received(server)[0] == b"right"
    assert event_of(reader) == SUCCEEDED
    path.write_text(json.dumps({"test": {**RULES, "users": {}}}))
    rules.reload()
    gate.says(where, b"too late", AS_ALICE["PLAIN"])
    assert event_of(reader) == DENIED
    old.send(b"still there")  # a handler is asked once for each connection
    assert server.recv() == b"still there"
    assert server.try_recv() is None


WRONG_RULES = {
    "no JSON": "{",
    "no domains": "[]",
    "no rules": '{"test": 3}',
    "unknown rule": '{"test": {"user": {}}}',
    "address": '{"test": {"allow": ["localhost"]}}',
    "bits beyond the mask": '{"test": {"deny": ["10.0.0.1/8"]}}',
    "password": '{"test": {"users": {"alice": 3}}}',
    "key": '{"test": {"keys": {"short": "alice"}}}',
    "user with a NUL": '{"test": {"users": {"alice\\u0000": "x"}}}',
    "half a key": '{"test": {"keys": {"00000000000000000000": "alice"}}}',
    "metadata": '{"test": {"metadata": {"alice": {"": "x"}}}}',
    "metadata of another type": '{"test": {"metadata": {"alice": {"Age": 3}}}}',
    "the second one": '{"test": {}, "other": {"allow": 3}}',
}


@pytest.mark.parametrize("case", WRONG_RULES)
def test_zap__wrong_rules_leave_the_old_ones(gate, tmp_path, case):
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"test": RULES}))
    rules = gate.handler(path=path)
    path.write_text(WRONG_RULES[case])
    with pytest.raises(ValueError):
        rules.reload()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        rules.reload()
    server, where, _ = gate.place("PLAIN")
    gate.says(where, b"x", AS_ALICE["PLAIN"])
    assert received(server) == (b"x", "alice", "admin")


# ---- a handler that has to think for itself


class Broken(zap.ZapHandler):
    """It fails for everybody but Alice."""

    def authorize(self, domain, address, mechanism, said):
        if said[:1] == [b"alice"]:
            return 200, "OK", "alice", {}
        if said[:1] == [b"strange"]:
            return 200, "OK", "strange", {"": "no name"}
        raise RuntimeError("broken")


@pytest.mark.parametrize("name", ["bob", "strange"])
def test_zap__failure_is_500_and_not_the_end(gate, caplog, name):
    gate.handler(kind=Broken)
    server, where, reader = gate.place("PLAIN")
    gate.says(where, b"sneaky", plain(name, "x"))
    assert event_of(reader) == ("FAILED_AUTH", 500)
    gate.says(where, b"friendly", plain("alice", "x"))
    message = server.recv_msg()
    assert (message, message.gets("User-Id")) == (b"friendly", "alice")
    assert [record.name for record in caplog.records] == ["zap"]


REQUEST = [
    b"1.0",
    b"7",
    b"test",
    b"127.0.0.1",
    b"",
    b"PLAIN",
    b"alice",
    b"her password",
]
FAILURE = [b"1.0", b"7", b"500", b"malformed request", b"", b""]
UNKNOWN = [b"1.0", b"7", b"400", b"unknown", b"", b""]
REQUESTS = {
    "without an envelope": ([b"x"], None),
    "of one frame": ([b"", b"1.0"], None),
    "empty": ([b""], None),
    "of two frames": ([b"", b"1.0", b"7"], FAILURE),
    "too short": ([b"", *REQUEST[:5]], FAILURE),
    "of another version": ([b"", b"2.0", *REQUEST[1:]], FAILURE),
    "of an unknown mechanism": ([b"", *REQUEST[:5], b"GSSAPI", b"alice"], UNKNOWN),
    "without credentials": ([b"", *REQUEST[:6]], UNKNOWN),
    "with one of them": ([b"", *REQUEST[:7]], UNKNOWN),
    "with too many": ([b"", *REQUEST, b"x"], UNKNOWN),
    "NULL with credentials": ([b"", *REQUEST[:5], b"NULL", b"x"], UNKNOWN),
    "with bytes that are no text": ([b"", *REQUEST[:6], b"\xff", b"\xfe"], UNKNOWN),
    "of a megabyte": ([b"", *REQUEST[:6], b"x" * 2**20, b""], UNKNOWN),
    "of 1000 frames": ([b"", *REQUEST, *[b"x"] * 1000], UNKNOWN),
    "with a path": (
        [b"a", b"b", b"", *REQUEST],
        [b"1.0", b"7", b"200", b"OK", b"alice", b"\4Role\0\0\0\5admin"],
    ),
}


def test_zap__answers_whatever_is_asked(gate, sock):
    """From a DEALER; a request that has no answer is followed by one that has."""
    gate.handler({"test": {**RULES, "metadata": {"alice": {"Role": "admin"}}}})
    asker = sock(zraw.ZMQ_DEALER)
    asker.connect(zap.ENDPOINT)
    for request, reply in REQUESTS.values():
        asker.send_multipart(request)
        if reply is None:
            asker.send_multipart([b"path", b"", b"1.0", b"7"])
            assert asker.recv_multipart() == [b"path", b"", *FAILURE]
        else:
            path = request[: request.index(b"") + 1]
            assert asker.recv_multipart() == path + reply
    assert asker.try_recv() is None


def test_zap__encode_metadata():
    assert zap.encode({}) == b""
    assert zap.encode({"A": "bc", "D": ""}) == b"\1A\0\0\0\2bc\1D\0\0\0\0"
    assert zap.encode({"x" * 255: "y"})[:3] == b"\xffxx"
    for name in ("", "x" * 256, "ü" * 128):
        with pytest.raises(ValueError, match="metadata"):
            zap.encode({name: ""})
