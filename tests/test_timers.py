"""Timers: what is due, when, and what its handlers may do to the timers."""

from __future__ import annotations

import errno
import gc
import pickle
import sys
import threading
import time
import weakref

import pytest

import zraw
from conftest import wait_until
from programs import check

LONG = 100_000  # milliseconds: not within a test


@pytest.fixture
def timers():
    with zraw.Timers() as made:
        yield made


def become_due(timers):
    wait_until(lambda: timers.timeout() == 0)


def run_until(timers, condition):
    """Do as a main loop does."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(min(0.05, max(0, timers.timeout()) / 1000))
        timers.execute()


def nothing(timer_id):
    pass


# ---- what is due


def test_timers_timeout__no_timer(timers):
    before = zraw.errno()
    assert timers.timeout() == -1
    assert zraw.errno() == before
    timers.execute()
    assert len(timers) == 0


def test_timers_timeout__counts_down_to_zero(timers):
    start = time.monotonic()
    timers.add(50, nothing)
    first = timers.timeout()
    passed = (time.monotonic() - start) * 1000
    assert 48 - passed <= first <= 50
    become_due(timers)
    assert time.monotonic() - start > 0.048
    time.sleep(0.003)
    assert timers.timeout() == 0


def test_timers_timeout__is_that_of_the_next_one(timers):
    far = timers.add(LONG, nothing)
    assert LONG - 10_000 < timers.timeout() <= LONG
    near = timers.add(20_000, nothing)
    assert 10_000 < timers.timeout() <= 20_000
    timers.cancel(near)
    assert LONG - 10_000 < timers.timeout() <= LONG
    timers.cancel(far)
    assert timers.timeout() == -1


def test_timers_execute__nothing_is_due(timers):
    timers.add(LONG, lambda timer_id: pytest.fail("too early"))
    timers.execute()
    assert len(timers) == 1


def test_timers_execute__hands_over_the_id(timers):
    got = []
    timer_id = timers.add(1, got.append)
    assert type(timer_id) is int
    become_due(timers)
    timers.execute()
    assert got == [timer_id]


def test_timers_execute__in_the_order_of_their_times(timers):
    got = []
    expected = {}
    for interval in (30, 10, 20, 5):
        expected[interval] = timers.add(interval, got.append)
    time.sleep(0.04)
    timers.execute()
    assert got == [expected[interval] for interval in sorted(expected)]


def test_timers_execute__again_and_again(timers):
    times, rounds = [], []
    timers.add(10, lambda timer_id: times.append(time.monotonic()))
    rounds.append(time.monotonic())
    while len(times) < 5:
        assert timers.timeout() <= 10
        time.sleep(timers.timeout() / 1000)
        begun, calls = time.monotonic(), len(times)
        timers.execute()
        if len(times) > calls:
            rounds.append(begun)
    for before, after in zip(rounds, times, strict=False):
        assert after - before > 0.008  # libzmq counts whole milliseconds


def test_timers_execute__once_per_round_however_late(timers):
    got = []
    timers.add(1, got.append)
    time.sleep(0.02)
    timers.execute()
    assert len(got) == 1


def test_timers_add__ids_are_distinct(timers):
    ids = [timers.add(LONG, nothing) for _ in range(100)]
    timers.cancel(ids[-1])
    ids.append(timers.add(LONG, nothing))
    assert len(set(ids)) == 101
    assert len(timers) == 100


@pytest.mark.parametrize("longest", [2**31, 2**32 + 1, sys.maxsize])
def test_timers_add__long_intervals_are_not_cut(timers, longest):
    timers.add(longest, lambda timer_id: pytest.fail("too early"))
    timers.execute()
    assert timers.timeout() > longest - 10_000


@pytest.mark.parametrize(
    ("interval", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        ("1", TypeError),
        (None, TypeError),
        (2**64, OverflowError),
        (2**63, OverflowError),
        (-(2**70), OverflowError),
    ],
)
def test_timers_add__refuses_intervals(timers, interval, error):
    """libzmq's execute() would never end with 0."""
    with pytest.raises(error, match=r"Timers\.add\(\): interval: "):
        timers.add(interval, nothing)
    assert len(timers) == 0
    assert timers.timeout() == -1
    timer_id = timers.add(LONG, nothing)
    with pytest.raises(error, match=r"Timers\.set_interval\(\): interval: "):
        timers.set_interval(timer_id, interval)
    assert timers.timeout() > LONG - 10_000


def test_timers_add__refuses_what_is_not_callable(timers):
    for handler in (None, 1, "print"):
        with pytest.raises(TypeError, match=r"Timers\.add\(\): handler: a callable"):
            timers.add(1, handler)
    with pytest.raises(TypeError):
        timers.add(1)
    assert len(timers) == 0


def test_timers_cancel__is_never_called(timers):
    got = []
    kept, gone = timers.add(1, got.append), timers.add(1, got.append)
    assert timers.cancel(gone) is None
    assert len(timers) == 1
    become_due(timers)
    timers.execute()
    assert got == [kept]


CALLS = {
    "cancel": lambda timers, timer_id: timers.cancel(timer_id),
    "set_interval": lambda timers, timer_id: timers.set_interval(timer_id, 1),
    "reset": lambda timers, timer_id: timers.reset(timer_id),
}


@pytest.mark.parametrize("call", CALLS)
def test_timers_cancel__unknown_ids(timers, call):
    gone = timers.add(1, nothing)
    kept = timers.add(LONG, nothing)
    timers.cancel(gone)
    for timer_id in (gone, kept + 1, 0 if kept else 7, -1, 2**31 - 1):
        with pytest.raises(zraw.InvalidArgument) as caught:
            CALLS[call](timers, timer_id)
        assert caught.value.errno == zraw.errno() == errno.EINVAL
        assert f"Timers.{call}" in str(caught.value)
    assert len(timers) == 1
    assert timers.timeout() > LONG - 10_000


