"""PUSH, PULL and PAIR, high water marks and time-outs: what libzmq promises."""

from __future__ import annotations

import socket as plain
import time

import pytest

import zraw
from conftest import endpoint, wait_until

DEALER, PAIR, PULL, PUSH = zraw.ZMQ_DEALER, zraw.ZMQ_PAIR, zraw.ZMQ_PULL, zraw.ZMQ_PUSH
REP, REQ, ROUTER = zraw.ZMQ_REP, zraw.ZMQ_REQ, zraw.ZMQ_ROUTER
FAIR = [(PULL, PUSH), (DEALER, DEALER), (ROUTER, DEALER), (REP, DEALER)]
FAIR_NAMES = ["pull", "dealer", "router", "rep"]
TRANSPORTS = ["inproc", "ipc", "tcp"]
PEERS = 5
SOON = 50  # ms: long enough for what must not come, were it on its way
MANY = 3000  # more than any limit here, the default one of both sides too


@pytest.fixture(params=["ipc", "tcp"])
def unheard(request, tmp_path):
    """Yield an endpoint where nobody listens, and a call that lets others bind it."""
    if request.param == "ipc":
        yield f"ipc://{tmp_path}/unheard", lambda: None
        return
    with plain.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{holder.getsockname()[1]}", holder.close


def fill(socket):
    """Send until the socket is full; return how many it took."""
    sent = 0
    while sent < MANY and socket.try_send(b"%d" % sent):
        sent += 1
    return sent


def drain(socket):
    """Take all that is there: over inproc, all that was sent."""
    got = []
    while (message := socket.try_recv()) is not None:
        got.append(int(message))
    return got


def inproc(sock, tmp_path, sndhwm, rcvhwm, bind_first=True):
    """A connected PUSH and a bound PULL, with their marks set before."""
    where = endpoint("inproc", tmp_path)
    push, pull = sock(PUSH, SNDHWM=sndhwm), sock(PULL, RCVHWM=rcvhwm)
    if bind_first:
        pull.bind(where)
    push.connect(where)
    if not bind_first:
        pull.bind(where)
    return push, pull


def test_push__default_hwm_is_1000_on_each_side(pair):
    pull, push = pair(PULL, PUSH)
    assert push.getsockopt(zraw.ZMQ_SNDHWM) == pull.getsockopt(zraw.ZMQ_RCVHWM) == 1000
    assert fill(push) == 2000
    assert drain(pull) == list(range(2000))


@pytest.mark.parametrize("bind_first", [True, False])
@pytest.mark.parametrize(
    ("marks", "room"),
    [((0, 0), MANY), ((1, 0), MANY), ((0, 1), MANY), ((1, 1), 2), ((3, 4), 7)],
)
def test_push__inproc_hwm_is_the_sum(sock, tmp_path, marks, room, bind_first):
    push, pull = inproc(sock, tmp_path, *marks, bind_first)
    assert fill(push) == room
    assert drain(pull) == list(range(room))
    push.send(b"1")
    assert pull.recv() == b"1"


def test_push__hwm_is_its_own_until_the_peer_binds(sock, tmp_path):
    where = endpoint("inproc", tmp_path)
    push, pull = sock(PUSH, SNDHWM=1, LINGER=-1), sock(PULL, RCVHWM=0)
    push.connect(where)
    assert fill(push) == 1
    push.close()
    pull.bind(where)
    assert pull.recv() == b"0"
    assert drain(pull) == []


def test_push__bound_without_peer_queues_nothing(sock, where):
    push = sock(PUSH, SNDHWM=1)
    push.bind(where())
    assert fill(push) == 0


def test_push__hwm_can_grow_after_the_connect(sock, tmp_path):
    push, pull = inproc(sock, tmp_path, 1, 1, bind_first=False)
    push.setsockopt(zraw.ZMQ_SNDHWM, 5)
    assert push.getsockopt(zraw.ZMQ_SNDHWM) == 5
    assert fill(push) == 6
    assert drain(pull) == list(range(6))


def test_push__hwm_can_shrink_when_full(sock, tmp_path):
    push, pull = inproc(sock, tmp_path, 100, 1)
    assert fill(push) == 101
    push.setsockopt(zraw.ZMQ_SNDHWM, 70)
    assert push.getsockopt(zraw.ZMQ_SNDHWM) == 70
    assert not push.try_send(b"no room")
    assert drain(pull) == list(range(101))
    # Credit comes back in large steps, so not all of the 71 need be free.
    assert 7 < fill(push) <= 71


def until_all_take(push, pulls):
    """Wait until all are connected, as only a message can show; leave them empty."""
    sent, got = 0, [0] * len(pulls)

    def one_more():
        nonlocal sent
        sent += push.try_send(b"are you there?")
        for number, pull in enumerate(pulls):
            got[number] += len(pull.recv_many()) if pull.poll(0) else 0
        return all(got)

    wait_until(one_more)
    while sum(got) < sent:
        for number, pull in enumerate(pulls):
            got[number] += len(pull.recv_many()) if pull.poll(5) else 0


