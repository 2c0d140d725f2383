"""Scenarios of libzmq's draft API; see faults_run.py.  Without it there are none."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import zraw
from drafts import of, to
from faults import DRAFT, libzmq
from faults_objects import SCRATCH, scratch
from faults_run import SKIP, WORKS, Stage, scenario
from faults_sockets import in_middle

BODY = b"m" * 40
PPOLL = hasattr(libzmq(), "zmq_ppoll")
DISCONNECT = hasattr(libzmq(), "zmq_disconnect_peer")
# What wait_ready() uses to wait for a thread-safe socket; if it fails, it is no wait.
READY = dict.fromkeys(
    ("zmq_poller_new", "zmq_poller_add", "zmq_poller_wait", "zmq_poller_destroy"), WORKS
)


def draft(present: bool = True, **rules: Any) -> Callable[[Any], Any]:
    """Register a scenario, where libzmq has what it is about."""
    rules = {"memory": False, **rules}
    return scenario(**rules) if DRAFT and present else lambda play: play


@draft(**READY)
def client_send(stage: Stage):
    client, server = stage.pair(zraw.ZMQ_CLIENT, zraw.ZMQ_SERVER)
    outcome = yield partial(client.send, bytearray(BODY))
    client.send(b"after")
    got = [server.recv() for _ in range(1 + outcome.ok)]
    assert got == [BODY] * outcome.ok + [b"after"]


@draft(**READY)
def client_recv(stage: Stage):
    client, server = stage.pair(zraw.ZMQ_CLIENT, zraw.ZMQ_SERVER)
    client.send(BODY)
    outcome = yield server.recv
    assert outcome.value == (BODY if outcome.ok else None)
    assert outcome.ok or server.recv() == BODY


# Without the answer for ZMQ_RCVTIMEO it waits for ever, or until the context ends.
@draft(natural=zraw.Again, zmq_getsockopt=SKIP, depth=1, **READY)
def client_recv_nothing(stage: Stage):
    _client, server = stage.pair(zraw.ZMQ_CLIENT, zraw.ZMQ_SERVER, RCVTIMEO=5)
    outcome = yield server.recv
    assert not outcome.ok


@draft(**READY)
def server_answers(stage: Stage):
    """A Message for one peer."""
    client, server = stage.pair(zraw.ZMQ_CLIENT, zraw.ZMQ_SERVER)
    client.send(BODY)
    peer = server.recv_msg().routing_id()
    message = zraw.Message(BODY)

    def call():
        message.set_routing_id(peer)
        server.send(message)

    outcome = yield call
    if not outcome.ok:
        server.send(to(peer, BODY))
    assert client.recv() == BODY


@draft()
def radio(stage: Stage):
    radio, dish = stage.socket(zraw.ZMQ_RADIO), stage.socket(zraw.ZMQ_DISH)
    radio.connect(dish.bind("inproc://radio"))

    def call():
        dish.join("group")
        message = zraw.Message(BODY)
        message.set_group("group")
        return message

    outcome = yield call
    if not outcome.ok:
        with contextlib.suppress(zraw.InvalidArgument):
            dish.leave("group")
        dish.join("group")
    dish.poll(1)
    radio.poll(10, zraw.ZMQ_POLLOUT)
    radio.send(of("group", BODY))
    assert dish.recv() == BODY
    dish.leave("group")


@draft()
def leave(stage: Stage):
    dish = stage.socket(zraw.ZMQ_DISH)
    dish.join("group")
    outcome = yield partial(dish.leave, "group")
    if not outcome.ok:
        dish.leave("group")
    dish.join("group")


@draft(judge=in_middle)
def datagram(stage: Stage):
    """What waits for room before it enters libzmq."""
    socket = stage.socket(zraw.ZMQ_DGRAM)
    socket.bind("udp://127.0.0.1:*")
    yield partial(socket.send_multipart, [b"127.0.0.1:9", b"x"])


@draft()
def peers(stage: Stage):
    first, second = stage.socket(zraw.ZMQ_PEER), stage.socket(zraw.ZMQ_PEER)
    first.bind("inproc://peer")
    outcome = yield partial(second.connect_peer, "inproc://peer")
    peer = outcome.value or second.connect_peer("inproc://peer")
    second.send(to(peer, BODY))
    assert first.recv() == BODY


@draft(DISCONNECT)
def peer_disconnected(stage: Stage):
    first, second = stage.socket(zraw.ZMQ_PEER), stage.socket(zraw.ZMQ_PEER)
    first.bind("inproc://peer")
    peer = second.connect_peer("inproc://peer")
    outcome = yield partial(second.disconnect_peer, peer)
    if not outcome.ok:
        second.disconnect_peer(peer)


@draft(natural=zraw.HostUnreachable)
def peer_state(stage: Stage):
    router = stage.socket(zraw.ZMQ_ROUTER)
    name = stage.buffer(5)
    yield partial(router.get_peer_state, name)


@draft(about="zmq_connect zmq_setsockopt", judge=scratch, **SCRATCH)
def monitor_versioned(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PULL)
    outcome = yield partial(socket.monitor_versioned, type=zraw.ZMQ_PUB)
    if not outcome.ok:
        assert stage.context.sockets == [socket]
    else:
        outcome.value.close()


@draft(natural=zraw.InvalidArgument)
def pipes_stats(stage: Stage):
    yield stage.socket(zraw.ZMQ_PULL).monitor_pipes_stats


@draft()
def context_ext(stage: Stage):
    def call():
        stage.context.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "faults")
        stage.context.set_ext(zraw.ZMQ_MAX_SOCKETS, 50)
        return (
            stage.context.get_ext(zraw.ZMQ_THREAD_NAME_PREFIX),
            stage.context.get_ext(zraw.ZMQ_MAX_SOCKETS),
        )

    outcome = yield call
    assert outcome.value == (("faults", 50) if outcome.ok else None)


@draft(memory=True)
def init_buffer(stage: Stage):
    data = stage.buffer(100)
    outcome = yield partial(zraw.Message.init_buffer, data)
    assert not outcome.ok or outcome.value == data


@draft()
def poller_fd(stage: Stage):
    poller = zraw.Poller()
    poller.add(stage.socket(zraw.ZMQ_SERVER))
    outcome = yield poller.fd
    assert not outcome.ok or outcome.value >= 0
    poller.destroy()


@draft(PPOLL)
def ppoll(stage: Stage):
    push, pull = stage.pair()
    push.send(BODY)
    items = [(pull, zraw.ZMQ_POLLIN)]
    outcome = yield partial(zraw.ppoll, items, 200, [signal.SIGUSR1])
    assert not outcome.ok or outcome.value == items
    assert pull.recv() == BODY


@draft()
def zap_domain(stage: Stage):
    """The look at what makes libzmq abort, to its end."""
    pull = stage.socket(
        zraw.ZMQ_PULL, PLAIN_SERVER=1, ZAP_ENFORCE_DOMAIN=1, ZAP_DOMAIN="d"
    )
    outcome = yield partial(pull.bind, "inproc://plain")
    if not outcome.ok:
        pull.bind("inproc://plain")
    pull.unbind("inproc://plain")
