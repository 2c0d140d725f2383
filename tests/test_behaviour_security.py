"""Security as libzmq's own tests know it: NULL, PLAIN, CURVE, and the ZAP handler.

Who is refused gets no message through; that is all that can be seen without a monitor.
"""

from __future__ import annotations

import socket as sockets
from itertools import product

import pytest

import zraw
from conftest import endpoint, wait_until
from peers import (
    Relay,
    accept,
    address_of,
    curve_keypair,
    frames_of,
    is_hung_up_on,
    raw_peer,
    read,
    refuse,
    zap_handler,
)

WIRES = ["tcp", "ipc"]
DOMAIN = "ZAPTEST"
QUIET = 50  # milliseconds in which nothing may arrive, after the refusal was seen
# Where nobody says no, and both wait for the other: the server gives up.
PATIENCE = {"HANDSHAKE_IVL": 100}
NULL_KEY = "0" * 40
CURVE = zraw.has("curve")
needs_curve = pytest.mark.skipif(not CURVE, reason="this libzmq has no CURVE")
SERVER, CLIENT, STRANGER = (
    (curve_keypair() for _ in range(3)) if CURVE else [("", "")] * 3
)

MECHANISMS = {
    "NULL": ({}, {}),
    "PLAIN": (
        {"PLAIN_SERVER": 1},
        {"PLAIN_USERNAME": "admin", "PLAIN_PASSWORD": "password"},
    ),
    "CURVE": (
        {"CURVE_SERVER": 1, "CURVE_SECRETKEY": SERVER[1]},
        {
            "CURVE_SERVERKEY": SERVER[0],
            "CURVE_PUBLICKEY": CLIENT[0],
            "CURVE_SECRETKEY": CLIENT[1],
        },
    ),
}
each_mechanism = pytest.mark.parametrize(
    "mechanism", ["NULL", "PLAIN", pytest.param("CURVE", marks=needs_curve)]
)


def as_server(mechanism, **options):
    return {**MECHANISMS[mechanism][0], "ZAP_DOMAIN": DOMAIN, **options}


def as_client(mechanism, **options):
    return {**MECHANISMS[mechanism][1], "RECONNECT_IVL": 10, **options}


@pytest.fixture
def bound(sock, tmp_path):
    """A DEALER that is bound, and where."""

    def make(transport="tcp", **options):
        server = sock(zraw.ZMQ_DEALER, **options)
        return server, server.bind(endpoint(transport, tmp_path))

    return make


def bounce(server, client):
    for first, second in ((client, server), (server, client)):
        first.send_multipart([b"first", b"second"])
        assert second.recv_multipart() == [b"first", b"second"]


def stays_out(server, client, asked=None):
    """Whether no message gets through either way, though time enough is given."""
    client.send_multipart([b"sneaky", b"message"])
    if asked is not None:
        wait_until(asked)
    assert server.poll(QUIET) == 0
    assert not server.poll(0, zraw.ZMQ_POLLOUT)
    with pytest.raises(zraw.Again):
        server.send(b"x", zraw.ZMQ_DONTWAIT)
    assert client.try_recv() is None
    return True


def credentials(request):
    """Let in the users of this file, by every mechanism."""
    known = {
        b"NULL": [],
        b"PLAIN": [b"admin", b"password"],
        b"CURVE": [decoded(CLIENT[0])],
    }
    return (accept if request[6:] == known[request[5]] else refuse)(request)


def decoded(key):
    """The 32 bytes of a key."""
    digits = (
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()"
        "[]{}@%$#"
    )
    data = b""
    for start in range(0, len(key), 5):
        value = 0
        for digit in key[start : start + 5]:
            value = value * 85 + digits.index(digit)
        data += value.to_bytes(4, "big")
    return data


# ------------------------------------------------------------------- who gets in


@each_mechanism
@pytest.mark.parametrize("transport", WIRES)
def test_zap__handler_lets_in_and_knows_who_it_was(
    ctx, sock, bound, mechanism, transport
):
    with zap_handler(ctx, credentials) as handler:
        server, where = bound(transport, **as_server(mechanism, ROUTING_ID=b"IDENT"))
        client = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
        client.connect(where)
        bounce(server, client)
    assert server.getsockopt(zraw.ZMQ_MECHANISM) == getattr(zraw, f"ZMQ_{mechanism}")
    assert client.getsockopt(zraw.ZMQ_MECHANISM) == getattr(zraw, f"ZMQ_{mechanism}")
    [(version, _, domain, address, identity, how, *said)] = handler.requests
    assert (version, domain, identity) == (b"1.0", DOMAIN.encode(), b"IDENT")
    assert how == mechanism.encode()
    assert address == b"127.0.0.1" or transport == "ipc"
    assert len(said) == {"NULL": 0, "PLAIN": 2, "CURVE": 1}[mechanism]