def test_push__bound_gives_to_its_peers_in_turn(sock, where):
    push, pulls = sock(PUSH), [sock(PULL) for _ in range(PEERS)]
    bound = push.bind(where())
    for pull in pulls:
        pull.connect(bound)
    until_all_take(push, pulls)
    for body in (b"ABC", b"DEF"):
        for _ in pulls:
            push.send(body)
    for pull in pulls:
        assert [pull.recv(), pull.recv()] == [b"ABC", b"DEF"]


def test_push__connected_gives_in_order_of_the_connects(sock, where):
    push, pulls = sock(PUSH), [sock(PULL) for _ in range(3)]
    for pull in pulls:
        push.connect(pull.bind(where()))
    for number in range(7):
        push.send_multipart([b"%d" % number, b"second frame"])
    for first, pull in enumerate(pulls):
        for number in range(first, 7, 3):
            assert pull.recv_multipart() == [b"%d" % number, b"second frame"]


def test_push__full_peer_is_left_out(sock, tmp_path):
    push, pulls = sock(PUSH, SNDHWM=2), [sock(PULL, RCVHWM=2) for _ in range(2)]
    for number, pull in enumerate(pulls):
        push.connect(pull.bind(endpoint("inproc", tmp_path / str(number))))
    assert fill(push) == 8
    assert drain(pulls[1]) == [1, 3, 5, 7]
    for number in range(4):
        push.send(b"1%d" % number)
    assert drain(pulls[1]) == [10, 11, 12, 13]
    assert drain(pulls[0]) == [0, 2, 4, 6]


@pytest.mark.parametrize(("kind", "peer"), FAIR, ids=FAIR_NAMES)
def test_pull__takes_one_message_of_each_peer_in_turn(sock, tmp_path, kind, peer):
    """Over inproc, where all that was sent has arrived."""
    receiver, senders = sock(kind), [sock(peer) for _ in range(PEERS)]
    bound = receiver.bind(endpoint("inproc", tmp_path))
    for number, sender in enumerate(senders):
        sender.connect(bound)
        sender.send_multipart([b"", b"%d" % number, b"first"])
        sender.send_multipart([b"", b"%d" % number, b"second"])
    for body in (b"first", b"second"):
        got = []
        for _ in senders:
            got.append(receiver.recv_multipart()[-2:])
            if kind == REP:
                receiver.send(b"")
        assert sorted(got) == [[b"%d" % number, body] for number in range(PEERS)]


@pytest.mark.parametrize(("kind", "peer"), FAIR[:-1], ids=FAIR_NAMES[:-1])
def test_pull__loud_peer_does_not_starve_another(sock, where, kind, peer):
    receiver, loud, quiet = sock(kind), sock(peer), sock(peer)
    bound = receiver.bind(where())
    loud.connect(bound)
    fill(loud)
    quiet.connect(bound)
    quiet.send(b"quiet")

    def heard():
        loud.try_send(b"loud")
        return receiver.recv_multipart()[-1] == b"quiet"

    wait_until(heard)


@pytest.mark.parametrize("kind", [PUSH, PAIR, REQ, DEALER])
@pytest.mark.parametrize("bound", [False, True])
def test_push__blocks_without_peer(sock, kind, bound):
    socket = sock(kind, SNDTIMEO=SOON)
    if bound:
        socket.bind("tcp://127.0.0.1:*")
    with pytest.raises(zraw.Again):
        socket.send(b"", zraw.ZMQ_DONTWAIT)
    start = time.monotonic()
    with pytest.raises(zraw.Again):
        socket.send(b"")
    assert time.monotonic() - start >= 0.95 * SOON / 1000


@pytest.mark.parametrize("flags", [0, zraw.ZMQ_DONTWAIT])
def test_push__message_whose_peer_left_is_not_torn(sock, where, flags):
    """Its rest must not go to whoever connects next."""
    push, pull = sock(PUSH), sock(PULL)
    bound = push.bind(where())
    whole = [b"head", b"x" * 100000, b"tail"]
    got = []
    for number in range(10):
        pull.connect(bound)
        push.send(whole[0], zraw.ZMQ_SNDMORE)
        pull.disconnect(bound)
        for _ in range(number % 4):  # the old connection ends in steps
            push.poll(0, zraw.ZMQ_POLLOUT)
            pull.poll(number % 3)
        pull.connect(bound)
        for frame, more in ((whole[1], zraw.ZMQ_SNDMORE), (whole[2], 0)):
            try:
                push.send(frame, flags | more)
            except zraw.Again:
                assert flags
        following = [b"next", b"%d" % number]

        def arrived(message=following):
            push.send_multipart(message)
            while pull.poll(5):
                got.append(pull.recv_multipart())
            return message in got

        wait_until(arrived)
        pull.disconnect(bound)
    assert all(message == whole or message[0] == b"next" for message in got), got


