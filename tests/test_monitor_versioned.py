"""zmq_socket_monitor_versioned() and zmq_socket_monitor_pipes_stats(), both drafts."""

from __future__ import annotations

import errno

import pytest

import zraw
from conftest import endpoint, wait_until
from programs import check

READERS = {
    "pair": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR),
    "pub": (zraw.ZMQ_PUB, zraw.ZMQ_SUB),
    "push": (zraw.ZMQ_PUSH, zraw.ZMQ_PULL),
}
STATS = 0x10000  # ZMQ_EVENT_PIPES_STATS


def absent(socket):
    """Whether libzmq lacks both: then every call has to say so."""
    if zraw.has("draft"):
        return False
    before = socket.context.sockets
    for call in (
        socket.monitor_versioned,
        lambda: socket.monitor_versioned(None),
        lambda: socket.monitor_versioned("inproc://x", 1, 1, zraw.ZMQ_PUB),
        socket.monitor_pipes_stats,
    ):
        with pytest.raises(zraw.NotSupported, match="monitor_") as caught:
            call()
        assert caught.value.errno == errno.ENOTSUP
    assert socket.context.sockets == before
    return True


@pytest.fixture
def watch():
    """Start monitors whose readers have a time-out, and close them."""
    readers = []

    def start(socket, *args, **options):
        reader = socket.monitor_versioned(*args, **options)
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        reader.close()


def names(reader, last, receive=zraw.recv_event_v2):
    """The names of the events up to and with `last`, without ZMQ_EVENT_."""
    found = []
    while not found or found[-1] != last:
        found.append(receive(reader).name.removeprefix("ZMQ_EVENT_"))
    return found


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("kind", READERS)
def test_socket_monitor_versioned__version_2(sock, watch, tmp_path, kind, transport):
    server, client = sock(zraw.ZMQ_DEALER), sock(zraw.ZMQ_DEALER)
    if absent(server):
        return
    ours, theirs = READERS[kind]
    reader, other = watch(server, "", 0x1FFFF, 2, ours), watch(client, type=ours)
    assert reader.type == other.type == theirs
    where = server.bind(endpoint(transport, tmp_path))
    client.connect(where)
    client.send(b"x")
    assert server.recv() == b"x"
    listening = zraw.recv_event_v2(reader)
    assert type(listening) is zraw.MonitorEventV2
    assert listening[:2] == (8, "ZMQ_EVENT_LISTENING")
    assert len(listening.values) == 1 and listening.values[0] > 2
    assert listening[3:] == (where, "")
    accepted = zraw.recv_event_v2(reader)
    assert accepted.name == "ZMQ_EVENT_ACCEPTED" and accepted.local_address == where
    peer = accepted.remote_address
    assert peer.startswith(f"{transport}://") and peer != where
    done = zraw.recv_event_v2(reader)
    assert done == (0x1000, "ZMQ_EVENT_HANDSHAKE_SUCCEEDED", (0,), where, peer)
    connected = zraw.recv_event_v2(other)
    if connected.name == "ZMQ_EVENT_CONNECT_DELAYED":
        connected = zraw.recv_event_v2(other)
    assert connected.name == "ZMQ_EVENT_CONNECTED"
    assert connected.remote_address == where
    if transport == "tcp":
        assert connected.local_address == peer
    client.close()
    assert names(other, "MONITOR_STOPPED")[0] == "HANDSHAKE_SUCCEEDED"
    gone = zraw.recv_event_v2(reader)
    assert gone.name == "ZMQ_EVENT_DISCONNECTED" and gone.values == accepted.values
    assert gone[3:] == (where, peer)
    server.close()
    assert names(reader, "MONITOR_STOPPED")[-1] == "MONITOR_STOPPED"


