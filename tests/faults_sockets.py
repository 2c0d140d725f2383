"""Scenarios of sending and receiving; see faults_run.py."""

from __future__ import annotations

import errno
import mmap
from functools import partial

import zraw
from faults_run import CLASSES, WORKS, Outcome, Stage, scenario

SHORT = b"s" * 40
LONG = b"l" * 70000  # pinned
LARGE = b"L" * ((1 << 20) + 1)  # copied without the GIL
PARTS = [b"1" * 40, b"2" * 50, b"3" * 60]


def sent(stage, sockets, outcome, *messages):
    """What was accepted has arrived, whole and once; what was refused has not.

    Only without memory for what it returns, a call may raise all the same.
    """
    if outcome.starved and not outcome.ok:
        assert stage.arrived(*sockets) in ([], list(messages))
    elif not outcome.torn:
        assert stage.arrived(*sockets) == (list(messages) if outcome.ok else [])


@scenario(zmq_send__1=WORKS)  # the first is a trial: whatever it says, there is another
def send(stage: Stage):
    sockets = stage.pair()
    data = stage.keep(b"%d" % 10**40)
    outcome: Outcome = yield partial(sockets[0].send, data)
    sent(stage, sockets, outcome, [data])


@scenario(zmq_send__1=WORKS, EAGAIN__from__zmq_send__2=WORKS, waits=False)
def send_dontwait(stage: Stage):
    sockets = stage.pair()
    outcome = yield partial(sockets[0].send, SHORT, zraw.ZMQ_DONTWAIT)
    sent(stage, sockets, outcome, [SHORT])


@scenario()
def send_buffer(stage: Stage):
    sockets = stage.pair()
    data = stage.buffer(40)
    outcome = yield partial(sockets[0].send, data)
    sent(stage, sockets, outcome, [data])


@scenario(natural=zraw.Again)
def send_to_nobody(stage: Stage):
    """The wait comes to its end, and not before, whatever interrupts it."""
    push = stage.socket(zraw.ZMQ_PUSH, SNDTIMEO=10)
    pull = stage.socket(zraw.ZMQ_PULL)
    outcome = yield partial(push.send, stage.buffer(40))
    push.connect(pull.bind("inproc://faults"))
    assert not outcome.ok
    assert stage.arrived(push, pull) == []


@scenario(zmq_msg_copy=zraw.InvalidHandle)
def send_pinned(stage: Stage):
    sockets = stage.pair()
    data = stage.keep(bytes(bytearray(LONG)))
    outcome = yield partial(sockets[0].send, data)
    sent(stage, sockets, outcome, [data])


@scenario()
def send_large(stage: Stage):
    sockets = stage.pair()
    data = stage.buffer(len(LARGE))
    outcome = yield partial(sockets[0].send, data)
    sent(stage, sockets, outcome, [data])


@scenario(zmq_msg_copy=zraw.InvalidHandle)
def send_message(stage: Stage):
    sockets = stage.pair()
    message = zraw.Message(SHORT)
    outcome = yield partial(sockets[0].send, message)
    assert bytes(message) == (b"" if outcome.ok else SHORT)
    sent(stage, sockets, outcome, [SHORT])


@scenario()
def message_send(stage: Stage):
    sockets = stage.pair()
    message = zraw.Message(SHORT)
    outcome = yield partial(message.send, sockets[0])
    assert bytes(message) == (b"" if outcome.ok else SHORT)
    sent(stage, sockets, outcome, [SHORT])


@scenario()
def try_send(stage: Stage):
    sockets = stage.pair()
    outcome = yield partial(sockets[0].try_send, SHORT)
    if outcome.value is not False:
        sent(stage, sockets, outcome, [SHORT])
    else:
        assert stage.arrived(*sockets) == []


@scenario()
def send_const(stage: Stage):
    sockets = stage.pair()
    outcome = yield partial(sockets[0].send_const, SHORT)
    sent(stage, sockets, outcome, [SHORT])


@scenario()
def send_tail(stage: Stage):
    """The rest of a message that was begun by hand, which does not wait."""
    sockets = push, _pull = stage.pair()
    push.send(SHORT, zraw.ZMQ_SNDMORE)
    outcome = yield partial(push.send, bytearray(SHORT))
    if outcome.ok:
        sent(stage, sockets, outcome, [SHORT, SHORT])


@scenario()
def send_request(stage: Stage):
    request, reply = stage.pair(zraw.ZMQ_REQ, zraw.ZMQ_REP)
    outcome = yield partial(request.send, bytearray(SHORT))
    if not outcome.ok:
        request.send(SHORT)
    assert reply.recv() == SHORT
    reply.send(b"reply")
    assert request.recv() == b"reply"


@scenario()
def send_published(stage: Stage):
    sockets = pub, _ = stage.pair(zraw.ZMQ_XPUB, zraw.ZMQ_SUB)
    sockets[1].poll(0)
    pub.recv()
    outcome = yield partial(pub.send, bytearray(SHORT))
    sent(stage, sockets, outcome, [SHORT])


