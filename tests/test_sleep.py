"""sleep(): whole seconds, with signals and threads running meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

import zraw
from programs import check


def test_sleep__about_the_time():
    start, busy = time.monotonic(), time.process_time()
    assert zraw.sleep(2) is None
    assert 1.999 < time.monotonic() - start < 12
    assert time.process_time() - busy < 0.5  # it slept


def test_sleep__zero_returns_at_once():
    start = time.monotonic()
    zraw.sleep(0)
    assert time.monotonic() - start < 0.9


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ValueError),
        (-(2**31), ValueError),
        (2**31, OverflowError),
        (0.5, TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_sleep__refuses(seconds, error):
    start = time.monotonic()
    with pytest.raises(error, match=r"sleep\(\): seconds: "):
        zraw.sleep(seconds)
    assert time.monotonic() - start < 0.9


def test_sleep__other_threads_run():
    thread = threading.Thread(target=zraw.sleep, args=(1,))
    thread.start()
    count = 0
    while thread.is_alive():
        count += 1
        time.sleep(0.001)
    assert count > 50


def test_sleep__handlers_run_and_it_goes_on():
    check("""
calls = []
signal.signal(signal.SIGALRM, lambda *_: calls.append(time.monotonic()))
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
start = time.monotonic()
zraw.sleep(1)
end_time = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 0)
assert end_time - start > 0.999, end_time - start
assert len(calls) >= 3, calls
assert calls[0] - start < 0.6, "not before it was over"
end()
""")


@pytest.mark.parametrize("seconds", [1, 1000])
def test_sleep__ctrl_c_gets_through_at_once(seconds):
    check(
        """
timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
timer.start()
start = time.monotonic()
try:
    zraw.sleep(int(sys.argv[1]))
except KeyboardInterrupt:
    assert time.monotonic() - start < 0.8, time.monotonic() - start
else:
    raise AssertionError("nothing came")
timer.join()
end()
""",
        str(seconds),
    )


def test_sleep__one_signal_is_handled_at_once():
    """The handler does not wait until the sleep is over."""
    check("""
def count(*_):
    calls.append(time.monotonic())
calls = []
signal.signal(signal.SIGUSR1, count)
timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
timer.start()
start = time.monotonic()
zraw.sleep(1)
assert time.monotonic() - start > 0.999
assert len(calls) == 1 and calls[0] - start < 0.8, calls[0] - start
end()
""")


def test_sleep__a_handler_may_raise():
    check("""
class Enough(Exception): pass
def handler(*_):
    raise Enough
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
start = time.monotonic()
try:
    zraw.sleep(2**31 - 1)
except Enough:
    assert time.monotonic() - start < 5
else:
    raise AssertionError("nothing came")
end()
""")
