"""Scenarios of polling and of proxies; see faults_run.py."""

from __future__ import annotations

import contextlib
import gc
import threading
from functools import partial

import zraw
from faults_run import WORKS, Stage, scenario

BODY = b"m" * 40


def in_thread(call):
    """Run a call in another thread, and end as it did."""
    ends = []

    def run():
        try:
            ends.append((call(), None))
        except BaseException as error:
            ends.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = ends.pop()
    if error is not None:
        raise error
    return value


NATIVE = zraw.has("draft")  # which looks first whether a socket's context is there


def look_first(fault, before):
    """Whatever keeps a socket from telling its type, its context is taken for gone."""
    if fault.function == "zmq_getsockopt":
        return zraw.ContextTerminated
    return NotImplemented


LOOK = {"judge": look_first} if NATIVE else {}


@scenario()
def poll_several(stage: Stage):
    push, pull = stage.pair()
    push.send(BODY)
    items = [(pull, zraw.ZMQ_POLLIN), (push, zraw.ZMQ_POLLIN)]
    outcome = yield partial(zraw.poll, items, 500)
    if outcome.ok:
        assert outcome.value == [(pull, zraw.ZMQ_POLLIN)]
    assert pull.recv() == BODY


@scenario()
def poll_several_nothing(stage: Stage):
    _push, pull = stage.pair()
    outcome = yield partial(zraw.poll, [(pull, zraw.ZMQ_POLLIN)], 10)
    assert not outcome.value


def poller_of(call, natural=None, ready=True, **rules):
    def play(stage: Stage):
        push, pull = stage.pair()
        poller = zraw.Poller()
        poller.add(pull)
        if ready:
            push.send(BODY)
        outcome = yield call(poller)
        if outcome.ok:
            found = (
                outcome.value if isinstance(outcome.value, list) else [outcome.value]
            )
            assert [event[0] for event in found] == [pull]
        assert poller.size() == 1
        poller.remove(pull)
        poller.destroy()

    play.__name__ = rules.pop("name")
    scenario(natural=natural, waits=natural is None, **LOOK, **rules)(play)


# zraw.Again is what a Poller raises when the time is over.
AGAIN = {
    f"EAGAIN from {name} {n}": WORKS
    for name in ("zmq_poller_wait", "zmq_poller_wait_all")
    for n in range(1, 9)
}
poller_of(lambda poller: partial(poller.wait, 200), name="poller_wait", **AGAIN)
poller_of(
    lambda poller: partial(poller.wait_all, 3, 200), name="poller_wait_all", **AGAIN
)
poller_of(
    lambda poller: partial(poller.wait, 10),
    zraw.Again,
    ready=False,
    name="poller_wait_nothing",
    **AGAIN,
)


@scenario(memory=False)
def poller_new(stage: Stage):
    outcome = yield zraw.Poller
    if outcome.ok:
        outcome.value.destroy()


@scenario(memory=False)
def poller_items(stage: Stage):
    """Registering, changing and removing sockets and descriptors."""
    _push, pull = stage.pair()
    poller = zraw.Poller()
    reader, _writer = stage.pipe()

    def call():
        poller.add(pull)
        poller.modify(pull, zraw.ZMQ_POLLOUT)
        poller.add_fd(reader)
        poller.modify_fd(reader, 0)
        assert poller.size() == 2
        poller.remove(pull)
        poller.remove_fd(reader)

    yield call
    for undo, item in ((poller.remove, pull), (poller.remove_fd, reader)):
        with contextlib.suppress(zraw.InvalidArgument):
            undo(item)
    assert poller.size() == len(poller) == 0
    call()
    poller.destroy()


@scenario()
def poller_destroyed(stage: Stage):
    poller = zraw.Poller()
    poller.add(stage.socket(zraw.ZMQ_PULL))
    yield poller.destroy
    poller.destroy()


@scenario(zmq_poller_remove=WORKS, memory=False)
def poller_socket_closed(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PULL)
    poller = zraw.Poller()
    poller.add(socket)
    yield socket.close
    assert socket.closed and len(poller) == 0
    poller.destroy()


@scenario()
def poller_collected(stage: Stage):
    made = [zraw.Poller()]
    yield made.clear


def proxy_of(name: str, run, **rules):
    def play(stage: Stage):
        pull = stage.socket(zraw.ZMQ_PULL)
        push = stage.socket(zraw.ZMQ_PUSH)

        def call():
            stage.shut_down(0.003)
            return run(pull, push)

        stage.threaded = name == "proxy_thread"
        yield call
        stage.settle()
        assert pull.handle and push.handle
        gc.collect()
        for socket in stage.sockets:
            socket.close()

    play.__name__ = name
    scenario(natural=zraw.ContextTerminated, memory=False, depth=2, **rules)(play)


# Of its own context and sockets it does not mind closing.
OWN = {"zmq_ctx_set": WORKS, "zmq_ctx_term": WORKS, "zmq_close": WORKS}
if not NATIVE:
    proxy_of("proxy", zraw.proxy, **OWN)
    proxy_of("proxy_thread", lambda *sockets: in_thread(lambda: zraw.proxy(*sockets)))


@scenario(memory=False, judge=look_first)
def proxy_steerable(stage: Stage):
    pull, push = stage.socket(zraw.ZMQ_PULL), stage.socket(zraw.ZMQ_PUSH)
    control, other = stage.pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    other.send(b"TERMINATE")
    outcome = yield partial(zraw.proxy_steerable, pull, push, None, control)
    if outcome.ok:
        assert control.try_recv() is None