@needs_curve
def test_zap__largest_routing_id_is_told(ctx, sock, bound):
    with zap_handler(ctx, credentials) as handler:
        server, where = bound(
            **as_server("CURVE", ROUTING_ID=b"0123456789" * 25 + b"01234")
        )
        client = sock(zraw.ZMQ_DEALER, **as_client("CURVE"))
        client.connect(where)
        bounce(server, client)
    assert handler.requests[0][4] == b"0123456789" * 25 + b"01234"


@pytest.mark.parametrize("transport", WIRES)
def test_zap_domain__without_one_null_asks_nobody(ctx, sock, bound, transport):
    with zap_handler(ctx, refuse) as handler:
        server, where = bound(transport)
        client = sock(zraw.ZMQ_DEALER)
        client.connect(where)
        bounce(server, client)
    assert handler.requests == []


@pytest.mark.parametrize("domain", ["TEST", "WRONG"])
@pytest.mark.parametrize("transport", WIRES)
def test_zap_domain__is_what_the_handler_decides_by(
    ctx, sock, bound, domain, transport
):
    def answer(request):
        return (accept if request[2] == b"TEST" else refuse)(request)

    with zap_handler(ctx, answer) as handler:
        server, where = bound(transport, ZAP_DOMAIN=domain)
        client = sock(zraw.ZMQ_DEALER)
        client.connect(where)
        if domain == "TEST":
            bounce(server, client)
        else:
            assert stays_out(server, client, lambda: handler.requests)
    assert {request[2] for request in handler.requests} == {domain.encode()}


@each_mechanism
def test_zap__raw_peer_without_a_handshake_stays_out(ctx, bound, mechanism):
    """It speaks ZMTP 1.0, which has no security at all."""
    with zap_handler(ctx) as handler:
        server, where = bound(**as_server(mechanism))
        with raw_peer(where) as peer:
            peer.sendall(b"\x01\x00")
            peer.sendall(b"\x08\x00sneaky\x00")
            assert is_hung_up_on(peer)
        assert server.poll(QUIET) == 0
    assert handler.requests == []


WRONG_CREDENTIALS = {
    "PLAIN": [
        {"PLAIN_USERNAME": "wronguser", "PLAIN_PASSWORD": "wrongpass"},
        {"PLAIN_USERNAME": "admin", "PLAIN_PASSWORD": "wrongpass"},
        {"PLAIN_USERNAME": "wronguser", "PLAIN_PASSWORD": "password"},
    ],
    "CURVE": [{"CURVE_PUBLICKEY": STRANGER[0], "CURVE_SECRETKEY": STRANGER[1]}],
}


@pytest.mark.parametrize(
    ("mechanism", "wrong"),
    [
        pytest.param(name, wrong, marks=needs_curve if name == "CURVE" else ())
        for name, cases in WRONG_CREDENTIALS.items()
        for wrong in cases
    ],
)
def test_zap__wrong_credentials_stay_out(ctx, sock, bound, mechanism, wrong):
    with zap_handler(ctx, credentials) as handler:
        server, where = bound(**as_server(mechanism))
        client = sock(zraw.ZMQ_DEALER, **as_client(mechanism, **wrong))
        client.connect(where)
        assert stays_out(server, client, lambda: handler.requests)
        friend = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
        friend.connect(where)
        bounce(server, friend)


@pytest.fixture
def wire():
    """A TCP connection in between, to see that one of the two ends it."""

    def make(where):
        address = address_of(where)
        return Relay(lambda client: sockets.create_connection(address, timeout=5))

    return make


@pytest.mark.parametrize("kinds", list(product(MECHANISMS, repeat=2)), ids="-".join)
def test_zap__client_of_another_mechanism_stays_out(ctx, sock, bound, wire, kinds):
    """Refused before the handler is asked."""
    server_is, client_is = kinds
    if not CURVE and "CURVE" in (server_is, client_is):
        pytest.skip("this libzmq has no CURVE")
    with zap_handler(ctx) as handler:
        server, where = bound(**as_server(server_is))
        with wire(where) as relay:
            client = sock(zraw.ZMQ_DEALER, **as_client(client_is))
            client.connect(f"tcp://{relay.address}")
            if server_is == client_is:
                bounce(server, client)
            else:
                assert stays_out(server, client, lambda: relay.ended)
    assert len(handler.requests) == (server_is == client_is)


