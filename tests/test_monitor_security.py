"""What a monitor says of handshakes that fail: by whom, and for which reason."""

from __future__ import annotations

import errno
import threading

import pytest

import zraw
from conftest import wait_until
from peers import accept, raw_peer, refuse, zap_handler

MECHANISMS = ["NULL", "PLAIN", *["CURVE"] * zraw.has("curve")]
HANDSHAKES = (
    zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
)
SUCCEEDED = ("ZMQ_EVENT_HANDSHAKE_SUCCEEDED", 0)


def auth(status):
    return ("ZMQ_EVENT_HANDSHAKE_FAILED_AUTH", status)


def protocol(name):
    value = getattr(zraw, f"ZMQ_PROTOCOL_ERROR_{name}")
    return ("ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL", value)


def no_detail(number):
    return ("ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL", number)


@pytest.fixture
def secured(sock):
    """Make a server and a client, of other mechanisms perhaps, and their readers."""
    readers = []

    def make(server_mechanism, client_mechanism=None, domain="test", wrong=False):
        server, client = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_DEALER)
        if domain:
            server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, domain)
        public, secret = zraw.curve_keypair() if zraw.has("curve") else ("", "")
        if server_mechanism == "PLAIN":
            server.setsockopt(zraw.ZMQ_PLAIN_SERVER, 1)
        elif server_mechanism == "CURVE":
            server.setsockopt(zraw.ZMQ_CURVE_SERVER, 1)
            server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, secret)
        client_mechanism = client_mechanism or server_mechanism
        if client_mechanism == "PLAIN":
            client.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "user")
            client.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, "password")
        elif client_mechanism == "CURVE":
            its_public, its_secret = zraw.curve_keypair()
            expected = its_public if wrong else public
            client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, expected)
            client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, its_public)
            client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, its_secret)
        for socket in (server, client):
            readers.append(socket.monitor(events=HANDSHAKES))
            readers[-1].setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        return server, client, *readers[-2:]

    yield make
    for reader in readers:
        reader.close()


def said(reader):
    """What the next event says, without the address, which has to be there."""
    event = zraw.recv_event(reader)
    assert event.address.startswith("tcp://127.0.0.1:")
    return (event.name, event.value)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_socket_monitor__handshake_that_succeeds(ctx, secured, mechanism):
    with zap_handler(ctx) as handler:
        server, client, theirs, ours = secured(mechanism)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        client.send(b"x")
        assert server.recv() == b"x"
        assert said(theirs) == said(ours) == SUCCEEDED
        assert handler.requests[0][5] == mechanism.encode()
        assert theirs.poll(0) == ours.poll(0) == 0


@pytest.mark.parametrize("status", [300, 400, 500])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_socket_monitor__handler_that_refuses(ctx, secured, mechanism, status):
    """The client hears of it, but not that it may come again."""
    with zap_handler(ctx, lambda request: refuse(request, b"%d" % status)):
        server, client, theirs, ours = secured(mechanism)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        assert said(theirs) == auth(status)
        if status > 300:
            assert said(ours) == auth(status)
        ours.poll(20)
        client.close()
        while ours.poll(0):
            assert said(ours) not in (SUCCEEDED, auth(300))
        assert server.try_recv() is None


