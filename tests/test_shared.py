"""Objects that many threads share: refused, or served, and nothing else; shared.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import shared
from aio_watch import unraisable
from conftest import FREE_THREADED
from programs import check


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """Have threads take turns at every chance, where there is a GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", list(shared.SHARED))
def test_shared__by_eight_threads(name):
    with unraisable() as errors:
        figures = shared.run(name, 0.5, 1)
    assert not errors
    assert figures["done"] > 10, figures


@pytest.mark.parametrize("name", ["Socket", "Context"])
def test_init__by_two_threads_at_once(name):
    """One of them opens it, and a context has no socket more that nobody can close."""
    check(
        """
context.close()
name, = sys.argv[1:]
sys.setswitchinterval(1e-6)
for _ in range(50):
    context = zraw.Context(0)
    new = getattr(zraw, name).__new__(getattr(zraw, name))
    arguments = (context, zraw.ZMQ_PULL) if name == "Socket" else ()
    start, results = threading.Barrier(2), []

    def initialize():
        start.wait(10)
        try:
            results.append(new.__init__(*arguments))
        except RuntimeError as error:
            results.append(str(error))

    team = [threading.Thread(target=initialize) for _ in range(2)]
    for thread in team: thread.start()
    for thread in team: thread.join(10)
    assert len(results) == 2, results
    assert set(results) == {None, f"{name}.__init__(): called before"}
    new.close()
    ending = threading.Thread(target=context.close, daemon=True)
    ending.start()
    ending.join(5)
    assert not ending.is_alive(), "a socket is left that nobody knows"
""",
        name,
    )


def test_handle__while_it_is_closed():
    """An address, or an exception: never 0."""
    check(
        """
sys.setswitchinterval(1e-6)
for turn in range(100):
    socket = context.socket(zraw.ZMQ_PULL)
    start, seen = threading.Barrier(2), set()

    def look():
        start.wait(10)
        while True:
            try:
                seen.add(socket.handle != 0)
            except zraw.NotASocket:
                return
            except zraw.SocketInUse:
                pass

    looking = threading.Thread(target=look)
    looking.start()
    start.wait(10)
    until(lambda: seen)
    def close():
        try:
            socket.close()
        except zraw.SocketInUse:
            return False
        return True
    until(close)
    looking.join(10)
    assert seen == {True}, turn
end()
"""
    )


@pytest.mark.skipif(not FREE_THREADED, reason="this Python has a GIL")
def test_import__leaves_the_gil_off():
    """Every extension of zraw's says that it can do without."""
    assert not sys._is_gil_enabled()