def test_push__queues_for_a_peer_that_is_not_there(sock, unheard):
    nowhere, let_bind = unheard
    push, there, late = sock(PUSH, RECONNECT_IVL=10), sock(PULL), sock(PULL)
    push.connect(nowhere)
    push.connect(there.bind("tcp://127.0.0.1:*"))
    for number in range(10):
        push.send(b"%d" % number)
    assert [there.recv() for _ in range(5)] == [b"1", b"3", b"5", b"7", b"9"]
    assert not there.poll(SOON)
    let_bind()
    late.bind(nowhere)
    assert [late.recv() for _ in range(5)] == [b"0", b"2", b"4", b"6", b"8"]


def test_push__immediate_leaves_out_who_is_not_there(sock, unheard):
    push, there = sock(PUSH, IMMEDIATE=1), sock(PULL)
    push.connect(unheard[0])
    assert not push.try_send(b"nobody there yet")
    push.connect(there.bind("tcp://127.0.0.1:*"))
    for number in range(10):
        push.send(b"%d" % number)
    assert [there.recv() for _ in range(10)] == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_dealer__immediate_blocks_while_the_peer_is_away(sock, tmp_path, transport):
    front, back = sock(DEALER, IMMEDIATE=1, RECONNECT_IVL=10), sock(DEALER)
    bound = back.bind(endpoint(transport, tmp_path))
    front.connect(bound)
    back.send(b"up")
    assert front.recv() == b"up"
    front.send(b"Hello", zraw.ZMQ_DONTWAIT)
    assert back.recv() == b"Hello"
    back.close()
    wait_until(lambda: not front.try_send(b"lost"))
    with pytest.raises(zraw.Again):
        front.send(b"still away", zraw.ZMQ_DONTWAIT)
    back = sock(DEALER)

    def bound_again():
        try:
            back.bind(bound)
        except zraw.AddressInUse:  # the listener of the closed one goes a bit later
            return False
        return True

    wait_until(bound_again)
    back.send(b"up again")
    assert front.recv() == b"up again"
    front.send(b"Hello again", zraw.ZMQ_DONTWAIT)
    wait_until(lambda: back.recv() == b"Hello again")


def test_dealer__rcvtimeo_is_waited_out(sock, where):
    front, back = sock(DEALER), sock(DEALER)
    bound = front.bind(where())
    with pytest.raises(zraw.Again):
        front.recv(zraw.ZMQ_DONTWAIT)
    for milliseconds in (0, 20, 100):
        front.setsockopt(zraw.ZMQ_RCVTIMEO, milliseconds)
        start = time.monotonic()
        with pytest.raises(zraw.Again):
            front.recv()
        assert time.monotonic() - start >= 0.95 * milliseconds / 1000
    front.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    back.connect(bound)
    back.send(b"Hello")
    assert front.recv() == b"Hello"


def bounce(one, other):
    """Send a message there and back."""
    for parts in ([b"one"], [b"a", b"", b"c"], [b""], [b"x" * 100000] * 2):
        for sender, receiver in ((one, other), (other, one)):
            sender.send_multipart(parts)
            assert receiver.recv_multipart() == parts


def test_pair__bounces(pair, where):
    bounce(*pair(PAIR, PAIR, where.transport))


def test_pair__connects_by_name(sock):
    bound, connected = sock(PAIR), sock(PAIR)
    port = bound.bind("tcp://127.0.0.1:*").rpartition(":")[2]
    connected.connect(f"tcp://localhost:{port}")
    bounce(bound, connected)


def test_pair__third_is_shut_out(sock, where):
    one, two, three = sock(PAIR), sock(PAIR), sock(PAIR)
    bound = one.bind(where())
    two.connect(bound)
    bounce(one, two)
    three.connect(bound)
    three.try_send(b"not heard")
    bounce(one, two)
    assert not one.poll(SOON)
    two.close()
    later = []

    def let_in():
        """Not the third any more, but one that connects when there is room."""
        if later:
            later[-1].close()
        later.append(sock(PAIR))
        later[-1].connect(bound)
        name = b"%d" % len(later)
        later[-1].try_send(name)
        return one.poll(200) and one.recv() == name

    wait_until(let_in)
    bounce(one, later[-1])
    assert three.try_recv() is None


def test_send_const__goes_out_as_frames(pair, where):
    one, two = pair(PAIR, PAIR, where.transport)
    assert one.send_const(b"foo", zraw.ZMQ_SNDMORE) == 3
    assert one.send_const(b"foobar") == 6
    assert two.recv_multipart() == [b"foo", b"foobar"]