def parts_of(kind: int, other: int, make):
    def play(stage: Stage):
        sockets = sender, _ = stage.pair(kind, other)
        parts = make(stage)
        bodies = [bytes(part) for part in parts]
        outcome = yield partial(sender.send_multipart, parts)
        for part, data in zip(parts, bodies, strict=True):
            assert bytes(part) == (
                b"" if outcome.ok and isinstance(part, zraw.Message) else data
            )
        sent(stage, sockets, outcome, bodies)

    return play


def buffers(stage: Stage):
    return [stage.buffer(len(part)) for part in PARTS]


def messages(stage: Stage):
    return [zraw.Message(part) for part in PARTS]


def mixed(stage: Stage):
    return [
        stage.buffer(9),
        stage.keep(bytes(bytearray(LONG))),
        zraw.Message(LONG),
        LARGE[:-9],
    ]


def named(name: str, play, **rules):
    play.__name__ = name
    scenario(**rules)(play)


PUSH, PULL, PAIR = zraw.ZMQ_PUSH, zraw.ZMQ_PULL, zraw.ZMQ_PAIR
COPY = {"zmq_msg_copy": zraw.InvalidHandle}
named("send_multipart", parts_of(PUSH, PULL, lambda stage: PARTS), zmq_send__1=WORKS)
named("send_multipart_buffers", parts_of(PUSH, PULL, buffers))
named("send_multipart_messages", parts_of(PUSH, PULL, messages), **COPY)
named("send_multipart_mixed", parts_of(PUSH, PULL, mixed), **COPY)
named("send_multipart_pair", parts_of(PAIR, PAIR, buffers))
named(
    "send_multipart_nine", parts_of(PUSH, PULL, lambda stage: [*PARTS, *PARTS, *PARTS])
)
named(
    "send_multipart_published",
    parts_of(zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, buffers),
)


def in_middle(fault, before):
    """REQ and DGRAM cannot begin anew once a first frame was accepted."""
    if fault.err == errno.EAGAIN and any(
        call.function == "zmq_send" and not call.err for call in before
    ):
        return zraw.InvalidState
    return NotImplemented


@scenario(judge=in_middle)
def send_multipart_request(stage: Stage):
    """REQ cannot send a message again that was refused in the middle."""
    request, reply = stage.pair(zraw.ZMQ_REQ, zraw.ZMQ_REP)
    parts = buffers(stage)
    outcome = yield partial(request.send_multipart, parts)
    if outcome.ok and not outcome.torn:
        assert reply.recv_multipart() == parts
        reply.send(b"reply")
        assert request.recv() == b"reply"


def after_some(fault, before):
    """What came before the error is returned in its place, if it was a message."""
    done = [
        call
        for call in before
        if not call.err and call.function in ("zmq_send", "zmq_msg_send")
    ]
    if any(not call.flags & zraw.ZMQ_SNDMORE for call in done):
        return WORKS
    return NotImplemented


@scenario(zmq_send__1=WORKS, judge=after_some)
def send_many(stage: Stage):
    sockets = stage.pair()
    outcome = yield partial(sockets[0].send_many, PARTS)
    count = outcome.value if outcome.ok else 0
    assert stage.arrived(*sockets) == [[part] for part in PARTS[:count]]


@scenario(judge=after_some, **COPY)
def send_many_multipart(stage: Stage):
    sockets = stage.pair()
    batch = [[stage.buffer(9), zraw.Message(SHORT)], stage.buffer(20), (LONG, SHORT)]
    bodies = [[b"b" * 9, SHORT], [b"b" * 20], [LONG, SHORT]]
    outcome = yield partial(sockets[0].send_many, batch)
    if not outcome.torn:
        count = outcome.value if outcome.ok else 0
        assert stage.arrived(*sockets) == bodies[:count]


def left(stage: Stage, sockets, outcome: Outcome, *bodies):
    """A message that was not returned is still to be received.

    Only without memory for it it may be lost: libzmq does not take it back.
    """
    if not outcome.torn:
        there = stage.arrived(*sockets)
        lost = outcome.starved and not outcome.ok
        wanted = [] if outcome.ok else list(bodies)
        assert there == wanted or (lost and not there), (there, wanted)


