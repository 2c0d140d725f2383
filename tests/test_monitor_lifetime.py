"""Monitors that are not read, not closed, or closed in the wrong order: no stall."""

from __future__ import annotations

import weakref

import pytest

import zraw
from conftest import wait_until
from programs import check

# A socket that makes events all the time, and two that want to go on.
BUSY = """
import socket as bsd
port = bsd.socket()
port.bind(("127.0.0.1", 0))
busy = context.socket(zraw.ZMQ_PUSH)
busy.setsockopt(zraw.ZMQ_RECONNECT_IVL, 1)
busy.setsockopt(zraw.ZMQ_LINGER, 0)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
reader = busy.monitor()
busy.connect(f"tcp://127.0.0.1:{port.getsockname()[1]}")

def works():
    "An unrelated socket of the same context."
    push.connect(pull.bind("tcp://127.0.0.1:*"))
    push.send(b"x")
    assert pull.recv() == b"x"

def finish():
    start = time.monotonic()
    context.close()
    assert time.monotonic() - start < 3
    port.close()

def retried(reader, count):
    while count:
        count -= zraw.recv_event(reader).name == "ZMQ_EVENT_CONNECT_RETRIED"
"""


def test_socket_monitor__thousands_of_unread_events_stall_nothing():
    check(
        BUSY
        + """
taken = context.socket(zraw.ZMQ_PULL)
where = taken.bind("tcp://127.0.0.1:*")
unread = taken.monitor()
for _ in range(2600):
    try:
        taken.bind(where)
    except zraw.ZMQError:
        pass
    else:
        raise AssertionError
retried(reader, 5)
works()
count = 0
while unread.poll(100):
    count += zraw.recv_event(unread).value == 98
assert count == 2600
finish()
"""
    )


def test_socket_monitor__close_of_the_reader_stops_it():
    """Were it not stopped, the next event would wait for a reader for ever."""
    check(
        BUSY
        + """
retried(reader, 3)
reader.close()
busy.bind("tcp://127.0.0.1:*")
time.sleep(0.05)
works()
again = busy.monitor()
retried(again, 3)
with again:
    pass
busy.bind("tcp://127.0.0.1:*")
finish()
"""
    )


def test_socket_monitor__collected_reader_warns_and_stops_it():
    check(
        BUSY
        + """
retried(reader, 3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    del reader
    gc.collect()
assert [one.category for one in caught] == [ResourceWarning], caught
assert "ZMQ_PAIR" in str(caught[0].message)
busy.bind("tcp://127.0.0.1:*")
time.sleep(0.05)
works()
finish()
"""
    )


def test_socket_monitor__everything_collected_at_once():
    check(
        BUSY
        + """
import weakref
class Own(zraw.Socket):
    pass
warnings.simplefilter("ignore", ResourceWarning)
for how in range(4):
    one = Own(context, zraw.ZMQ_PUSH)
    one.setsockopt(zraw.ZMQ_RECONNECT_IVL, 1)
    one.setsockopt(zraw.ZMQ_LINGER, 0)
    its = one.monitor()
    one.connect(f"tcp://127.0.0.1:{port.getsockname()[1]}")
    retried(its, 2)
    if how & 1:
        one.reader = its
    references = [weakref.ref(one), weakref.ref(its)]
    if how & 2:
        del one, its
    else:
        del its, one
    gc.collect()
    assert [thing() for thing in references] == [None, None]
    works()
    push.close(), pull.close()
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
reader.close()
finish()
"""
    )


def test_socket_monitor__reader_keeps_the_socket_no_longer_than_itself(sock, ctx):
    socket = zraw.Socket(ctx, zraw.ZMQ_PULL)
    reader = socket.monitor()
    reference = weakref.ref(socket)
    reader.close()
    assert reference() is socket
    socket.close()
    del socket
    wait_until(lambda: reference() is None)


def test_socket_monitor__reader_closed_while_another_thread_uses_the_socket():
    check(
        BUSY
        + """
where = pull.bind("tcp://127.0.0.1:*")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, -1)
its, got = pull.monitor(), []
thread = threading.Thread(target=lambda: got.append(pull.recv()))
thread.start()
until(lambda: inside(pull))
refused(zraw.SocketInUse, [pull.monitor, lambda: pull.monitor(None)])
its.close()
assert inside(pull)
push.connect(where)
push.send(b"x")
thread.join(10)
assert got == [b"x"]
finish()
"""
    )


