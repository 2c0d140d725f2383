"""Messages as libzmq's own tests know them: memory, flags, parts, metadata."""

from __future__ import annotations

import errno
import threading

import pytest

import zraw
from conftest import wait_until
from peers import accept, refuse, zap_handler

TRANSPORTS = ["inproc", "ipc", "tcp"]
WIRES = ["ipc", "tcp"]
METADATA = b"\x05Hello\0\0\0\x05World"


def refused(call, *args):
    with pytest.raises(zraw.InvalidArgument) as caught:
        call(*args)
    assert caught.value.errno == errno.EINVAL == zraw.errno()


# -------------------------------------------------- memory that is given back once


@pytest.fixture
def lent():
    """A message of memory that is not libzmq's, and how often it came back."""

    class Lent:
        def __init__(self):
            self.freed = 0
            self.data = b"data" + bytes(251)
            self.message = zraw.Message.init_data(self.data, self.free)

        def free(self):
            self.freed += 1

        def is_free(self):
            wait_until(lambda: self.freed)
            assert self.freed == 1
            return True

    return Lent()


def test_msg_init_data__closing_gives_the_memory_back(lent):
    assert lent.freed == 0
    lent.message.close()
    assert lent.is_free()


@pytest.mark.parametrize("last", ["original", "copy"])
def test_msg_init_data__closing_a_copy_too_gives_it_back(lent, last):
    copy = zraw.Message()
    copy.copy(lent.message)
    messages = [lent.message, copy]
    if last == "original":
        messages.reverse()
    messages[0].close()
    assert messages[1] == lent.data
    # on_free runs on a thread of its own: one that is due later comes later.
    done = threading.Event()
    zraw.Message.init_data(b"fence", done.set).close()
    assert done.wait(10)
    assert lent.freed == 0
    messages[1].close()
    assert lent.is_free()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_msg_init_data__sending_gives_it_back(pair, lent, transport):
    router, dealer = pair(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, transport)
    assert lent.message.send(dealer) == 255
    assert router.recv_multipart()[1] == lent.data
    assert lent.is_free()
    lent.message.close()
    assert lent.is_free()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sent", ["original", "copy"])
def test_msg_init_data__sending_one_of_two_gives_it_back(pair, lent, transport, sent):
    router, dealer = pair(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, transport)
    copy = zraw.Message()
    copy.copy(lent.message)
    first, second = lent.message, copy
    if sent == "copy":
        first, second = second, first
    assert first.send(dealer) == 255
    assert router.recv_multipart()[1] == lent.data
    assert second == lent.data
    assert lent.freed == 0
    first.close()
    second.close()
    assert lent.is_free()


# ------------------------------------------------------------------------ flags


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_msg_more__is_set_on_all_frames_but_the_last(pair, transport):
    router, dealer = pair(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, transport)
    dealer.send(b"A", zraw.ZMQ_SNDMORE)
    dealer.send(b"B")
    message = zraw.Message()
    seen = []
    for _ in range(3):  # the routing id is the first
        size = message.recv(router)
        more = message.get(zraw.ZMQ_MORE)
        assert more == message.more() == router.getsockopt(zraw.ZMQ_RCVMORE)
        seen.append((size, more))
    assert seen == [(5, 1), (1, 1), (1, 0)]


def test_msg_get__shared_is_set_by_a_copy_only():
    message, copy = zraw.Message.init_size(1024), zraw.Message()
    assert message.get(zraw.ZMQ_SHARED) == 0
    copy.copy(message)
    assert (message.get(zraw.ZMQ_SHARED), copy.get(zraw.ZMQ_SHARED)) == (1, 1)
    small = zraw.Message(b"in the struct")
    copy.copy(small)
    assert (small.get(zraw.ZMQ_SHARED), copy.get(zraw.ZMQ_SHARED)) == (0, 0)


def test_msg_get__shared_is_set_for_a_constant_body(pair):
    """zmq_send_const() makes one; over inproc it arrives as it is."""
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send_const(b"constant " * 5)
    message = pull.recv_msg()
    assert message.get(zraw.ZMQ_SHARED) == 1
    assert message == b"constant " * 5


# ------------------------------------------------------------------------ parts


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("size", [10, 100])
def test_sendiov__is_send_multipart_and_recv_multipart(pair, transport, size):
    """Bodies below and above what fits into zmq_msg_t."""
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    memory = bytearray(b"1" * size * 10)
    parts = [memoryview(memory)[i * size : (i + 1) * size] for i in range(10)]
    push.send_multipart(parts)
    memory[:] = b"2" * len(memory)  # it was copied
    assert pull.recv_multipart() == [b"1" * size] * 10


# --------------------------------------------------------------------- metadata


def by_domain(request):
    """The handler of these tests: one domain, and a word for the message."""
    assert (request[0], request[5]) == (b"1.0", b"NULL")
    return accept(request, METADATA) if request[2] == b"DOMAIN" else refuse(request)


