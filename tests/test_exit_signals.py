"""Signals that come while the interpreter ends, and waits for what is unsent."""

from __future__ import annotations

import threading

import pytest

import zraw
from conftest import run_child, wait_until

# Signals come once the exit has begun: begun() runs before zraw's handler, and ended(),
# which is registered before the import, after it.
PROGRAM = """
import atexit, os, pathlib, signal, sys, threading, time

where, path, exit_linger, times = *sys.argv[1:3], *map(int, sys.argv[3:5])
started = threading.Event()
handled = []

@atexit.register
def ended():
    print(len(handled), time.monotonic() - start, flush=True)

import zraw

@atexit.register
def begun():
    global start
    start = time.monotonic()
    pathlib.Path(path).touch()
    started.set()

def kill():
    started.wait(20)
    time.sleep(0.1)
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.005)

threading.Thread(target=kill, daemon=True).start()
context = zraw.Context()
context.exit_linger = exit_linger
push = context.socket(zraw.ZMQ_PUSH)
push.setsockopt(zraw.ZMQ_LINGER, -1)
push.connect(where)
push.send(b"short")
push.send(b"pinned" * 20000)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def run(tmp_path, handler="", exit_linger=20000, times=1):
    """Return how it ended, the signals that were handled, and zraw's time to end."""
    done = run_child(
        PROGRAM + handler,
        *(f"ipc://{tmp_path}/s", f"{tmp_path}/begun", str(exit_linger), str(times)),
    )
    handled, seconds = done.out.split()
    return done, int(handled), float(seconds)


def test_exit__handler_that_returns_does_not_shorten_it(tmp_path):
    handler = "signal.signal(signal.SIGINT, lambda *_: handled.append(1))"
    done, handled, seconds = run(tmp_path, handler, 600, 20)
    assert (done.code, done.err) == (0, ""), done
    assert 0.59 < seconds < 0.6 + 0.2 + 1.0
    assert 2 <= handled <= 20  # in the midst of it, and not at its end


def test_exit__handlers_that_return_lose_no_message(tmp_path):
    got = []

    def peer():
        with zraw.Context() as context:
            pull = context.socket(zraw.ZMQ_PULL)
            wait_until((tmp_path / "begun").exists, 20)
            pull.bind(f"ipc://{tmp_path}/s")
            while len(got) < 2 and pull.poll(10000):
                got.append(pull.recv())

    thread = threading.Thread(target=peer)
    thread.start()
    handler = "signal.signal(signal.SIGINT, lambda *_: handled.append(1))"
    done, _, seconds = run(tmp_path, handler, times=100)
    thread.join(20)
    assert (done.code, done.err) == (0, ""), done
    assert got == [b"short", b"pinned" * 20000]
    assert seconds < 10


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("", "KeyboardInterrupt"),
        ("signal.signal(signal.SIGINT, lambda *_: sys.exit(3))", "SystemExit"),
        ("signal.signal(signal.SIGINT, lambda *_: {}['mine'])", "KeyError: 'mine'"),
    ],
)
def test_exit__handler_that_raises_ends_the_wait(tmp_path, handler, error):
    """Unsent messages are given up; Python says once what it does not raise."""
    done, _, seconds = run(tmp_path, handler)
    assert done.code == 0, done
    assert seconds < 3, done
    assert done.err.startswith("Exception ignored in atexit callback"), done
    assert done.err.count("Traceback") == 1, done
    assert done.err.count(error) >= 1, done
