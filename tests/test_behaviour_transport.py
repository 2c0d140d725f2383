"""Connections as libzmq's own tests know them: filters, options, SOCKS, WebSocket."""

from __future__ import annotations

import os
import socket as sockets

import pytest

import zraw
from conftest import endpoint, wait_until
from peers import Relay, address_of, curve_keypair, read

DRAFT = zraw.has("draft")
BODY = b"12345678ABCDEFGH12345678abcdefgh"
QUIET = 100  # milliseconds without what must not happen
needs_ws = pytest.mark.skipif(not zraw.has("WS"), reason="no WebSocket here")


def bounce(server, client):
    """A message of two frames, there and back."""
    for first, second in ((client, server), (server, client)):
        first.send_multipart([BODY, BODY])
        assert second.recv_multipart() == [BODY, BODY]


def connected(socket):
    return socket.poll(0, zraw.ZMQ_POLLOUT)


def bind_again(socket, where):
    """Bind what was just given up: libzmq closes it in the background."""

    def bound():
        try:
            return socket.bind(where) == where
        except zraw.AddressInUse:
            return False

    wait_until(bound)


# --------------------------------------------------------------- reconnecting or not


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("interval", [-1, 10])
def test_reconnect_ivl__minus_one_is_never(sock, tmp_path, transport, interval):
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR, RECONNECT_IVL=interval)
    where = server.bind(endpoint(transport, tmp_path))
    client.connect(where)
    bounce(server, client)
    server.unbind(where)
    wait_until(lambda: not connected(server))
    bind_again(server, where)
    if interval > 0:
        wait_until(lambda: connected(server))
    else:
        wait_until(lambda: not connected(client))
        assert not server.poll(QUIET, zraw.ZMQ_POLLOUT)
        assert server.try_recv() is None
        client.connect(where)
    bounce(server, client)


# ------------------------------------------------------------------------- filters


def goes_through(server, client, where):
    """Whether a client that tries only once gets in."""
    client.setsockopt(zraw.ZMQ_RECONNECT_IVL, -1)
    client.connect(where)
    client.try_send(BODY)  # not, if it has been refused by now
    # It either arrives, or libzmq gives the refused connection up.
    wait_until(lambda: server.poll(5) or not connected(client))
    return server.try_recv() == BODY


@pytest.mark.parametrize("name", ["UID", "GID", "PID"])
@pytest.mark.parametrize("own", [True, False])
def test_ipc_filter__lets_in_whom_it_names(sock, tmp_path, name, own):
    number = {"UID": os.getuid, "GID": os.getgid, "PID": os.getpid}[name]()
    if not own:
        number = max([number, *(os.getgroups() if name == "GID" else [])]) + 1
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    server.setsockopt(getattr(zraw, f"ZMQ_IPC_FILTER_{name}"), number)
    where = server.bind(f"ipc://{tmp_path}/s")
    assert goes_through(server, client, where) is own


def test_ipc_filter__one_of_several_is_enough(sock, tmp_path):
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    for number in (os.getpid() + 1, os.getpid(), os.getpid() + 2):
        server.setsockopt(zraw.ZMQ_IPC_FILTER_PID, number)
    server.setsockopt(zraw.ZMQ_IPC_FILTER_UID, os.getuid() + 1)
    assert goes_through(server, client, server.bind(f"ipc://{tmp_path}/s"))


def test_ipc_filter__none_clears(sock, tmp_path):
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    server.setsockopt(zraw.ZMQ_IPC_FILTER_UID, os.getuid() + 1)
    server.setsockopt(zraw.ZMQ_IPC_FILTER_UID, None)
    assert goes_through(server, client, server.bind(f"ipc://{tmp_path}/s"))


@pytest.mark.parametrize(
    "wrong",
    ["foo", "0.0.0.0foo", "0.0.0.0/foo", "0.0.0.0/", "0.0.0.0/-1", "0.0.0.0/33", ""],
)
def test_tcp_accept_filter__refuses_what_is_no_network(sock, wrong):
    with pytest.raises(zraw.InvalidArgument, match="ZMQ_TCP_ACCEPT_FILTER"):
        sock(zraw.ZMQ_PAIR).setsockopt(zraw.ZMQ_TCP_ACCEPT_FILTER, wrong)


