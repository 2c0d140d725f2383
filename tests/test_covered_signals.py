"""Signals at moments that take some arranging: just before a wait, in mid-batch."""

from __future__ import annotations

import pytest

from conftest import run_child
from faults import build, preloaded
from programs import START, check
from test_signals import PENDING


def test_recv__handler_that_closes_just_before_the_wait():
    check(
        PENDING
        + """
for call in (pull.recv, partial(push.send, b"x")):
    socket = pull if call == pull.recv else push
    signal.signal(signal.SIGUSR1, lambda *_: socket.close())
    start = time.monotonic()
    results, raised = with_pending(call)
    assert results == [] and type(raised) is zraw.NotASocket, (results, raised)
    assert time.monotonic() - start < 2 and socket.closed
context.close()
"""
    )


def test_send_many__handler_that_closes_ends_a_batch_of_buffers():
    """What was accepted is told and arrives, and every buffer is given back."""
    check(
        PENDING
        + """
push.setsockopt(zraw.ZMQ_SNDHWM, 0)
pull.setsockopt(zraw.ZMQ_RCVHWM, 0)
push.connect(pull.bind("inproc://x"))
buffers = [bytearray(b"%d" % n) for n in range(3000)]
signal.signal(signal.SIGUSR1, lambda *_: push.close())
results, raised = with_pending(partial(push.send_many, buffers))
assert (results, raised) == ([1024], None), (results, raised)
assert push.closed
assert pull.recv_many(3000) == buffers[:1024]
assert pull.try_recv() is None
for buffer in buffers:
    buffer.append(0)  # BufferError if it were held
context.close()
"""
    )


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return preloaded(build(tmp_path_factory.mktemp("faults")))


def test_send__handler_that_closes_in_mid_message(faulty):
    """Later frames are not tried first: the signal interrupts the send itself."""
    done = run_child(
        START
        + PENDING
        + """
import errno, faults
push.connect(pull.bind("inproc://x"))
push.send(b"one", zraw.ZMQ_SNDMORE)
signal.signal(signal.SIGUSR1, lambda *_: push.close())
lies = faults.attach()
lies.arm(((1, errno.EINTR),))
results, raised = with_pending(partial(push.send, b"two"))
calls = [call.function for call in lies.disarm()]
assert results == [] and type(raised) is zraw.NotASocket, (results, raised)
assert calls[0] == "zmq_send" and calls.count("zmq_send") == 1, calls
assert push.closed and pull.try_recv() is None
context.close()
""",
        env=faulty,
    )
    assert (done.code, done.err) == (0, ""), done


def test_send_multipart__each_interrupted_frame_is_sent_once(faulty):
    done = run_child(
        START
        + """
import errno, faults
push.connect(pull.bind("inproc://x"))
message = [b"one", b"two", b"three"]
lies = faults.attach()
for numbers in ((2,), (2, 3), (3, 4), (2, 4)):
    lies.arm(tuple((number, errno.EINTR) for number in numbers))
    push.send_multipart(message)
    calls = [call.function for call in lies.disarm()]
    assert calls.count("zmq_send") == 3 + len(numbers), calls
    assert pull.recv_multipart() == message
end()
""",
        env=faulty,
    )
    assert (done.code, done.err) == (0, ""), done


def test_send_multipart__context_shut_down_between_two_frames(faulty):
    done = run_child(
        START
        + """
import faults
push.connect(pull.bind("inproc://x"))
lies = faults.attach()
lies.arm(((2, zraw.ETERM),))
try:
    push.send_multipart([b"one", b"two", b"three"])
except zraw.ContextTerminated as error:
    assert "send_multipart() on ZMQ_PUSH" in str(error), error
else:
    raise AssertionError("it was sent")
calls = [call.function for call in lies.disarm()]
assert calls == ["zmq_send"] * 2, calls
assert pull.try_recv() is None
push.close()  # nobody is inside
context.close()
""",
        env=faulty,
    )
    assert (done.code, done.err) == (0, ""), done


