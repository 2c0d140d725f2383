"""The handler of a signal that raises while a socket's hook runs."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time

import pytest

import zraw


class Stop(BaseException):
    """What the handler raises."""


@pytest.fixture
def alarm():
    """Make SIGALRM raise Stop; return how often it did."""
    calls = []

    def stop(*_):
        calls.append(True)
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    yield calls
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_hook__handler_that_raises_in_it_is_heard_and_the_hook_has_run(pair, alarm):
    """Each signal falls into a hook; no exception is lost, and no telling."""
    first, second = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
    told = []

    def hook(closing):
        if not alarm:
            signal.raise_signal(signal.SIGALRM)
        told.append(closing)

    first._hook = hook
    for number in range(20):
        told.clear()
        alarm.clear()
        first._arm()
        with pytest.raises(Stop):
            first.send(b"%d" % number)
            for _ in range(100):
                time.sleep(0)  # back in Python it is raised
        assert told == [False]
        assert len(alarm) == 1
        assert second.recv() == b"%d" % number
    first._hook = None


def test_hook__handler_that_raises_while_it_closes_is_heard(sock, alarm):
    socket = sock(zraw.ZMQ_PAIR)
    told = []

    def hook(closing):
        told.append(closing)
        if len(told) == 1:
            signal.raise_signal(signal.SIGALRM)

    socket._hook = hook
    with pytest.raises(Stop):
        socket.close()
        for _ in range(100):
            time.sleep(0)
    assert told == [True, True]
    assert socket.closed


def test_hook__error_that_cannot_be_raised_later_is_reported(sock, monkeypatch):
    """CPython keeps room for few such calls, and the main thread is not at them."""
    later = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
    add = ctypes.pythonapi.Py_AddPendingCall
    socket = sock(zraw.ZMQ_PAIR)
    told, reported = [], []

    def hook(closing):
        told.append(closing)
        if len(told) == 1:
            raise Stop
        for _ in range(1000):
            if add(later, None) < 0:
                return
        told.append("there is always room")

    def use():
        socket._arm()
        socket.getsockopt(zraw.ZMQ_TYPE)

    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    socket._hook = hook
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    socket._hook = None
    assert told == [False, False]
    assert [(each.exc_type, each.object) for each in reported] == [(Stop, hook)]
    for _ in range(100):
        time.sleep(0)  # it is not raised here as well
