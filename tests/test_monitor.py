"""zmq_socket_monitor(): what is reported, by which numbers, and when it ends."""

from __future__ import annotations

import errno
import os
import socket as bsd
import struct
import threading

import pytest

import zraw
from conftest import endpoint, wait_until

UNKNOWN = 0x8000  # the last bit that zmq_socket_monitor() takes


def names(reader, last):
    """The names of the events up to and with `last`, without ZMQ_EVENT_."""
    found = []
    while not found or found[-1] != last:
        found.append(zraw.recv_event(reader).name.removeprefix("ZMQ_EVENT_"))
    return found


def event(reader, name):
    """The next event of this name; others are skipped."""
    while (found := zraw.recv_event(reader)).name != f"ZMQ_EVENT_{name}":
        pass
    return found


@pytest.fixture
def watch():
    """Start monitors whose readers have a time-out, and close them."""
    readers = []

    def start(socket, *args, **options):
        reader = socket.monitor(*args, **options)
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        reader.close()


@pytest.fixture
def nowhere():
    """An endpoint of a port that is taken, and where nobody listens."""
    with bsd.socket() as port:
        port.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{port.getsockname()[1]}"


# ---- what is reported


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_socket_monitor__order_of_the_events(sock, watch, tmp_path, transport):
    server, client = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_DEALER)
    theirs, ours = watch(server), watch(client)
    where = server.bind(endpoint(transport, tmp_path))
    client.connect(where)
    client.send(b"x")
    assert server.recv() == b"x"
    assert names(theirs, "HANDSHAKE_SUCCEEDED") == [
        "LISTENING",
        "ACCEPTED",
        "HANDSHAKE_SUCCEEDED",
    ]
    connected = names(ours, "HANDSHAKE_SUCCEEDED")
    assert connected[connected[0] == "CONNECT_DELAYED" :] == [
        "CONNECTED",
        "HANDSHAKE_SUCCEEDED",
    ]
    client.close()
    assert names(ours, "MONITOR_STOPPED") == ["MONITOR_STOPPED"]
    assert names(theirs, "DISCONNECTED") == ["DISCONNECTED"]
    server.unbind(where)
    assert names(theirs, "CLOSED") == ["CLOSED"]
    server.close()
    assert names(theirs, "MONITOR_STOPPED") == ["MONITOR_STOPPED"]


def test_socket_monitor__values_and_addresses(sock, watch):
    server, client = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_DEALER)
    theirs, ours = watch(server), watch(client)
    where = server.bind("tcp://127.0.0.1:*")
    client.connect(where)
    listening = zraw.recv_event(theirs)
    assert listening == (8, "ZMQ_EVENT_LISTENING", listening.value, where)
    assert type(listening) is zraw.MonitorEvent
    assert (listening.event, listening.address) == (zraw.ZMQ_EVENT_LISTENING, where)
    with bsd.socket(fileno=os.dup(listening.value)) as listener:
        assert where.endswith(f":{listener.getsockname()[1]}")
    accepted, connected = event(theirs, "ACCEPTED"), event(ours, "CONNECTED")
    assert accepted.address == connected.address == where
    with (
        bsd.socket(fileno=os.dup(accepted.value)) as one,
        bsd.socket(fileno=os.dup(connected.value)) as other,
    ):
        assert one.getsockname() == other.getpeername()
    assert event(ours, "HANDSHAKE_SUCCEEDED").value == 0
    client.close()
    assert event(theirs, "DISCONNECTED").value == accepted.value
    server.unbind(where)
    assert event(theirs, "CLOSED").value == listening.value
    stopped = event(ours, "MONITOR_STOPPED")
    assert stopped == (0x400, "ZMQ_EVENT_MONITOR_STOPPED", 0, "")


def test_socket_monitor__refused_connections_are_retried(sock, watch, nowhere):
    socket = sock(zraw.ZMQ_PUSH, RECONNECT_IVL=1)
    reader = watch(socket)
    socket.connect(nowhere)
    for _ in range(3):
        delayed = zraw.recv_event(reader)
        assert delayed == (2, "ZMQ_EVENT_CONNECT_DELAYED", errno.EINPROGRESS, nowhere)
        closed = zraw.recv_event(reader)
        assert closed[:2] == (0x80, "ZMQ_EVENT_CLOSED") and closed.value > 2
        assert zraw.recv_event(reader) == (4, "ZMQ_EVENT_CONNECT_RETRIED", 1, nowhere)


