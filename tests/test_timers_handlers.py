"""Timers: what their handlers raise, and what they do to the timers themselves."""

from __future__ import annotations

import sys
import time

import pytest

import zraw
from conftest import run_child, wait_until
from programs import START, check

LONG = 100_000  # milliseconds: not within a test


@pytest.fixture
def timers():
    with zraw.Timers() as made:
        yield made


@pytest.fixture
def unraisable(monkeypatch):
    """What went to sys.unraisablehook."""
    caught = []
    monkeypatch.setattr(sys, "unraisablehook", caught.append)
    return caught


def become_due(timers):
    wait_until(lambda: timers.timeout() == 0)


def nothing(timer_id):
    pass


# ---- what handlers raise


def test_timers_execute__first_exception_leaves_after_the_round(timers, unraisable):
    got = []

    def fail(timer_id):
        got.append(timer_id)
        raise ValueError(timer_id)

    ids = [timers.add(5, handler) for handler in (got.append, fail, got.append)]
    ids += [timers.add(6, fail), timers.add(7, got.append), timers.add(8, fail)]
    time.sleep(0.02)
    with pytest.raises(ValueError) as caught:
        timers.execute()
    assert sorted(got) == sorted(ids)
    failed = [number for number in got if number in (ids[1], ids[3], ids[5])]
    assert caught.value.args == (failed[0],)
    assert "fail" in [entry.name for entry in caught.traceback]
    assert [type(info.exc_value) for info in unraisable] == [ValueError] * 2
    assert [info.exc_value.args[0] for info in unraisable] == failed[1:]
    # All of them go on, and what was raised is forgotten.
    unraisable.clear()
    assert len(timers) == 6
    for timer_id in (ids[1], ids[3], ids[5]):
        timers.cancel(timer_id)
    got.clear()
    time.sleep(0.02)
    timers.execute()
    assert sorted(got) == sorted([ids[0], ids[2], ids[4]])
    assert not unraisable


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_timers_execute__lets_exits_through(timers, error):
    got = []

    def leave(timer_id):
        raise error("mine")

    timers.add(1, leave)
    timers.add(2, got.append)
    time.sleep(0.01)
    with pytest.raises(error, match="mine"):
        timers.execute()
    assert len(got) == 1


def test_timers_execute__system_exit_ends_the_process():
    done = run_child(
        START
        + """
timers = zraw.Timers()
timers.add(1, lambda number: sys.exit(7))
timers.add(1, lambda number: print("the other", flush=True))
end()
time.sleep(0.01)
timers.execute()
print("went on")
"""
    )
    assert (done.code, done.out, done.err) == (7, "the other\n", ""), done


def test_timers_execute__ctrl_c_in_a_handler():
    check("""
timers = zraw.Timers()
def handler(timer_id):
    signal.raise_signal(signal.SIGINT)
    time.sleep(10)
timers.add(1, handler)
time.sleep(0.01)
start = time.monotonic()
try:
    timers.execute()
except KeyboardInterrupt:
    assert time.monotonic() - start < 5
else:
    raise AssertionError("went through")
assert len(timers) == 1
timers.destroy()
end()
""")


# ---- what handlers do to the timers


def due_together(timers, *handlers):
    """Add timers and wait until all are due; return their ids."""
    ids = [timers.add(5 + n, handler) for n, handler in enumerate(handlers)]
    time.sleep(0.005 + 0.002 * len(handlers) + 0.005)
    return ids


def test_timers_add__from_a_handler(timers):
    got = []

    def add(timer_id):
        got.append(timers.add(1, got.append))
        time.sleep(0.01)

    ids = due_together(timers, add, got.append)
    timers.execute()
    assert got == [got[0], ids[1]]  # the new one not within the round
    assert len(timers) == 3
    timers.cancel(ids[0])
    timers.cancel(ids[1])
    become_due(timers)
    timers.execute()
    assert got[2:] == [got[0]]


def test_timers_cancel__from_a_handler(timers):
    got = []

    def cancel(timer_id):
        got.append(timer_id)
        for number in (ids[0], ids[2], ids[3]):
            timers.cancel(number)
            with pytest.raises(zraw.InvalidArgument):
                timers.cancel(number)
            with pytest.raises(zraw.InvalidArgument):
                timers.reset(number)
            with pytest.raises(zraw.InvalidArgument):
                timers.set_interval(number, 1)

    ids = due_together(timers, got.append, cancel, got.append, got.append, got.append)
    timers.execute()
    assert got == [ids[0], ids[1], ids[4]]
    assert len(timers) == 2
    timers.cancel(ids[1])
    timers.cancel(ids[4])
    assert timers.timeout() == -1


def test_timers_cancel__twice_in_one_round(timers):
    """libzmq has passed the cancelled one in between, and knows it still."""
    caught = []

    def again(timer_id):
        with pytest.raises(zraw.InvalidArgument):
            timers.cancel(ids[1])
        caught.append(timer_id)

    ids = due_together(timers, lambda me: timers.cancel(ids[1]), nothing, again)
    timers.execute()
    assert caught == [ids[2]]
    assert len(timers) == 2


