"""Endpoints as libzmq's own tests know them: names, wildcards, their end, inproc."""

from __future__ import annotations

import errno
import socket as sockets
import threading
from pathlib import Path

import pytest

import zraw
from conftest import endpoint, wait_until

TRANSPORTS = ["tcp", "ipc", "inproc"]
BODY = b"12345678ABCDEFGH12345678abcdefgh"


def has_ipv6():
    try:
        with sockets.socket(sockets.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6 = has_ipv6()
needs_ipv6 = pytest.mark.skipif(not IPV6, reason="no IPv6 here")


def bounce(server, client):
    """A message of two frames, there and back."""
    for first, second in ((client, server), (server, client)):
        first.send_multipart([BODY, BODY])
        assert second.recv_multipart() == [BODY, BODY]


def bind_again(socket, where):
    """Bind what was just given up: libzmq closes it in the background."""

    def bound():
        try:
            return socket.bind(where) == where
        except zraw.AddressInUse:
            return False

    wait_until(bound)


def unused(socket, transport, folder):
    """An endpoint that nobody is bound to."""
    where = socket.bind(endpoint(transport, folder))
    socket.unbind(where)
    return where


def not_found(call, where):
    with pytest.raises(zraw.NotFound) as caught:
        call(where)
    assert caught.value.errno == errno.ENOENT == zraw.errno()


# ------------------------------------------------------------- names and their end


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_last_endpoint__is_that_of_each_bind(sock, transport, tmp_path):
    router = sock(zraw.ZMQ_ROUTER)
    assert router.getsockopt(zraw.ZMQ_LAST_ENDPOINT) == ""
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        found.append(router.bind(endpoint(transport, tmp_path / name)))
        assert router.getsockopt(zraw.ZMQ_LAST_ENDPOINT) == found[-1]
    assert found[0] != found[1]
    # Given in full, it is what was asked for.
    router.unbind(found[0])
    bind_again(router, found[0])
    assert router.getsockopt(zraw.ZMQ_LAST_ENDPOINT) == found[0]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_unbind__ends_the_connections(pair, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    push.send(b"ABC")
    assert pull.recv() == b"ABC"
    push.unbind(push.getsockopt(zraw.ZMQ_LAST_ENDPOINT))
    wait_until(lambda: not push.poll(0, zraw.ZMQ_POLLOUT))
    with pytest.raises(zraw.Again) as caught:
        push.send(b"ABC", zraw.ZMQ_DONTWAIT)
    assert caught.value.errno == errno.EAGAIN
    assert pull.try_recv() is None


def test_unbind__of_inproc_frees_the_name_and_keeps_the_connections(sock):
    first, second = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    old, new = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    first.bind("inproc://x")
    old.connect("inproc://x")
    with pytest.raises(zraw.AddressInUse) as caught:
        second.bind("inproc://x")
    assert caught.value.errno == errno.EADDRINUSE
    first.unbind("inproc://x")
    second.bind("inproc://x")
    new.connect("inproc://x")
    bounce(second, new)
    bounce(first, old)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_disconnect__ends_the_connection(pair, transport):
    pull, push = pair(zraw.ZMQ_PULL, zraw.ZMQ_PUSH, transport)
    where = pull.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    push.send(b"ABC")
    assert pull.recv() == b"ABC"
    push.disconnect(where)
    wait_until(lambda: not push.poll(0, zraw.ZMQ_POLLOUT))
    with pytest.raises(zraw.Again):
        push.send(b"ABC", zraw.ZMQ_DONTWAIT)
    not_found(push.disconnect, where)
    push.connect(where)
    push.send(b"again")
    assert pull.recv() == b"again"


@pytest.mark.parametrize("wildcard", ["tcp://127.0.0.1:*", "tcp://*:*", "ipc://*"])
def test_unbind__wildcards_need_the_name_that_bind_returned(sock, wildcard):
    push = sock(zraw.ZMQ_PUSH)
    where = push.bind(wildcard)
    assert "*" not in where
    not_found(push.unbind, wildcard)
    push.unbind(where)
    not_found(push.unbind, where)
    if where.startswith("ipc"):  # the file goes, and the folder that libzmq made
        wait_until(lambda: not Path(where.removeprefix("ipc://")).parent.exists())
    else:
        bind_again(sock(zraw.ZMQ_PULL), where)


@pytest.mark.parametrize(
    ("wildcard", "ipv6", "start"),
    [
        ("tcp://*:*", 0, "tcp://0.0.0.0:"),
        pytest.param("tcp://*:*", 1, "tcp://[::]:", marks=needs_ipv6),
        ("tcp://127.0.0.1:*", 0, "tcp://127.0.0.1:"),
        pytest.param(
            "tcp://127.0.0.1:*", 1, "tcp://[::ffff:127.0.0.1]:", marks=needs_ipv6
        ),
        pytest.param("tcp://[::1]:*", 1, "tcp://[::1]:", marks=needs_ipv6),
        ("tcp://lo:*", 0, "tcp://127.0.0.1:"),
    ],
)
def test_bind__wildcards_can_be_connected_to(sock, wildcard, ipv6, start):
    server, client = sock(zraw.ZMQ_REP, IPV6=ipv6), sock(zraw.ZMQ_REQ, IPV6=ipv6)
    where = server.bind(wildcard)
    assert where.startswith(start)
    assert where.removeprefix(start).isdigit()
    client.connect(where)
    bounce(server, client)
    client.disconnect(where)
    server.unbind(where)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_disconnect__takes_the_subscription_along(sock, transport, tmp_path):
    pub, sub = sock(zraw.ZMQ_XPUB), sock(zraw.ZMQ_SUB, SUBSCRIBE=b"foo")
    where = pub.bind(endpoint(transport, tmp_path))
    for _ in range(2):
        pub.send_multipart([b"foo", b"nobody is there"])
        sub.connect(where)
        assert pub.recv() == b"\1foo"
        for body in (b"1", b"2", b"3"):
            pub.send_multipart([b"foo", body])
            assert sub.recv_multipart() == [b"foo", body]
        sub.disconnect(where)
        # The end of a pipe takes both of its ends to look after it.
        wait_until(lambda: sub.poll(0) or pub.poll(10))
        assert pub.recv() == b"\0foo"
        pub.send_multipart([b"foo", b"gone"])
    assert pub.try_recv() is None
    assert sub.try_recv() is None


# -------------------------------------------------------------------------- ipc


def test_bind__ipc_wildcard_is_a_file_that_goes_away(sock, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    where = server.bind("ipc://*")
    path = Path(where.removeprefix("ipc://"))
    assert path.is_socket() and path.is_relative_to(tmp_path)
    client.connect(where)
    bounce(server, client)
    server.close()
    wait_until(lambda: not path.exists())


def test_bind__ipc_path_of_a_closed_socket(sock, tmp_path):
    """The peer finds its way to the new one."""
    where = f"ipc://{tmp_path}/s"
    first, second = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PUSH)
    pull = sock(zraw.ZMQ_PULL, RECONNECT_IVL=10)
    first.bind(where)
    pull.connect(where)
    first.send(b"42")
    assert pull.recv() == b"42"
    first.close()
    second.bind(where)  # over the file that the first one left
    second.send(b"43")
    assert pull.recv() == b"43"


def test_bind__ipc_path_left_behind_by_a_dead_program(sock, tmp_path):
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    server, client = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    client.connect(server.bind(f"ipc://{tmp_path}/s"))
    bounce(server, client)


def test_bind__ipc_abstract_name_is_no_file(sock, tmp_path):
    where = f"ipc://@{tmp_path.name}{id(sock)}"
    server, client, late = (sock(zraw.ZMQ_DEALER) for _ in range(3))
    assert server.bind(where) == where == server.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    client.connect(where)
    bounce(server, client)
    with pytest.raises(zraw.AddressInUse):
        late.bind(where)
    with pytest.raises(zraw.InvalidArgument) as caught:
        late.bind("ipc://@")
    assert caught.value.errno == errno.EINVAL


# ----------------------------------------------------------- connect before bind


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_bind__after_connect_delivers_what_was_queued(sock, transport, tmp_path):
    server = sock(zraw.ZMQ_DEALER)
    client = sock(zraw.ZMQ_DEALER, RECONNECT_IVL=10)
    where = unused(server, transport, tmp_path)
    client.connect(where)
    for body in (b"foobar", b"baz", b"buzz"):
        client.send(body)
    bind_again(server, where)
    assert [server.recv() for _ in range(3)] == [b"foobar", b"baz", b"buzz"]
    bounce(server, client)


def test_connect__inproc_pub_before_sub_drops_until_there_is_one(sock):
    pub = sock(zraw.ZMQ_PUB)
    pub.connect("inproc://x")
    pub.send(b"before")
    sub = sock(zraw.ZMQ_SUB, SUBSCRIBE=b"")
    sub.bind("inproc://x")

    def arrives():
        pub.send(b"after")
        return sub.poll(10)

    wait_until(arrives)
    assert sub.recv() == b"after"


def test_connect__inproc_pending_ones_do_not_keep_the_context(ctx):
    for number in range(20):
        with ctx.socket(zraw.ZMQ_ROUTER) as router:
            router.connect(f"inproc://{number}")
    with ctx.socket(zraw.ZMQ_PUSH) as push:
        push.connect("inproc://only")
        push.send(b"nobody will read it")
    ctx.term()
    assert ctx.closed


def test_connect__inproc_many_before_bind(sock):
    pushes = [sock(zraw.ZMQ_PUSH) for _ in range(10)]
    for number, push in enumerate(pushes):
        push.connect("inproc://x")
        push.send(b"%d" % number)
    pull = sock(zraw.ZMQ_PULL)
    pull.bind("inproc://x")
    assert sorted(pull.recv() for _ in pushes) == [b"%d" % i for i in range(10)]


def run_all(*works):
    """Run each in a thread of its own, as much at once as possible."""
    ready = threading.Barrier(len(works))
    failed = []

    def run(work):
        try:
            ready.wait(10)
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert failed == []


def test_connect__inproc_from_many_threads(ctx, sock):
    def work():
        with ctx.socket(zraw.ZMQ_PUSH) as push:
            push.connect("inproc://sink")
            push.send(b"foobar")

    def collect():
        pull.bind("inproc://sink")
        got.extend(pull.recv() for _ in range(30))

    pull, got = sock(zraw.ZMQ_PULL), []
    run_all(*[work] * 15, collect, *[work] * 15)
    assert got == [b"foobar"] * 30


def test_connect__inproc_at_the_same_time_as_bind(ctx):
    def connector(where):
        with ctx.socket(zraw.ZMQ_PAIR) as pair:
            pair.setsockopt(zraw.ZMQ_RCVTIMEO, 10_000)
            pair.connect(where)
            assert pair.recv() == b"foobar"

    def binder(where):
        with ctx.socket(zraw.ZMQ_PAIR) as pair:
            pair.setsockopt(zraw.ZMQ_SNDTIMEO, 10_000)
            pair.bind(where)
            pair.send(b"foobar")

    works = []
    for number in range(50):
        for work in (connector, binder):
            works.append(lambda work=work, at=f"inproc://{number}": work(at))
    run_all(*works)


def test_connect__inproc_before_bind_gives_the_routing_id(sock):
    dealer, router = sock(zraw.ZMQ_DEALER, ROUTING_ID=b"me"), sock(zraw.ZMQ_ROUTER)
    nameless = sock(zraw.ZMQ_DEALER)
    for socket in (dealer, nameless):
        socket.connect("inproc://x")
    router.bind("inproc://x")
    dealer.send_multipart([b"A", b"B"])
    assert router.recv_multipart() == [b"me", b"A", b"B"]
    nameless.send_multipart([b"A", b"B"])
    given, *rest = router.recv_multipart()
    assert (given[0], len(given), rest) == (0, 5, [b"A", b"B"])
    router.send_multipart([b"me", b"back"])
    assert dealer.recv() == b"back"


def test_ctx_shutdown__while_an_inproc_connection_is_pending():
    context = zraw.Context()
    pair = context.socket(zraw.ZMQ_PAIR)
    pair.connect("inproc://nobody")
    context.shutdown()
    with pytest.raises(zraw.ContextTerminated) as caught:
        pair.send(b"x")
    assert caught.value.errno == zraw.ETERM
    pair.close()
    context.term()
    assert context.closed


# ---------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("tcp://localhost:invalid", ValueError),
        ("tcp://in val id:1234", zraw.InvalidArgument),
        ("tcp://", zraw.InvalidArgument),
        ("tcp://127.0.0.1", zraw.InvalidArgument),
        ("tcp://192.168.0.200:*", zraw.InvalidArgument),
        ("invalid://localhost:1234", zraw.ProtocolNotSupported),
    ],
)
def test_connect__addresses_that_cannot_be(sock, where, error):
    pub = sock(zraw.ZMQ_PUB)
    with pytest.raises(error) as caught:
        pub.connect(where)
    if issubclass(error, zraw.ZMQError):
        assert caught.value.errno == zraw.errno()
    assert pub.getsockopt(zraw.ZMQ_LAST_ENDPOINT) == ""


