"""Socket._hook and Socket._arm: how zraw.aio hears of calls on a socket."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import warnings
import weakref

import pytest

import zraw
from conftest import is_inside, wait_until


class Hook:
    """A hook that remembers how it was called, and by whom."""

    def __init__(self):
        self.calls = []
        self.threads = set()

    def __call__(self, closing):
        self.calls.append(closing)
        self.threads.add(threading.get_ident())


@pytest.fixture
def hooked(pair):
    """Two connected sockets, and the hook of the first one."""

    def make(first=zraw.ZMQ_PAIR, second=zraw.ZMQ_PAIR, transport="inproc", **options):
        near, far = pair(first, second, transport, **options)
        near._hook = hook = Hook()
        return near, far, hook

    return make


@pytest.fixture
def unraisable(monkeypatch):
    problems = []
    monkeypatch.setattr(sys, "unraisablehook", problems.append)
    return problems


def poller_wait(socket):
    poller = zraw.Poller()
    poller.add(socket)
    with contextlib.suppress(zraw.Again):
        poller.wait(0)


CALLS = {
    "send": lambda socket: socket.send(b"x"),
    "try_send": lambda socket: socket.try_send(b"x"),
    "send_multipart": lambda socket: socket.send_multipart([b"x", b"y"]),
    "send_many": lambda socket: socket.send_many([b"x", [b"y", b"z"]]),
    "send_msg": lambda socket: socket.send(zraw.Message(b"x")),
    "recv": lambda socket: socket.recv(),
    "recv_msg": lambda socket: socket.recv_msg(),
    "recv_into": lambda socket: socket.recv_into(bytearray(10)),
    "recv_multipart": lambda socket: socket.recv_multipart(),
    "recv_many": lambda socket: socket.recv_many(1),
    "try_recv": lambda socket: socket.try_recv(),
    "try_recv_msg": lambda socket: socket.try_recv_msg(zraw.Message()),
    "try_recv_multipart": lambda socket: socket.try_recv_multipart(),
    "getsockopt": lambda socket: socket.getsockopt(zraw.ZMQ_EVENTS),
    "setsockopt": lambda socket: socket.setsockopt(zraw.ZMQ_LINGER, 0),
    "bind": lambda socket: socket.bind("tcp://127.0.0.1:*"),
    "connect": lambda socket: socket.connect("inproc://later"),
    "Socket.poll": lambda socket: socket.poll(0),
    "poll": lambda socket: zraw.poll([(socket, zraw.ZMQ_POLLIN)], 0),
    "Poller.wait": poller_wait,
    "fileno": lambda socket: socket.fileno(),
}
DONTWAIT = zraw.ZMQ_DONTWAIT
FAILING = {
    "recv": lambda socket: socket.recv(DONTWAIT),
    "recv_msg": lambda socket: socket.recv_msg(None, DONTWAIT),
    "recv_multipart": lambda socket: socket.recv_multipart(DONTWAIT),
    "recv_many": lambda socket: socket.recv_many(1, DONTWAIT),
    "bind": lambda socket: socket.bind("ipc:///nothing/there"),
    "connect": lambda socket: socket.connect("tcp://nonsense"),
    "unbind": lambda socket: socket.unbind("inproc://unheard"),
    "disconnect": lambda socket: socket.disconnect("inproc://unheard"),
    "setsockopt": lambda socket: socket.setsockopt(zraw.ZMQ_ROUTING_ID, b"x" * 300),
}


# ---- once for each _arm()


@pytest.mark.parametrize("call", CALLS)
def test_arm__next_call_tells_once(hooked, call):
    near, far, hook = hooked()
    far.send_many([b"x"] * 4)
    assert near._arm() & zraw.ZMQ_POLLIN
    assert hook.calls == []
    CALLS[call](near)
    assert hook.calls == [False]
    CALLS[call](near)
    near.getsockopt(zraw.ZMQ_EVENTS)
    assert hook.calls == [False]
    near._arm()
    near._arm()
    near.getsockopt(zraw.ZMQ_EVENTS)
    assert hook.calls == [False, False]


@pytest.mark.parametrize("call", FAILING)
def test_arm__call_that_fails_tells_too(hooked, call):
    near, _, hook = hooked()
    near._arm()
    with pytest.raises(zraw.ZMQError) as caught:
        FAILING[call](near)
    assert hook.calls == [False]
    # The hook has changed nothing of what the caller learns.
    assert caught.value.errno == zraw.errno()
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["send", "try_send"])
def test_arm__message_that_cannot_be_sent_now(hooked, name):
    near, _, hook = hooked(SNDHWM=1, RCVHWM=1)
    while near.try_send(b"x"):
        pass
    near._arm()
    if name == "send":
        with pytest.raises(zraw.Again):
            near.send(b"x", DONTWAIT)
    else:
        assert not near.try_send(b"x")
    assert hook.calls == [False]


@pytest.mark.parametrize("call", CALLS)
def test_hook__nobody_is_told_who_has_not_armed(hooked, call):
    near, far, hook = hooked()
    far.send_many([b"x"] * 4)
    CALLS[call](near)
    assert hook.calls == []


def test_arm__returns_what_is_there(hooked):
    near, far, hook = hooked(SNDHWM=1, RCVHWM=1)
    assert near._arm() == zraw.ZMQ_POLLOUT
    far.send(b"x")
    assert near._arm() == zraw.ZMQ_POLLIN | zraw.ZMQ_POLLOUT
    while near.try_send(b"x"):
        pass
    assert near._arm() == zraw.ZMQ_POLLIN
    near.recv()
    assert near._arm() == 0
    assert hook.calls == [False, False]


def test_arm__does_not_tell_of_itself_or_of_others(hooked):
    near, far, hook = hooked()
    near._arm()
    near._arm()
    far.send(b"x")
    far.getsockopt(zraw.ZMQ_EVENTS)
    assert not near.closed
    assert near.type == zraw.ZMQ_PAIR
    assert hook.calls == []


def test_arm__without_a_hook(pair):
    near, _ = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    assert near._hook is None
    assert near._arm() == zraw.ZMQ_POLLOUT
    near.getsockopt(zraw.ZMQ_EVENTS)
    near._arm()
    near.close()


def test_hook__cleared_and_replaced(hooked):
    near, _, hook = hooked()
    assert near._hook is hook
    near._arm()
    near._hook = None
    near.getsockopt(zraw.ZMQ_EVENTS)
    assert hook.calls == []
    near._hook = other = Hook()
    near._arm()
    near.getsockopt(zraw.ZMQ_EVENTS)
    assert (hook.calls, other.calls) == ([], [False])


def test_hook__may_arm_again_and_use_the_socket(hooked):
    near, far, hook = hooked()
    got = []

    def again(closing):
        hook(closing)
        if not closing and len(hook.calls) < 5:
            got.append(near.try_recv())
            near._arm()

    near._hook = again
    far.send_many([b"1", b"2"])
    near._arm()
    assert near.recv() == b"1"
    assert hook.calls == [False]
    assert got == [b"2"]
    near.getsockopt(zraw.ZMQ_EVENTS)
    assert hook.calls == [False] * 2


def test_arm__is_a_look_at_the_end_of_the_context(pair, ctx):
    """Every call has something to say then, so everybody should look."""
    near, _ = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    near._hook = hook = Hook()
    ctx.shutdown()
    assert near._arm() == zraw.ZMQ_POLLIN | zraw.ZMQ_POLLOUT
    with pytest.raises(zraw.ContextTerminated):
        near.recv()
    assert hook.calls == [False]


# ---- threads


@pytest.mark.parametrize("call", CALLS)
def test_hook__called_by_the_thread_of_the_call(hooked, call):
    near, far, hook = hooked()
    far.send_many([b"x"] * 4)
    near._arm()
    thread = threading.Thread(target=CALLS[call], args=(near,))
    thread.start()
    thread.join(10)
    assert hook.calls == [False]
    assert hook.threads == {thread.ident}


@pytest.mark.parametrize("wait", ["recv", "Socket.poll", "poll", "Poller.wait"])
def test_arm__while_another_thread_is_inside(hooked, wait):
    near, far, hook = hooked()
    waiting = {
        "recv": near.recv,
        "Socket.poll": lambda: near.poll(5000),
        "poll": lambda: zraw.poll([(near, zraw.ZMQ_POLLIN)], 5000),
        "Poller.wait": lambda: poller.wait(5000),
    }
    poller = zraw.Poller()
    poller.add(near)
    thread = threading.Thread(target=waiting[wait])
    thread.start()
    wait_until(lambda: is_inside(near))
    assert near._arm() == -1
    with pytest.raises(zraw.SocketInUse):
        near.getsockopt(zraw.ZMQ_EVENTS)
    assert hook.calls == []
    far.send(b"x")
    thread.join(10)
    assert hook.calls == [False]
    assert hook.threads == {thread.ident}


def test_arm__never_misses_a_thread_that_comes_out(hooked):
    """Armed again and again while another thread goes in and out."""
    near, _, hook = hooked()
    stop = threading.Event()

    def use():
        while not stop.is_set():
            # _arm() itself is inside for a moment.
            with contextlib.suppress(zraw.SocketInUse):
                near.poll(0)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for number in range(1, 301):
            near._arm()
            wait_until(lambda number=number: len(hook.calls) == number)
    finally:
        stop.set()
        thread.join(10)
    assert hook.calls == [False] * 300


# ---- exceptions


def test_hook__what_it_raises_is_unraisable(hooked, unraisable):
    near, far, _ = hooked()

    def boom(closing):
        raise KeyError(closing)

    near._hook = boom
    far.send(b"x")
    near._arm()
    assert near.recv() == b"x"
    near._arm()
    with pytest.raises(zraw.Again):
        near.recv(DONTWAIT)
    near.close()
    assert near.closed
    assert [type(what.exc_value) for what in unraisable] == [KeyError] * 3
    assert [what.exc_value.args for what in unraisable] == [(False,), (False,), (True,)]
    assert all(what.object is boom for what in unraisable)


def test_hook__called_while_an_exception_is_on_its_way(hooked):
    """It may run Python, raise, and catch, and the caller's exception survives."""
    near, far, hook = hooked()

    def busy(closing):
        hook(closing)
        try:
            raise LookupError
        except LookupError:
            pass
        gc.collect()

    near._hook = busy
    near._arm()
    with pytest.raises(zraw.Again) as caught:
        near.recv(DONTWAIT)
    assert caught.value.__context__ is None

    near._arm()
    with pytest.raises(ZeroDivisionError) as other:
        try:
            1 / 0  # noqa: B018
        finally:
            near.try_send(b"x")
    assert other.value.__context__ is None
    assert len(hook.calls) == 2
    assert far.recv() == b"x"


