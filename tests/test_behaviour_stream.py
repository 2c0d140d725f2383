"""STREAM, and peers made by hand over plain TCP: what libzmq says on the wire."""

from __future__ import annotations

import os
import select
import socket as plain
import struct

import pytest

import zraw
from conftest import wait_until

DEALER, REP, REQ, ROUTER = zraw.ZMQ_DEALER, zraw.ZMQ_REP, zraw.ZMQ_REQ, zraw.ZMQ_ROUTER
PUB, SUB, XPUB, STREAM = zraw.ZMQ_PUB, zraw.ZMQ_SUB, zraw.ZMQ_XPUB, zraw.ZMQ_STREAM
PUSH, PULL, PAIR = zraw.ZMQ_PUSH, zraw.ZMQ_PULL, zraw.ZMQ_PAIR
ANY = "tcp://127.0.0.1:*"
SIGNATURE = bytes.fromhex("ff00000000000000017f")
COMMAND, LARGE = 4, 2  # flags of a ZMTP frame


def greeting(minor=1):
    return SIGNATURE + bytes([3, minor]) + b"NULL".ljust(20, b"\0") + bytes(32)


def ready(kind):
    """The READY command of a socket type, as libzmq sends it."""
    properties = [(b"Socket-Type", kind)]
    if kind in (b"DEALER", b"ROUTER", b"REQ"):
        properties.append((b"Identity", b""))
    body = b"\5READY"
    for name, value in properties:
        body += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return bytes([COMMAND, len(body)]) + body


