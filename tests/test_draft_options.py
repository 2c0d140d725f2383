"""Options of libzmq's draft API, by what they do to messages and connections."""

from __future__ import annotations

import errno
import socket as plain
import time

import pytest

import zraw
from conftest import endpoint, wait_until
from drafts import option_since, to

ANY = (4, 3, 2)
# By number: the header that zraw was built with may not have them.
HICCUP_MSG = 114
XSUB_VERBOSE_UNSUBSCRIBE = 115
TOPICS_COUNT = 116
AFTER_DISCONNECT = 4 if zraw.version() >= (4, 3, 5) else 3
WIRES = ["ipc", "tcp"]


# ---- messages that libzmq sends by itself


@option_since(ANY)
@pytest.mark.parametrize("transport", ["inproc", *WIRES])
def test_setsockopt__hello_msg(sock, tmp_path, transport):
    """Everyone who connects is greeted first; an empty one stops that."""
    router = sock(zraw.ZMQ_ROUTER)
    router.setsockopt(zraw.ZMQ_HELLO_MSG, bytearray(b"hello"))
    where = router.bind(endpoint(transport, tmp_path))
    for _ in range(2):
        dealer = sock(zraw.ZMQ_DEALER)
        dealer.connect(where)
        assert dealer.recv() == b"hello"
        dealer.send(b"x")
        assert router.recv_multipart()[1] == b"x"
    router.setsockopt(zraw.ZMQ_HELLO_MSG, None)
    (silent := sock(zraw.ZMQ_ROUTER)).setsockopt(zraw.ZMQ_HELLO_MSG, b"hello")
    silent.setsockopt(zraw.ZMQ_HELLO_MSG, None)
    folder = tmp_path / "silent"
    folder.mkdir()
    dealer = sock(zraw.ZMQ_DEALER)
    dealer.connect(silent.bind(endpoint(transport, folder)))
    dealer.send(b"x")
    routing_id, _ = silent.recv_multipart()
    silent.send_multipart([routing_id, b"first"])
    assert dealer.recv() == b"first"


@option_since(ANY)
def test_setsockopt__hello_msg_of_the_one_that_connects(pair, sock):
    dealer, router = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_ROUTER)
    dealer.setsockopt(zraw.ZMQ_HELLO_MSG, b"hello")
    dealer.connect(router.bind("tcp://127.0.0.1:*"))
    assert router.recv_multipart()[1] == b"hello"


@option_since(ANY)
def test_setsockopt__messages_are_bytes(sock):
    router = sock(zraw.ZMQ_ROUTER)
    for option in (zraw.ZMQ_HELLO_MSG, zraw.ZMQ_DISCONNECT_MSG, HICCUP_MSG):
        for value in ("str", 5):
            with pytest.raises(TypeError, match="value: bytes"):
                router.setsockopt(option, value)
        with pytest.raises(zraw.InvalidArgument, match="it can only be set") as caught:
            router.getsockopt(option)
        assert caught.value.errno == errno.EINVAL
    router.setsockopt(zraw.ZMQ_HELLO_MSG, b"x")


@option_since(ANY)
@pytest.mark.parametrize("transport", WIRES)
def test_setsockopt__disconnect_msg_on_router(sock, tmp_path, transport):
    """Who bound receives it when a peer is gone."""
    router, dealer = sock(zraw.ZMQ_ROUTER), sock(zraw.ZMQ_DEALER)
    router.setsockopt(zraw.ZMQ_DISCONNECT_MSG, b"gone")
    dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"me")
    dealer.connect(router.bind(endpoint(transport, tmp_path)))
    dealer.send(b"x")
    assert router.recv_multipart() == [b"me", b"x"]
    assert router.try_recv() is None
    dealer.close()
    assert router.recv_multipart() == [b"me", b"gone"]


@option_since(ANY)
@pytest.mark.parametrize("transport", WIRES)
def test_setsockopt__disconnect_msg_on_server(sock, tmp_path, transport):
    if not zraw.has("draft"):
        sock(zraw.ZMQ_ROUTER).setsockopt(zraw.ZMQ_DISCONNECT_MSG, b"gone")
    server, client = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_CLIENT)
    server.setsockopt(zraw.ZMQ_DISCONNECT_MSG, b"gone")
    client.connect(server.bind(endpoint(transport, tmp_path)))
    client.send(b"x")
    routing_id = server.recv_msg().routing_id()
    client.close()
    message = server.recv_msg()
    assert (message, message.routing_id()) == (b"gone", routing_id)


@option_since((4, 3, 5))
@pytest.mark.parametrize("transport", WIRES)
def test_setsockopt__hiccup_msg(sock, tmp_path, transport):
    """Who connected receives it when the connection breaks."""
    router, dealer = sock(zraw.ZMQ_ROUTER), sock(zraw.ZMQ_DEALER)
    dealer.setsockopt(HICCUP_MSG, b"broken")
    dealer.connect(router.bind(endpoint(transport, tmp_path)))
    dealer.send(b"x")
    assert router.recv_multipart()[1] == b"x"
    assert dealer.try_recv() is None
    router.close()
    assert dealer.recv() == b"broken"


