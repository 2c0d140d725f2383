"""Programs for children: two sockets without a peer, and what is said of them."""

from __future__ import annotations

from conftest import run_child


def check(program, *args, timeout=30):
    """Run a program that must end well and leave nothing in its error output."""
    done = run_child(START + program, *args, timeout=timeout)
    assert (done.code, done.err) == (0, ""), done
    return done


def lines(program):
    """Take out the indentation, so that programs can be put together."""
    return "\n".join(line[4:] for line in program.splitlines())


# For programs that begin otherwise, too.
WAITING = """
def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.001)

def inside(socket):
    "Whether another thread waits in a call: only then the GIL is given up."
    try:
        socket.getsockopt(zraw.ZMQ_LINGER)
    except zraw.SocketInUse:
        return True
    return False
"""

START = """
import ctypes, gc, os, signal, sys, threading, time, warnings
from operator import methodcaller
import zraw

warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # os.fork's
warnings.simplefilter("always", ResourceWarning)

context = zraw.Context()
push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
for socket in (push, pull):
    socket.setsockopt(zraw.ZMQ_LINGER, 0)
"""
START += WAITING
START += """
def end():
    "Both work, nothing is left over, and they close."
    push.connect(pull.bind("inproc://end"))
    push.send(b"after")
    assert pull.recv() == b"after"
    assert pull.try_recv() is None
    context.close()

def calls(push, pull):
    "Every call that needs a socket of this process, free, and open."
    buffer = bytearray(10)
    return [
        lambda: push.send(b"x"),
        lambda: push.send(bytearray(b"x")),
        lambda: push.send(b"x" * 100000),
        lambda: push.send(zraw.Message(b"x")),
        lambda: push.send_const(b"x"),
        lambda: push.try_send(b"x"),
        lambda: push.send_multipart([b"x", b"y"]),
        lambda: push.send_many([b"x"]),
        lambda: push.send_many([[b"x", b"y"]]),
        lambda: zraw.Message(b"x").send(push),
        pull.recv,
        lambda: pull.recv(zraw.ZMQ_DONTWAIT),
        pull.try_recv,
        lambda: pull.recv_into(buffer),
        pull.recv_msg,
        lambda: pull.try_recv_msg(zraw.Message()),
        pull.recv_multipart,
        pull.try_recv_multipart,
        pull.recv_many,
        lambda: zraw.Message().recv(pull),
        pull.poll,
        lambda: pull.poll(0),
        pull.fileno,
        lambda: pull.handle,
        lambda: pull.getsockopt(zraw.ZMQ_LINGER),
        lambda: pull.setsockopt(zraw.ZMQ_LINGER, 0),
        lambda: pull.bind("inproc://other"),
        lambda: pull.connect("inproc://other"),
        lambda: pull.unbind("inproc://other"),
        lambda: pull.disconnect("inproc://other"),
    ]

def refused(error, calls):
    for number, call in enumerate(calls):
        try:
            call()
        except error as caught:
            assert type(caught) is error, caught
            assert caught.errno == zraw.errno()
        else:
            raise AssertionError(f"call {number} was let through")
"""

# Each waits for ever: `push` and `pull` have no peer.
RECEIVES = {
    "recv": "pull.recv()",
    "recv_into": "pull.recv_into(bytearray(10))",
    "recv_into_large": "pull.recv_into(bytearray(2 << 20))",
    "recv_msg": "pull.recv_msg()",
    "recv_multipart": "pull.recv_multipart()",
    "recv_many": "pull.recv_many()",
    "message_recv": "zraw.Message().recv(pull)",
    "poll": "pull.poll()",
}
SENDS = {
    "send": "push.send(b'x')",
    "send_buffer": "push.send(bytearray(b'x'))",
    "send_pinned": "push.send(b'x' * 100000)",
    "send_const": "push.send_const(b'x')",
    "send_message": "push.send(zraw.Message(b'x'))",
    "message_send": "zraw.Message(b'x').send(push)",
    "send_multipart": "push.send_multipart([b'x', zraw.Message(b'y')])",
    "send_many": "push.send_many([b'x'] * 10)",
    "send_many_multipart": "push.send_many([[b'x', b'y']] * 10)",
}
BLOCKING = RECEIVES | SENDS
