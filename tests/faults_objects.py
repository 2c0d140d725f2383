"""Scenarios of contexts, options, messages and small things; see faults_run.py."""

from __future__ import annotations

import contextlib
import time
import warnings
from functools import partial

import zraw
import zraw.guard
import zraw.library
from faults_run import WORKS, Stage, faults, scenario

BODY = b"m" * 40
warnings.simplefilter("ignore", ResourceWarning)


@scenario(about="zmq_ctx_set", memory=False)
def context_new(stage: Stage):
    outcome = yield partial(zraw.Context, 2)
    if outcome.ok:
        assert outcome.value.get(zraw.ZMQ_IO_THREADS) == 2
        outcome.value.close()


@scenario(zmq_ctx_term=zraw.InvalidHandle)
def context_term(stage: Stage):
    context = zraw.Context()
    yield context.term
    assert context.closed
    context.term()


@scenario(zmq_ctx_term=zraw.InvalidHandle, memory=False)
def context_close(stage: Stage):
    context = zraw.Context()
    socket = zraw.Socket(context, zraw.ZMQ_PUSH)
    yield partial(context.close, linger=0)
    assert context.closed and socket.closed
    context.close()


@scenario(about="zmq_ctx_shutdown", EINTR__from__zmq_ctx_term__1=WORKS)
def context_shutdown(stage: Stage):
    context = zraw.Context()
    yield context.shutdown
    context.close()


@scenario(zmq_ctx_term=WORKS, memory=False)
def context_collected(stage: Stage):
    made = [zraw.Context()]
    stage.threaded = True

    def call():
        made.clear()
        end = time.monotonic() + 5
        while faults.count < 2 and time.monotonic() < end:
            time.sleep(0.001)  # zmq_ctx_term() has a thread of its own

    yield call


@scenario(memory=False)
def context_options(stage: Stage):
    def call():
        stage.context.set(zraw.ZMQ_MAX_SOCKETS, 50)
        return stage.context.get(zraw.ZMQ_MAX_SOCKETS)

    outcome = yield call
    assert outcome.value == (50 if outcome.ok else None)


@scenario(zmq_getsockopt=WORKS, memory=False)
def socket_new(stage: Stage):
    outcome = yield partial(zraw.Socket, stage.context, zraw.ZMQ_PUSH)
    if outcome.ok:
        assert outcome.value.type in (zraw.ZMQ_PUSH, -1)  # -1 if its context is gone
        outcome.value.close()


@scenario(memory=False)
def socket_close(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PUSH)
    yield partial(socket.close, linger=0)
    assert socket.closed
    socket.close()


@scenario(memory=False)
def socket_collected(stage: Stage):
    made = [zraw.Socket(stage.context, zraw.ZMQ_PUSH)]
    yield made.clear
    assert not stage.context.sockets


OPTIONS = "zmq_getsockopt zmq_setsockopt"


@scenario(about=OPTIONS, memory=False)
def options(stage: Stage):
    """Each is set and got by a type of its own."""
    socket = stage.socket(zraw.ZMQ_DEALER)
    name = stage.buffer(4)

    def call():
        socket.setsockopt(zraw.ZMQ_SNDHWM, 7)
        socket.setsockopt(zraw.ZMQ_ROUTING_ID, name)
        return [
            socket.getsockopt(zraw.ZMQ_SNDHWM),
            socket.getsockopt(zraw.ZMQ_ROUTING_ID),
            socket.fileno() >= 0,
        ]

    outcome = yield call
    assert outcome.value == ([7, name, True] if outcome.ok else None)


@scenario(about="zmq_bind zmq_unbind zmq_connect zmq_disconnect", memory=False)
def endpoints(stage: Stage):
    pull, push = stage.socket(zraw.ZMQ_PULL), stage.socket(zraw.ZMQ_PUSH)
    name = "inproc://endpoints"

    def call():
        assert pull.bind(name) == name
        push.connect(name)
        push.disconnect(name)
        pull.unbind(name)

    outcome = yield call
    if not outcome.ok:
        for undo in (push.disconnect, pull.unbind):
            with contextlib.suppress(zraw.NotFound):
                undo(name)
    call()


def given_up(fault, before):
    """What lets the connections go may fail as it likes, once the endpoint is gone."""
    names = "zmq_unbind", "zmq_disconnect"
    gone = any(call.function in names and not call.err for call in before)
    return WORKS if gone or fault.function not in names else NotImplemented


