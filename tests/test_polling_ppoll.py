"""zmq_ppoll(): zmq_poll() with another signal mask, by select()."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time

import pytest

import zraw
from conftest import is_inside, wait_until
from programs import check

IN, OUT = zraw.ZMQ_POLLIN, zraw.ZMQ_POLLOUT
PRESENT = zraw.has("draft") and zraw.version() >= (4, 3, 5)


def absent():
    """Whether libzmq lacks zmq_ppoll(): then every call has to say so."""
    if PRESENT:
        return False
    for items, timeout in (([], 0), ([], -1), ([(0, IN)], 0)):
        with pytest.raises(zraw.NotSupported, match=r"ppoll\(\)") as caught:
            zraw.ppoll(items, timeout)
        assert caught.value.errno == errno.ENOTSUP
    return True


def test_ppoll__sockets_and_descriptors(pair, sock):
    if absent():
        return
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    idle = sock(zraw.ZMQ_REP)
    reader, writer = os.pipe()
    items = [(idle, IN), (reader, IN), (pull, IN), (writer, OUT), (pull, IN)]
    try:
        assert zraw.ppoll(items[:3], 0) == []
        assert zraw.ppoll(items, 5000) == [(writer, OUT)]
        os.write(writer, b"x")
        assert zraw.ppoll(items[:3], 5000) == [(reader, IN)]
        push.send(b"x")
        wait_until(lambda: pull.poll(0))
        assert zraw.ppoll(iter(items), 5000, None) == items[1:]
        assert zraw.ppoll(items, 5000, [signal.SIGUSR1]) == items[1:]
    finally:
        os.close(reader)
        os.close(writer)


def test_ppoll__time_out_and_none(sock):
    if absent():
        return
    socket = sock(zraw.ZMQ_PULL)
    for items in ([(socket, IN)], []):
        for mask in (None, [], {signal.SIGUSR1}):
            start = time.monotonic()
            assert zraw.ppoll(items, 50, mask) == []
            assert 0.05 <= time.monotonic() - start < 2
    with pytest.raises(ValueError, match=r"ppoll\(\): items: nothing to wait for"):
        zraw.ppoll([], -1)


def test_ppoll__wrong_arguments_are_named(sock):
    if absent():
        return
    socket = sock(zraw.ZMQ_PULL)
    for arguments, error, text in (
        ((None, 0), TypeError, "items"),
        (([(socket, 16)], 0), ValueError, r"items\[0\]: events"),
        (([(-1, IN)], 0), OverflowError, r"items\[0\]: descriptor"),
        (([(socket, IN)], 0.5), TypeError, "timeout"),
        (([(socket, IN)], 0, [0]), ValueError, "sigmask: no signal has number 0"),
        (([(socket, IN)], 0, [1000]), ValueError, "sigmask: no signal"),
        (([(socket, IN)], 0, [-1]), ValueError, "sigmask: no signal"),
        (([(socket, IN)], 0, ["x"]), TypeError, "sigmask: int, not str"),
        (([(socket, IN)], 0, [2**40]), OverflowError, "sigmask"),
        (([(socket, IN)], 0, 5), TypeError, "sigmask"),
    ):
        with pytest.raises(error, match=rf"^ppoll\(\): {text}"):
            zraw.ppoll(*arguments)
        assert not is_inside(socket)


def test_ppoll__closed_things_are_refused(sock):
    if absent():
        return
    closed, socket = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PULL)
    closed.close()
    with pytest.raises(zraw.NotASocket, match=r"ppoll\(\)"):
        zraw.ppoll([(socket, IN), (closed, IN)])
    unused = os.dup(0)
    os.close(unused)
    with pytest.raises(zraw.ZMQError) as caught:
        zraw.ppoll([(socket, IN), (unused, IN)], 0)
    assert caught.value.errno == errno.EBADF
    assert not is_inside(socket)


def test_ppoll__other_threads_are_refused_until_shutdown(sock):
    if absent():
        return
    socket, caught = sock(zraw.ZMQ_PULL), []

    def wait():
        try:
            zraw.ppoll([(socket, IN)], -1, [signal.SIGUSR1])
        except zraw.ZMQError as error:
            caught.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: is_inside(socket))
    with pytest.raises(zraw.SocketInUse):
        zraw.ppoll([(socket, IN)], 0)
    socket.context.shutdown()
    thread.join(10)
    assert caught == [zraw.ContextTerminated]
    with pytest.raises(zraw.ContextTerminated):
        zraw.ppoll([(socket, IN)], -1)


def test_ppoll__thread_safe_sockets_have_no_descriptor(sock):
    if absent():
        return
    server, plain = sock(zraw.ZMQ_SERVER), sock(zraw.ZMQ_PULL)
    for items in ([(server, IN)], [(plain, IN), (server, IN)]):
        with pytest.raises(zraw.InvalidArgument) as caught:
            zraw.ppoll(items, 0)
        assert caught.value.errno == errno.EINVAL
        assert not is_inside(plain)


def test_ppoll__limits_of_select():
    """libzmq would write beyond the end of an fd_set, or abort."""
    if absent():
        return
    check("""
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
r, w = os.pipe()
def too_much(items):
    try:
        zraw.ppoll(items, 0)
    except ValueError as error:
        assert "ppoll(): items: at most 1024" in str(error), error
    else:
        raise AssertionError(items)
    assert not inside(pull) and not inside(push)