MALFORMED = {
    "version": (lambda r: [b"2.0", *accept(r)[1:]], "ZAP_BAD_VERSION"),
    "request_id": (lambda r: [r[0], b"wrong", *accept(r)[2:]], "ZAP_BAD_REQUEST_ID"),
    "status": (lambda r: refuse(r, b"2x0"), "ZAP_INVALID_STATUS_CODE"),
    "status_600": (lambda r: refuse(r, b"600"), "ZAP_INVALID_STATUS_CODE"),
    "status_length": (lambda r: refuse(r, b"2000"), "ZAP_INVALID_STATUS_CODE"),
    "metadata": (lambda r: accept(r, metadata=b"\5x"), "ZAP_INVALID_METADATA"),
    "too_many": (lambda r: [*accept(r), b""], "ZAP_MALFORMED_REPLY"),
    "too_few": (lambda r: accept(r)[:-1], "ZAP_MALFORMED_REPLY"),
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("reply", MALFORMED)
def test_socket_monitor__handler_that_replies_nonsense(ctx, secured, reply, mechanism):
    answer, error = MALFORMED[reply]
    with zap_handler(ctx, answer):
        server, client, theirs, _ = secured(mechanism)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        assert said(theirs) == protocol(error)
        client.close()
        assert server.try_recv() is None


def test_socket_monitor__no_handler_at_all(secured):
    server, client, theirs, _ = secured("PLAIN")
    client.connect(server.bind("tcp://127.0.0.1:*"))
    assert said(theirs) == no_detail(errno.EFAULT)
    client.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_socket_monitor__client_that_gives_up(ctx, secured, mechanism):
    """The handler never answers, and the client leaves."""
    with zap_handler(ctx, lambda request: None) as handler:
        server, client, theirs, _ = secured(mechanism)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        wait_until(lambda: handler.requests)
        client.close()
        assert said(theirs) == no_detail(errno.EPIPE)


@pytest.mark.parametrize(
    ("server_has", "client_has"),
    [(one, other) for one in MECHANISMS for other in MECHANISMS if one != other],
)
def test_socket_monitor__mechanisms_that_differ(ctx, secured, server_has, client_has):
    with zap_handler(ctx):
        server, client, theirs, ours = secured(server_has, client_has)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        found = []

        def look():
            for reader in (theirs, ours):
                while reader.poll(10):
                    found.append(said(reader))
            return found

        # Who comes too late to see it finds the connection broken.
        mismatch = protocol("ZMTP_MECHANISM_MISMATCH")
        wait_until(lambda: mismatch in look())
        assert SUCCEEDED not in found
        client.close()


def test_socket_monitor__wrong_server_key(ctx, secured):
    if "CURVE" not in MECHANISMS:
        with pytest.raises(zraw.NotSupported):
            zraw.curve_keypair()
        return
    with zap_handler(ctx) as handler:
        server, client, theirs, _ = secured("CURVE", wrong=True)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        assert said(theirs) == protocol("ZMTP_CRYPTOGRAPHIC")
        client.close()
        assert not handler.requests


def greeting(mechanism):
    """What a peer that speaks ZMTP 3.0 says first."""
    signature = b"\xff" + bytes(8) + b"\x7f"
    return signature + b"\3\0" + mechanism.ljust(20, b"\0") + bytes(32)


def command(name, body=b""):
    content = bytes([len(name)]) + name + body
    return bytes([4, len(content)]) + content


@pytest.mark.parametrize(
    ("mechanism", "sent", "error"),
    [
        ("NULL", command(b"HELLO"), "ZMTP_UNEXPECTED_COMMAND"),
        ("NULL", command(b"ERROR", b"\5x"), "ZMTP_MALFORMED_COMMAND_ERROR"),
        ("PLAIN", command(b"READY"), "ZMTP_UNEXPECTED_COMMAND"),
        ("PLAIN", command(b"HELLO", b"\5x"), "ZMTP_MALFORMED_COMMAND_HELLO"),
        *[
            ("CURVE", command(b"HELLO"), "ZMTP_MALFORMED_COMMAND_HELLO"),
            ("CURVE", command(b"READY", bytes(193)), "ZMTP_UNEXPECTED_COMMAND"),
        ]
        * zraw.has("curve"),
    ],
)
def test_socket_monitor__peer_that_talks_nonsense(ctx, secured, mechanism, sent, error):
    server, _, theirs, _ = secured(mechanism, domain="")
    with raw_peer(server.bind("tcp://127.0.0.1:*")) as peer:
        peer.sendall(greeting(mechanism.encode()) + sent)
        assert said(theirs) == protocol(error)


def test_socket_monitor__events_are_read_by_another_thread(ctx, secured):
    """As it is used: one thread that reads the events of a server."""
    server, _, theirs, _ = secured("NULL", domain="")
    seen = []
    thread = threading.Thread(
        target=lambda: seen.extend(said(theirs) for _ in range(10))
    )
    thread.start()
    where = server.bind("tcp://127.0.0.1:*")
    for number in range(10):
        with ctx.socket(zraw.ZMQ_DEALER) as client:
            client.connect(where)
            client.send(b"%d" % number)
            assert server.recv() == b"%d" % number
    thread.join(10)
    assert seen == [SUCCEEDED] * 10
