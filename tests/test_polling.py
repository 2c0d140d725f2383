"""zmq_poll() over several sockets and descriptors at once, and zmq_ppoll()."""

from __future__ import annotations

import errno
import os
import socket as bsd
import threading
import time

import pytest

import zraw
from conftest import is_inside, wait_until
from programs import check

IN, OUT, ERR, PRI = (
    zraw.ZMQ_POLLIN,
    zraw.ZMQ_POLLOUT,
    zraw.ZMQ_POLLERR,
    zraw.ZMQ_POLLPRI,
)


class File:
    """Something with a fileno()."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


@pytest.fixture
def udp():
    """Two UDP sockets of the system; the second sends to the first."""
    receiver, sender = (bsd.socket(type=bsd.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    sender.connect(receiver.getsockname())
    with receiver, sender:
        yield receiver, sender


@pytest.fixture
def pipe():
    """The reading and the writing end of a pipe, as files."""
    ends = os.pipe()
    with open(ends[0], "rb", 0) as reader, open(ends[1], "wb", 0) as writer:
        yield reader, writer


# ---- what it returns


def test_poll__sockets_descriptors_and_files_in_one_call(pair, sock, udp, pipe):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    idle = sock(zraw.ZMQ_REP)
    idle.bind("tcp://127.0.0.1:*")
    items = [
        (idle, IN),
        (udp[0].fileno(), IN),
        (pull, IN),
        (File(pipe[0].fileno()), IN),
    ]
    assert zraw.poll(items, 0) == []
    udp[1].send(b"x" * 10)
    assert zraw.poll(items, 5000) == [items[1]]
    push.send(b"x")
    pipe[1].write(b"x")
    assert zraw.poll(items, 5000) == items[1:]
    ready = zraw.poll(items, 5000)
    assert ready[1][0] is pull and ready[2][0] is items[3][0]
    assert udp[0].recv(10) == b"x" * 10 and pull.recv() == b"x"
    pipe[0].read(1)
    assert zraw.poll(items, 0) == []


def test_poll__only_the_events_asked_for(pair):
    one, other = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    other.send(b"x")
    for events in (IN, OUT, IN | OUT):
        assert zraw.poll([(one, events)], 5000) == [(one, events)]
    assert zraw.poll([(one, 0)], 0) == []
    assert zraw.poll([(one, True)], 0) == [(one, IN)]
    # Those are for descriptors only.
    assert zraw.poll([(one, ERR | PRI)], 0) == []


def test_poll__of_a_descriptor_reports_reading_and_writing(udp):
    receiver, sender = udp
    assert zraw.poll([(receiver, IN | OUT)], 0) == [(receiver, OUT)]
    sender.send(b"x")
    assert zraw.poll([(receiver, IN)], 5000) == [(receiver, IN)]
    assert zraw.poll([(receiver, IN | OUT)], 0) == [(receiver, IN | OUT)]
    assert zraw.poll([(receiver, 0)], 0) == []


def test_poll__duplicates_are_answered_each(pair, pipe):
    one, other = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    other.send(b"x")
    pipe[1].write(b"x")
    fd = pipe[0].fileno()
    items = [(one, OUT), (fd, IN), (one, IN), (one, 0), (fd, IN), (one, IN | OUT)]
    expected = [item for item in items if item[1]]
    assert zraw.poll(items, 5000) == expected
    assert one.recv() == b"x"
    assert zraw.poll([(one, IN), (one, IN)], 0) == []


def test_poll__takes_any_iterable_of_pairs(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send(b"x")
    for items in (
        ((socket, IN) for socket in (pull,)),
        ((pull, IN),),
        {pull: IN}.items(),
        [[pull, IN]],
        iter([(pull, IN)]),
        zip([pull], [IN], strict=True),
    ):
        assert zraw.poll(items, 5000) == [(pull, IN)]


def test_poll__of_the_zmq_fd_of_a_socket(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    zraw.poll([(pull, IN)], 0)
    push.send(b"x")
    assert zraw.poll([(pull.fileno(), IN)], 5000) == [(pull.fileno(), IN)]


def test_poll__pollerr_of_closed_descriptors_and_broken_pipes(pipe):
    reader, writer = pipe
    unused = os.dup(reader.fileno())
    os.close(unused)
    assert zraw.poll([(unused, IN)], 5000) == [(unused, ERR)]
    assert zraw.poll([(2**31 - 1, IN)], 5000) == [(2**31 - 1, ERR)]
    other = os.dup(reader.fileno())
    reader.close()
    os.close(other)
    ((fd, events),) = zraw.poll([(writer.fileno(), OUT)], 5000)
    assert fd == writer.fileno() and events & ERR


def test_poll__pollpri_of_urgent_data():
    with (
        bsd.create_server(("127.0.0.1", 0)) as server,
        bsd.create_connection(server.getsockname()) as client,
        server.accept()[0] as peer,
    ):
        assert zraw.poll([(peer, PRI)], 0) == []
        client.send(b"!", bsd.MSG_OOB)
        assert zraw.poll([(peer, PRI)], 5000) == [(peer, PRI)]


def test_poll__thousand_sockets():
    check("""
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
where = [f"inproc://{n}" for n in range(500)]
pulls = [context.socket(zraw.ZMQ_PULL) for _ in where]
pushes = [context.socket(zraw.ZMQ_PUSH) for _ in where]
for name, one, other in zip(where, pulls, pushes):
    one.bind(name)
    other.connect(name)