assert zraw.ppoll([(r, 1)] * 1024, 0) == []
too_much([(r, 1)] * 1025)
too_much([(pull, 1), (1024, 1)])
too_much([(2**31 - 1, 1)])
while os.dup(r) < 1100:
    pass
too_much([(pull, 1), (1100, 1)])
high = context.socket(zraw.ZMQ_PULL)
assert high.fileno() > 1024
too_much([(push, 2), (high, 1)])
assert zraw.poll([(high, 1), (1100, 1)], 0) == []
end()
""")


BLOCKED = """
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
main = threading.get_ident()
def kill_main():
    "Not the process: libzmq's threads, if just born, would take the signal."
    signal.pthread_kill(main, signal.SIGUSR1)
"""


def test_ppoll__lets_a_blocked_signal_in():
    if absent():
        return
    check(
        BLOCKED
        + """
kill_main()
assert zraw.ppoll([(pull, 1)], 50) == [] and not seen
assert zraw.ppoll([(pull, 1)], 50, [signal.SIGUSR1]) == [] and not seen
start = time.monotonic()
assert zraw.ppoll([(pull, 1)], 200, []) == [] and len(seen) == 1
assert seen[0] - start < 0.15 and 0.2 <= time.monotonic() - start < 1.5
# In the midst of a wait as well.
def later():
    until(lambda: inside(pull))
    time.sleep(0.02)
    kill_main()
thread = threading.Thread(target=later)
thread.start()
start = time.monotonic()
assert zraw.ppoll([(pull, 1)], 500, [signal.SIGUSR2]) == [] and len(seen) == 2
assert seen[1] - start < 0.45 and 0.5 <= time.monotonic() - start < 2
thread.join()
assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
end()
"""
    )


def test_ppoll__keeps_a_signal_out():
    if absent():
        return
    check(
        BLOCKED
        + """
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
def later():
    until(lambda: inside(pull))
    kill_main()
thread = threading.Thread(target=later)
thread.start()
start = time.monotonic()
assert zraw.ppoll([(pull, 1)], 300, {signal.SIGUSR1}) == []
thread.join()
assert len(seen) == 1 and seen[0] - start >= 0.3, seen
end()
"""
    )


def test_ppoll__handler_may_close_raise_and_use_the_sockets():
    if absent():
        return
    check(
        BLOCKED
        + """
where = pull.bind("inproc://x")
def deliver(*_):
    push.connect(where)
    push.send(b"x")
signal.signal(signal.SIGUSR1, deliver)
kill_main()
assert zraw.ppoll([(pull, 1), (push, 0)], 5000, ()) == [(pull, 1)]
assert pull.recv() == b"x"
def stop(*_):
    raise KeyError("mine")
signal.signal(signal.SIGUSR1, stop)
kill_main()
try:
    zraw.ppoll([(pull, 1)], -1, ())
except KeyError:
    assert not inside(pull)
else:
    raise AssertionError
signal.signal(signal.SIGUSR1, lambda *_: pull.close())
kill_main()
refused(zraw.NotASocket, [lambda: zraw.ppoll([(push, 0), (pull, 1)], -1, ())])
assert not inside(push)
context.close()
"""
    )


def test_ppoll__forked_child_is_refused():
    if absent():
        return
    check("""
pid = os.fork()
if pid == 0:
    refused(zraw.ForkError, [lambda: zraw.ppoll([(pull, 1)], 0)])
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
end()
""")
