"""Datagrams: ZMQ_DGRAM, and ZMQ_RADIO and ZMQ_DISH over udp."""

from __future__ import annotations

import contextlib
import errno
import socket as plain
import time

import pytest

import zraw
from drafts import drafts, of


def udp():
    """An endpoint that is free, or was a moment ago."""
    with plain.socket(plain.AF_INET, plain.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"udp://127.0.0.1:{probe.getsockname()[1]}"


def address(endpoint):
    """The same, as ZMQ_DGRAM writes it in the first frame."""
    return endpoint.removeprefix("udp://").encode()


def pair_of(endpoint):
    host, port = endpoint.removeprefix("udp://").split(":")
    return host, int(port)


@pytest.fixture
def other():
    """A plain UDP socket, and its address."""
    with plain.socket(plain.AF_INET, plain.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made, "{}:{}".format(*made.getsockname()).encode()


def until_there(send, socket):
    """libzmq binds in the background, and datagrams get lost."""
    deadline = time.monotonic() + 10
    while not socket.poll(5):
        assert time.monotonic() < deadline
        send()
    socket.recv_multipart()
    while socket.poll(50):
        socket.recv_multipart()


@pytest.fixture
def dgram(sock, other):
    """A bound ZMQ_DGRAM that is known to listen, and its endpoint."""

    def make(**options):
        socket, endpoint = sock(zraw.ZMQ_DGRAM, **options), udp()
        socket.bind(endpoint)
        until_there(lambda: other[0].sendto(b"", pair_of(endpoint)), socket)
        return socket, endpoint

    return make


# ---- DGRAM


@drafts
def test_bind__dgram_returns_the_endpoint(sock):
    socket, endpoint = sock(zraw.ZMQ_DGRAM), udp()
    assert socket.bind(endpoint) == endpoint


@drafts
def test_recv__dgram_gives_address_and_body(dgram, other):
    socket, endpoint = dgram()
    for body in (b"", b"x", b"x" * 33, bytes(1000)):
        other[0].sendto(body, pair_of(endpoint))
        sender, received = socket.recv_multipart()
        assert received == body
        assert sender.rstrip(b"\0") == other[1]  # libzmq counts the NUL
        # It is the address of an answer as it is.
        socket.send_multipart([sender, b"answer"])
        assert other[0].recvfrom(2000) == (b"answer", pair_of(endpoint))


@drafts
def test_send__dgram_to_dgram(dgram):
    (first, at_first), (second, at_second) = dgram(), dgram()
    first.send_multipart([address(at_second), b"question"])
    sender, body = second.recv_multipart()
    assert (sender.rstrip(b"\0"), body) == (address(at_first), b"question")
    second.send_multipart([sender, b"answer"])
    sender, body = first.recv_multipart()
    assert (sender.rstrip(b"\0"), body) == (address(at_second), b"answer")


@drafts
def test_send__dgram_by_every_call(dgram, other):
    socket, endpoint = dgram()
    there = other[1]
    socket.send(there, zraw.ZMQ_SNDMORE)
    socket.send(b"1")
    zraw.Message(there).send(socket, zraw.ZMQ_SNDMORE)
    zraw.Message(b"2").send(socket)
    socket.send_const(there, zraw.ZMQ_SNDMORE)
    assert socket.try_send(b"3")
    socket.send_multipart([bytearray(there), zraw.Message(b"4")])
    assert socket.send_many([[there, b"5"], (there, bytes(1000))]) == 2
    got = [other[0].recv(2000) for _ in range(6)]
    assert got == [b"1", b"2", b"3", b"4", b"5", bytes(1000)]
    # And in.
    for number in range(5):
        other[0].sendto(b"%d" % number, pair_of(endpoint))
    assert socket.recv().rstrip(b"\0") == there
    assert socket.getsockopt(zraw.ZMQ_RCVMORE) == 1
    assert socket.recv() == b"0"
    message = zraw.Message()
    assert message.recv(socket) > 8
    assert message.more()
    assert socket.recv_msg(message) == b"1"
    assert not message.more()
    assert socket.recv_multipart()[1] == b"2"
    (_, body), *_ = socket.recv_many(1)
    assert body == b"3"
    assert socket.recv_many(1, multipart=True)[0][1] == b"4"


@drafts
@pytest.mark.parametrize("bound", [False, True])
def test_send__dgram_refuses_what_is_not_two_parts(dgram, sock, other, bound):
    """Refused is refused: the next one goes out whole."""
    error = zraw.InvalidArgument if bound else zraw.InvalidState
    number = errno.EINVAL if bound else zraw.EFSM
    socket = dgram()[0] if bound else sock(zraw.ZMQ_DGRAM)
    there = other[1]
    for call in (
        lambda: socket.send(b"x"),
        lambda: socket.send(zraw.Message(b"x")),
        lambda: socket.send_multipart([b"x"]),
        lambda: socket.send_many([b"x"]),
        lambda: socket.try_send(b"x"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.errno == zraw.errno() == number
    if bound:
        socket.send_multipart([there, b"whole"])
        assert other[0].recv(100) == b"whole"


@drafts
@pytest.mark.parametrize("call", ["send_multipart", "send_many"])
def test_send_multipart__dgram_refuses_three_parts(dgram, other, call):
    """Refused is refused: the next one goes out whole."""
    socket, _ = dgram()
    there = other[1]
    with pytest.raises(zraw.InvalidArgument) as caught:
        if call == "send_multipart":
            socket.send_multipart([there, b"two", b"three"])
        else:
            socket.send_many([[there, b"two", b"three"]])
    assert caught.value.errno == errno.EINVAL
    socket.send_multipart([there, b"whole"])
    assert other[0].recv(100) == b"whole"


@drafts
def test_send__dgram_before_it_is_bound(sock):
    """libzmq would end the process."""
    socket = sock(zraw.ZMQ_DGRAM)
    message = zraw.Message(b"kept")
    for call in (
        lambda: socket.send(b"x"),
        lambda: socket.send(b"x", zraw.ZMQ_SNDMORE),
        lambda: socket.send_const(b"x"),
        lambda: socket.send_multipart([b"127.0.0.1:9", b"x"]),
        lambda: socket.send_multipart([b"127.0.0.1:9", message]),
        lambda: socket.send_many([[b"127.0.0.1:9", b"x"]]),
        lambda: message.send(socket),
        lambda: socket.try_send(b"x"),
    ):
        with pytest.raises(zraw.InvalidState) as caught:
            call()
        assert caught.value.errno == zraw.errno() == zraw.EFSM
    assert message == b"kept"
    assert socket.try_recv() is None
    assert socket.poll(0, zraw.ZMQ_POLLOUT) == 0


@drafts
@pytest.mark.parametrize("where", ["no address", "127.0.0.1:99999", "", "::::"])
def test_send__dgram_to_an_address_that_is_none(dgram, other, where):
    """libzmq drops it, and goes on."""
    socket, _ = dgram()
    with contextlib.suppress(zraw.InvalidArgument):
        socket.send_multipart([where.encode(), b"lost"])
    socket.send_multipart([other[1], b"arrives"])
    assert other[0].recv(100) == b"arrives"


@drafts
def test_connect__dgram_only_binds(sock):
    socket = sock(zraw.ZMQ_DGRAM)
    with pytest.raises(zraw.IncompatibleProtocol) as caught:
        socket.connect(udp())
    assert caught.value.errno == zraw.errno() == zraw.ENOCOMPATPROTO
    assert socket.getsockopt(zraw.ZMQ_THREAD_SAFE) == 0
    assert socket.fileno() >= 0


@drafts
def test_bind__udp_is_not_for_other_types(sock):
    zraw.Message().group()
    for type in (zraw.ZMQ_PUSH, zraw.ZMQ_PAIR, zraw.ZMQ_PUB, zraw.ZMQ_RADIO):
        with pytest.raises(zraw.IncompatibleProtocol) as caught:
            sock(type).bind(udp())
        assert caught.value.errno == zraw.ENOCOMPATPROTO
    for type in (zraw.ZMQ_PULL, zraw.ZMQ_SUB, zraw.ZMQ_DISH):
        with pytest.raises(zraw.IncompatibleProtocol):
            sock(type).connect(udp())


@drafts
@pytest.mark.parametrize("port", ["99999", "-1", "x", "123456"])
def test_bind__udp_port(sock, port):
    with pytest.raises(ValueError, match="a port from 0 to 65535"):
        sock(zraw.ZMQ_DGRAM).bind(f"udp://127.0.0.1:{port}")


# ---- RADIO and DISH


@pytest.fixture
def air(sock):
    """A radio and a dish that talk by udp, and the endpoint."""

    def make(*groups):
        endpoint = udp()
        radio, dish = sock(zraw.ZMQ_RADIO), sock(zraw.ZMQ_DISH)
        dish.bind(endpoint)
        radio.connect(endpoint)
        for group in groups:
            dish.join(group)
        until_there(lambda: radio.send(of(groups[0])), dish)
        return radio, dish, endpoint

    return make


@drafts
def test_join__udp(air):
    # 4.3.4 reads the length as a signed char, and ends the process.
    longest = "g" * (255 if zraw.version() >= (4, 3, 6) else 127)
    radio, dish, _ = air("TV", longest)
    for group in ("Movies", "TV", "TVs", "", longest, longest[1:]):
        radio.send(of(group, group[:20].encode()))
    radio.send(of("TV", bytes(1000)))
    got = []
    while len(got) < 3:
        message = dish.recv_msg()
        got.append((message.group(), bytes(message)))
    assert got == [("TV", b"TV"), (longest, b"g" * 20), ("TV", bytes(1000))]
    dish.leave("TV")
    radio.send(of("TV"))
    radio.send(of(longest, b"end"))
    assert dish.recv() == b"end"


@drafts
def test_recv__dish_from_a_plain_socket(air, other):
    """A length byte, the group, and the body; anything else is no message."""
    _, dish, endpoint = air("TV")
    for datagram in (b"", b"\x09TVshort", b"\x7f", b"\x02", b"\x00body", b"\x02NO!"):
        other[0].sendto(datagram, pair_of(endpoint))
    other[0].sendto(b"\x02TVbody", pair_of(endpoint))
    message = dish.recv_msg()
    assert (message.group(), message) == ("TV", b"body")
    other[0].sendto(b"\x02TV", pair_of(endpoint))
    assert dish.recv() == b""


@drafts
def test_msg_send__radio_to_a_plain_socket(sock, other):
    radio = sock(zraw.ZMQ_RADIO)
    radio.connect(f"udp://{other[1].decode()}")
    radio.send(of("TV", b"body"))
    assert other[0].recv(100) == b"\x02TVbody"
    radio.send(b"nobody's")
    assert other[0].recv(100) == b"\x00nobody's"