@scenario(judge=given_up, memory=False, depth=2)
def unbind(stage: Stage):
    pull = stage.socket(zraw.ZMQ_PULL)
    name = pull.bind("tcp://127.0.0.1:*")
    outcome = yield partial(pull.unbind, name)
    if not outcome.ok:
        pull.unbind(name)


@scenario(judge=given_up, memory=False, depth=2)
def disconnect(stage: Stage):
    push, name = stage.socket(zraw.ZMQ_PUSH), "ipc:///dev/null/nobody"
    push.connect(name)
    outcome = yield partial(push.disconnect, name)
    if not outcome.ok:
        push.disconnect(name)


@scenario(zmq_ctx_term=WORKS)
def plain_server(stage: Stage):
    """The look at what makes libzmq abort."""
    pull = stage.socket(zraw.ZMQ_PULL, PLAIN_SERVER=1)
    outcome = yield partial(pull.bind, "inproc://plain")
    if not outcome.ok:
        with contextlib.suppress(zraw.AddressInUse):  # it had no memory for the result
            pull.bind("inproc://plain")
    pull.unbind("inproc://plain")


# The socket that finds out whether the name is free may fail as it likes; if the name
# stays in use the monitor cannot have it.
SCRATCH = {
    "zmq_bind": WORKS,
    "zmq_socket 2": WORKS,
    "zmq_unbind": (zraw.AddressInUse, WORKS),
    "zmq_close": (zraw.AddressInUse, WORKS),
}


def scratch(fault, before):
    """The last option to be set is one of that socket."""
    if fault.function == "zmq_setsockopt" and any(
        call.function == "zmq_socket" for call in before[1:]
    ):
        return WORKS
    return NotImplemented


@scenario(about="zmq_connect zmq_setsockopt", memory=False, judge=scratch, **SCRATCH)
def monitor(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PULL)
    outcome = yield socket.monitor
    if not outcome.ok:
        assert stage.context.sockets == [socket]
        if outcome.last == "zmq_connect":
            return  # the monitor has no reader: only ETERM comes from there
    reader = outcome.value or socket.monitor()
    assert reader.getsockopt(zraw.ZMQ_RCVHWM) == 0
    socket.bind("tcp://127.0.0.1:*")
    reader.setsockopt(zraw.ZMQ_RCVTIMEO, 300)
    assert zraw.recv_event(reader).name == "ZMQ_EVENT_LISTENING"
    reader.close()


@scenario()
def monitor_stopped(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PULL)
    reader = socket.monitor()
    outcome = yield partial(socket.monitor, None)
    if not outcome.ok:
        socket.monitor(None)
    reader.close()


@scenario(zmq_socket_monitor=WORKS, memory=False)
def monitor_closed(stage: Stage):
    socket = stage.socket(zraw.ZMQ_PULL)
    reader = socket.monitor()
    yield reader.close
    assert reader.closed


@scenario(memory=False)
def look_at(stage: Stage):
    """What live() and an event loop see of a socket."""
    socket = stage.socket(zraw.ZMQ_PULL)

    def call():
        return zraw.guard.look_at(socket), socket._arm()

    yield call
    assert zraw.guard.look_at(socket)[0] == "ZMQ_PULL"


@scenario(zmq_ctx_new=ImportError, zmq_ctx_get=ImportError, zmq_ctx_term=WORKS)
def check_library(stage: Stage):
    yield zraw.library.check_library


@scenario(memory=False)
def crypto(stage: Stage):
    data = stage.buffer(8)

    def call():
        text = zraw.z85_encode(data)
        public, secret = zraw.curve_keypair()
        return zraw.z85_decode(text), zraw.curve_public(secret) == public

    outcome = yield call
    assert outcome.value == ((data, True) if outcome.ok else None)


@scenario(memory=False)
def small_things(stage: Stage):
    def call():
        return zraw.AtomicCounter(), zraw.Stopwatch(), zraw.Timers()

    outcome = yield call
    if outcome.ok:
        assert outcome.value[0].inc() == 0
        outcome.value[2].destroy()


@scenario(zmq_timers_timeout=WORKS, memory=False)
def timers(stage: Stage):
    timers = zraw.Timers()

    def handler(number):
        called.append(number)

    called: list[int] = []

    def call():
        first = timers.add(1000, handler)
        timers.set_interval(first, 1)
        timers.reset(first)
        assert timers.timeout() < 2
        time.sleep(0.003)
        timers.execute()
        timers.cancel(first)

    outcome = yield call
    if outcome.ok:
        assert len(timers) == 0 and len(called) == 1
    second = timers.add(1000, handler)
    assert timers.timeout() >= 0
    timers.cancel(second)
    timers.destroy()