@pytest.mark.parametrize("call", CALLS)
def test_timers_cancel__refuses_what_is_no_id(timers, call):
    timers.add(LONG, nothing)
    for timer_id, error in (("1", TypeError), (1.0, TypeError), (2**31, OverflowError)):
        with pytest.raises(error, match=rf"Timers\.{call}\(\): timer_id: "):
            CALLS[call](timers, timer_id)


def test_timers_reset__begins_the_interval_anew(timers):
    timer_id = timers.add(400, nothing)
    wait_until(lambda: timers.timeout() <= 350)
    start = time.monotonic()
    assert timers.reset(timer_id) is None
    left = timers.timeout()
    assert left >= 398 - (time.monotonic() - start) * 1000
    assert left <= 400


def test_timers_reset__of_one_that_is_due(timers):
    timer_id = timers.add(30, lambda timer_id: times.append(time.monotonic()))
    times = []
    become_due(timers)
    start = time.monotonic()
    timers.reset(timer_id)
    run_until(timers, lambda: times)
    assert times[0] - start > 0.028


def test_timers_set_interval__begins_now_and_stays(timers):
    times = []
    timer_id = timers.add(LONG, lambda timer_id: times.append(time.monotonic()))
    start = time.monotonic()
    assert timers.set_interval(timer_id, 10) is None
    assert timers.timeout() <= 10
    run_until(timers, lambda: len(times) == 3)
    assert times[0] - start > 0.008
    timers.set_interval(timer_id, LONG)
    assert LONG - 10_000 < timers.timeout() <= LONG
    timers.reset(timer_id)
    assert LONG - 10_000 < timers.timeout() <= LONG


# ---- the object


@pytest.mark.parametrize(
    "call",
    [
        lambda timers: timers.add(1, nothing),
        lambda timers: timers.cancel(1),
        lambda timers: timers.set_interval(1, 1),
        lambda timers: timers.reset(1),
        lambda timers: timers.timeout(),
        lambda timers: timers.execute(),
    ],
    ids=["add", "cancel", "set_interval", "reset", "timeout", "execute"],
)
def test_timers_destroy__ends_every_call(call):
    timers = zraw.Timers()
    timers.add(1, nothing)
    timers.destroy()
    timers.destroy()
    with pytest.raises(zraw.InvalidHandle, match="destroyed") as caught:
        call(timers)
    assert caught.value.errno == zraw.errno() == errno.EFAULT
    assert repr(timers) == "<zraw.Timers destroyed>"
    assert len(timers) == 0


def test_timers_destroy__lets_go_of_the_handlers():
    class Handler:
        def __call__(self, timer_id):
            pass

    timers, handler = zraw.Timers(), Handler()
    watch = weakref.ref(handler)
    number = timers.add(LONG, handler)
    del handler
    assert watch() is not None
    timers.cancel(number)
    assert watch() is None
    timers.add(LONG, handler := Handler())
    watch = weakref.ref(handler)
    del handler
    timers.destroy()
    assert watch() is None


def test_timers_destroy__by_with():
    with zraw.Timers() as timers:
        timers.add(1, nothing)
    with pytest.raises(zraw.InvalidHandle), timers:
        timers.timeout()


def test_timers_new__repr_and_len(timers):
    assert (repr(timers), len(timers)) == ("<zraw.Timers of 0>", 0)
    timers.add(1, nothing)
    assert (repr(timers), len(timers)) == ("<zraw.Timers of 1>", 1)


def test_timers_new__refuses_arguments_and_pickle(timers):
    with pytest.raises(TypeError):
        zraw.Timers(1)
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(timers)


def test_timers_new__cycles_are_collected():
    class Owner:
        def __init__(self):
            self.timers = zraw.Timers()
            self.timers.add(LONG, self.handle)
            self.timers.add(LONG, lambda timer_id: self.timers)

        def handle(self, timer_id):
            pass

    watch = weakref.ref(Owner())
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize(
    "call",
    [
        lambda timers: timers.add(1, nothing),
        lambda timers: timers.cancel(1),
        lambda timers: timers.set_interval(1, 1),
        lambda timers: timers.reset(1),
        lambda timers: timers.timeout(),
        lambda timers: timers.execute(),
        lambda timers: timers.destroy(),
    ],
    ids=["add", "cancel", "set_interval", "reset", "timeout", "execute", "destroy"],
)
def test_timers_execute__another_thread_meanwhile(timers, call):
    inside, over = threading.Event(), threading.Event()

    def handler(timer_id):
        inside.set()
        assert over.wait(10)

    timers.add(1, handler)
    become_due(timers)
    thread = threading.Thread(target=timers.execute)
    thread.start()
    try:
        assert inside.wait(10)
        with pytest.raises(zraw.SocketInUse) as caught:
            call(timers)
        assert caught.value.errno == zraw.errno() == errno.EBUSY
    finally:
        over.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(timers) == 1
    assert timers.timeout() >= 0


def test_timers_execute__in_a_forked_child():
    """They are memory, and no thread of libzmq's knows of them."""
    check("""
got = []
timers = zraw.Timers()
timers.add(1, got.append)
pid = os.fork()
until(lambda: timers.timeout() == 0)
timers.execute()
assert len(got) == 1
timers.cancel(got[0])
assert timers.timeout() == -1
timers.destroy()
if pid == 0:
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
end()
""")