@option_since((4, 3, 5))
def test_setsockopt__hiccup_msg_on_client(sock):
    if not zraw.has("draft"):
        sock(zraw.ZMQ_DEALER).setsockopt(HICCUP_MSG, b"broken")
    server, client = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_CLIENT)
    client.setsockopt(HICCUP_MSG, b"broken")
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"x")
    server.send(to(server.recv_msg().routing_id(), b"y"))
    assert client.recv() == b"y"
    server.close()
    assert client.recv() == b"broken"


@option_since(ANY)
@pytest.mark.parametrize("transport", WIRES)
@pytest.mark.parametrize(
    "notify",
    [
        0,
        zraw.ZMQ_NOTIFY_CONNECT,
        zraw.ZMQ_NOTIFY_DISCONNECT,
        zraw.ZMQ_NOTIFY_CONNECT | zraw.ZMQ_NOTIFY_DISCONNECT,
    ],
)
def test_setsockopt__router_notify(sock, tmp_path, transport, notify):
    """An empty message says that a peer came, and another that it went."""
    router, dealer, other = (
        sock(type) for type in (zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, zraw.ZMQ_DEALER)
    )
    router.setsockopt(zraw.ZMQ_ROUTER_NOTIFY, notify)
    assert router.getsockopt(zraw.ZMQ_ROUTER_NOTIFY) == notify
    where = router.bind(endpoint(transport, tmp_path))
    dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"me")
    dealer.connect(where)
    dealer.send(b"x")
    if notify & zraw.ZMQ_NOTIFY_CONNECT:
        assert router.recv_multipart() == [b"me", b""]
    assert router.recv_multipart() == [b"me", b"x"]
    dealer.close()
    if notify & zraw.ZMQ_NOTIFY_DISCONNECT:
        assert router.recv_multipart() == [b"me", b""]
    other.setsockopt(zraw.ZMQ_ROUTING_ID, b"other")
    other.connect(where)
    other.send(b"y")
    if notify & zraw.ZMQ_NOTIFY_CONNECT:
        assert router.recv_multipart() == [b"other", b""]
    assert router.recv_multipart() == [b"other", b"y"]
    assert router.try_recv() is None


@option_since(ANY)
def test_setsockopt__router_notify_values(sock):
    router = sock(zraw.ZMQ_ROUTER)
    router.setsockopt(zraw.ZMQ_ROUTER_NOTIFY, 3)
    for value in (4, -1):
        with pytest.raises(zraw.InvalidArgument):
            router.setsockopt(zraw.ZMQ_ROUTER_NOTIFY, value)
    for type in (zraw.ZMQ_DEALER, zraw.ZMQ_REP):
        with pytest.raises(zraw.InvalidArgument):
            sock(type).setsockopt(zraw.ZMQ_ROUTER_NOTIFY, 3)
    assert router.getsockopt(zraw.ZMQ_ROUTER_NOTIFY) == 3


# ---- reconnecting


def events_of(reader, until):
    """The names of events, up to one."""
    names = []
    while not names or names[-1] != until:
        names.append(zraw.recv_event(reader).name.removeprefix("ZMQ_EVENT_"))
    return names


@pytest.mark.parametrize("stop", [0, 1])
def test_setsockopt__reconnect_stop_conn_refused(sock, stop):
    """It is a name of the draft API, but an option of every libzmq."""
    push = sock(zraw.ZMQ_PUSH, RECONNECT_IVL=10)
    assert zraw.ZMQ_RECONNECT_STOP_CONN_REFUSED == 1
    push.setsockopt(zraw.ZMQ_RECONNECT_STOP, stop)
    assert push.getsockopt(zraw.ZMQ_RECONNECT_STOP) == stop
    with push.monitor() as reader, plain.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        push.connect(f"tcp://127.0.0.1:{nobody.getsockname()[1]}")
        names = events_of(reader, "CLOSED")
        assert "CONNECT_DELAYED" in names
        if stop:
            assert not reader.poll(60)
        else:
            names = events_of(reader, "CLOSED")
            assert "CONNECT_RETRIED" in names


@pytest.mark.parametrize("stop", [0, 2])
def test_setsockopt__reconnect_stop_handshake_failed(sock, stop):
    assert zraw.ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED == 2
    push = sock(zraw.ZMQ_PUSH, RECONNECT_IVL=10, HANDSHAKE_IVL=50)
    push.setsockopt(zraw.ZMQ_RECONNECT_STOP, stop)
    with push.monitor() as reader, plain.create_server(("127.0.0.1", 0)) as mute:
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        push.connect(f"tcp://127.0.0.1:{mute.getsockname()[1]}")
        events_of(reader, "HANDSHAKE_FAILED_NO_DETAIL")
        if stop:
            assert "CONNECT_RETRIED" not in events_until_silence(reader)
        else:
            events_of(reader, "CONNECT_RETRIED")
            events_of(reader, "HANDSHAKE_FAILED_NO_DETAIL")