@pytest.mark.parametrize("order", ["mrc", "mcr", "rmc", "rcm", "cmr", "crm"])
@pytest.mark.parametrize("stopped", [False, True])
def test_socket_monitor__closed_in_any_order_under_traffic(order, stopped):
    """The monitored socket, the reader, the context: and nothing is read."""
    closing = {"m": "busy.close()", "r": "reader.close()", "c": "context.close()"}
    check(
        BUSY
        + f"""
works()
stop = threading.Event()
def traffic():
    while not stop.is_set():
        try:
            push.try_send(b"x" * 1000)
        except zraw.ZMQError as error:
            assert type(error) in (zraw.NotASocket, zraw.ContextTerminated), error
            return
thread = threading.Thread(target=traffic)
thread.start()
pull_reader, push_reader = pull.monitor(), None
until(lambda: reader.poll(0))
if {stopped}:
    busy.monitor(None)
start = time.monotonic()
{closing[order[0]]}
{closing[order[1]]}
{closing[order[2]]}
assert time.monotonic() - start < 3
stop.set()
thread.join(10)
assert busy.closed and reader.closed and pull_reader.closed and context.closed
port.close()
"""
    )


def test_socket_monitor__many_open_ones_at_context_close():
    check(
        BUSY
        + """
sockets = [context.socket(zraw.ZMQ_DEALER) for _ in range(30)]
readers = [one.monitor() for one in sockets]
where = sockets[0].bind("tcp://127.0.0.1:*")
for one in sockets[1:]:
    one.connect(where)
    one.setsockopt(zraw.ZMQ_LINGER, 0)
    one.send(b"x")
for _ in sockets[1:]:
    assert sockets[0].recv() == b"x"
finish()
assert all(one.closed for one in sockets + readers)
"""
    )


@pytest.mark.parametrize("unread", [False, True])
def test_socket_monitor__open_at_exit(unread):
    done = check(
        BUSY
        + f"""
retried(reader, 3)
pulls = pull.monitor()
works()
if {unread}:
    def read():
        while True:
            zraw.recv_event(reader)
    threading.Thread(target=read, daemon=True).start()
    until(lambda: inside(reader))
port.close()
"""
    )
    assert done.seconds < 3


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
@pytest.mark.parametrize("ending", ["close", "collect", "exit"])
def test_socket_monitor__fork_leaves_the_parents_alone(fork, ending):
    check(
        BUSY
        + f"""
pid = {fork}
if pid == 0:
    refused(zraw.ForkError, [
        lambda: zraw.recv_event(reader), busy.monitor, lambda: busy.monitor(None),
        lambda: busy.monitor("inproc://name"), lambda: reader.recv()])
    if {ending!r} == "close":
        reader.close()
        busy.close()
    elif {ending!r} == "collect":
        del reader, busy
        gc.collect()
    port.close()
    with zraw.Context() as mine, mine.socket(zraw.ZMQ_PULL) as own:
        with own.monitor() as its:
            own.bind("tcp://127.0.0.1:*")
            assert zraw.recv_event(its).name == "ZMQ_EVENT_LISTENING"
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
# It goes on: more than was queued before.
while reader.poll(0):
    zraw.recv_event(reader)
retried(reader, 3)
works()
finish()
"""
    )


def test_socket_monitor__no_room_for_its_socket():
    check("""
context.close()
context = zraw.Context()
context.set(zraw.ZMQ_MAX_SOCKETS, 2)
one = context.socket(zraw.ZMQ_PULL)
refused(zraw.TooManySockets, [one.monitor])
assert context.sockets == [one]
one.bind("tcp://127.0.0.1:*")
other = None
def second():
    "The reader has gone, or is about to."
    global other
    try:
        other = context.socket(zraw.ZMQ_PULL)
    except zraw.TooManySockets:
        pass
    return other
until(second)
refused(zraw.TooManySockets, [one.monitor])
assert one.monitor(None) is None
one.bind("tcp://127.0.0.1:*")
context.close()
""")


FAILS = {
    "events": ("pull.monitor('', -1)", "InvalidArgument"),
    "named": ("pull.monitor('inproc://mine', 0x10000)", "InvalidArgument"),
    "taken": ("pull.monitor('inproc://taken')", "AddressInUse"),
    "transport": ("pull.monitor('tcp://127.0.0.1:*')", "ProtocolNotSupported"),
    "closed": ("push.monitor()", "NotASocket"),
}


@pytest.mark.parametrize("failure", FAILS)
def test_socket_monitor__that_fails_leaves_no_socket_behind(failure):
    """Not inside libzmq either, which has room for 1023."""
    call, error = FAILS[failure]
    check(f"""
push.bind("inproc://taken") if {failure!r} == "taken" else push.close()
def fails_as_it_should():
    "Sockets are freed in the background: libzmq may be late with it."
    try:
        refused(zraw.{error}, [lambda: {call}])
    except zraw.TooManySockets:
        return False
    return True
for _ in range(1100):
    until(fails_as_it_should)
    if {failure!r} == "taken":
        push.poll(0, zraw.ZMQ_POLLOUT)  # it hears of the reader's end
with pull.monitor() as reader:
    pull.bind("tcp://127.0.0.1:*")
    assert zraw.recv_event(reader).name == "ZMQ_EVENT_LISTENING"
context.close()
""")
