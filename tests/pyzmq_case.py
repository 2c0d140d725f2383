"""What the programs pyzmq_<what>.py have in common; they run in children."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import zmq
import zmq.backend

MODULES = {"zraw.pyzmq": "zraw.pyzmq_context", "cython": "zmq.backend.cython._zmq"}
EXPECTED = MODULES[os.environ["PYZMQ_BACKEND"]]


def check_backend() -> None:
    """The backend in use is the one that the environment asks for."""
    assert zmq.backend.Context.__module__ == EXPECTED, zmq.backend.Context
    assert issubclass(zmq.Context, zmq.backend.Context)
    assert issubclass(zmq.Socket, zmq.backend.Socket)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in another thread."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.001)


def limited(socket: zmq.Socket) -> zmq.Socket:
    """Return a socket that neither waits for ever nor lingers."""
    socket.rcvtimeo = socket.sndtimeo = 10000
    socket.linger = 0
    return socket


def raises(
    kind: type[BaseException], call: Callable[..., object], *args: object
) -> None:
    try:
        call(*args)
    except kind as error:
        assert type(error) is kind, repr(error)
    else:
        raise AssertionError(f"{kind.__name__} was expected")


def main(names: dict[str, Callable[..., None]]) -> None:
    """Run the function that the command line names."""
    check_backend()
    names[sys.argv[1]](*sys.argv[2:])
    print("done")
