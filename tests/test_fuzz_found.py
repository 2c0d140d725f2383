"""What fuzzing found: programs that ended the process, or were told the wrong thing."""

from __future__ import annotations

import pytest

import zraw
from programs import check

REFUSED = """
def refused(error, call):
    try:
        call()
    except error as caught:
        assert type(caught) is error, caught
    else:
        raise AssertionError("it was let through")
"""


def test_bind__stream_takes_no_inproc():
    # libzmq aborts when such a socket receives a message of several frames.
    check(
        REFUSED
        + """
stream = context.socket(zraw.ZMQ_STREAM)
refused(zraw.IncompatibleProtocol, lambda: stream.bind("inproc://stream"))
refused(zraw.IncompatibleProtocol, lambda: stream.connect("inproc://stream"))
push.connect("inproc://stream")
push.send_multipart([b"a", b"b"])
push.disconnect("inproc://stream")
stream.close()
end()
"""
    )


@pytest.mark.parametrize(
    "call",
    [
        "other.set(zraw.ZMQ_IO_THREADS, 2**31 - 1)",
        "other.set(zraw.ZMQ_MAX_SOCKETS, 2**31 - 1)",
    ],
)
def test_ctx_set__refuses_what_overflows_a_table(call):
    # Then libzmq aborts when the first socket is made.
    check(
        REFUSED
        + f"""
other = zraw.Context()
refused(zraw.InvalidArgument, lambda: {call})
other.socket(zraw.ZMQ_PUSH).close()
other.close()
end()
"""
    )


def test_ctx_new__refuses_more_threads_than_there_can_be():
    check(
        REFUSED
        + """
refused(ValueError, lambda: zraw.Context(2**31 - 1))
zraw.Context(0).close()
end()
"""
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ZMQ_THREAD_SCHED_POLICY", 77),
        ("ZMQ_THREAD_AFFINITY_CPU_ADD", 1000),
        ("ZMQ_THREAD_AFFINITY_CPU_ADD", 2**31 - 1),
    ],
)
def test_ctx_set__refuses_what_no_thread_can_have(option, value):
    # libzmq's threads set it when they start, and abort if they cannot.
    check(
        REFUSED
        + f"""
other = zraw.Context()
refused(zraw.InvalidArgument, lambda: other.set(zraw.{option}, {value}))
other.socket(zraw.ZMQ_PUSH).close()
other.close()
end()
"""
    )


@pytest.mark.parametrize(
    "call",
    [
        "send_multipart([b'a', b'b'])",
        "send_multipart([b'a', zraw.Message(b'b')])",
        "send_many([[b'a', b'b']])",
        "send(b'a', zraw.ZMQ_SNDMORE)",
        "send(bytearray(b'a'), zraw.ZMQ_SNDMORE)",
        "send_const(b'a', zraw.ZMQ_SNDMORE)",
    ],
)
def test_send__conflate_takes_no_message_of_several_frames(call):
    # libzmq keeps its last frame only, and aborts when that is read.
    check(
        REFUSED
        + f"""
push.setsockopt(zraw.ZMQ_CONFLATE, 1)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
push.connect(pull.bind("tcp://127.0.0.1:*"))
refused(zraw.InvalidArgument, lambda: push.{call})
push.send(b"one frame")
assert pull.recv() == b"one frame"
context.close()
"""
    )


def test_socket_monitor__names_a_socket_that_was_never_opened():
    socket = zraw.Socket.__new__(zraw.Socket)
    with pytest.raises(zraw.NotASocket):
        socket.monitor()
    with pytest.raises(zraw.NotASocket):
        socket.monitor(None)


@pytest.mark.parametrize("read", [zraw.recv_event, zraw.recv_event_v2])
def test_recv_event__names_the_argument_that_is_no_socket(read):
    for wrong in (None, 5, "reader", zraw.Socket):
        with pytest.raises(TypeError, match="reader"):
            read(wrong)


def test_socket_monitor__its_reader_comes_before_who_connected_to_the_name():
    # libzmq's PAIR takes one peer: with another one nobody reads the events, and
    # after some of them it waits for ever.
    check(
        """
import faulthandler
faulthandler.dump_traceback_later(20, exit=True)
push.connect("inproc://monitor")
reader = pull.monitor("inproc://monitor")
reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
for _ in range(1500):
    pull.unbind(pull.bind("tcp://127.0.0.1:*"))
assert zraw.recv_event(reader).name == "ZMQ_EVENT_LISTENING"
reader.close()
end()
"""
    )
