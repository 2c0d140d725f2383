"""AtomicCounter: a C int that threads count up and down."""

from __future__ import annotations

import errno
import pickle
import threading

import pytest

import zraw
from programs import check


@pytest.fixture
def counter():
    with zraw.AtomicCounter() as made:
        yield made


def test_atomic_counter_new__begins_at_zero(counter):
    assert counter.value() == 0


def test_atomic_counter_value__changes_nothing(counter):
    counter.set(5)
    assert [counter.value(), counter.value()] == [5, 5]


def test_atomic_counter_inc__returns_the_value_before(counter):
    assert [counter.inc() for _ in range(4)] == [0, 1, 2, 3]
    assert counter.value() == 4


def test_atomic_counter_dec__says_whether_something_is_left(counter):
    counter.set(3)
    left = [counter.dec() for _ in range(3)]
    assert left == [True, True, False]
    assert all(type(each) is bool for each in left)
    assert counter.value() == 0


def test_atomic_counter_dec__below_zero(counter):
    assert counter.dec() is True
    assert counter.value() == -1
    assert counter.inc() == -1
    assert counter.value() == 0


@pytest.mark.parametrize("value", [0, 1, -1, 2**31 - 1, -(2**31), True])
def test_atomic_counter_set__every_c_int(counter, value):
    assert counter.set(value) is None
    assert counter.value() == value
    counter.inc()
    counter.dec()
    assert counter.value() == value


def test_atomic_counter_inc__overflows_as_c_does(counter):
    counter.set(2**31 - 1)
    assert counter.inc() == 2**31 - 1
    assert counter.value() == -(2**31)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (2**31, OverflowError),
        (-(2**31) - 1, OverflowError),
        (2**70, OverflowError),
        (1.0, TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_atomic_counter_set__refuses(counter, value, error):
    counter.set(5)
    with pytest.raises(error, match=r"AtomicCounter\.set\(\): value: "):
        counter.set(value)
    assert counter.value() == 5


def test_atomic_counter_inc__threads_lose_nothing(counter):
    counter.set(1_000_000)
    start = threading.Barrier(8)

    def count(call):
        start.wait(10)
        for _ in range(5000):
            call()

    threads = [
        threading.Thread(target=count, args=(call,))
        for call in [counter.inc] * 5 + [counter.dec] * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counter.value() == 1_000_000 + 2 * 5000


def test_atomic_counter_inc__returns_every_value_once(counter):
    got = [[], [], [], []]
    threads = [
        threading.Thread(
            target=lambda mine: mine.extend(map(inc, range(5000))), args=(mine,)
        )
        for mine in got
    ]

    def inc(_):
        return counter.inc()

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(number for mine in got for number in mine) == list(range(20000))


@pytest.mark.parametrize("call", ["inc", "dec", "value", "set"])
def test_atomic_counter_destroy__ends_every_call(call):
    counter = zraw.AtomicCounter()
    assert counter.destroy() is None
    counter.destroy()
    args = (1,) if call == "set" else ()
    with pytest.raises(zraw.InvalidHandle, match="destroyed") as caught:
        getattr(counter, call)(*args)
    assert caught.value.errno == zraw.errno() == errno.EFAULT
    assert repr(counter) == "<zraw.AtomicCounter destroyed>"


def test_atomic_counter_destroy__by_with():
    with zraw.AtomicCounter() as counter:
        counter.inc()
    with pytest.raises(zraw.InvalidHandle):
        counter.value()


def test_atomic_counter_new__object(counter):
    counter.set(-7)
    assert repr(counter) == "<zraw.AtomicCounter -7>"
    with pytest.raises(TypeError):
        zraw.AtomicCounter(1)
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(counter)


def test_atomic_counter_destroy__collection_frees():
    check("""
import resource
for _ in range(2000):
    zraw.AtomicCounter()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(200000):
    zraw.AtomicCounter().inc()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert after - before < 2000, after - before  # KiB; without it, 6000
end()
""")