def test_socket_monitor__bind_failed(sock, watch, nowhere):
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket, events=zraw.ZMQ_EVENT_BIND_FAILED)
    # libzmq may lose the errno of bind over the event, and leave EAGAIN.
    with pytest.raises(zraw.ZMQError):
        socket.bind(nowhere)
    failed = zraw.recv_event(reader)
    assert failed.event == zraw.ZMQ_EVENT_BIND_FAILED
    assert failed.value == errno.EADDRINUSE and failed.address in nowhere
    with pytest.raises(zraw.ZMQError):
        socket.bind("ipc:///nonexistent/folder/s")
    assert zraw.recv_event(reader).value == errno.ENOENT


def test_socket_monitor__mask(sock, watch):
    server, client = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH)
    wanted = zraw.ZMQ_EVENT_CONNECTED | zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    some, none = watch(client, events=wanted), watch(server, "", 0)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"x")
    assert server.recv() == b"x"
    assert names(some, "HANDSHAKE_SUCCEEDED") == ["CONNECTED", "HANDSHAKE_SUCCEEDED"]
    assert client.monitor(None) is server.monitor(None) is None
    assert some.poll(20) == none.poll(20) == 0


@pytest.mark.parametrize("reading", ["recv", "recv_many", "poller"])
def test_socket_monitor__reader_is_a_socket_like_any(sock, watch, reading):
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket)
    assert (reader.type, reader.context) == (zraw.ZMQ_PAIR, socket.context)
    assert reader.getsockopt(zraw.ZMQ_RCVHWM) == 0
    where = socket.bind("tcp://127.0.0.1:*")
    if reading == "recv":
        number, value = struct.unpack("=HI", reader.recv())
        assert number == zraw.ZMQ_EVENT_LISTENING and value > 2
        assert reader.recv() == where.encode()
    elif reading == "recv_many":
        ((head, address),) = reader.recv_many()
        assert (len(head), address) == (6, where.encode())
    else:
        with zraw.Poller() as poller:
            poller.add(reader)
            assert poller.wait(5000)[0] is reader
        assert zraw.recv_event(reader, zraw.ZMQ_DONTWAIT).address == where


def test_socket_monitor__of_a_thread_safe_socket(sock, watch):
    if not zraw.has("draft"):
        with pytest.raises(zraw.NotSupported):
            sock(zraw.ZMQ_SERVER)
        return
    server, client = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_CLIENT)
    theirs = watch(server)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"x")
    assert names(theirs, "HANDSHAKE_SUCCEEDED")[0] == "LISTENING"
    theirs.close()
    assert server.recv() == b"x"


# ---- its endpoint


def test_socket_monitor__names_of_its_own(sock, watch):
    sockets = [sock(zraw.ZMQ_PULL) for _ in range(3)]
    readers = [watch(socket) for socket in sockets for _ in range(2)]
    readers += [watch(sockets[0], b""), watch(sockets[1], endpoint="")]
    found = {reader.getsockopt(zraw.ZMQ_LAST_ENDPOINT) for reader in readers}
    assert len(found) == len(readers) == 8
    assert all(name.startswith("inproc://") for name in found)


@pytest.mark.parametrize("name", ["inproc://mine", b"inproc://mine"])
def test_socket_monitor__named_endpoint_is_taken(sock, watch, name):
    socket, other = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PAIR)
    reader = watch(socket, name)
    with pytest.raises(zraw.AddressInUse):
        other.bind("inproc://mine")
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "LISTENING") == ["LISTENING"]
    socket.close()
    assert "LISTENING" not in names(reader, "MONITOR_STOPPED")

    def bound():
        try:
            return other.bind("inproc://mine")
        except zraw.AddressInUse:
            return None

    wait_until(bound)