@scenario()
def recv(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    outcome = yield pull.recv
    assert outcome.value == (SHORT if outcome.ok else None)
    left(stage, sockets, outcome, [SHORT])


@scenario()
def recv_large(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(LARGE)
    outcome = yield pull.recv
    assert outcome.value == (LARGE if outcome.ok else None)
    left(stage, sockets, outcome, [LARGE])


@scenario(waits=False)
def recv_dontwait(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    outcome = yield partial(pull.recv, zraw.ZMQ_DONTWAIT)
    left(stage, sockets, outcome, [SHORT])


@scenario(natural=zraw.Again)
def recv_nothing(stage: Stage):
    sockets = _push, pull = stage.pair()
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10)
    outcome = yield pull.recv
    assert not outcome.ok
    left(stage, sockets, outcome)


@scenario()
def try_recv(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    outcome = yield pull.try_recv
    missed = outcome.value is None
    assert missed or outcome.value == SHORT
    if outcome.starved and not outcome.ok:
        return  # it is lost; see left()
    assert stage.arrived(*sockets) == ([[SHORT]] if missed else [])


@scenario()
def recv_into(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    buffer = stage.buffer(len(SHORT))
    outcome = yield partial(pull.recv_into, buffer)
    if outcome.ok:
        assert (outcome.value, buffer) == (len(SHORT), SHORT)
    left(stage, sockets, outcome, [SHORT])


@scenario()
def recv_into_large(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    buffer = stage.buffer(len(LARGE))
    outcome = yield partial(pull.recv_into, buffer)
    left(stage, sockets, outcome, [SHORT])


@scenario()
def recv_into_huge(stage: Stage):
    """Of which zmq_recv() cannot say the size; only what is written to is there."""
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    with mmap.mmap(-1, 1 << 31) as buffer:
        outcome = yield partial(pull.recv_into, buffer)
        if outcome.ok:
            assert (outcome.value, buffer[: len(SHORT)]) == (len(SHORT), SHORT)
    left(stage, sockets, outcome, [SHORT])


@scenario()
def recv_msg(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    message = zraw.Message(LONG)
    outcome = yield partial(pull.recv_msg, message)
    assert message == (SHORT if outcome.ok else b"")
    left(stage, sockets, outcome, [SHORT])


@scenario()
def message_recv(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    message = zraw.Message(LONG)
    outcome = yield partial(message.recv, pull)
    assert message == (SHORT if outcome.ok else b"")
    left(stage, sockets, outcome, [SHORT])


@scenario()
def try_recv_msg(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    message = zraw.Message(LONG)
    outcome = yield partial(pull.try_recv_msg, message)
    assert message == (SHORT if outcome.value else b"")
    assert stage.arrived(*sockets) == ([] if outcome.value else [[SHORT]])


def after_one(fault, before):
    """Between frames there are no errors but ETERM; between messages none is raised."""
    if any(call.function == "zmq_msg_recv" and not call.err for call in before):
        return WORKS, CLASSES[fault.err]
    return NotImplemented


def after_one_moved(fault, before):
    if fault.function == "zmq_msg_move":
        return zraw.InvalidHandle
    return after_one(fault, before)


@scenario(judge=after_one)
def recv_multipart(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send_multipart([*PARTS, LARGE])
    outcome = yield pull.recv_multipart
    assert outcome.value == ([*PARTS, LARGE] if outcome.ok else None)
    left(stage, sockets, outcome, [*PARTS, LARGE])


@scenario(judge=after_one_moved)
def recv_multipart_messages(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send_multipart(PARTS)
    outcome = yield partial(pull.recv_multipart, copy=False)
    if outcome.ok:
        assert [bytes(message) for message in outcome.value] == PARTS
    left(stage, sockets, outcome, PARTS)


@scenario(judge=after_one)
def try_recv_multipart(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send_multipart(PARTS)
    outcome = yield pull.try_recv_multipart
    assert outcome.value in (PARTS, None)
    if outcome.ok and outcome.value is None:
        assert outcome.torn or stage.arrived(*sockets) == [PARTS]
    else:
        left(stage, sockets, outcome, PARTS)


def recv_many_of(**how):
    def play(stage: Stage):
        sockets = push, pull = stage.pair()
        push.send_many([SHORT, PARTS, LONG])
        outcome = yield partial(pull.recv_many, **how)
        taken = outcome.value if outcome.ok else getattr(outcome.error, "received", [])
        got = [
            [bytes(part) for part in (item if isinstance(item, list) else [item])]
            for item in taken
        ]
        if not outcome.torn:
            there = stage.arrived(*sockets)
            wanted = [[SHORT], PARTS, [LONG]]
            if outcome.starved and not outcome.ok and got + there != wanted:
                del wanted[len(got)]  # for which there was no memory
            assert got + there == wanted, (got, there)

    return play


named("recv_many", recv_many_of(), judge=after_one)
named("recv_many_multipart", recv_many_of(multipart=True), judge=after_one)
named("recv_many_messages", recv_many_of(copy=False), judge=after_one_moved)


@scenario()
def poll(stage: Stage):
    sockets = push, pull = stage.pair()
    push.send(SHORT)
    outcome = yield partial(pull.poll, 1000)
    assert not outcome.ok or outcome.value == zraw.ZMQ_POLLIN
    assert pull.recv() == SHORT
    left(stage, sockets, outcome)


@scenario()
def poll_nothing(stage: Stage):
    _push, pull = stage.pair()
    outcome = yield partial(pull.poll, 10)
    assert not outcome.value