class Peer:
    """The other end of a TCP connection, without libzmq."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(5)

    def send(self, data):
        self.connection.sendall(data)

    def take(self, size):
        data = b""
        while len(data) < size:
            chunk = self.connection.recv(size - len(data))
            assert chunk, f"closed after {data!r}"
            data += chunk
        return data

    def frame(self):
        """Return the flags and the body of the next ZMTP frame."""
        flags, size = self.take(2)
        if flags & LARGE:
            (size,) = struct.unpack(">Q", bytes([size]) + self.take(7))
        return flags, self.take(size)

    def command(self, name):
        """Return the rest of the next frame, which must be that command."""
        flags, body = self.frame()
        head = bytes([len(name)]) + name
        assert (flags, body[: len(head)]) == (COMMAND, head)
        return body[len(head) :]

    def handshake(self, kind, minor=1):
        self.send(greeting(minor))
        assert self.take(64)[:10] == SIGNATURE
        self.send(ready(kind))
        return self.command(b"READY")

    def wait_for_the_end(self):
        """Wait until the other side closes the connection."""
        try:
            while self.connection.recv(4096):
                pass
        except ConnectionResetError:
            pass

    def readable(self, seconds=0.0):
        return bool(select.select([self.connection], [], [], seconds)[0])


def address(where):
    host, _, port = where.removeprefix("tcp://").rpartition(":")
    return host, int(port)


@pytest.fixture
def connect():
    """Connect to a bound socket by plain TCP."""
    peers = []

    def make(where):
        peers.append(Peer(plain.create_connection(address(where), 5)))
        return peers[-1]

    yield make
    for peer in peers:
        peer.connection.close()


@pytest.fixture
def listener():
    """An endpoint, and a call that accepts a connection to it."""
    peers = []
    with plain.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def accept():
            peers.append(Peer(server.accept()[0]))
            return peers[-1]

        yield f"tcp://127.0.0.1:{server.getsockname()[1]}", accept
    for peer in peers:
        peer.connection.close()


def data(stream, peer, size):
    """Take that many bytes of a connection out of a STREAM."""
    got = b""
    while len(got) < size:
        sender, chunk = stream.recv_multipart()
        assert sender == peer
        assert chunk
        got += chunk
    assert len(got) == size
    return got


def test_stream__does_the_handshake_of_zmtp_by_hand(sock):
    stream, dealer = sock(STREAM), sock(DEALER)
    dealer.connect(stream.bind(ANY))
    dealer.send(b"Hello")
    first = stream.recv_msg()
    peer = bytes(first)
    assert first.more()
    assert first.gets("Peer-Address") == "127.0.0.1"
    notice = stream.recv_msg()
    assert notice.size() == 0 and not notice.more()
    assert notice.gets("Peer-Address") == "127.0.0.1"
    assert data(stream, peer, 10) == SIGNATURE
    stream.send_multipart([peer, greeting()])
    assert data(stream, peer, 54 + 43) == greeting()[10:] + ready(b"DEALER")
    stream.send_multipart([peer, ready(b"ROUTER")])
    assert data(stream, peer, 7) == b"\0\5Hello"
    stream.send_multipart([peer, b"\0\5World"])
    assert dealer.recv() == b"World"
    dealer.send(b"\xab" * 64000)
    large = bytes([LARGE]) + struct.pack(">Q", 64000) + b"\xab" * 64000
    assert data(stream, peer, len(large)) == large


@pytest.mark.parametrize("notify", [0, 1])
def test_stream__talks_to_stream(sock, notify):
    server, client = (sock(STREAM, STREAM_NOTIFY=notify) for _ in range(2))
    client.connect(server.bind(ANY))
    to_server = client.getsockopt(zraw.ZMQ_ROUTING_ID)
    assert len(to_server) == 5
    if notify:
        assert client.recv_multipart() == [to_server, b""]
        to_client, nothing = server.recv_multipart()
        assert nothing == b""
    client.send_multipart([to_server, b"GET /\n\n"])
    assert server.poll(5000) == zraw.ZMQ_POLLIN
    asking, request = server.recv_multipart()
    assert request == b"GET /\n\n"
    assert not notify or asking == to_client
    server.send_multipart([asking, b"HTTP/1.0 200 OK\r\n\r\nHello, World!"])
    assert client.recv_multipart() == [
        to_server,
        b"HTTP/1.0 200 OK\r\n\r\nHello, World!",
    ]
    client.send_multipart([to_server, b""])  # closes the connection

    if notify:
        wait_until(lambda: client.poll(0) or server.poll(5))  # it takes turns to end
        assert server.recv_multipart() == [asking, b""]

    def unknown():
        client.poll(0)
        server.poll(0)
        try:
            server.send_multipart([asking, b"x"], zraw.ZMQ_DONTWAIT)
        except zraw.HostUnreachable:
            return True
        except zraw.Again:
            return False
        return False

    wait_until(unknown)
    assert server.try_recv_multipart() is None


def test_stream__tells_of_connections_and_their_ends(sock, connect):
    stream = sock(STREAM)
    where = stream.bind(ANY)
    names = set()
    for _ in range(3):
        peer = connect(where)
        name, notice = stream.recv_multipart()
        names.add(name)
        assert notice == b""
        peer.send(b"data")
        assert stream.recv_multipart() == [name, b"data"]
        peer.connection.close()
        assert stream.recv_multipart() == [name, b""]
    assert len(names) == 3
    assert all(len(name) == 5 and name[0] == 0 for name in names)


@pytest.mark.parametrize("empty", [b"", zraw.Message(), zraw.Message(b"")])
def test_stream__empty_data_closes_the_connection(sock, connect, empty):
    stream = sock(STREAM)
    where = stream.bind(ANY)
    peer = connect(where)
    name, _ = stream.recv_multipart()
    other = connect(where)
    other_name, _ = stream.recv_multipart()
    stream.send_multipart([name, empty])

    def closed():
        stream.poll(0)  # the end takes its turns
        return peer.readable(0.01)

    wait_until(closed)
    assert peer.connection.recv(1) == b""
    stream.send_multipart([other_name, b"still here"])
    assert other.take(10) == b"still here"


def test_stream__empty_reply_to_a_dealer(sock):
    stream, dealer = sock(STREAM), sock(DEALER, RECONNECT_IVL=-1)
    dealer.connect(stream.bind(ANY))
    dealer.send(b"")
    name, _ = stream.recv_multipart()
    stream.send(name, zraw.ZMQ_SNDMORE)
    stream.send_const(b"")
    with pytest.raises(zraw.HostUnreachable):
        while True:
            stream.send_multipart([name, b"x"])
            stream.poll(1)


def test_stream__unknown_peer_is_unreachable(sock):
    stream = sock(STREAM)
    stream.bind(ANY)
    with pytest.raises(zraw.HostUnreachable):
        stream.send_multipart([b"nobody", b"x"])


def test_stream__connect_routing_id_names_the_peer(sock):
    server, client = sock(STREAM, STREAM_NOTIFY=0), sock(STREAM, STREAM_NOTIFY=0)
    where = server.bind(ANY)
    client.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"conn1")
    client.connect(where)
    client.send_multipart([b"conn1", b"hi"])
    name, body = server.recv_multipart()
    assert body == b"hi"
    assert name[0] == 0  # one that libzmq made up
    server.send_multipart([name, b"ho"])
    assert client.recv_multipart() == [b"conn1", b"ho"]
    server.unbind(where)


@pytest.mark.parametrize("size", [8191, 8192, 8193, 100000])
def test_stream__chunks_larger_than_its_buffer_arrive(sock, listener, size):
    where, accept = listener
    stream = sock(STREAM, STREAM_NOTIFY=0)
    stream.connect(where)
    body = (b"\xde\xad\xbe\xef" * size)[:size]
    accept().send(body)
    assert data(stream, stream.getsockopt(zraw.ZMQ_ROUTING_ID), size) == body


def test_dealer__handshake_ivl_drops_a_silent_client(sock, connect):
    dealer = sock(DEALER)
    assert dealer.getsockopt(zraw.ZMQ_HANDSHAKE_IVL) == 30000
    dealer.setsockopt(zraw.ZMQ_HANDSHAKE_IVL, 100)
    assert dealer.getsockopt(zraw.ZMQ_HANDSHAKE_IVL) == 100
    connect(dealer.bind(ANY)).wait_for_the_end()


def test_dealer__handshake_ivl_drops_a_silent_server(sock, listener):
    where, accept = listener
    dealer = sock(DEALER, HANDSHAKE_IVL=100, RECONNECT_IVL=10)
    dealer.connect(where)
    for _ in range(2):  # and it tries again
        peer = accept()
        assert peer.take(10) == SIGNATURE
        peer.wait_for_the_end()


def test_dealer__handshake_ivl_ends_with_the_handshake(sock, connect):
    dealer = sock(DEALER, HANDSHAKE_IVL=100)
    peer = connect(dealer.bind(ANY))
    peer.handshake(b"DEALER")
    assert not peer.readable(0.2)
    peer.send(b"\0\5Hello")
    assert dealer.recv() == b"Hello"


SUBSCRIBE, CANCEL = b"\4\x0b\x09SUBSCRIBEA", b"\4\x08\x06CANCELA"


@pytest.mark.parametrize(
    ("minor", "on", "off"), [(1, SUBSCRIBE, CANCEL), (0, b"\0\2\1A", b"\0\2\0A")]
)
def test_xpub__takes_both_forms_of_subscription(sock, connect, minor, on, off):
    xpub = sock(XPUB)
    peer = connect(xpub.bind(ANY))
    peer.handshake(b"SUB", minor)
    peer.send(on)
    assert xpub.recv() == b"\1A"
    xpub.send(b"ALOL")
    assert peer.frame() == (0, b"ALOL")
    peer.send(off)
    assert xpub.recv() == b"\0A"
    xpub.send(b"ALOL")
    peer.send(b"\0\2\1B")
    assert xpub.recv() == b"\1B"
    xpub.send(b"B")
    assert peer.frame() == (0, b"B")


@pytest.mark.parametrize(
    ("minor", "on", "off"), [(1, SUBSCRIBE, CANCEL), (0, b"\0\2\1A", b"\0\2\0A")]
)
def test_sub__sends_the_form_that_the_peer_knows(sock, connect, minor, on, off):
    sub = sock(SUB, SUBSCRIBE=b"A")
    peer = connect(sub.bind(ANY))
    peer.handshake(b"XPUB", minor)

    def subscribed():
        sub.poll(0)  # only then it hears of the new connection
        return peer.readable(0.01)

    wait_until(subscribed)
    assert peer.take(len(on)) == on
    peer.send(b"\0\4ALOL")
    assert sub.recv() == b"ALOL"
    sub.setsockopt(zraw.ZMQ_UNSUBSCRIBE, b"A")
    assert peer.take(len(off)) == off


def ping(ttl, context=b""):
    body = b"\4PING" + struct.pack(">H", ttl) + context
    return bytes([COMMAND, len(body)]) + body


def pong(context=b""):
    return bytes([COMMAND, 5 + len(context)]) + b"\4PONG" + context


def test_router__heartbeat_drops_a_silent_peer(sock, connect):
    router = sock(ROUTER, HEARTBEAT_IVL=50)
    peer = connect(router.bind(ANY))
    peer.handshake(b"DEALER")
    assert peer.command(b"PING") == b"\0\0"
    peer.wait_for_the_end()


def test_router__heartbeat_keeps_a_peer_that_answers(sock, connect):
    router = sock(ROUTER, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=2000)
    peer = connect(router.bind(ANY))
    peer.handshake(b"DEALER")
    for _ in range(5):
        assert peer.command(b"PING") == b"\0\0"
        peer.send(pong())
    peer.send(b"\0\5Hello")
    assert router.recv_multipart()[1] == b"Hello"


def test_router__heartbeat_none_unless_asked_for(sock, connect):
    router = sock(ROUTER)
    assert router.getsockopt(zraw.ZMQ_HEARTBEAT_IVL) == 0
    peer = connect(router.bind(ANY))
    peer.handshake(b"DEALER")
    assert not peer.readable(0.1)


def test_router__heartbeat_answers_with_the_context_of_the_ping(sock, connect):
    peer = connect(sock(ROUTER).bind(ANY))
    peer.handshake(b"DEALER")
    peer.send(ping(0, b"LOL"))
    assert peer.command(b"PONG") == b"LOL"
    peer.send(ping(0, b"LOL" + b"z" * 55))
    assert peer.command(b"PONG") == b"LOL" + b"z" * 13  # 16 bytes at most


@pytest.mark.parametrize(
    ("kind", "peer_kind"),
    [
        (ROUTER, b"DEALER"),
        (REP, b"REQ"),
        (PUSH, b"PULL"),
        (PUB, b"SUB"),
        (PAIR, b"PAIR"),
    ],
)
def test_router__heartbeat_ttl_of_the_peer_is_kept(sock, connect, kind, peer_kind):
    """Without heartbeats of its own, it drops a peer that is late."""
    peer = connect(sock(kind).bind(ANY))
    peer.handshake(peer_kind)
    for _ in range(3):
        peer.send(ping(1))  # in tenths of a second
        assert peer.command(b"PONG") == b""
    peer.wait_for_the_end()


@pytest.mark.parametrize(("ttl", "sent"), [(0, 0), (99, 0), (100, 1), (6553599, 65535)])
def test_dealer__heartbeat_ttl_goes_with_the_ping(sock, listener, ttl, sent):
    where, accept = listener
    dealer = sock(DEALER, HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=5000, HEARTBEAT_TTL=ttl)
    assert dealer.getsockopt(zraw.ZMQ_HEARTBEAT_TTL) == sent * 100
    dealer.connect(where)
    peer = accept()
    peer.handshake(b"ROUTER")
    assert peer.command(b"PING") == struct.pack(">H", sent)


def test_pair__heartbeat_ttl_has_a_limit(sock):
    with pytest.raises(zraw.InvalidArgument):
        sock(PAIR, HEARTBEAT_TTL=6553600)


@pytest.mark.parametrize("curve", [False, True])
def test_router__heartbeats_keep_the_connection(sock, curve):
    if curve and not zraw.has("curve"):
        pytest.skip("libzmq without CURVE")
    beating = {"HEARTBEAT_IVL": 20, "HEARTBEAT_TIMEOUT": 2000}
    router, dealer = sock(ROUTER, **beating), sock(DEALER, **beating)
    if curve:  # the keys in the manual of CURVE
        public = b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
        own = b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
        router.setsockopt(
            zraw.ZMQ_CURVE_SECRETKEY, b"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
        )
        router.setsockopt(zraw.ZMQ_CURVE_SERVER, 1)
        dealer.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, public)
        dealer.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, own)
        dealer.setsockopt(
            zraw.ZMQ_CURVE_SECRETKEY, b"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
        )
    dealer.connect(router.bind(ANY))
    dealer.send(b"first")
    name, body = router.recv_multipart()
    assert body == b"first"
    assert not dealer.poll(150)
    dealer.send(b"second")
    assert router.recv_multipart() == [
        name,
        b"second",
    ]  # a new connection had a new one


def test_msg_get__srcfd_is_the_connection(pair):
    rep, req = pair(REP, REQ, "tcp")
    req.send(bytes(20))
    number = rep.recv_msg().get(zraw.ZMQ_SRCFD)

    def end():
        with plain.socket(fileno=os.dup(number)) as connection:
            return connection.getpeername()[0]

    assert end() == "127.0.0.1"
    rep.close()
    req.close()

    def gone():
        try:
            end()
        except OSError:
            return True
        return False

    wait_until(gone)


def test_msg_get__srcfd_is_missing_over_inproc(pair):
    pull, push = pair(PULL, PUSH)
    push.send(b"x")
    with pytest.raises(zraw.InvalidArgument):
        pull.recv_msg().get(zraw.ZMQ_SRCFD)
