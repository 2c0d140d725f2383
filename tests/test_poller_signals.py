"""Signals while a Poller waits: handlers may use it, change it, and end it."""

from __future__ import annotations

import pytest

from programs import check
from test_signals import INTERRUPT, PENDING

MAKE = """
import atexit
atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
poller = zraw.Poller()
r, w = os.pipe()
poller.add(pull, 1, "pull")
poller.add(push, 2, "push")
poller.add_fd(r, 1, "fd")

# A signal of the moment before the wait does not end it: others follow.
def on_alarm(handler, again=0.05, once=True):
    ran = []
    def run(*_):
        if not (once and ran):
            ran.append(1)
            handler()
    signal.signal(signal.SIGALRM, run)
    signal.setitimer(signal.ITIMER_REAL, 0.05, again)

def free():
    assert not inside(pull) and not inside(push)
    assert poller.size() == len(poller)
"""


@pytest.mark.parametrize("call", ["wait", "wait_all"])
@pytest.mark.parametrize("empty", [False, True])
def test_poller_wait__handlers_run_and_do_not_prolong_it(call, empty):
    arguments = "500" if call == "wait" else "7, 500"
    check(
        MAKE
        + f"""
if {empty}:
    poller.remove(pull)
    poller.modify(push, 0)
    poller.modify_fd(r, 0)
count = 0
def handler():
    global count
    count += 1
    assert pull.try_recv() is None and push.try_send(b"x") is False
    refused(zraw.Again, [lambda: poller.wait(0), lambda: poller.wait_all(3, 0)])
    free()
on_alarm(handler, 0.01, False)
start = time.monotonic()
refused(zraw.Again, [lambda: poller.{call}({arguments})])
spent = time.monotonic() - start
signal.setitimer(signal.ITIMER_REAL, 0)
assert 0.5 <= spent < 1.5 and count >= 10, (spent, count)
poller.destroy()
end()
"""
    )


CHANGES = {
    "sends": ('push.connect(where), push.send(b"x")', "(pull, 'pull', 1)"),
    "adds": ("poller.add(third, 2, 'third')", "(third, 'third', 2)"),
    "adds_fd": ("poller.add_fd(w, 2, 'w')", "(w, 'w', 2)"),
    "modifies": ("poller.modify(idle, 2)", "(idle, None, 2)"),
    "modifies_fd": ("os.write(w, b'x')", "(r, 'fd', 1)"),
    "removes": ("poller.remove(pull), os.write(w, b'x')", "(r, 'fd', 1)"),
    "removes_fd": ("poller.remove_fd(r), poller.modify(idle, 2)", "(idle, None, 2)"),
    "closes": ("pull.close(), os.write(w, b'x')", "(r, 'fd', 1)"),
    "closes_all": ("pull.close(), push.close(), os.write(w, b'x')", "(r, 'fd', 1)"),
    "replaces": (
        "[poller.remove_fd(r), poller.remove(pull), poller.remove(push), "
        "poller.remove(idle), gc.collect(), poller.add_fd(w, 2, 'new')]",
        "(w, 'new', 2)",
    ),
    "grows": (
        "[poller.add_fd(os.dup(r), 1, n) for n in range(100)], os.write(w, b'x')",
        "(r, 'fd', 1)",
    ),
}


@pytest.mark.parametrize("call", ["poller.wait()", "poller.wait_all(1)[0]"])
@pytest.mark.parametrize("change", CHANGES)
def test_poller_wait__handler_changes_what_is_waited_for(change, call):
    code, expected = CHANGES[change]
    check(
        MAKE
        + f"""
where = pull.bind("inproc://x")
third, fourth = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
idle = context.socket(zraw.ZMQ_PAIR)
third.connect(fourth.bind("inproc://third"))
idle.bind("inproc://idle")
fifth = context.socket(zraw.ZMQ_PAIR)
fifth.connect("inproc://idle")
poller.add(idle, 0)
on_alarm(lambda: [{code}])
event = {call}
assert event == {expected}, event
poller.destroy()
context.close()
"""
    )


def test_poller_wait__handler_destroys_it():
    check(
        MAKE
        + """
for call in (poller.wait, lambda: poller.wait_all(3), lambda: poller.wait(10000)):
    on_alarm(lambda: poller.destroy())
    start = time.monotonic()
    refused(zraw.InvalidHandle, [call])
    assert time.monotonic() - start < 2
    assert not inside(pull) and not inside(push)
    poller = zraw.Poller()
    poller.add(pull)
    poller.add(push, 2)
    gc.collect()
end()
"""
    )


def test_poller_wait__handler_closes_the_context():
    check(
        MAKE
        + """
on_alarm(lambda: [context.close(), os.write(w, b"x")])
assert poller.wait() == (r, "fd", 1)
assert poller.size() == 1 and pull.closed
"""
    )


@pytest.mark.parametrize(
    "change", ["pull.close()", "poller.remove(pull)", "poller.modify(pull, 0)"]
)
def test_poller_wait__handler_leaves_nothing_to_wait_for(change):
    """Then it would never end: as if it had been called so."""
    check(
        MAKE
        + f"""
poller.remove_fd(r)
poller.remove(push)
runs = 0
def handler():
    global runs
    runs += 1
    if runs > 1:
        raise KeyError("it waits still")
    {change}
on_alarm(handler, 0.5, False)
try:
    poller.wait()
except ValueError as error:
    assert "nothing to wait for" in str(error), error
else:
    raise AssertionError
context.close()
"""
    )


def test_poller_wait__handler_that_raises_leaves_everything_free():
    check(
        MAKE
        + """
def handler():
    raise KeyError("mine")
for call in (poller.wait, lambda: poller.wait_all(3), lambda: poller.wait(10000)):
    start = time.monotonic()
    try:
        on_alarm(handler)
        call()
    except KeyError as error:
        assert error.args == ("mine",) and time.monotonic() - start < 2
    else:
        raise AssertionError
    free()
poller.destroy()
end()
"""
    )


def test_poller_wait__ctrl_c():
    check(
        INTERRUPT
        + MAKE
        + """
for call in (poller.wait, lambda: poller.wait_all(3), lambda: poller.wait(10000)):
    interrupted(call, lambda: inside(push))
    free()
poller.remove(push)
begun = time.monotonic()
with zraw.Poller() as empty:
    interrupted(lambda: empty.wait(10000), lambda: time.monotonic() - begun > 0.1)
poller.destroy()
end()
"""
    )


def test_poller_wait__signal_just_before_the_wait_is_handled_at_once():
    check(
        PENDING
        + MAKE
        + """
start = time.monotonic()
for call in (partial(poller.wait, 5000), partial(poller.wait_all, 3, 5000)):
    results, raised = with_pending(call)
    assert (results, type(raised)) == ([], Stop), (results, raised)
assert time.monotonic() - start < 3
os.write(w, b"x")
results, raised = with_pending(partial(poller.wait, 5000))
assert (results, type(raised)) == ([(r, "fd", 1)], Stop), (results, raised)
poller.destroy()
end()
"""
    )
