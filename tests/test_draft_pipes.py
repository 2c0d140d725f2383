"""ZMQ_SCATTER, ZMQ_GATHER and ZMQ_CHANNEL: thread-safe PUSH, PULL and PAIR."""

from __future__ import annotations

import errno
import itertools
import threading

import pytest

import zraw
from drafts import drafts

TRANSPORTS = ["inproc", "ipc", "tcp"]
KINDS = {
    "scatter": (zraw.ZMQ_GATHER, zraw.ZMQ_SCATTER),
    "channel": (zraw.ZMQ_CHANNEL, zraw.ZMQ_CHANNEL),
}
kinds = pytest.mark.parametrize("kind", KINDS)
transports = pytest.mark.parametrize("transport", TRANSPORTS)


@drafts
@kinds
@transports
def test_send__every_call(pair, kind, transport):
    bound, sender = pair(*KINDS[kind], transport)
    for size in (0, 1, 33, 34, 5000, 100_000):
        data = bytes(size)
        assert sender.send(data) == size
        sender.send(bytearray(data))
        sender.send(zraw.Message(data))
        assert zraw.Message(data).send(sender) == size
        sender.send_const(data)
        sender.send_multipart([data])
        assert sender.send_many([data, [data], zraw.Message(data)]) == 3
        got = [bound.recv(), bytes(bound.recv_msg()), *bound.recv_multipart()]
        buffer, message = bytearray(100_000), zraw.Message()
        got.append(bytes(buffer[: bound.recv_into(buffer)]))
        message.recv(bound)
        got.append(bytes(message))
        while len(got) < 9:
            got += bound.recv_many()
        assert got == [data] * 9


@drafts
@kinds
def test_try_send__and_try_recv(pair, kind):
    bound, sender = pair(*KINDS[kind])
    assert bound.try_recv() is None
    assert bound.try_recv_multipart() is None
    assert not bound.try_recv_msg(zraw.Message())
    assert sender.try_send(b"1")
    assert bound.try_recv() == b"1"
    sender.send_many([b"2", b"3", b"4", b"5"])
    assert bound.try_recv_multipart() == [b"2"]
    message = zraw.Message(b"old")
    assert bound.try_recv_msg(message)
    assert message == b"3"
    assert bound.recv_many(1) == [b"4"]
    assert bound.recv_many(multipart=True) == [[b"5"]]


@drafts
@kinds
@pytest.mark.parametrize("size", [1, 100_000])
def test_send__no_parts(pair, kind, size):
    bound, sender = pair(*KINDS[kind])
    body, message = bytes(size), zraw.Message(bytes(size))
    for call in (
        lambda: sender.send(body, zraw.ZMQ_SNDMORE),
        lambda: sender.send(message, zraw.ZMQ_SNDMORE),
        lambda: message.send(sender, zraw.ZMQ_SNDMORE),
        lambda: sender.send_const(body, zraw.ZMQ_SNDMORE),
        lambda: sender.send_multipart([body, b"y"]),
        lambda: sender.send_multipart([message, b"y"]),
        lambda: sender.send_many([[body, b"y", b"z"]]),
    ):
        with pytest.raises(zraw.InvalidArgument) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.EINVAL
    assert message == body
    sender.send(b"after")
    assert bound.recv() == b"after"
    sender.send_multipart([message])
    assert bound.recv() == body
    assert bound.try_recv() is None


@drafts
@kinds
def test_send__at_the_high_water_mark(pair, kind):
    bound, sender = pair(*KINDS[kind], SNDHWM=4, RCVHWM=4, SNDTIMEO=30)
    assert sender.send_many([b"x"] * 50) == 8
    for call in (
        lambda: sender.send(b"x"),
        lambda: sender.send(b"x", zraw.ZMQ_DONTWAIT),
        lambda: sender.send_many([b"x"]),
    ):
        with pytest.raises(zraw.Again) as caught:
            call()
        assert caught.value.errno == errno.EAGAIN
    assert sender.try_send(b"x") is False
    sender.setsockopt(zraw.ZMQ_SNDTIMEO, -1)
    thread = threading.Thread(target=sender.send, args=(b"last",))
    thread.start()
    got = []
    while b"last" not in got:
        got += bound.recv_many()
    thread.join(10)
    assert got == [b"x"] * 8 + [b"last"]