@scenario(memory=False)
def timers_destroyed(stage: Stage):
    made = [zraw.Timers(), zraw.Timers()]

    def call():
        made[0].destroy()
        made.clear()

    yield call


@scenario(memory=False)
def message_made(stage: Stage):
    data = stage.buffer(100)

    def call():
        return zraw.Message(data), zraw.Message.init_size(100)

    outcome = yield call
    if outcome.ok:
        assert [bytes(message) for message in outcome.value] == [data, bytes(100)]


@scenario()
def message_made_again(stage: Stage):
    """A Message that could not take its new body is empty, and usable."""
    message = zraw.Message(BODY)
    outcome = yield partial(message.__init__, b"new" * 30)
    assert message == (b"new" * 30 if outcome.ok else b"")
    message.__init__(BODY)
    assert message == BODY


@scenario(zmq_msg_copy=zraw.InvalidHandle)
def message_lent(stage: Stage):
    data = stage.buffer(100)
    tracker, freed = zraw.Tracker(), []
    outcome = yield partial(
        zraw.Message.init_data, data, lambda: freed.append(1), tracker
    )
    if outcome.ok:
        assert outcome.value == data and tracker.pending == 1
        outcome.value.close()
    assert tracker.wait(5000) and tracker.pending == 0


@scenario(zmq_msg_copy=zraw.InvalidHandle)
def message_copied(stage: Stage):
    source, message = zraw.Message(BODY), zraw.Message(b"old")
    outcome = yield partial(message.copy, source)
    assert source == BODY
    assert message == BODY or not outcome.ok
    message.copy(source)
    assert message == BODY


@scenario(zmq_msg_move=zraw.InvalidHandle)
def message_moved(stage: Stage):
    source, message = zraw.Message(BODY), zraw.Message(b"old")
    outcome = yield partial(message.move, source)
    assert (source, message) == ((b"", BODY) if outcome.ok else (BODY, b"old"))
    message.move(zraw.Message(BODY))
    assert message == BODY


@scenario(zmq_msg_set=zraw.InvalidArgument, natural=zraw.InvalidArgument)
def message_set(stage: Stage):
    message = zraw.Message(BODY)
    yield partial(message.set, zraw.ZMQ_MORE, 1)
    assert bytes(message) == BODY


@scenario(memory=False)
def message_get(stage: Stage):
    message = zraw.Message(BODY)
    outcome = yield lambda: (message.get(zraw.ZMQ_MORE), message.more())
    assert not outcome.ok or outcome.value == (0, False)
    assert bytes(message) == BODY


@scenario(natural=zraw.InvalidArgument)
def message_gets(stage: Stage):
    message = zraw.Message(BODY)
    yield partial(message.gets, "User-Id")
    assert bytes(message) == BODY


@scenario(memory=False)
def message_closed(stage: Stage):
    messages = [zraw.Message(BODY), zraw.Message(BODY)]

    def call():
        messages[0].close()
        messages.clear()

    yield call


def single(name: str, prepare, **rules):
    """A scenario of one call on a socket, with nothing to be looked at after."""

    def play(stage: Stage):
        push, pull = stage.pair()
        yield prepare(stage, push, pull)
        assert stage.arrived(push, pull) == []

    play.__name__ = name
    scenario(**rules)(play)


def timer_set(stage: Stage, *_sockets):
    timers = zraw.Timers()
    return partial(timers.add, 1000, timers.add)


single("bind", lambda stage, push, pull: partial(pull.bind, "inproc://b"))
single("connect", lambda stage, push, pull: partial(push.connect, "inproc://c"))
single(
    "disconnect",
    lambda stage, push, pull: partial(pull.unbind, "inproc://d"),
    natural=zraw.NotFound,
)
single(
    "getsockopt", lambda stage, push, pull: partial(pull.getsockopt, 5), about=OPTIONS
)
single(
    "setsockopt",
    lambda stage, push, pull: partial(pull.setsockopt, 5, b"i" * 9),
    about=OPTIONS,
)
single("live", lambda *_: partial(zraw.guard.look_at, _[1]), memory=False)
single("timers_new", lambda *_: zraw.Timers)
single("timers_add", timer_set)
single("encode", lambda *_: partial(zraw.z85_encode, b"1234"))
single("decode", lambda *_: partial(zraw.z85_decode, b"12345"))
single("curve_keypair", lambda *_: zraw.curve_keypair)
single("message_new", lambda *_: partial(zraw.Message, BODY))
single("message_sized", lambda *_: partial(zraw.Message.init_size, 100))