@pytest.mark.parametrize("transport", WIRES)
def test_msg_gets__has_what_the_zap_handler_said(ctx, pair, transport):
    with zap_handler(ctx, by_domain) as handler:
        server, client = pair(
            zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, transport, ZAP_DOMAIN="DOMAIN"
        )
        client.send(b"This is a message")
        message = server.recv_msg()
        assert message.gets("Hello") == "World"
        assert message.gets("User-Id") == "anonymous"
        assert message.gets("Socket-Type") == "DEALER"
    asked = handler.requests[0]
    assert message.gets("Peer-Address") == asked[3].decode()
    if transport == "tcp":
        assert asked[3] == b"127.0.0.1"
    refused(message.gets, "No Such")
    refused(message.gets, "hello")
    # Metadata stays with the message when its socket has gone.
    server.close()
    assert message.gets("Hello") == "World"


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        ("ROUTING_ID", "Routing-Id"),
        ("SOCKET_TYPE", "Socket-Type"),
        ("USER_ID", "User-Id"),
        ("PEER_ADDRESS", "Peer-Address"),
    ],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_msg_gets__properties_with_a_constant(ctx, pair, transport, constant, name):
    assert getattr(zraw, f"ZMQ_MSG_PROPERTY_{constant}") == name
    with zap_handler(ctx) as handler:
        router, req = pair(
            zraw.ZMQ_ROUTER,
            zraw.ZMQ_REQ,
            transport,
            ROUTING_ID=b"me",
            ZAP_DOMAIN="DOMAIN",
        )
        req.send(b"x")
        message = router.recv_multipart(copy=False)[-1]
    if transport == "inproc":  # no handshake, and nobody is asked
        assert handler.requests == []
        refused(message.gets, name)
        return
    wanted = {
        "ROUTING_ID": "me",
        "SOCKET_TYPE": "REQ",
        "USER_ID": "anonymous",
        "PEER_ADDRESS": handler.requests[0][3].decode(),
    }
    # The routing id is kept under its old name, whatever the constant says.
    name = "Identity" if constant == "ROUTING_ID" else name
    assert message.gets(name) == wanted[constant]


@pytest.mark.parametrize("transport", WIRES)
@pytest.mark.parametrize("polled", [False, True])
def test_msg_gets__is_there_on_every_frame_that_router_delivers(
    ctx, pair, transport, polled
):
    """A poll makes ROUTER fetch the first frame in advance."""
    with zap_handler(ctx, by_domain):
        server, client = pair(
            zraw.ZMQ_ROUTER, zraw.ZMQ_REQ, transport, ZAP_DOMAIN="DOMAIN"
        )
        client.send(b"This is a message")
        if polled:
            assert server.poll(5000) == zraw.ZMQ_POLLIN
        frames = server.recv_multipart(copy=False)
    assert frames[1:] == [b"", b"This is a message"]
    if zraw.version() >= (4, 3, 5):
        assert [frame.gets("Hello") for frame in frames] == ["World"] * 3
    else:  # the id in front has none there once it was fetched by a poll
        assert [frame.gets("Hello") for frame in frames[1:]] == ["World"] * 2
        if polled:
            refused(frames[0].gets, "Hello")


def set_metadata(socket, *texts):
    for text in texts:
        socket.setsockopt(zraw.ZMQ_METADATA, text)


@pytest.mark.parametrize("transport", WIRES)
def test_metadata__reaches_the_peer_both_ways(sock, transport, tmp_path):
    rep, req = sock(zraw.ZMQ_REP), sock(zraw.ZMQ_REQ)
    set_metadata(rep, "X-hello:world", "X-connection:backup")
    set_metadata(req, "X-hello:hello", "X-connection:primary", "X-bin:009c6")
    where = {"tcp": "tcp://127.0.0.1:*", "ipc": f"ipc://{tmp_path}/s"}[transport]
    req.connect(rep.bind(where))
    req.send(b"\1")
    message = rep.recv_msg()
    assert message.gets("X-hello") == "hello"
    assert message.gets("X-connection") == "primary"
    assert message.gets("X-bin") == "009c6"
    for unknown in ("X-foobar", "foobar", "X-"):
        refused(message.gets, unknown)
    assert message.send(rep) == 1
    answer = req.recv_msg()
    assert answer.gets("X-hello") == "world"
    assert answer.gets("X-connection") == "backup"
    refused(answer.gets, "X-bin")


def test_metadata__first_value_of_a_key_counts(pair, sock):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    set_metadata(push, "X-key:first", "X-key:second")
    pull.connect(push.bind("tcp://127.0.0.1:*"))
    push.send(b"x")
    assert pull.recv_msg().gets("X-key") == "first"


def test_metadata__does_not_reach_an_inproc_peer(sock):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    set_metadata(push, "X-key:value")
    pull.connect(push.bind("inproc://x"))
    push.send(b"x")
    refused(pull.recv_msg().gets, "X-key")


@pytest.mark.parametrize(
    "text", [":", "key:", ":value", "keyvalue", "", "X-" + "TooLong" * 40 + ":value"]
)
def test_metadata__refuses_what_is_no_pair(sock, text):
    refused(sock(zraw.ZMQ_REP).setsockopt, zraw.ZMQ_METADATA, text)