@drafts
@kinds
def test_send__nobody_is_there(sock, kind):
    sender = sock(KINDS[kind][1], SNDTIMEO=30)
    with pytest.raises(zraw.Again):
        sender.send(b"x")
    assert sender.try_send(b"x") is False
    assert sender.poll(0, zraw.ZMQ_POLLOUT) == 0


@drafts
@kinds
@transports
def test_connect__before_bind(sock, kind, transport, tmp_path):
    bound, sender = (sock(type) for type in KINDS[kind])
    if transport == "tcp":
        where = bound.bind("tcp://127.0.0.1:*")
        sender.connect(where)
    else:
        where = f"{transport}://{tmp_path}/s"
        sender.connect(where)
        bound.bind(where)
    sender.send(b"x")
    assert bound.recv() == b"x"


@drafts
def test_recv__scatter_and_gather_are_one_way(pair):
    gather, scatter = pair(zraw.ZMQ_GATHER, zraw.ZMQ_SCATTER)
    message = zraw.Message(b"x")
    for call in (
        scatter.recv,
        scatter.try_recv,
        scatter.recv_many,
        scatter.recv_multipart,
        lambda: scatter.recv_into(bytearray(1)),
        lambda: gather.send(b"x"),
        lambda: gather.send(message),
        lambda: message.send(gather),
        lambda: gather.try_send(b"x"),
        lambda: gather.send_many([b"x"]),
    ):
        with pytest.raises(zraw.NotSupported) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP
    assert message == b"x"


@drafts
def test_send__scatter_in_turn_and_gather_fairly(sock):
    scatters = [sock(zraw.ZMQ_SCATTER) for _ in range(2)]
    gathers = [sock(zraw.ZMQ_GATHER) for _ in range(2)]
    for number, gather in enumerate(gathers):
        gather.bind(f"inproc://gather{number}")
        for scatter in scatters:
            scatter.connect(f"inproc://gather{number}")
    for name, scatter in zip(b"ab", scatters, strict=True):
        scatter.send_many([b"%c%d" % (name, number) for number in range(4)])
    assert gathers[0].recv_many() == [b"a0", b"b0", b"a2", b"b2"]
    assert gathers[1].recv_many() == [b"a1", b"b1", b"a3", b"b3"]


@drafts
@pytest.mark.parametrize("threads", [2, 8])
def test_send__many_threads_scatter_and_gather(pair, threads):
    gather, scatter = pair(zraw.ZMQ_GATHER, zraw.ZMQ_SCATTER, "tcp")
    got = [[] for _ in range(threads)]

    def send(name):
        for number in range(400):
            scatter.send(b"%d.%d" % (name, number))

    def receive(mine):
        while len(mine) < 400:
            mine.append(gather.recv())

    workers = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    workers += [threading.Thread(target=receive, args=(mine,)) for mine in got]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    expected = [b"%d.%d" % (n, m) for n in range(threads) for m in range(400)]
    assert sorted(itertools.chain(*got)) == sorted(expected)


@drafts
@transports
def test_send__channel_both_ways(pair, transport):
    first, second = pair(zraw.ZMQ_CHANNEL, zraw.ZMQ_CHANNEL, transport)
    for number in range(10):
        first.send(b"there %d" % number)
        assert second.recv() == b"there %d" % number
        second.send(b"back %d" % number)
        assert first.recv() == b"back %d" % number


@drafts
def test_connect__channel_has_one_peer(sock):
    first, second, third = (sock(zraw.ZMQ_CHANNEL, SNDTIMEO=30) for _ in range(3))
    first.bind("inproc://channel")
    second.connect("inproc://channel")
    second.send(b"x")
    assert first.recv() == b"x"
    third.connect("inproc://channel")
    first.send(b"for the first of them")
    assert second.recv() == b"for the first of them"
    assert third.try_recv() is None
    with pytest.raises(zraw.Again):
        third.send_many([b"y"] * 3000)
        third.send(b"y")
    assert first.try_recv() is None


@drafts
@kinds
def test_getsockopt__types(sock, kind):
    for type in KINDS[kind]:
        socket = sock(type)
        assert socket.getsockopt(zraw.ZMQ_TYPE) == socket.type == type
        assert socket.getsockopt(zraw.ZMQ_THREAD_SAFE) == 1
        with pytest.raises(zraw.InvalidArgument):
            socket.fileno()