def test_timers_cancel__itself_from_its_handler(timers):
    got = []
    (timer_id,) = due_together(timers, lambda me: (got.append(me), timers.cancel(me)))
    timers.execute()
    assert got == [timer_id]
    assert (len(timers), timers.timeout()) == (0, -1)
    time.sleep(0.01)
    timers.execute()
    assert len(got) == 1


def test_timers_set_interval__from_a_handler(timers):
    got = []

    def change(timer_id):
        got.append(timer_id)
        for number in ids:
            timers.set_interval(number, 1)
            timers.set_interval(number, LONG)
            timers.reset(number)

    ids = due_together(timers, got.append, change, got.append)
    timers.execute()
    assert got == ids  # those later in the round, too
    assert LONG - 10_000 < timers.timeout() <= LONG
    for number in ids:
        timers.cancel(number)
    assert timers.timeout() == -1


def test_timers_reset__from_a_handler(timers):
    """It begins after the round, not with it."""
    ended = []

    def again(timer_id):
        for _ in range(20):
            timers.reset(ids[0])
            timers.reset(ids[1])
        time.sleep(0.02)
        ended.append(time.monotonic())

    ids = due_together(timers, again, nothing)
    timers.execute()
    left = timers.timeout()
    assert left >= 5 - 1 - (time.monotonic() - ended[0]) * 1000
    assert len(timers) == 2


def test_timers_reset__of_one_cancelled_later_in_the_round(timers):
    ids = due_together(
        timers,
        timers.reset,
        lambda me: timers.set_interval(ids[0], 1),
        lambda me: timers.cancel(ids[0]),
    )
    timers.execute()
    assert len(timers) == 2
    with pytest.raises(zraw.InvalidArgument):
        timers.reset(ids[0])


def test_timers_execute__from_a_handler_does_nothing(timers):
    got = []
    ids = due_together(
        timers, lambda me: (got.append(me), timers.execute()), got.append
    )
    timers.execute()
    assert got == ids


@pytest.mark.parametrize("call", ["timeout", "destroy"])
def test_timers_destroy__not_from_a_handler(timers, call):
    got = []

    def handler(timer_id):
        with pytest.raises(zraw.InvalidState) as caught:
            getattr(timers, call)()
        assert caught.value.errno == zraw.errno() == zraw.EFSM
        assert f"Timers.{call}()" in str(caught.value)
        got.append(timer_id)

    ids = due_together(timers, handler, got.append)
    timers.execute()
    assert got == ids
    assert timers.timeout() >= 0


def test_timers_execute__whatever_handlers_do():
    """2000 operations by chance, most from handlers; a model knows what is right."""
    check(
        """
import random
chance = random.Random(int(sys.argv[1]))
timers = zraw.Timers()
alive, held, called, done = {}, {}, [], 0

def refused(error, call, *args):
    try:
        call(*args)
    except error as caught:
        assert type(caught) is error
    else:
        raise AssertionError("let through")

def operate(inside):
    global done
    done += 1
    now = time.monotonic()
    number = chance.choice(list(alive)) if alive else -1
    what = chance.choice(["add", "cancel", "cancel", "set", "set", "reset", "reset",
                          "gone", "execute", "timeout", "destroy"])
    if what == "add" or len(alive) < 8:
        interval = chance.randint(1, 4)
        number = timers.add(interval, handler)
        assert number not in held
        alive[number] = interval
        held[number] = now + interval / 1000
    elif what == "cancel":
        timers.cancel(number)
        del alive[number]
    elif what == "set":
        alive[number] = chance.randint(1, 4)
        timers.set_interval(number, alive[number])
        held[number] = now + alive[number] / 1000
    elif what == "reset":
        timers.reset(number)
        held[number] = now + alive[number] / 1000
    elif what == "gone":
        gone = chance.choice(list(held))
        if gone not in alive:
            refused(zraw.InvalidArgument, timers.cancel, gone)
            refused(zraw.InvalidArgument, timers.reset, gone)
            refused(zraw.InvalidArgument, timers.set_interval, gone, 1)
    elif inside and what == "execute":
        timers.execute()
    elif inside:
        refused(zraw.InvalidState, getattr(timers, what))
    assert len(timers) == len(alive)

def handler(number):
    assert number in alive and number not in called
    assert time.monotonic() > due.get(number, float("inf")) - 0.002, "too early"
    called.append(number)
    for _ in range(chance.randint(0, 5)):
        operate(True)

while done < 2000:
    for _ in range(chance.randint(0, 3)):
        operate(False)
    time.sleep(max(0, timers.timeout()) / 1000)
    called.clear()
    due = dict(held)
    timers.execute()
for number in list(alive):
    timers.cancel(number)
assert timers.timeout() == -1 and len(timers) == 0
timers.execute()
end()
""",
        "20240229",
    )
