"""ZMQ_PEER, and who is there: connect_peer, disconnect_peer, get_peer_state."""

from __future__ import annotations

import errno

import pytest

import zraw
from conftest import endpoint, wait_until
from drafts import DRAFT, drafts, to

TRANSPORTS = ["inproc", "ipc", "tcp"]
transports = pytest.mark.parametrize("transport", TRANSPORTS)
HAS_DISCONNECT_PEER = DRAFT and zraw.version() >= (4, 3, 6)


@pytest.fixture
def peers(sock, tmp_path):
    """Two ZMQ_PEER, and what each calls the other."""

    def make(transport="inproc", **options):
        bound = sock(zraw.ZMQ_PEER, **options)
        connected = sock(zraw.ZMQ_PEER, **options)
        there = connected.connect_peer(bound.bind(endpoint(transport, tmp_path)))
        connected.send(to(there, b"first"))
        message = bound.recv_msg()
        assert message == b"first"
        return bound, connected, message.routing_id(), there

    return make


def gone(socket, routing_id):
    try:
        socket.send(to(routing_id), zraw.ZMQ_DONTWAIT)
    except zraw.HostUnreachable:
        return True
    except zraw.Again:
        pass
    return False


# ---- connect_peer


@drafts
@transports
def test_connect_peer__returns_the_id_to_send_to(peers, transport):
    bound, connected, back, there = peers(transport)
    assert 0 < there < 2**32
    assert 0 < back < 2**32
    for size in (0, 33, 34, 100_000):
        connected.send(to(there, bytes(size)))
        message = bound.recv_msg()
        assert (message, message.routing_id()) == (bytes(size), back)
        bound.send(message)  # the sender's id is on it
        message = connected.recv_msg()
        assert (message, message.routing_id()) == (bytes(size), there)


@drafts
@transports
def test_connect_peer__one_id_each(sock, tmp_path, transport):
    hub, others = sock(zraw.ZMQ_PEER), [sock(zraw.ZMQ_PEER) for _ in range(3)]
    ids = []
    for number, other in enumerate(others):
        folder = tmp_path / str(number)
        folder.mkdir()
        where = other.bind(endpoint(transport, folder))
        ids.append(hub.connect_peer(where if number % 2 else where.encode()))
    assert len(set(ids)) == 3
    for number, routing_id in enumerate(ids):
        hub.send(to(routing_id, b"%d" % number))
    for number, other in enumerate(others):
        message = other.recv_msg()
        assert message == b"%d" % number
        other.send(to(message.routing_id(), b"back"))
    assert sorted(hub.recv_msg().routing_id() for _ in ids) == sorted(ids)


@pytest.mark.parametrize("type", [zraw.ZMQ_PAIR, zraw.ZMQ_ROUTER, zraw.ZMQ_PUSH])
def test_connect_peer__other_types(sock, type):
    """With or without drafts: NotSupported."""
    socket = sock(type)
    with pytest.raises(zraw.NotSupported, match=r"connect_peer\('inproc://") as caught:
        socket.connect_peer("inproc://nobody")
    assert caught.value.errno == zraw.errno() == errno.ENOTSUP


@drafts
@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("inproc", ValueError),
        ("tcp://127.0.0.1:99999", ValueError),
        ("tcp://127.0.0.1:80\0", ValueError),
        (None, TypeError),
        (5, TypeError),
        ("tcp://127.0.0.1", zraw.InvalidArgument),
        ("foo://x", zraw.ProtocolNotSupported),
        ("udp://127.0.0.1:5", zraw.IncompatibleProtocol),
    ],
)
def test_connect_peer__bad_endpoints(sock, where, error):
    socket = sock(zraw.ZMQ_PEER)
    with pytest.raises(error, match=r"connect_peer\("):
        socket.connect_peer(where)


@drafts
def test_connect_peer__immediate(sock):
    socket = sock(zraw.ZMQ_PEER, IMMEDIATE=1)
    with pytest.raises(zraw.InvalidHandle) as caught:
        socket.connect_peer("inproc://x")
    assert caught.value.errno == zraw.errno() == errno.EFAULT
    socket.setsockopt(zraw.ZMQ_IMMEDIATE, 0)
    assert socket.connect_peer("inproc://x") > 0
    socket.close()
    with pytest.raises(zraw.NotASocket):
        socket.connect_peer("inproc://x")


@drafts
def test_connect_peer__context_shut_down(ctx, sock):
    socket = sock(zraw.ZMQ_PEER)
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated) as caught:
        socket.connect_peer("inproc://x")
    assert caught.value.errno == zraw.ETERM


# ---- PEER


@drafts
def test_send__peer_by_every_call(peers):
    bound, connected, _, there = peers()
    connected.send(to(there, b"0"))
    to(there, b"1").send(connected)
    assert connected.try_send(to(there, b"2"))
    connected.send_multipart([to(there, b"3")])
    assert connected.send_many([to(there, b"4"), [to(there, b"5")]]) == 2
    assert [bound.recv(), bound.try_recv()] == [b"0", b"1"]
    assert bound.recv_multipart() == [b"2"]
    assert bound.try_recv_multipart() == [b"3"]
    assert bound.recv_many() == [b"4", b"5"]
    assert bound.try_recv() is None


@drafts
def test_send__peer_needs_a_routing_id(peers):
    bound, connected, _, there = peers()
    message = to(there ^ 0x77, b"kept")
    for call in (
        lambda: connected.send(b"x"),
        lambda: connected.send(bytes(100_000)),
        lambda: connected.send(message),
        lambda: message.send(connected),
        lambda: connected.send_many([b"x"]),
        lambda: connected.try_send(b"x"),
        lambda: connected.send_const(b"x"),
    ):
        with pytest.raises(zraw.HostUnreachable) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.EHOSTUNREACH
    assert message == b"kept"
    assert bound.try_recv() is None