def test_plain_server__as_a_client_stays_out(ctx, sock, bound, wire):
    with zap_handler(ctx) as handler:
        server, where = bound(**as_server("PLAIN", **PATIENCE))
        with wire(where) as relay:
            client = sock(zraw.ZMQ_DEALER, **as_server("PLAIN"))
            client.connect(f"tcp://{relay.address}")
            assert stays_out(server, client, lambda: relay.ended)
    assert handler.requests == []


@needs_curve
@pytest.mark.parametrize(
    "name", ["CURVE_SERVERKEY", "CURVE_PUBLICKEY", "CURVE_SECRETKEY"]
)
def test_curve__null_key_stays_out(ctx, sock, bound, wire, name):
    """Refused by the handshake, before the handler is asked."""
    with zap_handler(ctx) as handler:
        server, where = bound(**as_server("CURVE", **PATIENCE))
        with wire(where) as relay:
            client = sock(zraw.ZMQ_DEALER, **as_client("CURVE", **{name: NULL_KEY}))
            client.connect(f"tcp://{relay.address}")
            assert stays_out(server, client, lambda: relay.ended)
    assert handler.requests == []


# ------------------------------------------------------- a handler that is no good


WRONG_REPLIES = {
    "version": lambda r: [b"invalid_version", *accept(r)[1:]],
    "request id": lambda r: [r[0], b"invalid_request_id", *accept(r)[2:]],
    "status": lambda r: [*accept(r)[:2], b"invalid_status", *accept(r)[3:]],
    "status of two digits": lambda r: [*accept(r)[:2], b"20", *accept(r)[3:]],
    "status 100": lambda r: [*accept(r)[:2], b"100", *accept(r)[3:]],
    "status 201": lambda r: [*accept(r)[:2], b"201", *accept(r)[3:]],
    "too many parts": lambda r: [*accept(r), b""],
    "too few parts": lambda r: accept(r)[:-1],
    "one part": lambda r: [b"1.0"],
    "metadata": lambda r: [*accept(r)[:-1], b"\x05Hel"],
    "status 300": lambda r: refuse(r, b"300"),
    "status 400": lambda r: refuse(r, b"400"),
    "status 500": lambda r: refuse(r, b"500"),
    "no reply": lambda r: None,
}


@each_mechanism
@pytest.mark.parametrize("reply", WRONG_REPLIES)
def test_zap__wrong_reply_lets_nobody_in(ctx, sock, bound, mechanism, reply):
    with zap_handler(ctx, WRONG_REPLIES[reply]) as handler:
        server, where = bound(**as_server(mechanism))
        client = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
        client.connect(where)
        assert stays_out(server, client, lambda: handler.requests)
        # The next one gets in, if the handler has come to its senses.
        handler.answer = credentials
        friend = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
        friend.connect(where)
        friend.send(b"friend")
        got = [server.recv_multipart()]
        if got == [[b"sneaky", b"message"]]:  # it was allowed to try again
            got.append(server.recv_multipart())
        assert [b"friend"] in got


@each_mechanism
def test_zap__handler_that_goes_away_lets_nobody_in(ctx, sock, bound, mechanism):
    server, where = bound(**as_server(mechanism, ZAP_ENFORCE_DOMAIN=1))
    client = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
    with zap_handler(ctx, lambda request: None) as handler:
        client.connect(where)
        wait_until(lambda: handler.requests)
    assert stays_out(server, client)


# ----------------------------------------------------------------- no handler


@each_mechanism
@pytest.mark.parametrize("enforce", [0, 1])
def test_zap_enforce_domain__without_a_handler(sock, bound, wire, mechanism, enforce):
    """Only PLAIN always wants somebody to ask."""
    refused = mechanism == "PLAIN" or enforce
    server, where = bound(
        **as_server(mechanism, ZAP_ENFORCE_DOMAIN=enforce),
        **(PATIENCE if refused else {}),
    )
    with wire(where) as relay:
        client = sock(zraw.ZMQ_DEALER, **as_client(mechanism))
        client.connect(f"tcp://{relay.address}")
        if refused:
            assert stays_out(server, client, lambda: relay.ended)
        else:
            bounce(server, client)


