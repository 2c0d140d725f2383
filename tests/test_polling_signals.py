"""Signals while zmq_poll() waits for several sockets and descriptors."""

from __future__ import annotations

import pytest

from programs import check, lines
from test_signals import INTERRUPT, PENDING

ITEMS = "[(pull, 1), (push, 2), (r, 1), (pull, 1)]"
PIPE = "r, w = os.pipe()\n"


@pytest.mark.parametrize("items", [ITEMS, "[]"])
def test_poll__handlers_run_and_do_not_prolong_it(items):
    check(
        PIPE
        + f"""
count = 0
def on_alarm(*_):
    global count
    count += 1
    assert pull.try_recv() is None and push.try_send(b"x") is False
    assert zraw.poll({ITEMS}, 0) == []
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
start = time.monotonic()
assert zraw.poll({items}, 500) == []
spent = time.monotonic() - start
signal.setitimer(signal.ITIMER_REAL, 0)
assert 0.5 <= spent < 1.5 and count >= 10, (spent, count)
end()
"""
    )


@pytest.mark.parametrize("how", ["pull", "push", "context"])
def test_poll__handler_may_close(how):
    check(
        PIPE
        + f"""
signal.signal(signal.SIGALRM, lambda *_: {how}.close())
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
refused(zraw.NotASocket, [lambda: zraw.poll({ITEMS})])
signal.setitimer(signal.ITIMER_REAL, 0)
for socket in (push, pull):
    assert socket.closed or socket.getsockopt(zraw.ZMQ_LINGER) == 0
context.close()
"""
    )


def test_poll__handler_may_make_it_ready():
    check(
        PIPE
        + f"""
where = pull.bind("inproc://x")
sent = []
def on_alarm(*_):
    if not sent:
        push.connect(where)
        sent.append(push.send(b"x"))
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
assert (pull, 1) in zraw.poll({ITEMS}, 10000)
signal.setitimer(signal.ITIMER_REAL, 0)
assert pull.recv() == b"x"
context.close()
"""
    )


def test_poll__handler_that_raises_leaves_the_guards_free():
    check(
        PIPE
        + f"""
armed = False
def on_alarm(*_):
    global armed
    if armed:
        armed = False
        raise KeyError("mine")
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
for items in ({ITEMS}, []):
    start = time.monotonic()
    try:
        armed = True
        zraw.poll(items, 10000)
    except KeyError as error:
        assert error.args == ("mine",) and time.monotonic() - start < 2
    else:
        raise AssertionError
    assert not inside(pull) and not inside(push)
signal.setitimer(signal.ITIMER_REAL, 0)
end()
"""
    )


def test_poll__ctrl_c():
    check(
        INTERRUPT
        + PIPE
        + f"""
for _ in range(3):
    interrupted(lambda: zraw.poll({ITEMS}), lambda: inside(push))
begun = time.monotonic()
interrupted(lambda: zraw.poll([], 10000), lambda: time.monotonic() - begun > 0.1)
end()
"""
    )


def test_poll__signal_just_before_the_wait_is_handled_at_once():
    check(
        PENDING
        + PIPE
        + f"""
start = time.monotonic()
for items in ({ITEMS}, [(r, 1)], []):
    results, raised = with_pending(partial(zraw.poll, items, 5000))
    assert (results, type(raised)) == ([], Stop), (results, raised)
assert time.monotonic() - start < 3
os.write(w, b"x")
results, raised = with_pending(partial(zraw.poll, [(r, 1)], 5000))
assert (results, type(raised)) == ([[(r, 1)]], Stop), (results, raised)
end()
"""
    )


def test_poll__handler_may_fork():
    check(
        PIPE
        + lines("""
    pid = None
    def fork(*_):
        global pid
        if pid is None:
            pid = os.fork()
        elif pid:
            os.write(w, b"x")
    signal.signal(signal.SIGALRM, fork)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        assert zraw.poll([(pull, 1), (r, 1)], 10000) == [(r, 1)] and pid
    except zraw.ForkError:
        assert pid == 0
        sys.exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert os.waitpid(pid, 0) == (pid, 0)
    end()
    """)
    )