@pytest.mark.parametrize("kind", READERS)
def test_socket_monitor_versioned__version_1(sock, watch, kind):
    socket = sock(zraw.ZMQ_PULL)
    if absent(socket):
        return
    reader = watch(socket, "inproc://mine", 0xFFFF, 1, READERS[kind][0])
    where = socket.bind("tcp://127.0.0.1:*")
    found = zraw.recv_event(reader)
    assert found == (8, "ZMQ_EVENT_LISTENING", found.value, where)
    assert socket.monitor_versioned(None) is None
    assert names(reader, "MONITOR_STOPPED", zraw.recv_event) == ["MONITOR_STOPPED"]


def test_socket_monitor_versioned__each_reader_takes_its_own_form(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    if absent(socket):
        return
    reader = watch(socket)
    socket.bind("tcp://127.0.0.1:*")
    with pytest.raises(ValueError, match="no event of version 1, but 5 frame"):
        zraw.recv_event(reader)
    reader = watch(socket, event_version=1, events=0xFFFF)
    socket.bind("tcp://127.0.0.1:*")
    with pytest.raises(ValueError, match="no event of version 2, but 2 frame"):
        zraw.recv_event_v2(reader)


def test_socket_monitor_versioned__mask_and_replacement(sock, watch):
    socket = sock(zraw.ZMQ_PULL)
    if absent(socket):
        return
    wanted = zraw.ZMQ_EVENT_LISTENING | zraw.ZMQ_EVENT_MONITOR_STOPPED
    first = watch(socket, events=wanted)
    where = socket.bind("tcp://127.0.0.1:*")
    second = socket.monitor()
    second.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    assert names(first, "MONITOR_STOPPED") == ["LISTENING", "MONITOR_STOPPED"]
    socket.unbind(where)
    assert names(second, "CLOSED", zraw.recv_event) == ["CLOSED"]
    first.close()
    third = watch(socket, type=zraw.ZMQ_PUSH)
    assert names(second, "MONITOR_STOPPED", zraw.recv_event) == ["MONITOR_STOPPED"]
    second.close()
    socket.bind("tcp://127.0.0.1:*")
    assert names(third, "LISTENING") == ["LISTENING"]
    assert first.closed and second.closed


WRONG = [
    ({"endpoint": "tcp://127.0.0.1:*"}, zraw.ProtocolNotSupported, "tcp"),
    ({"events": 0x1FFFF, "event_version": 1}, zraw.InvalidArgument, ""),
    ({"event_version": 0}, ValueError, "event_version: 1 or 2, not 0"),
    ({"event_version": 3}, ValueError, "event_version: 1 or 2, not 3"),
    ({"event_version": "2"}, TypeError, "event_version: int"),
    ({"type": zraw.ZMQ_SUB}, ValueError, "type: ZMQ_PAIR, ZMQ_PUB or ZMQ_PUSH, not 2"),
    ({"type": 13}, ValueError, "type: ZMQ_PAIR"),
    ({"type": None}, TypeError, "type: int"),
    ({"events": -1}, OverflowError, "events: 0 to"),
    ({"events": 2**64}, OverflowError, "events: 0 to"),
    ({"events": 1.5}, TypeError, "events: int"),
    ({"endpoint": 7}, TypeError, "endpoint"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_socket_monitor_versioned__wrong_arguments(ctx, sock, watch, number):
    options, error, text = WRONG[number]
    socket = sock(zraw.ZMQ_PULL)
    if absent(socket):
        return
    reader, before = watch(socket), None
    before = ctx.sockets
    with pytest.raises(error, match=rf"monitor_versioned\(\).*{text}") as caught:
        socket.monitor_versioned(**options)
    if issubclass(error, zraw.ZMQError):
        assert type(caught.value) is error
    assert ctx.sockets == before
    socket.bind("tcp://127.0.0.1:*")
    assert names(reader, "LISTENING") == ["LISTENING"]


@pytest.mark.parametrize("kind", READERS)
def test_socket_monitor_versioned__unread_closed_and_open_at_exit(sock, kind):
    socket = sock(zraw.ZMQ_PULL)
    if absent(socket):
        return
    done = check(f"""
import socket as bsd
port = bsd.socket()
port.bind(("127.0.0.1", 0))
busy = context.socket(zraw.ZMQ_PUSH)
busy.setsockopt(zraw.ZMQ_RECONNECT_IVL, 1)
busy.setsockopt(zraw.ZMQ_LINGER, 0)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
reader = busy.monitor_versioned(type={READERS[kind][0]})
busy.connect(f"tcp://127.0.0.1:{{port.getsockname()[1]}}")
taken = context.socket(zraw.ZMQ_PULL)
where = taken.bind("tcp://127.0.0.1:*")
unread = taken.monitor_versioned(type={READERS[kind][0]})
for _ in range(1500):
    try:
        taken.bind(where)
    except zraw.ZMQError:
        pass
for _ in range(10):
    zraw.recv_event_v2(reader)
refused(zraw.InvalidState, [lambda: reader.setsockopt(zraw.ZMQ_RCVHWM, 5)])
reader.close()
busy.bind("tcp://127.0.0.1:*")
push.connect(pull.bind("tcp://127.0.0.1:*"))
push.send(b"x")
assert pull.recv() == b"x"
last = busy.monitor_versioned(type={READERS[kind][0]})
port.close()
""")
    assert done.seconds < 3


# ---- the lengths of the queues


def test_socket_monitor_pipes_stats__without_monitor_or_connection(sock, watch):
    socket = sock(zraw.ZMQ_PUSH)
    if absent(socket):
        return

    def refused(error, number):
        with pytest.raises(error, match=r"monitor_pipes_stats\(\)") as caught:
            socket.monitor_pipes_stats()
        assert type(caught.value) is error
        assert caught.value.errno == zraw.errno() == number

    refused(zraw.InvalidArgument, errno.EINVAL)
    with watch(socket, events=0xFFFF):
        refused(zraw.InvalidArgument, errno.EINVAL)
    watch(socket, events=STATS)
    refused(zraw.Again, errno.EAGAIN)
    socket.monitor_versioned(None)
    refused(zraw.InvalidArgument, errno.EINVAL)
    socket.close()
    refused(zraw.NotASocket, errno.ENOTSOCK)


def test_socket_monitor_pipes_stats__queues_of_what_goes_out(sock, watch):
    socket = sock(zraw.ZMQ_PUSH, SNDHWM=10, SNDBUF=4096)
    if absent(socket):
        return
    reader = watch(socket, events=STATS)
    where = socket.bind("tcp://127.0.0.1:*")
    pulls = [sock(zraw.ZMQ_PULL, RCVHWM=1, RCVBUF=4096) for _ in range(3)]
    for pull in pulls:
        pull.connect(where)
    while socket.poll(300, zraw.ZMQ_POLLOUT):
        socket.send(b"x" * 100000)
    assert socket.monitor_pipes_stats() is None
    wait_until(lambda: socket.poll(0) or reader.poll(10))
    peers = set()
    for _ in pulls:
        found = zraw.recv_event_v2(reader)
        assert found[:2] == (STATS, "ZMQ_EVENT_PIPES_STATS")
        # All are full of what waits to be sent.
        assert found.values == (10, 0) and found.local_address == where
        peers.add(found.remote_address)
        socket.poll(10)
    assert len(peers) == 3 and reader.poll(20) == 0


def test_socket_monitor_pipes_stats__queues_of_what_comes_in(sock, watch):
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    if absent(pull):
        return
    reader = watch(pull, "inproc://stats", STATS, 2, zraw.ZMQ_PUSH)
    where = push.bind("tcp://127.0.0.1:*")
    pull.connect(where)
    for _ in range(3):
        push.send(b"x")
    values = []

    def asked():
        pull.monitor_pipes_stats()
        while not reader.poll(10):
            pull.poll(0)
        values.append(zraw.recv_event_v2(reader).values)
        return values[-1] == (0, 3)

    wait_until(asked)
    assert {value[0] for value in values} == {0}
    assert [pull.recv() for _ in range(3)] == [b"x"] * 3