def test_socket_monitor__address_in_use(ctx, sock, watch):
    socket, taker = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)
    taker.bind("inproc://taken")
    before = ctx.sockets
    with pytest.raises(zraw.AddressInUse, match=r"monitor\(\).*taken") as caught:
        socket.monitor("inproc://taken")
    assert caught.value.errno == zraw.errno() == errno.EADDRINUSE
    assert ctx.sockets == before
    socket.bind("tcp://127.0.0.1:*")
    reader = watch(socket)
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "LISTENING") == ["LISTENING"]


WRONG = [
    (("tcp://127.0.0.1:*",), zraw.ProtocolNotSupported, errno.EPROTONOSUPPORT),
    (("ipc:///tmp/x",), zraw.ProtocolNotSupported, errno.EPROTONOSUPPORT),
    (("nothing://x",), zraw.ProtocolNotSupported, errno.EPROTONOSUPPORT),
    (("no endpoint",), zraw.InvalidArgument, errno.EINVAL),
    (("inproc://",), zraw.InvalidArgument, errno.EINVAL),
    (("", -1), zraw.InvalidArgument, errno.EINVAL),
    (("", 0x10000), zraw.InvalidArgument, errno.EINVAL),
    (("", 0x1FFFF), zraw.InvalidArgument, errno.EINVAL),
    ((None, 0x10000), zraw.InvalidArgument, errno.EINVAL),
    ((5,), TypeError, r"monitor\(\): endpoint"),
    (("inproc://a\0b",), ValueError, r"monitor\(\): endpoint"),
    (("", "1"), TypeError, r"monitor\(\): events: int"),
    (("", 1.0), TypeError, r"monitor\(\): events: int"),
    (("", None), TypeError, r"monitor\(\): events: int"),
    (("", 2**31), OverflowError, r"monitor\(\): events"),
    (("", 0, 0), TypeError, "argument"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_socket_monitor__wrong_arguments_leave_the_old_one(ctx, sock, watch, number):
    arguments, error, detail = WRONG[number]
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket)
    before = ctx.sockets
    with pytest.raises(error) as caught:
        socket.monitor(*arguments)
    if isinstance(detail, int):
        assert type(caught.value) is error and caught.value.errno == detail
    else:
        assert caught.match(detail)
    assert ctx.sockets == before
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "LISTENING") == ["LISTENING"]


def test_socket_monitor__closed_busy_and_terminated_sockets(ctx, sock):
    closed, busy = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL, RCVTIMEO=-1)
    closed.close()
    caught = []

    def wait():
        try:
            busy.recv()
        except zraw.ContextTerminated as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()

    def is_inside():
        try:
            busy.getsockopt(zraw.ZMQ_LINGER)
        except zraw.SocketInUse:
            return True

    wait_until(is_inside)
    before = ctx.sockets
    for endpoint_ in ("", None, "inproc://named"):
        for socket, error in ((closed, zraw.NotASocket), (busy, zraw.SocketInUse)):
            with pytest.raises(error):
                socket.monitor(endpoint_)
    assert ctx.sockets == before
    ctx.shutdown()
    thread.join(10)
    for endpoint_ in ("", None):
        with pytest.raises(zraw.ContextTerminated):
            busy.monitor(endpoint_)
    assert len(caught) == 1


# ---- the end of it


def test_socket_monitor__none_stops_it(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    assert socket.monitor(None) is None
    reader = watch(socket)
    assert socket.monitor(None) is None
    assert socket.monitor(endpoint=None, events=0) is None
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "MONITOR_STOPPED") == ["MONITOR_STOPPED"]
    assert reader.poll(20) == 0
    reader.close()