@pytest.mark.parametrize(
    ("host", "ipv6"),
    [("localhost", 0), pytest.param("[::1]", 1, marks=needs_ipv6)],
)
def test_connect__hosts_that_can(sock, host, ipv6):
    name = "127.0.0.1" if host == "localhost" else host
    pull, push = sock(zraw.ZMQ_PULL, IPV6=ipv6), sock(zraw.ZMQ_PUSH, IPV6=ipv6)
    port = pull.bind(f"tcp://{name}:*").rpartition(":")[2]
    push.connect(f"tcp://{host}:{port}")
    push.send(b"x")
    assert pull.recv() == b"x"


@pytest.mark.parametrize(
    ("source", "seen"),
    [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.2:0", "127.0.0.2"), ("lo:0", "127.0.0.1")],
)
def test_connect__source_address_in_front(sock, source, seen):
    pull, push = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH)
    where = pull.bind("tcp://127.0.0.1:*").removeprefix("tcp://")
    push.connect(f"tcp://{source};{where}")
    push.send(b"x")
    assert pull.recv_msg().gets("Peer-Address") == seen


def test_bind__wss_without_keys_is_refused(sock):
    """libzmq itself would abort the process."""
    socket = sock(zraw.ZMQ_PAIR)
    error = zraw.InvalidArgument if zraw.has("WSS") else zraw.ProtocolNotSupported
    with pytest.raises(error, match="wss://"):
        socket.bind("wss://127.0.0.1:*")
    if zraw.has("WSS"):
        socket.setsockopt(zraw.ZMQ_WSS_KEY_PEM, "one alone")
        with pytest.raises(zraw.InvalidArgument, match="ZMQ_WSS_CERT_PEM"):
            socket.bind("wss://127.0.0.1:*")
    assert socket.bind("tcp://127.0.0.1:*").startswith("tcp://")


def test_bind__malformed_tipc_address_is_invalid(sock):
    """libzmq leaves whatever errno there was."""
    with pytest.raises(zraw.ZMQError) as caught:
        sock(zraw.ZMQ_PAIR).bind("tipc://x")
    assert not isinstance(caught.value, zraw.Again)