items = [(one, 1) for one in pulls] + [(one, 2) for one in pushes]
assert zraw.poll(items, 5000) == items[500:]
assert zraw.poll(items[:500], 10) == []
pushes[7].send(b"x")
pushes[499].send(b"x")
assert zraw.poll(items[:500], 5000) == [items[7], items[499]]
context.close()
""")


@pytest.mark.parametrize("limit", [100, 8])
def test_poll__more_items_than_files_may_be_open(limit):
    """poll(2) refuses them, and libzmq would abort the process."""
    check(f"""
import resource
r, w = os.pipe()
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, 4096))
assert zraw.poll([(r, 1)] * {limit}, 0) == []
for n in ({limit + 1}, 10000):
    try:
        zraw.poll([(r, 1)] * n, 0)
    except ValueError as error:
        assert "at most {limit} items" in str(error), error
    else:
        raise AssertionError
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
end()
""")


# ---- time


@pytest.mark.parametrize("milliseconds", [1, 100])
def test_poll__waits_for_the_time_out(sock, pipe, milliseconds):
    start = time.monotonic()
    assert zraw.poll([(sock(zraw.ZMQ_PULL), IN), (pipe[0], IN)], milliseconds) == []
    assert milliseconds / 1000 <= time.monotonic() - start < 2


def test_poll__zero_does_not_wait_and_a_message_ends_the_wait(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    assert zraw.poll([(pull, IN)], timeout=0) == []
    for timeout in (-1, 2**31 - 1):
        timer = threading.Timer(0.05, push.send, [b"x"])
        timer.start()
        start = time.monotonic()
        assert zraw.poll(items=[(pull, IN)], timeout=timeout) == [(pull, IN)]
        assert time.monotonic() - start < 2
        timer.join()
        pull.recv()


def test_poll__without_items_is_a_sleep():
    start = time.monotonic()
    assert zraw.poll([], 0) == []
    assert time.monotonic() - start < 0.5
    start = time.monotonic()
    assert zraw.poll((), 100) == []
    assert 0.1 <= time.monotonic() - start < 2
    for forever in (lambda: zraw.poll([], -1), lambda: zraw.poll([])):
        with pytest.raises(ValueError, match=r"poll\(\): items: nothing to wait for"):
            forever()


# ---- what it refuses

WRONG = [
    (lambda s: (None, 0), TypeError, r"items: an iterable .* not NoneType"),
    (lambda s: (5, 0), TypeError, r"items: an iterable .* not int"),
    (lambda s: ([s], 0), TypeError, r"items\[0\]: \(socket or fd, events\)"),
    (lambda s: ({s: IN}, 0), TypeError, r"items\[0\]: \(socket or fd, events\)"),
    (lambda s: ([(s,)], 0), TypeError, r"items\[0\]: \(socket or fd, events\)"),
    (lambda s: ([(s, IN, 0)], 0), TypeError, r"items\[0\]: \(socket or fd, events\)"),
    (lambda s: ([(s, IN), 3], 0), TypeError, r"items\[1\]: .* not 3"),
    (lambda s: ([(s, "1")], 0), TypeError, r"items\[0\]: events: int, not str"),
    (lambda s: ([(s, 1.0)], 0), TypeError, r"items\[0\]: events: int, not float"),
    (lambda s: ([(s, None)], 0), TypeError, r"items\[0\]: events: int, not NoneType"),
    (lambda s: ([(s, 16)], 0), ValueError, r"items\[0\]: events: of ZMQ_POLLIN"),
    (lambda s: ([(s, -1)], 0), ValueError, r"items\[0\]: events: of ZMQ_POLLIN"),
    (lambda s: ([(s, 0x10001)], 0), ValueError, r"items\[0\]: events: .* 65537"),
    (lambda s: ([(s, 2**40)], 0), OverflowError, r"items\[0\]: events"),
    (lambda s: ([(None, IN)], 0), TypeError, r"items\[0\]: a Socket, .* not NoneType"),
    (lambda s: ([("x", IN)], 0), TypeError, r"items\[0\]: a Socket, .* not str"),
    (lambda s: ([(1.0, IN)], 0), TypeError, r"items\[0\]: a Socket, .* not float"),
    (lambda s: ([(-1, IN)], 0), OverflowError, r"items\[0\]: descriptor: 0 to"),
    (lambda s: ([(2**31, IN)], 0), OverflowError, r"items\[0\]: descriptor: 0 to"),
    (lambda s: ([(File(-1), IN)], 0), OverflowError, r"items\[0\]: descriptor: 0 to"),
    (lambda s: ([(File("x"), IN)], 0), TypeError, r"items\[0\]: descriptor: int"),
    (lambda s: ([(s, IN)], "1"), TypeError, "timeout: int, not str"),
    (lambda s: ([(s, IN)], 0.5), TypeError, "timeout: int, not float"),
    (lambda s: ([(s, IN)], None), TypeError, "timeout: int, not NoneType"),
    (lambda s: ([(s, IN)], -2), ValueError, "timeout: milliseconds, .* not -2"),
    (lambda s: ([(s, IN)], 2**31), OverflowError, "timeout"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_poll__wrong_arguments_are_named(sock, number):
    make, error, text = WRONG[number]
    socket = sock(zraw.ZMQ_PULL)
    with pytest.raises(error, match=rf"^poll\(\): {text}"):
        zraw.poll(*make(socket))
    assert not is_inside(socket)


def test_poll__what_the_items_raise_comes_through(sock):
    socket = sock(zraw.ZMQ_PULL)

    class Broken:
        def fileno(self):
            raise KeyError("mine")

    def generate(error):
        yield socket, IN
        raise error

    with pytest.raises(KeyError, match="mine"):
        zraw.poll([(socket, IN), (Broken(), IN)], 0)
    for error in (KeyError, TypeError):
        with pytest.raises(error, match="mine"):
            zraw.poll(generate(error("mine")), 0)
    assert not is_inside(socket)


def test_poll__closed_sockets_are_refused_before_libzmq(sock):
    open_one, closed = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)
    closed.close()
    never = zraw.Socket.__new__(zraw.Socket)
    for bad in (closed, never):
        for items in ([(open_one, IN), (bad, IN)], [(bad, 0), (open_one, OUT)]):
            for timeout in (0, -1):
                with pytest.raises(zraw.NotASocket, match="poll") as caught:
                    zraw.poll(items, timeout)
                assert caught.value.errno == zraw.errno() == errno.ENOTSOCK
                assert not is_inside(open_one)


def test_poll__fileno_may_close_a_socket_of_the_list(sock):
    victim, other = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)

    class Closer(File):
        def fileno(self):
            victim.close()
            return 0

    with pytest.raises(zraw.NotASocket):
        zraw.poll([(victim, IN), (Closer(0), IN), (other, IN)], 0)
    assert not is_inside(other)


# ---- threads and the context


def test_poll__socket_of_another_thread_is_refused_and_the_rest_given_back(sock):
    busy, free, after = (sock(zraw.ZMQ_PULL, RCVTIMEO=-1) for _ in range(3))
    caught = []

    def wait():
        try:
            busy.recv()
        except zraw.ContextTerminated as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: is_inside(busy))
    with pytest.raises(zraw.SocketInUse) as refused:
        zraw.poll([(free, IN), (free, IN), (busy, IN), (after, IN)], 0)
    assert refused.value.errno == errno.EBUSY
    assert not is_inside(free) and not is_inside(after) and is_inside(busy)
    assert zraw.poll([(free, IN), (after, IN)], 0) == []
    busy.context.shutdown()
    thread.join(5)
    assert len(caught) == 1


def test_poll__blocks_other_threads_until_shutdown(pair, pipe):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    caught = []

    def wait():
        try:
            # Each is held once, though it is listed twice.
            zraw.poll([(pull, IN), (push, 0), (pull, IN), (pipe[0], IN)])
        except zraw.ZMQError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: is_inside(push))
    for call in (
        lambda: push.send(b"x"),
        pull.try_recv,
        push.close,
        lambda: zraw.poll([(push, OUT)], 0),
        lambda: push.poll(0, OUT),
    ):
        with pytest.raises(zraw.SocketInUse) as refused:
            call()
        assert refused.value.errno == errno.EBUSY
    assert thread.is_alive() and not caught
    start = time.monotonic()
    push.context.shutdown()
    thread.join(10)
    assert time.monotonic() - start < 2
    assert [type(error) for error in caught] == [zraw.ContextTerminated]
    assert caught[0].errno == zraw.ETERM
    for timeout in (0, 100, -1):
        with pytest.raises(zraw.ContextTerminated):
            zraw.poll([(pull, IN), (push, IN)], timeout)


def test_poll__of_two_contexts_ends_with_the_first_that_is_shut_down(sock):
    own, other = sock(zraw.ZMQ_PULL), zraw.Context()
    with other, other.socket(zraw.ZMQ_PULL) as foreign:
        timer = threading.Timer(0.05, other.shutdown)
        timer.start()
        with pytest.raises(zraw.ContextTerminated):
            zraw.poll([(own, IN), (foreign, IN)], 5000)
        timer.join()
        assert zraw.poll([(own, IN)], 0) == []


def test_poll__same_descriptor_in_many_threads(pipe):
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(zraw.poll([(pipe[0], IN)], 5000))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    pipe[1].write(b"x")
    for thread in threads:
        thread.join(10)
    assert results == [[(pipe[0], IN)]] * 4


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
def test_poll__forked_child_is_refused(fork):
    check(f"""