@pytest.mark.parametrize(
    ("filters", "fine"),
    [
        ([None], True),
        (["127.0.0.255/32", None], True),
        (["127.0.0.1/32"], True),
        (["127.0.0.1"], True),
        (["0.0.0.0/0"], True),
        (["127.0.0.255/32", "127.0.0.0/8"], True),
        (["127.0.0.255/32"], False),
    ],
)
def test_tcp_accept_filter__lets_in_whom_it_names(sock, filters, fine):
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    for one in filters:
        server.setsockopt(zraw.ZMQ_TCP_ACCEPT_FILTER, one)
    where = server.bind("tcp://127.0.0.1:*")
    assert goes_through(server, client, where) is fine


# -------------------------------------------- options that end in the system's socket


# name: (value, level and name of the system, what it says)
SYSTEM = {
    "TOS": (0x28, sockets.IPPROTO_IP, sockets.IP_TOS, 0x28),
    # Linux doubles the sizes of buffers, for its own needs.
    "SNDBUF": (16384, sockets.SOL_SOCKET, sockets.SO_SNDBUF, 2 * 16384),
    "RCVBUF": (16384, sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2 * 16384),
    "TCP_KEEPALIVE": (1, sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1),
    "PRIORITY": (3, sockets.SOL_SOCKET, sockets.SO_PRIORITY, 3),
}


@pytest.mark.parametrize("option", SYSTEM)
@pytest.mark.parametrize("side", ["bound", "connected"])
def test_setsockopt__is_what_the_system_says(sock, side, option):
    value, level, name, wanted = SYSTEM[option]
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    mine, other = (server, client) if side == "bound" else (client, server)
    if option == "PRIORITY" and not DRAFT:
        with pytest.raises(zraw.InvalidArgument):
            mine.setsockopt(zraw.ZMQ_PRIORITY, value)
        return
    mine.setsockopt(getattr(zraw, f"ZMQ_{option}"), value)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    other.send(BODY)
    number = mine.recv_msg().get(zraw.ZMQ_SRCFD)
    with sockets.socket(fileno=os.dup(number)) as same:
        found = same.getsockopt(level, name)
    assert found == wanted
    assert mine.getsockopt(getattr(zraw, f"ZMQ_{option}")) == value
    bounce(server, client)


def test_tos__of_both_sides_is_their_own(pair):
    server, client = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, "tcp", TOS=0x28)
    client.setsockopt(zraw.ZMQ_TOS, 0x58)  # too late for this connection
    assert server.getsockopt(zraw.ZMQ_TOS) == 0x28
    assert client.getsockopt(zraw.ZMQ_TOS) == 0x58
    bounce(server, client)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize(
    ("server_is", "client_is"),
    [
        ("REP", "REQ"),
        ("PAIR", "PAIR"),
        ("SERVER", "CLIENT"),
    ],
)
def test_use_fd__is_listened_on(sock, tmp_path, transport, server_is, client_is):
    if server_is == "SERVER" and not DRAFT:
        with pytest.raises(zraw.NotSupported):
            sock(zraw.ZMQ_SERVER)
        return
    server = sock(getattr(zraw, f"ZMQ_{server_is}"))
    client = sock(getattr(zraw, f"ZMQ_{client_is}"))
    if transport == "tcp":
        made = sockets.create_server(("127.0.0.1", 0))
        where = f"tcp://127.0.0.1:{made.getsockname()[1]}"
    else:
        made = sockets.socket(sockets.AF_UNIX)
        made.bind(f"{tmp_path}/s")
        made.listen()
        where = f"ipc://{tmp_path}/s"
    number = made.detach()  # libzmq closes it
    server.setsockopt(zraw.ZMQ_USE_FD, number)
    assert server.getsockopt(zraw.ZMQ_USE_FD) == number
    assert server.bind(where) == where
    client.connect(where)
    if server_is != "SERVER":
        bounce(server, client)
        return
    with pytest.raises(zraw.InvalidArgument):
        client.send(b"no parts here", zraw.ZMQ_SNDMORE)
    client.send(BODY)
    message = server.recv_msg()
    assert message == BODY
    assert message.routing_id() != 0
    message.send(server)
    answer = client.recv_msg()
    assert (answer, answer.routing_id()) == (BODY, 0)


# --------------------------------------------------------------------------- SOCKS


