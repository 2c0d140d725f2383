"""Poller: the same with libzmq's zmq_poller and, where it is missing, zmq_poll()."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import socket as bsd
import threading
import time
import weakref

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
    """Something with a fileno(), which weak references can point at."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


@pytest.fixture
def poller():
    with zraw.Poller() as made:
        yield made


@pytest.fixture
def pipe():
    """The reading and the writing end of a pipe, as files."""
    ends = os.pipe()
    with open(ends[0], "rb", 0) as reader, open(ends[1], "wb", 0) as writer:
        yield reader, writer


def raises(error, number, call, *args):
    """The call raises exactly this class, with this errno."""
    with pytest.raises(error) as caught:
        call(*args)
    assert type(caught.value) is error
    assert caught.value.errno == zraw.errno() == number
    return str(caught.value)


def nothing(poller):
    """Nothing is ready."""
    text = raises(zraw.Again, errno.EAGAIN, poller.wait, 0)
    assert "Poller.wait()" in text
    text = raises(zraw.Again, errno.EAGAIN, poller.wait_all, 5, 0)
    assert "Poller.wait_all()" in text


# ---- what is registered


def test_poller_new__is_empty():
    poller = zraw.Poller()
    assert poller.size() == len(poller) == 0
    nothing(poller)
    assert repr(poller) == "<zraw.Poller of 0>"
    poller.destroy()