def test_socket_monitor__second_one_replaces_the_first(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    first = watch(socket)
    socket.bind("tcp://127.0.0.1:*")
    second = watch(socket, events=zraw.ZMQ_EVENT_LISTENING)
    assert names(first, "MONITOR_STOPPED") == ["LISTENING", "MONITOR_STOPPED"]
    first.close()
    where = socket.bind("tcp://127.0.0.1:*")
    assert event(second, "LISTENING").address == where
    third = watch(socket)
    second.close()
    where = socket.bind("tcp://127.0.0.1:*")
    assert event(third, "LISTENING").address == where


def test_socket_monitor__closing_the_monitored_socket_first(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket)
    socket.bind("tcp://127.0.0.1:*")
    socket.close()
    assert names(reader, "MONITOR_STOPPED")[0] == "LISTENING"
    reader.setsockopt(zraw.ZMQ_RCVTIMEO, 20)
    with pytest.raises(zraw.Again):
        zraw.recv_event(reader)
    reader.close()
    reader.close()


def test_socket_monitor__reader_stays_as_it_is(sock, watch):
    """libzmq's threads would wait for a reader that has a limit, or has gone."""
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket)
    where = reader.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    for call in (
        lambda: reader.disconnect(where),
        lambda: reader.unbind(where),
        lambda: reader.setsockopt(zraw.ZMQ_RCVHWM, 1),
        lambda: reader.setsockopt(zraw.ZMQ_RCVHWM, 0),
    ):
        with pytest.raises(zraw.InvalidState, match="reads a monitor") as caught:
            call()
        assert caught.value.errno == zraw.errno() == zraw.EFSM
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "LISTENING") == ["LISTENING"]
    reader.close()
    with pytest.raises(zraw.NotASocket):
        reader.disconnect(where)
    # The monitored socket itself is free.
    socket.setsockopt(zraw.ZMQ_RCVHWM, 5)


# ---- reading


def test_recv_event__waits_and_has_flags(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    reader = watch(socket)
    with pytest.raises(zraw.Again) as caught:
        zraw.recv_event(reader, zraw.ZMQ_DONTWAIT)
    assert caught.value.errno == errno.EAGAIN
    reader.setsockopt(zraw.ZMQ_RCVTIMEO, 10)
    with pytest.raises(zraw.Again):
        zraw.recv_event(reader)
    with pytest.raises(ValueError, match="flags"):
        zraw.recv_event(reader, zraw.ZMQ_SNDMORE)
    reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    timer = threading.Timer(0.03, socket.bind, ["tcp://127.0.0.1:*"])
    timer.start()
    assert zraw.recv_event(reader).event == zraw.ZMQ_EVENT_LISTENING
    timer.join()


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"123456"],
        [b"12345", b"x"],
        [b"1234567", b"x"],
        [b"123456", b"x", b"y"],
        [b"12345678", b"12345678", b"12345678", b"a", b"b"],
    ],
)
def test_recv_event__what_is_no_event(pair, frames):
    reader, sender = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    sender.send_multipart(frames)
    sender.send_multipart([struct.pack("=HI", 1, 2), b"next"])
    with pytest.raises(ValueError, match=rf"recv_event\(\).* {len(frames)} frame"):
        zraw.recv_event(reader)
    assert zraw.recv_event(reader).address == "next"


def test_recv_event__unknown_events_and_strange_addresses(pair):
    reader, sender = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    sender.send_multipart([struct.pack("=HI", UNKNOWN, 2**32 - 1), b"ipc://\xff"])
    found = zraw.recv_event(reader)
    assert found == (UNKNOWN, "event 0x8000", 2**32 - 1, "ipc://\udcff")
    sender.send_multipart([struct.pack("=HI", 3, 0), b""])
    assert zraw.recv_event(reader) == (3, "event 0x3", 0, "")


@pytest.mark.parametrize(
    "frames",
    [
        [b"12345678"],
        [b"12345678", b"12345678", b"a"],
        [b"1234567", b"12345678", b"12345678", b"a", b"b"],
        [b"12345678", b"12345678", b"123456789", b"a", b"b"],
        [b"123456", b"x"],
    ],
)
def test_recv_event_v2__what_is_no_event(pair, frames):
    reader, sender = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    sender.send_multipart(frames)
    with pytest.raises(ValueError, match=rf"recv_event_v2\(\).* {len(frames)} frame"):
        zraw.recv_event_v2(reader)
    with pytest.raises(zraw.Again):
        zraw.recv_event_v2(reader, zraw.ZMQ_DONTWAIT)


def test_recv_event_v2__unknown_events_and_many_values(pair):
    reader, sender = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    numbers = [2**40, 3, 1, 2, 2**64 - 1]
    frames = [struct.pack("=Q", number) for number in numbers]
    sender.send_multipart([*frames, b"here", b"\xff"])
    found = zraw.recv_event_v2(reader)
    assert type(found) is zraw.MonitorEventV2
    assert found == (2**40, f"event {2**40:#x}", (1, 2, 2**64 - 1), "here", "\udcff")
