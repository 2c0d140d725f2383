"""Fixtures that every test uses, and the programs that tests run in children."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import zraw

FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

# A shell's background jobs ignore Ctrl-C, and would hand that on to every child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def ctx() -> Iterator[zraw.Context]:
    """A context; a test that leaves a socket open fails."""
    context = zraw.Context()
    yield context
    gc.collect()
    left = context.sockets
    context.close(linger=0)
    assert not left, f"left open: {left}"


@pytest.fixture
def sock(ctx: zraw.Context) -> Iterator[Callable[..., zraw.Socket]]:
    """Make sockets with LINGER 0 and time-outs of 5 s, closed after the test."""
    made: list[zraw.Socket] = []

    def make(kind: int, context: zraw.Context = ctx, **options: object) -> zraw.Socket:
        socket = zraw.Socket(context, kind)
        made.append(socket)
        options = {"LINGER": 0, "RCVTIMEO": 5000, "SNDTIMEO": 5000, **options}
        for name, value in options.items():
            socket.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
        return socket

    yield make
    for socket in made:
        socket.close()


@pytest.fixture
def pair(
    sock: Callable[..., zraw.Socket], tmp_path: Path
) -> Callable[..., tuple[zraw.Socket, zraw.Socket]]:
    """Make two connected sockets over a transport; the first one binds."""

    def make(
        first: int, second: int, transport: str = "inproc", **options: object
    ) -> tuple[zraw.Socket, zraw.Socket]:
        bound, connected = sock(first, **options), sock(second, **options)
        if second == zraw.ZMQ_SUB:
            connected.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        connected.connect(bound.bind(endpoint(transport, tmp_path)))
        return bound, connected

    return make


@pytest.fixture(params=["inproc", "ipc", "tcp"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Make endpoints to be bound, all of one transport."""
    numbers = itertools.count()

    def make() -> str:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return endpoint(request.param, folder)

    make.transport = request.param  # type: ignore[attr-defined]
    return make


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that comes between zraw and libzmq; see shim.py."""
    from shim import build

    return build(tmp_path_factory.mktemp("shim"))


def endpoint(transport: str, folder: Path) -> str:
    """An endpoint that nobody else uses, to be bound."""
    return {
        "inproc": f"inproc://{folder}",
        "ipc": f"ipc://{folder}/s",
        "tcp": "tcp://127.0.0.1:*",
        "ws": "ws://127.0.0.1:*",
    }[transport]


@pytest.fixture(params=["epoll", "select", "uvloop", "thread", "trio"])
def on_loop(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run a coroutine function on an event loop of each kind; see loops.py."""
    from loops import run_on

    def run(main: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
        return run_on(request.param, main, seconds)

    run.kind = request.param  # type: ignore[attr-defined]
    return run


class Finished:
    """How a child ended: code, output, error output and seconds."""

    def __init__(self, done: subprocess.CompletedProcess[str], seconds: float):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.seconds = seconds

    def __repr__(self) -> str:
        return (
            f"<exit code {self.code} after {self.seconds:.2f} s\n"
            f"--- stdout\n{self.out}--- stderr\n{self.err}>"
        )


def run_child(
    program: str, *args: str, timeout: float = 30, env: dict[str, str] | None = None
) -> Finished:
    """Run a Python program in a child; kill it if it hangs."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=Path(__file__).parent,  # where no zraw folder hides the installed one
        env={**os.environ, **(env or {})},
    )
    return Finished(done, time.monotonic() - start)


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something that happens in another thread or process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def is_inside(socket: zraw.Socket) -> bool:
    """Whether another thread waits in a call on the socket."""
    try:
        socket.getsockopt(zraw.ZMQ_LINGER)
    except zraw.SocketInUse:
        return True
    return False