r, w = os.pipe()
pid = {fork}
if pid == 0:
    refused(zraw.ForkError, [
        lambda: zraw.poll([(pull, 1)], 0),
        lambda: zraw.poll([(r, 1), (pull, 1)]),
        lambda: zraw.poll([(pull, 0), (push, 1)], 0)])
    os.write(w, b"x")
    assert zraw.poll([(r, 1)], 5000) == [(r, 1)]
    with zraw.Context() as mine, mine.socket(zraw.ZMQ_PULL) as own:
        assert zraw.poll([(own, 1)], 1) == []
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
assert zraw.poll([(pull, 1), (r, 1)], 5000) == [(r, 1)]
end()
""")


def test_poll__of_a_daemon_thread_does_not_delay_exit():
    done = check("""
where = pull.bind("inproc://x")
for what in ([(pull, 1)], [(push, 1), (0, 0)]):
    threading.Thread(target=zraw.poll, args=[what], daemon=True).start()
until(lambda: inside(pull) and inside(push))
""")
    assert done.seconds < 3


# ---- thread-safe types, which libzmq polls with a zmq_poller


def test_poll__thread_safe_sockets(sock, pipe):
    if not zraw.has("draft"):
        with pytest.raises(zraw.NotSupported):
            sock(zraw.ZMQ_SERVER)
        return
    server, client, plain = (
        sock(kind) for kind in (zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, zraw.ZMQ_PULL)
    )
    client.connect(server.bind("tcp://127.0.0.1:*"))
    items = [(plain, IN), (server, IN), (pipe[0], IN), (server, OUT), (client, OUT)]
    assert zraw.poll([(server, IN), (plain, IN)], 0) == []
    client.send(b"x")
    wait_until(lambda: zraw.poll(items[:3], 5000) == [items[1]])
    assert zraw.poll([(server, IN), (server, IN)], 0) == [(server, IN)] * 2
    assert (server, IN) in zraw.poll(items, 0)
    # Others may use them meanwhile.
    results = []
    server.recv()
    thread = threading.Thread(
        target=lambda: results.append(zraw.poll([(server, IN), (plain, IN)], 5000))
    )
    thread.start()
    wait_until(lambda: is_inside(plain))
    client.send(b"y")
    thread.join(10)
    assert results == [[(server, IN)]]
    server.context.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        zraw.poll([(server, IN), (plain, IN)])