def events_until_silence(reader):
    names, deadline = [], time.monotonic() + 5
    while reader.poll(100):
        assert time.monotonic() < deadline, "it goes on and on"
        names.append(zraw.recv_event(reader).name.removeprefix("ZMQ_EVENT_"))
    return names


def test_setsockopt__reconnect_stop_after_disconnect(sock, tmp_path):
    """Otherwise libzmq goes on trying to connect to where nobody listens."""
    sub = sock(zraw.ZMQ_SUB, RECONNECT_IVL=10)
    sub.setsockopt(zraw.ZMQ_RECONNECT_STOP, AFTER_DISCONNECT)
    with sub.monitor() as reader, plain.socket(plain.AF_UNIX) as deaf:
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        deaf.bind(f"{tmp_path}/s")
        sub.connect(f"ipc://{tmp_path}/s")
        events_of(reader, "CLOSED")  # 4.3.4 may stop there already
        sub.disconnect(f"ipc://{tmp_path}/s")
        events_until_silence(reader)


# ---- subscriptions


@option_since((4, 3, 5))
def test_setsockopt__xsub_verbose_unsubscribe(sock):
    """Every unsubscription goes upstream, not only the last of a topic."""
    xpub, verbose, terse = (
        sock(type) for type in (zraw.ZMQ_XPUB, zraw.ZMQ_XSUB, zraw.ZMQ_XSUB)
    )
    verbose.setsockopt(XSUB_VERBOSE_UNSUBSCRIBE, 1)
    xpub.setsockopt(zraw.ZMQ_XPUB_VERBOSER, 1)
    where = xpub.bind("inproc://xpub")
    for xsub, expected in ((verbose, 2), (terse, 1)):
        xsub.connect(where)
        for frame in (b"\1topic", b"\1topic", b"\0topic", b"\0topic"):
            xsub.send(frame)
        xsub.send(b"\1end")
        got = []
        while b"\1end" not in got:
            got.append(xpub.recv())
        assert got.count(b"\0topic") == expected


@pytest.mark.parametrize("type", ["ZMQ_SUB", "ZMQ_XSUB", "ZMQ_XPUB", "ZMQ_PUB"])
def test_getsockopt__topics_count(sock, type):
    socket = sock(getattr(zraw, type))
    if zraw.version() < (4, 3, 5):
        with pytest.raises(zraw.InvalidArgument) as caught:
            socket.getsockopt(TOPICS_COUNT)
        assert caught.value.errno == errno.EINVAL
        return
    sub = socket if type.endswith("SUB") else sock(zraw.ZMQ_SUB)
    if sub is not socket:
        sub.connect(socket.bind("tcp://127.0.0.1:*"))

    def subscribe(topic, yes=True):
        if sub.type == zraw.ZMQ_XSUB:
            sub.send(bytes([yes]) + topic)
        else:
            sub.setsockopt(zraw.ZMQ_SUBSCRIBE if yes else zraw.ZMQ_UNSUBSCRIBE, topic)

    def count():
        socket.getsockopt(zraw.ZMQ_EVENTS)  # a PUB hears of it then
        return socket.getsockopt(TOPICS_COUNT)

    assert count() == 0
    for topic in (b"a", b"b", b"abc", b"b"):
        subscribe(topic)
    # One counts what it asked for, the other what it has to tell apart.
    wait_until(lambda: count() == (4 if sub is socket else 3))
    subscribe(b"b", False)
    subscribe(b"a", False)
    wait_until(lambda: count() == 2)
    subscribe(b"b", False)
    subscribe(b"abc", False)
    wait_until(lambda: count() == 0)


# ---- numbers


@option_since(ANY)
@pytest.mark.parametrize("name", ["IN_BATCH_SIZE", "OUT_BATCH_SIZE"])
def test_setsockopt__batch_sizes(pair, sock, name):
    option = getattr(zraw, f"ZMQ_{name}")
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    for socket in (push, pull):
        socket.setsockopt(option, 5)
        assert socket.getsockopt(option) == 5
        with pytest.raises(zraw.InvalidArgument):
            socket.setsockopt(option, 0)
    push.connect(pull.bind("tcp://127.0.0.1:*"))
    push.send_many([b"x" * 100] * 10)
    for _ in range(10):
        assert pull.recv() == b"x" * 100


@option_since(ANY)
def test_setsockopt__priority(sock):
    socket = sock(zraw.ZMQ_PUSH)
    socket.setsockopt(zraw.ZMQ_PRIORITY, 2)
    assert socket.getsockopt(zraw.ZMQ_PRIORITY) == 2
    with pytest.raises(zraw.InvalidArgument):
        socket.setsockopt(zraw.ZMQ_PRIORITY, -1)


def test_socket__numbers_that_are_no_type(sock):
    for number in (21, 22, 100, -1, 2**31 - 1):
        with pytest.raises((zraw.InvalidArgument, ValueError)):
            sock(number)