@pytest.mark.parametrize("domain", [None, DOMAIN])
def test_zap_enforce_domain__asks_the_handler_only_if_there_is_a_domain(
    ctx, sock, bound, domain
):
    options = {"ZAP_ENFORCE_DOMAIN": 1} | ({"ZAP_DOMAIN": domain} if domain else {})
    with zap_handler(ctx) as handler:
        server, where = bound(**options)
        client = sock(zraw.ZMQ_DEALER)
        client.connect(where)
        bounce(server, client)
    assert len(handler.requests) == (1 if domain else 0)


# ------------------------------------------- malformed CURVE commands of a raw peer


def greeting(mechanism):
    """ZMTP 3.0, of a client; nobody looks at that last bit."""
    signature = b"\xff" + bytes(8) + b"\x7f"
    return signature + b"\3\0" + mechanism.ljust(20, b"\0") + bytes(32)


def tampering(where, name, change):
    """Serve as the wire between client and server, and change one command."""

    def serve(client):
        server = sockets.create_connection(address_of(where), timeout=5)
        for side in (server, client):
            side.sendall(greeting(b"CURVE"))
            assert len(read(side, 64)) == 64
        for header, body in frames_of(client):
            if name in body[:10]:
                changed = change(bytearray(body))
                length = len(changed).to_bytes(len(header) - 1, "big")
                server.sendall(header[:1] + length + changed)
                break
            server.sendall(header + body)
            client.sendall(b"".join(next(frames_of(server))))
        return server

    return serve


def flip(index, value=None):
    def change(body):
        body[index] = body[index] ^ 0xFF if value is None else value
        return body

    return change


COMMANDS = {
    "HELLO: unchanged": (b"HELLO", lambda body: body, True),
    "HELLO: name": (b"HELLO", flip(5, ord("X")), False),
    "HELLO: version": (b"HELLO", flip(6, 2), False),
    "HELLO: client key": (b"HELLO", flip(90), False),
    "HELLO: box": (b"HELLO", flip(150), False),
    "HELLO: length": (b"HELLO", lambda body: body[:6], False),
    "HELLO: too long": (b"HELLO", lambda body: body + b"x", False),
    "INITIATE: unchanged": (b"INITIATE", lambda body: body, True),
    "INITIATE: name": (b"INITIATE", flip(5, ord("X")), False),
    "INITIATE: cookie": (b"INITIATE", flip(30), False),
    "INITIATE: content": (b"INITIATE", flip(150), False),
    "INITIATE: length": (b"INITIATE", lambda body: body[:9], False),
}


@needs_curve
@pytest.mark.parametrize("case", COMMANDS)
def test_curve__command_that_was_tampered_with(ctx, sock, bound, case):
    name, change, fine = COMMANDS[case]
    with zap_handler(ctx, credentials) as handler:
        server, where = bound(**as_server("CURVE"))
        with Relay(tampering(where, name, change)) as relay:
            client = sock(zraw.ZMQ_DEALER, **as_client("CURVE"))
            client.connect(f"tcp://{relay.address}")
            if fine:
                bounce(server, client)
            else:
                assert stays_out(server, client, lambda: relay.ended)
    assert len(handler.requests) == fine


@needs_curve
@pytest.mark.parametrize(
    "command",
    [
        b"\x04\x06\x05HELLO",
        b"\x04\xc8\x05HELLO\1\0" + bytes(192),
        b"\x04\x05\x05HELL",
        b"\x04\x00",
        b"\x00\x05HELLO",
        b"\x06" + b"\xff" * 8,
        b"\x04\x09\x08INITIATE",
        b"\x04\x06\x05READY",
    ],
)
def test_curve__raw_peer_is_hung_up_on(ctx, sock, bound, command):
    with zap_handler(ctx, credentials) as handler:
        server, where = bound(**as_server("CURVE", MAXMSGSIZE=1 << 20))
        with raw_peer(where) as peer:
            peer.sendall(greeting(b"CURVE"))
            assert len(read(peer, 64)) == 64
            peer.sendall(command)
            assert is_hung_up_on(peer)
        assert server.poll(0) == 0
        assert handler.requests == []
        client = sock(zraw.ZMQ_DEALER, **as_client("CURVE"))
        client.connect(where)
        bounce(server, client)