class Socks:
    """A SOCKS5 proxy that takes every name to this machine."""

    def __init__(self, user=None, password=b""):
        self.user, self.password = user, password
        self.asked = []

    def __call__(self, client):
        version, count = read(client, 2)
        assert version == 5
        method = 0 if self.user is None else 2
        fine = method in read(client, count)
        client.sendall(bytes([5, method if fine else 0xFF]))
        if fine and method == 2:
            assert read(client, 1) == b"\1"
            said = [read(client, read(client, 1)[0]) for _ in range(2)]
            fine = said == [self.user, self.password]
            client.sendall(bytes([1, not fine]))
        assert fine
        version, command, zero, kind = read(client, 4)
        assert (version, command, zero) == (5, 1, 0)
        size = {1: 4, 3: None, 4: 16}[kind]
        host = read(client, size or read(client, 1)[0])
        port = read(client, 2)
        self.asked.append((kind, host))
        other = sockets.create_connection(
            ("127.0.0.1", int.from_bytes(port, "big")), timeout=5
        )
        answer = {1: bytes(4), 3: b"\x09localhost", 4: bytes(15) + b"\1"}[kind]
        client.sendall(bytes([5, 0, 0, kind]) + answer + port)
        return other


def pushes(push, pull):
    """Two messages get through."""
    for body in (b"ABC", b"DEF"):
        push.send(body)
        assert pull.recv() == body


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("127.0.0.1", (1, b"\x7f\0\0\1")),
        ("somedomainname.org", (3, b"somedomainname.org")),
        ("::1", (4, bytes(15) + b"\1")),
        ("[::1]", (4, bytes(15) + b"\1")),
    ],
)
def test_socks_proxy__finds_the_host(sock, host, asked):
    """Nobody here looks the name up: that is the proxy's."""
    push, pull, socks = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL), Socks()
    port = push.bind("tcp://127.0.0.1:*").rpartition(":")[2]
    with Relay(socks) as relay:
        pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, relay.address)
        pull.connect(f"tcp://{host}:{port}")
        pushes(push, pull)
    assert socks.asked == [asked]


@pytest.mark.parametrize("source", ["127.0.0.1:0;", "127.0.0.3:0;"])
def test_socks_proxy__source_address_in_front(sock, source):
    seen = []

    def serve(client):
        seen.append(client.getpeername()[0])
        return Socks()(client)

    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    where = push.bind("tcp://127.0.0.1:*")
    with Relay(serve) as relay:
        pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, source + relay.address)
        pull.connect(where)
        pushes(push, pull)
    assert seen == [source.removesuffix(":0;")]


@pytest.mark.parametrize("user", [None, "someuser"])
def test_socks_proxy__that_comes_late_is_tried_again(sock, user):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL, RECONNECT_IVL=10)
    where = push.bind("tcp://127.0.0.1:*")
    relay = Relay(Socks(user and user.encode(), b"somepass"))
    pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, relay.address)
    if user:
        pull.setsockopt(zraw.ZMQ_SOCKS_USERNAME, user)
        pull.setsockopt(zraw.ZMQ_SOCKS_PASSWORD, "somepass")
    pull.connect(where)
    assert pull.poll(50) == 0  # nobody listens at the proxy's port
    with relay:
        pushes(push, pull)


@pytest.mark.parametrize(
    ("user", "password", "proxy"),
    [
        ("someuser", "somepass", Socks(b"someuser", b"somepass")),
        ("", None, Socks()),
        (None, None, Socks()),
        (None, "ignored", Socks()),
        ("someuser", "", Socks(b"someuser")),
        ("someuser", None, Socks(b"someuser")),
        ("u" * 255, "p" * 255, Socks(b"u" * 255, b"p" * 255)),
    ],
    ids=["both", "empty user", "no user", "password only", "empty password",
         "no password", "longest"],
)  # fmt: skip
def test_socks_username__and_password(sock, user, password, proxy):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    where = push.bind("tcp://127.0.0.1:*")
    pull.setsockopt(zraw.ZMQ_SOCKS_USERNAME, user)
    pull.setsockopt(zraw.ZMQ_SOCKS_PASSWORD, password)
    with Relay(proxy) as relay:
        pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, relay.address)
        pull.connect(where)
        pushes(push, pull)


def test_socks_proxy__none_is_no_proxy(sock):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, "127.0.0.1:1")
    pull.setsockopt(zraw.ZMQ_SOCKS_PROXY, None)
    pull.connect(push.bind("tcp://127.0.0.1:*"))
    pushes(push, pull)