# ---- close


def test_hook__told_of_close_before_it_happens(hooked):
    near, _, _ = hooked()
    seen = []

    def hook(closing):
        seen.append((closing, near.closed))

    near._hook = hook
    near._arm()
    near.close()
    assert seen == [(True, False)]
    near.close()
    assert seen == [(True, False)]
    assert near._hook is None


@pytest.mark.parametrize("how", ["socket", "with", "context"])
def test_hook__told_of_every_kind_of_close(how):
    with zraw.Context() as context:
        socket = context.socket(zraw.ZMQ_PAIR)
        socket._hook = hook = Hook()
        if how == "socket":
            socket.close(0)
        elif how == "with":
            with socket:
                pass
        else:
            context.close()
        assert hook.calls == [True]


def test_close__seen_by_another_thread_meanwhile(hooked):
    """From when the hook is told on, everybody is refused: NotASocket."""
    near, _, _ = hooked()
    inside, go_on = threading.Event(), threading.Event()

    def hook(closing):
        inside.set()
        assert go_on.wait(10)

    near._hook = hook
    thread = threading.Thread(target=near.close)
    thread.start()
    try:
        assert inside.wait(10)
        for name, call in CALLS.items():
            with pytest.raises(zraw.NotASocket):
                call(near)
            assert name
        near.close()  # says nothing, and waits for nothing
        assert near._arm() == -1
    finally:
        go_on.set()
        thread.join(10)
    assert near.closed
    with pytest.raises(zraw.NotASocket):
        near._arm()


def test_close__by_the_hook_itself(hooked):
    near, _, hook = hooked()

    def close(closing):
        hook(closing)
        near.close()

    near._hook = close
    near._arm()
    near.getsockopt(zraw.ZMQ_LINGER)
    assert near.closed
    assert hook.calls == [False, True]


def test_close__many_threads_at_once(ctx):
    for _ in range(200):
        socket = ctx.socket(zraw.ZMQ_PAIR)
        socket._hook = hook = Hook()
        start = threading.Barrier(3)
        problems = []

        def close(socket=socket, start=start, problems=problems):
            start.wait()
            try:
                socket.close()
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=close) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert problems == []
        assert hook.calls == [True]


def test_hook__does_not_keep_its_socket(ctx):
    """The collector finds the two, if one refers to the other."""
    socket = ctx.socket(zraw.ZMQ_PAIR)
    socket._hook = hook = Hook()
    hook.socket = socket
    gone = weakref.ref(hook)
    del socket, hook
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert gone() is None
