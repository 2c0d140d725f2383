"""Stopwatch: microseconds."""

from __future__ import annotations

import errno
import pickle
import time

import pytest

import zraw


def measured(call):
    """What a call returned, and the microseconds at most until then."""
    result = call()
    return result, time.perf_counter_ns() // 1000


def test_stopwatch_stop__microseconds_since_the_start():
    before = time.perf_counter_ns() // 1000
    watch = zraw.Stopwatch()
    after = time.perf_counter_ns() // 1000
    time.sleep(0.02)
    least = time.perf_counter_ns() // 1000 - after
    passed, end = measured(watch.stop)
    assert type(passed) is int
    assert least - 500 <= passed <= end - before + 500
    assert passed >= 19_000


def test_stopwatch_intermediate__goes_on():
    before = time.perf_counter_ns() // 1000
    watch = zraw.Stopwatch()
    first = watch.intermediate()
    time.sleep(0.01)
    second = watch.intermediate()
    time.sleep(0.01)
    last, end = measured(watch.stop)
    assert 0 <= first < second < last <= end - before + 500
    assert second - first >= 9_000
    assert last - second >= 9_000


def test_stopwatch_start__two_are_two():
    first = zraw.Stopwatch()
    time.sleep(0.02)
    second = zraw.Stopwatch()
    later, sooner = second.stop(), first.stop()
    assert sooner - later >= 19_000


@pytest.mark.parametrize("call", ["stop", "intermediate"])
def test_stopwatch_stop__ends_every_call(call):
    watch = zraw.Stopwatch()
    watch.stop()
    with pytest.raises(zraw.InvalidHandle, match="stopped") as caught:
        getattr(watch, call)()
    assert caught.value.errno == zraw.errno() == errno.EFAULT


def test_stopwatch_stop__by_with():
    with zraw.Stopwatch() as watch:
        assert watch.intermediate() >= 0
    with pytest.raises(zraw.InvalidHandle):
        watch.intermediate()
    with zraw.Stopwatch() as watch:
        watch.stop()  # and not once more


def test_stopwatch_start__object():
    watch = zraw.Stopwatch()
    assert repr(watch) == "<zraw.Stopwatch running>"
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(watch)
    watch.stop()
    assert repr(watch) == "<zraw.Stopwatch stopped>"
    with pytest.raises(TypeError):
        zraw.Stopwatch(1)