# ----------------------------------------------------------------------- WebSocket


@needs_ws
@pytest.mark.parametrize("path", ["", "/roundtrip"])
@pytest.mark.parametrize("host", ["127.0.0.1", "*"])
def test_ws__round_trip_and_end(sock, host, path):
    server, client = sock(zraw.ZMQ_REP), sock(zraw.ZMQ_REQ)
    where = server.bind(f"ws://{host}:*{path}")
    reachable = where.replace("0.0.0.0", "127.0.0.1")
    client.connect(reachable)
    bounce(server, client)
    client.disconnect(reachable)
    server.unbind(where)


@needs_ws
@pytest.mark.parametrize("size", [0, 1, 125, 126, 255, 65535, 65536, 200_000])
def test_ws__sizes_around_those_of_its_headers(sock, size):
    server, client = sock(zraw.ZMQ_REP), sock(zraw.ZMQ_REQ)
    client.connect(server.bind("ws://127.0.0.1:*/size"))
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    client.send(body)
    assert server.recv() == body
    server.send(body)
    assert client.recv() == body


@needs_ws
@pytest.mark.skipif(not zraw.has("curve"), reason="this libzmq has no CURVE")
def test_ws__heartbeats_keep_the_connection(sock):
    """Not without a mechanism: a peer could end the process."""
    public, secret = zraw.curve_keypair()
    server = sock(zraw.ZMQ_REP, CURVE_SERVER=True, CURVE_SECRETKEY=secret)
    where = server.bind("ws://127.0.0.1:*/heartbeat")
    address = address_of(where.removeprefix("ws://").removesuffix("/heartbeat"))
    # Not to be reconnected, and with patience for a busy machine.
    client = sock(
        zraw.ZMQ_REQ, HEARTBEAT_IVL=10, HEARTBEAT_TIMEOUT=10_000, RECONNECT_IVL=-1
    )
    with pytest.raises(zraw.InvalidArgument, match="a mechanism other than ZMQ_NULL"):
        client.connect(f"ws://{address[0]}:{address[1]}/heartbeat")
    mine, my_secret = zraw.curve_keypair()
    client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, public)
    client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, mine)
    client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, my_secret)
    with Relay(lambda _: sockets.create_connection(address, timeout=5)) as relay:
        client.connect(f"ws://{relay.address}/heartbeat")
        bounce(server, client)
        carried = relay.carried
        wait_until(lambda: relay.carried > carried + 20)  # without any message
        bounce(server, client)
    assert relay.ended == 1


@needs_ws
def test_ws__does_not_mask_what_is_shared(sock):
    server, client = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_DEALER)
    client.connect(server.bind("ws://127.0.0.1:*/mask"))
    message, copy = zraw.Message.init_size(255), zraw.Message()
    with message.data() as view:
        view[:] = bytes(range(255))
    copy.copy(message)
    assert message.send(client) == 255
    assert server.recv() == bytes(range(255))
    assert copy == bytes(range(255))
    constant = b"HELLO" * 10
    client.send_const(constant)
    assert server.recv() == constant == b"HELLO" * 10


@needs_ws
def test_ws__subscriptions(sock):
    pub, sub = sock(zraw.ZMQ_XPUB), sock(zraw.ZMQ_SUB)
    for topic in (b"A", b"B"):
        sub.setsockopt(zraw.ZMQ_SUBSCRIBE, topic)
    sub.connect(pub.bind("ws://127.0.0.1:*"))
    assert [pub.recv(), pub.recv()] == [b"\1A", b"\1B"]
    pub.send_many([b"A", b"C", b"B"])
    assert [sub.recv(), sub.recv()] == [b"A", b"B"]


@needs_ws
@pytest.mark.skipif(not zraw.has("curve"), reason="this libzmq has no CURVE")
def test_ws__curve(sock):
    (public, secret), (mine, own) = curve_keypair(), curve_keypair()
    server = sock(zraw.ZMQ_REP, CURVE_SERVER=1, CURVE_SECRETKEY=secret)
    client = sock(
        zraw.ZMQ_REQ,
        CURVE_SERVERKEY=public,
        CURVE_PUBLICKEY=mine,
        CURVE_SECRETKEY=own,
    )
    client.connect(server.bind("ws://127.0.0.1:*/roundtrip"))
    bounce(server, client)