def test_recv_many__context_shut_down_within_its_first_message(faulty):
    done = run_child(
        START
        + """
import faults
push.connect(pull.bind("inproc://x"))
for _ in range(2):
    push.send_multipart([b"one", b"two"])
lies = faults.attach()
lies.arm(())
assert pull.recv_many(1, multipart=True) == [[b"one", b"two"]]
calls = [call.function for call in lies.disarm()]
second = calls.index("zmq_msg_recv", 1) + 1
lies.arm(((second, zraw.ETERM),))
try:
    pull.recv_many(10, multipart=True)
except zraw.ContextTerminated as error:
    assert "recv_many() on ZMQ_PULL" in str(error), error
else:
    raise AssertionError("half a message was returned")
calls = [call.function for call in lies.disarm()]
assert calls.count("zmq_msg_recv") == 2, calls
pull.close()  # nobody is inside
context.close()
""",
        env=faulty,
    )
    assert (done.code, done.err) == (0, ""), done


def test_send_many__no_memory_to_keep_the_list(faulty):
    """The batch is copied when others may change it; `sent` says what was accepted."""
    pytest.importorskip("_testcapi")
    check(
        """
import _testcapi
for socket in (push, pull):
    socket.setsockopt(zraw.ZMQ_SNDHWM, 2)
    socket.setsockopt(zraw.ZMQ_RCVHWM, 2)
push.connect(pull.bind("inproc://x"))
batch = [b"%d" % n for n in range(100)]
told = []
for fails in range(20):
    error = None
    try:
        _testcapi.set_nomemory(fails, fails + 1)
        sent = push.send_many(batch, zraw.ZMQ_DONTWAIT)
    except MemoryError as caught:
        error = caught
    finally:
        _testcapi.remove_mem_hooks()
    if error is not None:
        sent = getattr(error, "sent", 0)
        told.append(sent)
    push.getsockopt(zraw.ZMQ_TYPE)  # the guard is free
    assert [pull.try_recv() for _ in range(sent + 1)] == [*batch[:sent], None]
assert 4 in told and set(told) <= {0, 4}, told
assert (error, sent) == (None, 4)  # in the end there was enough
end()
"""
    )


# The pipe of a proxy in the main thread, which signals are written into meanwhile.
PROXY = """
import socket as bsd
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
def proxy():
    try:
        zraw.proxy(front, back)
    except zraw.ContextTerminated:
        return
    raise AssertionError("it returned")
"""


def test_proxy__wakeup_descriptor_that_was_closed_meanwhile():
    check(
        PROXY
        + """
mine, its = bsd.socketpair()
its.setblocking(False)
signal.set_wakeup_fd(its.fileno())
def shut():
    until(lambda: inside(front))
    its.close()
    context.shutdown()
thread = threading.Thread(target=shut)
thread.start()
proxy()
thread.join()
assert signal.set_wakeup_fd(-1) == -1
mine.settimeout(10)
assert mine.recv(1) == b""  # nothing was written, it is only closed
mine.close()
context.close()
"""
    )


def test_proxy__child_forked_meanwhile_has_no_wakeup_descriptor():
    """A signal in the child is the child's, and does not end the parent's proxy."""
    check(
        PROXY
        + """
ours, childs = os.pipe()
def fork():
    until(lambda: inside(front))
    child = os.fork()
    if not child:
        descriptor = signal.set_wakeup_fd(-1)  # the forking thread is main there
        os.write(childs, b"%d" % descriptor)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    told.append((os.waitstatus_to_exitcode(status), os.read(ours, 10)))
    told.append(inside(front))
    context.shutdown()
told = []
thread = threading.Thread(target=fork)
thread.start()
proxy()
thread.join()
assert told == [(0, b"-1"), True], told
context.close()
"""
    )