@drafts
def test_send__peer_no_parts(peers):
    bound, connected, _, there = peers()
    for call in (
        lambda: connected.send(to(there), zraw.ZMQ_SNDMORE),
        lambda: to(there).send(connected, zraw.ZMQ_SNDMORE),
        lambda: connected.send_multipart([to(there), b"y"]),
        lambda: connected.send_many([[to(there), b"y"]]),
    ):
        with pytest.raises(zraw.InvalidArgument) as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    connected.send(to(there, b"after"))
    assert bound.recv() == b"after"


@drafts
@transports
def test_send__peer_that_is_gone(peers, transport):
    bound, connected, back, _ = peers(transport)
    connected.close()
    wait_until(lambda: gone(bound, back))


# ---- disconnect_peer


@pytest.mark.parametrize("kind", ["server", "peer"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_disconnect_peer__nobody_is_there_any_longer(
    sock, pair, peers, kind, transport
):
    if not HAS_DISCONNECT_PEER:
        socket = sock(zraw.ZMQ_PAIR)
        with pytest.raises(zraw.NotSupported, match="draft API") as caught:
            socket.disconnect_peer(5)
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP
        return
    if kind == "peer":
        socket, other, routing_id, _ = peers(transport)
    else:
        socket, other = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, transport)
        other.send(b"x")
        routing_id = socket.recv_msg().routing_id()
    with pytest.raises(zraw.HostUnreachable) as caught:
        socket.disconnect_peer(routing_id ^ 0x77)
    assert caught.value.errno == zraw.errno() == errno.EHOSTUNREACH
    assert socket.disconnect_peer(routing_id) is None
    # By inproc the other one has to agree, in a call of its own.
    wait_until(lambda: other.try_recv() is None and gone(socket, routing_id))
    with pytest.raises(zraw.HostUnreachable):
        socket.disconnect_peer(routing_id)


def test_disconnect_peer__what_is_no_id(sock):
    socket = sock(zraw.ZMQ_PEER if DRAFT else zraw.ZMQ_PAIR)
    for wrong, error in (
        (0, OverflowError),
        (2**32, OverflowError),
        (-1, OverflowError),
        ("5", TypeError),
        (1.0, TypeError),
        (None, TypeError),
    ):
        with pytest.raises(error, match=r"disconnect_peer\(\): routing_id: "):
            socket.disconnect_peer(wrong)


def test_disconnect_peer__other_types(sock):
    """With or without it: NotSupported."""
    for type in (zraw.ZMQ_PAIR, zraw.ZMQ_ROUTER, zraw.ZMQ_PUSH):
        with pytest.raises(zraw.NotSupported, match="disconnect_peer") as caught:
            sock(type).disconnect_peer(5)
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP


# ---- get_peer_state


@pytest.fixture
def router(sock):
    """A ROUTER, and a DEALER called "dealer"."""

    def make():
        router = sock(zraw.ZMQ_ROUTER, SNDHWM=2, ROUTER_MANDATORY=1)
        dealer = sock(zraw.ZMQ_DEALER, RCVHWM=2)
        dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"dealer")
        dealer.connect(router.bind("inproc://router"))
        dealer.send(b"x")
        assert router.recv_multipart() == [b"dealer", b"x"]
        return router, dealer

    return make


@drafts
def test_socket_get_peer_state__tells_who_takes_more(router):
    router, dealer = router()
    assert router.get_peer_state(b"dealer") == zraw.ZMQ_POLLOUT
    assert router.get_peer_state(bytearray(b"dealer")) == zraw.ZMQ_POLLOUT
    sent = 0
    while router.get_peer_state(b"dealer"):
        router.send_multipart([b"dealer", b"x"], zraw.ZMQ_DONTWAIT)
        sent += 1
        assert sent < 100
    with pytest.raises(zraw.Again):
        router.send_multipart([b"dealer", b"x"], zraw.ZMQ_DONTWAIT)
    assert router.get_peer_state(b"dealer") == 0
    for _ in range(sent):
        dealer.recv()
    router.try_recv()  # now it hears of the room there is
    assert router.get_peer_state(b"dealer") == zraw.ZMQ_POLLOUT


@drafts
@pytest.mark.parametrize("routing_id", [b"unknown", b"deale", b"dealer\0", b""])
def test_socket_get_peer_state__unknown(router, routing_id):
    router, _ = router()
    with pytest.raises(zraw.HostUnreachable) as caught:
        router.get_peer_state(routing_id)
    assert caught.value.errno == zraw.errno() == errno.EHOSTUNREACH


def test_socket_get_peer_state__other_types(sock):
    for type in (zraw.ZMQ_DEALER, zraw.ZMQ_PAIR, zraw.ZMQ_REQ):
        with pytest.raises(zraw.NotSupported) as caught:
            sock(type).get_peer_state(b"x")
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP


def test_socket_get_peer_state__what_is_no_id(sock):
    socket = sock(zraw.ZMQ_ROUTER)
    with pytest.raises(TypeError, match=r"get_peer_state\(\): routing_id: .* str"):
        socket.get_peer_state("dealer")
    if not DRAFT:
        return
    for wrong in (None, 5, ["x"]):
        with pytest.raises(TypeError):
            socket.get_peer_state(wrong)
    with pytest.raises(BufferError):
        socket.get_peer_state(memoryview(b"abcd")[::2])
    socket.close()
    with pytest.raises(zraw.NotASocket):
        socket.get_peer_state(b"x")
