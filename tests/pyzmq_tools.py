"""Programs of pyzmq for children: what they begin with, and how they have to end."""

from __future__ import annotations

from conftest import run_child

START = """
import gc, os, sys, threading, time
import zmq

def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.001)

def inside(socket):
    "Whether another thread waits in a call: only then the GIL is given up."
    try:
        socket.get(zmq.SNDHWM)
    except zmq.ZMQError as error:
        return error.errno == errno.EBUSY
    return False

def connected(first=zmq.PUSH, second=zmq.PULL, endpoint="tcp://127.0.0.1:*"):
    made = context.socket(first), context.socket(second)
    for socket in made:
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = 5000
    made[0].bind(endpoint)
    made[1].connect(made[0].last_endpoint.decode())
    return made

def raises(kind, number, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind as error:
        assert type(error) is kind, error
        assert getattr(error, "errno", None) == number, error
        return str(error)
    raise AssertionError("let through")

import errno
context = zmq.Context()
"""


def check(program, env="zraw.pyzmq", timeout=30):
    """Run a program on the backend; it has to end well and in silence."""
    done = run_child(
        START + program, timeout=timeout, env={"PYZMQ_BACKEND": env} if env else {}
    )
    assert (done.code, done.err) == (0, ""), done
    return done.out