def test_poller_add__and_wait(poller, pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    data = object()
    assert poller.add(pull, IN, data) is None
    nothing(poller)
    push.send(b"x")
    event = poller.wait()
    assert event == (pull, data, IN) and event[1] is data
    assert poller.wait(0) == event and poller.wait_all(1) == [event]
    assert pull.recv() == b"x"
    nothing(poller)


def test_poller_add__defaults_and_keywords(poller, pair, sock):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    poller.add(socket=pull)
    push.send(b"x")
    assert poller.wait(timeout=5000) == (pull, None, IN)
    poller.add(socket=push, events=OUT, user_data=7)
    assert poller.wait_all(n=5, timeout=5000) == [(pull, None, IN), (push, 7, OUT)]


def test_poller_add__twice_is_refused(poller, sock, pipe):
    socket = sock(zraw.ZMQ_PAIR)
    poller.add(socket, IN, 1)
    text = raises(zraw.InvalidArgument, errno.EINVAL, poller.add, socket, OUT, 2)
    assert "Poller.add(): registered already" in text
    poller.add_fd(pipe[0], IN, 3)
    for same in (pipe[0], pipe[0].fileno(), File(pipe[0].fileno())):
        raises(zraw.InvalidArgument, errno.EINVAL, poller.add_fd, same, OUT)
    assert poller.size() == 2
    pipe[1].write(b"x")
    assert poller.wait_all(5, 5000) == [(pipe[0], 3, IN)]


def test_poller_modify__of_what_is_not_registered(poller, sock, pipe):
    socket, other = sock(zraw.ZMQ_PAIR), sock(zraw.ZMQ_PAIR)
    fd = pipe[0].fileno()
    poller.add(other)
    for call in (
        lambda: poller.modify(socket, IN),
        lambda: poller.remove(socket),
        lambda: poller.modify_fd(fd, IN),
        lambda: poller.remove_fd(fd),
    ):
        assert "not registered" in raises(zraw.InvalidArgument, errno.EINVAL, call)
    poller.remove(other)
    raises(zraw.InvalidArgument, errno.EINVAL, poller.remove, other)
    poller.add_fd(fd)
    poller.remove_fd(File(fd))
    raises(zraw.InvalidArgument, errno.EINVAL, poller.remove_fd, fd)
    assert poller.size() == 0


def test_poller_modify__changes_the_events(poller, pair):
    one, other = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    other.send(b"x")
    poller.add(one, IN, "data")
    for events in (IN, OUT, IN | OUT):
        assert poller.modify(one, events) is None
        assert poller.wait(5000) == (one, "data", events)
    poller.modify(one, 0)
    nothing(poller)
    poller.modify(one, events=True)
    assert poller.wait(5000) == (one, "data", IN)
    assert poller.size() == 1


def test_poller_modify_fd__changes_the_events(poller):
    with bsd.socket(type=bsd.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        poller.add_fd(udp, 0, "data")
        nothing(poller)
        poller.modify_fd(udp, IN)
        nothing(poller)
        poller.modify_fd(udp.fileno(), IN | OUT)
        assert poller.wait(0) == (udp, "data", OUT)
        udp.sendto(b"x", udp.getsockname())
        wait_until(lambda: poller.wait(5000)[2] == IN | OUT)
        poller.modify_fd(udp, IN | PRI)
        assert poller.wait(0) == (udp, "data", IN)
        poller.modify_fd(udp, 0)
        nothing(poller)


def test_poller_remove__stops_its_events(poller, pair, pipe):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    poller.add(pull, IN)
    poller.add(push, OUT)
    poller.add_fd(pipe[0], IN)
    push.send(b"x")
    pipe[1].write(b"x")
    assert [event[0] for event in poller.wait_all(5)] == [pull, push, pipe[0]]
    poller.remove(pull)
    assert [event[0] for event in poller.wait_all(5)] == [push, pipe[0]]
    poller.remove_fd(pipe[0])
    assert poller.wait_all(5) == [(push, None, OUT)]
    poller.remove(push)
    nothing(poller)
    # And may be registered anew.
    poller.add(pull, IN, "again")
    assert poller.wait(5000) == (pull, "again", IN)


def test_poller_remove_fd__stops_its_events(poller, pipe):
    poller.add_fd(pipe[0], IN, "r")
    poller.add_fd(pipe[1], OUT, "w")
    pipe[1].write(b"x")
    assert [event[1] for event in poller.wait_all(5)] == ["r", "w"]
    assert poller.remove_fd(pipe[0].fileno()) is None
    assert poller.wait_all(5) == [(pipe[1], "w", OUT)]
    poller.add_fd(pipe[0], IN, "again")
    poller.remove_fd(pipe[1])
    assert poller.wait_all(5) == [(pipe[0], "again", IN)]


def test_poller_add__no_events_is_no_wait(poller, pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send(b"x")
    poller.add(pull, 0)
    nothing(poller)
    start = time.monotonic()
    with pytest.raises(zraw.Again):
        poller.wait(50)
    assert 0.05 <= time.monotonic() - start < 2
    for call in (poller.wait, lambda: poller.wait_all(1)):
        with pytest.raises(ValueError, match=r"timeout: -1, but .* nothing to wait"):
            call()
    poller.modify(pull, IN)
    assert poller.wait() == (pull, None, IN)


def test_poller_add_fd__descriptors_files_and_errors(poller, pipe):
    reader, writer = pipe
    poller.add_fd(reader.fileno(), IN, "r")
    poller.add_fd(fd=writer, events=OUT, user_data="w")
    assert poller.wait_all(5) == [(writer, "w", OUT)]
    writer.write(b"x")
    assert poller.wait_all(5) == [(reader.fileno(), "r", IN), (writer, "w", OUT)]
    unused = os.dup(0)
    os.close(unused)
    poller.remove_fd(reader.fileno())
    poller.remove_fd(writer)
    poller.add_fd(unused)
    assert poller.wait(5000) == (unused, None, ERR)


def test_poller_add_fd__pollpri(poller):
    with (
        bsd.create_server(("127.0.0.1", 0)) as server,
        bsd.create_connection(server.getsockname()) as client,
        server.accept()[0] as peer,
    ):
        poller.add_fd(peer, PRI)
        nothing(poller)
        client.send(b"!", bsd.MSG_OOB)
        assert poller.wait(5000) == (peer, None, PRI)


def test_poller_add_fd__zmq_fd_of_a_socket(poller, pair):
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    poller.add_fd(pull.fileno(), IN, pull)
    assert poller.wait(5000) == (pull.fileno(), pull, IN)


def test_poller_size__counts_sockets_and_descriptors(poller, sock, pipe):
    socket = sock(zraw.ZMQ_PAIR)
    for call, size in (
        (lambda: poller.add(socket), 1),
        (lambda: poller.modify(socket, 0), 1),
        (lambda: poller.add_fd(pipe[0]), 2),
        (lambda: poller.add_fd(pipe[1], 0), 3),
        (lambda: poller.remove(socket), 2),
        (lambda: poller.remove_fd(pipe[0]), 1),
        (lambda: poller.remove_fd(pipe[1]), 0),
    ):
        call()
        assert poller.size() == len(poller) == size
        assert repr(poller) == f"<zraw.Poller of {size}>"


# ---- waiting


def test_poller_wait__time_out_is_again(poller, sock):
    poller.add(sock(zraw.ZMQ_PULL))
    for call in (poller.wait, lambda timeout: poller.wait_all(3, timeout)):
        for milliseconds in (1, 100):
            start = time.monotonic()
            raises(zraw.Again, errno.EAGAIN, call, milliseconds)
            assert milliseconds / 1000 <= time.monotonic() - start < 2


def test_poller_wait__empty_one_sleeps_but_not_for_ever(poller):
    start = time.monotonic()
    raises(zraw.Again, errno.EAGAIN, poller.wait, 50)
    raises(zraw.Again, errno.EAGAIN, poller.wait_all, 1, 50)
    assert 0.1 <= time.monotonic() - start < 2
    for call in (poller.wait, lambda: poller.wait(-1), lambda: poller.wait_all(1)):
        with pytest.raises(ValueError, match=r"timeout: -1"):
            call()


def test_poller_wait__message_ends_it(poller, pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    poller.add(pull)
    for call in (
        poller.wait,
        lambda: poller.wait(2**31 - 1),
        lambda: poller.wait_all(2)[0],
    ):
        timer = threading.Timer(0.03, push.send, [b"x"])
        timer.start()
        start = time.monotonic()
        assert call() == (pull, None, IN)
        assert time.monotonic() - start < 2
        timer.join()
        pull.recv()


def test_poller_wait_all__order_and_limit(poller, sock, pipe):
    pairs = [(sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)) for _ in range(3)]
    for number, (push, pull) in enumerate(pairs):
        push.connect(pull.bind(f"inproc://order-{number}"))
    pipe[1].write(b"x")
    expected = []
    for number, (_, pull) in enumerate(pairs):
        poller.add(pull, IN, number)
        expected.append((pull, number, IN))
        if number == 1:
            poller.add_fd(pipe[0], IN, "fd")
            expected.append((pipe[0], "fd", IN))
    for push, _ in pairs:
        push.send(b"x")
    for n in (4, 5, 1000, 2**31, 2**40):
        assert poller.wait_all(n, 5000) == expected
    for n in (1, 2, 3, True):
        assert poller.wait_all(n, 5000) == expected[:n]
    assert poller.wait(5000) == expected[0]
    # An event changed keeps its place; what is registered anew goes to the end.
    poller.modify(pairs[0][1], IN | OUT)
    assert poller.wait_all(9) == expected
    poller.remove(pairs[0][1])
    poller.add(pairs[0][1], IN, 0)
    assert poller.wait_all(9) == [*expected[1:], expected[0]]


def test_poller_wait_all__hundreds(poller, ctx, sock):
    pulls = [sock(zraw.ZMQ_PULL) for _ in range(200)]
    push = sock(zraw.ZMQ_PUSH)
    for number, pull in enumerate(pulls):
        poller.add(pull, IN, number)
        push.connect(pull.bind(f"inproc://hundreds-{number}"))
    for _ in pulls:
        push.send(b"x")
    assert [event[1] for event in poller.wait_all(1000)] == list(range(200))
    for pull in pulls[::2]:
        poller.remove(pull)
    assert [event[1] for event in poller.wait_all(1000)] == list(range(1, 200, 2))


def test_poller_wait__more_items_than_files_may_be_open():
    """poll(2) refuses them, and libzmq would abort the process."""
    check("""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096))
poller = zraw.Poller()
poller.add(pull)
for fd in range(1000, 1099):
    poller.add_fd(fd, 8)
assert len(poller.wait_all(200, 0)) == 99
poller.add_fd(1099, 8)
for call in (lambda: poller.wait(0), poller.wait, lambda: poller.wait_all(3)):
    try:
        call()
    except ValueError as error:
        assert "at most 100 items" in str(error), error
    else:
        raise AssertionError
    assert not inside(pull) and poller.size() == 101
poller.remove_fd(1000)
assert poller.wait(0) == (1001, None, zraw.ZMQ_POLLERR)
poller.destroy()
end()
""")


# ---- what it refuses

WRONG = [
    (lambda p, s: p.add(None), TypeError, "socket"),
    (lambda p, s: p.add(0), TypeError, "socket"),
    (lambda p, s: p.add("x"), TypeError, "socket"),
    (lambda p, s: p.add(s, None), TypeError, r"Poller.add\(\): events: int"),
    (lambda p, s: p.add(s, 1.0), TypeError, r"Poller.add\(\): events: int"),
    (lambda p, s: p.add(s, 16), ValueError, r"Poller.add\(\): events: of ZMQ_POLLIN"),
    (lambda p, s: p.add(s, 0x7FFF), ValueError, r"Poller.add\(\): events: of ZMQ_"),
    (lambda p, s: p.add(s, -1), ValueError, r"Poller.add\(\): events: of ZMQ_POLLIN"),
    (lambda p, s: p.add(s, 2**40), OverflowError, r"Poller.add\(\): events"),
    (lambda p, s: p.modify(None, IN), TypeError, "socket"),
    (lambda p, s: p.modify(s, 16), ValueError, r"Poller.modify\(\): events"),
    (lambda p, s: p.modify(s, "1"), TypeError, r"Poller.modify\(\): events: int"),
    (lambda p, s: p.remove(0), TypeError, "socket"),
    (lambda p, s: p.add_fd("x"), TypeError, r"Poller.add_fd\(\): fd: .* not str"),
    (lambda p, s: p.add_fd(None), TypeError, r"Poller.add_fd\(\): fd: .* not NoneType"),
    (lambda p, s: p.add_fd(1.0), TypeError, r"Poller.add_fd\(\): fd"),
    (lambda p, s: p.add_fd(-1), OverflowError, r"Poller.add_fd\(\): fd: descriptor: 0"),
    (lambda p, s: p.add_fd(2**31), OverflowError, r"Poller.add_fd\(\): fd"),
    (lambda p, s: p.add_fd(File(-1)), OverflowError, r"Poller.add_fd\(\): fd"),
    (lambda p, s: p.add_fd(0, 32), ValueError, r"Poller.add_fd\(\): events"),
    (lambda p, s: p.modify_fd("x", IN), TypeError, r"Poller.modify_fd\(\): fd"),
    (lambda p, s: p.modify_fd(0, 32), ValueError, r"Poller.modify_fd\(\): events"),
    (lambda p, s: p.remove_fd(None), TypeError, r"Poller.remove_fd\(\): fd"),
    (lambda p, s: p.remove_fd(-1), OverflowError, r"Poller.remove_fd\(\): fd"),
    (lambda p, s: p.wait("1"), TypeError, r"Poller.wait\(\): timeout: int"),
    (lambda p, s: p.wait(0.5), TypeError, r"Poller.wait\(\): timeout: int"),
    (lambda p, s: p.wait(None), TypeError, r"Poller.wait\(\): timeout: int"),
    (lambda p, s: p.wait(-2), ValueError, r"Poller.wait\(\): timeout: milli"),
    (lambda p, s: p.wait(2**31), OverflowError, r"Poller.wait\(\): timeout"),
    (lambda p, s: p.wait_all(0), ValueError, r"Poller.wait_all\(\): n: 1 or more"),
    (lambda p, s: p.wait_all(-1, 0), ValueError, r"Poller.wait_all\(\): n: 1 or more"),
    (lambda p, s: p.wait_all(1.0, 0), TypeError, r"Poller.wait_all\(\): n: int"),
    (lambda p, s: p.wait_all(2**70, 0), OverflowError, r"Poller.wait_all\(\): n"),
    (lambda p, s: p.wait_all(1, -2), ValueError, r"Poller.wait_all\(\): timeout"),
    (lambda p, s: p.wait_all(), TypeError, "wait_all"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_poller__wrong_arguments_are_named(poller, sock, number):
    call, error, text = WRONG[number]
    socket = sock(zraw.ZMQ_PULL)
    with pytest.raises(error, match=text):
        call(poller, socket)
    assert poller.size() == 0 and not is_inside(socket)
    poller.add(socket)


def test_poller_add__closed_and_unmade_sockets(poller, sock):
    closed = sock(zraw.ZMQ_PULL)
    closed.close()
    for bad in (closed, zraw.Socket.__new__(zraw.Socket)):
        for call in (
            lambda bad=bad: poller.add(bad),
            lambda bad=bad: poller.modify(bad, IN),
            lambda bad=bad: poller.remove(bad),
        ):
            raises(zraw.NotASocket, errno.ENOTSOCK, call)
    assert poller.size() == 0


def test_poller__takes_no_arguments_but_subclasses_may(sock):
    for arguments in ((1,), (None,)):
        with pytest.raises(TypeError):
            zraw.Poller(*arguments)

    class Named(zraw.Poller):
        def __init__(self, name):
            self.name = name

    with Named("mine") as poller:
        poller.add(sock(zraw.ZMQ_PULL))
        assert (poller.name, len(poller)) == ("mine", 1)
    reference = weakref.ref(poller)
    del poller
    assert reference() is None


def test_poller__is_not_pickled_or_copied(poller):
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="belongs to this process"):
            call(poller)
    assert hash(poller) == hash(poller) and poller != zraw.Poller()


def test_poller_destroy__refuses_every_call_afterwards(sock, pipe):
    socket = sock(zraw.ZMQ_PULL)
    poller = zraw.Poller()
    poller.add(socket)
    assert poller.destroy() is None
    poller.destroy()
    with poller as same:
        assert same is poller
    assert repr(poller) == "<zraw.Poller destroyed>" and len(poller) == 0
    for call in (
        poller.size,
        poller.fd,
        lambda: poller.add(socket),
        lambda: poller.modify(socket, IN),
        lambda: poller.remove(socket),
        lambda: poller.add_fd(pipe[0]),
        lambda: poller.modify_fd(pipe[0], IN),
        lambda: poller.remove_fd(pipe[0]),
        lambda: poller.wait(0),
        poller.wait,
        lambda: poller.wait_all(1, 0),
    ):
        text = raises(zraw.InvalidHandle, errno.EFAULT, call)
        assert "Poller." in text and "destroyed" in text
    gc.collect()
