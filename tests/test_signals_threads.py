"""Signals that reach other threads than the main one, and signal.set_wakeup_fd()."""

from __future__ import annotations

import sys

import pytest

from programs import BLOCKING, RECEIVES, check

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="signals are sent to single threads"
)

# In another thread no handler runs: the call has to go on by itself.
OTHER = """
handled, results = [], []
signal.signal(signal.SIGUSR1, lambda *_: handled.append(threading.current_thread()))

def beside(call):
    def run():
        try:
            results.append(call())
        except zraw.ZMQError as error:
            results.append(error)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread

def bombarded(thread, times=20):
    "Each signal has been handled before the next: it does interrupt the wait."
    for number in range(times):
        before = len(handled)
        signal.pthread_kill(thread.ident, signal.SIGUSR1)
        until(lambda: len(handled) > before)
    assert set(handled) == {threading.main_thread()}
"""


@pytest.mark.parametrize("call", BLOCKING)
def test_signal__to_the_thread_that_waits_does_not_end_the_call(call):
    used, other = ("pull", "push") if call in RECEIVES else ("push", "pull")
    check(
        OTHER
        + f"""
where = {used}.bind("inproc://x")
thread = beside(lambda: {BLOCKING[call]})
until(lambda: inside({used}))
bombarded(thread)
assert inside({used}) and not results
{other}.connect(where)
if {used!r} == "pull":
    push.send(b"x")
thread.join(10)
assert len(results) == 1 and not isinstance(results[0], Exception), results
if {used!r} == "push":
    assert pull.recv()
elif {call!r} == "poll":
    assert pull.recv() == b"x"
context.close()
"""
    )


def test_signal__to_a_thread_that_waits_does_not_prolong_its_time():
    check(
        OTHER
        + """
poller, tracker = zraw.Poller(), zraw.Tracker()
poller.add(pull)
lent = zraw.Message.init_data(b"x", None, tracker)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 300)
for call in (pull.recv, pull.recv_many, lambda: pull.poll(300),
             lambda: poller.wait(300), lambda: zraw.poll([(pull, 1)], 300),
             lambda: zraw.poll([], 300), lambda: tracker.wait(300)):
    start = time.monotonic()
    thread = beside(call)
    while thread.is_alive():
        try:
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
        except ProcessLookupError:  # just now
            pass
        time.sleep(0.005)
    assert 0.3 <= time.monotonic() - start < 1.3, time.monotonic() - start
assert len(results) == 7
assert all(isinstance(result, zraw.Again) or not result for result in results), results
lent.close()
end()
"""
    )


def test_signal__to_a_thread_in_term_close_and_proxy():
    check(
        OTHER
        + """
other = zraw.Context()
kept = other.socket(zraw.ZMQ_PULL)
ended = [beside(other.term)]
until(lambda: other.closed)
bombarded(ended[0])
assert not results
kept.close()
third = zraw.Context()
unsent = third.socket(zraw.ZMQ_PUSH)
unsent.connect("ipc:///nonexistent/s")
unsent.setsockopt(zraw.ZMQ_LINGER, 1000)
unsent.send(b"x")
ended.append(beside(third.close))
until(lambda: third.closed)
bombarded(ended[1])
ended[0].join(10)
ended[1].join(10)
assert results == [None, None], results
made = []
for proxy in (zraw.proxy, zraw.proxy_steerable):
    front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
    source, target = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    source.connect(front.bind(f"inproc://front-{proxy.__name__}"))
    target.connect(back.bind(f"inproc://back-{proxy.__name__}"))
    made += [front, back, source, target]
    thread = beside(lambda: proxy(front, back))
    until(lambda: inside(front))
    for number in range(5):
        source.send(b"%d" % number)
        assert target.recv() == b"%d" % number
        bombarded(thread, 4)
        assert len(results) == 2, results
context.close()
thread.join(10)
assert len(results) == 4, results
"""
    )


def test_signal__to_libzmqs_and_the_release_thread_is_not_possible():
    """They block all, so that what is sent to the process reaches who can handle it."""
    check(
        OTHER
        + """
zraw.Message.init_data(b"x", lambda: None).close()
push.connect(pull.bind("tcp://127.0.0.1:*"))
push.send(b"x")
pull.recv()
others = []
for name in os.listdir("/proc/self/task"):
    try:
        with open(f"/proc/self/task/{name}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except FileNotFoundError:  # the thread that starts the release thread
        continue
    if int(name) != os.getpid():
        others.append(fields)
assert len(others) >= 3, others  # reaper, I/O thread, release thread
for fields in others:
    blocked = int(fields["SigBlk"], 16)
    assert blocked >> signal.SIGUSR1 - 1 & 1 and blocked >> signal.SIGINT - 1 & 1
end()
"""
    )


WAKEUP = """
import socket as sockets
mine, its = sockets.socketpair()
for one in (mine, its):
    one.setblocking(False)
signal.set_wakeup_fd(its.fileno())
handled = []
signal.signal(signal.SIGALRM, lambda *_: handled.append(1))

def bytes_since():
    try:
        return mine.recv(1000)
    except BlockingIOError:
        return b""

def restored():
    assert signal.set_wakeup_fd(-1) == its.fileno()
    mine.close()
    its.close()
"""


@pytest.mark.parametrize(
    "call", ["recv", "recv_into_large", "poll", "send", "send_many_multipart"]
)
def test_set_wakeup_fd__is_told_while_a_call_waits(call):
    check(
        WAKEUP
        + f"""
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 200)
push.setsockopt(zraw.ZMQ_SNDTIMEO, 200)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
try:
    assert {BLOCKING[call].replace("poll()", "poll(200)")} == 0
except zraw.Again:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
told = bytes_since()
assert len(told) >= len(handled) >= 5, (handled, told)
assert set(told) == {{signal.SIGALRM}}
restored()
end()
"""
    )


def test_set_wakeup_fd__ends_a_poll_for_it():
    check(
        WAKEUP
        + """
poller = zraw.Poller()
poller.add(pull)
poller.add_fd(mine)
for call in (lambda: zraw.poll([(pull, 1), (mine, 1)], 10000),
             lambda: [poller.wait(10000)]):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    start = time.monotonic()
    assert call()[0][0] == mine and time.monotonic() - start < 2
    assert bytes_since() == bytes([signal.SIGALRM])
assert handled == [1, 1]
restored()
end()
"""
    )


@pytest.mark.parametrize("how", ["proxy(front, back)", "proxy_steerable(front, back)"])
def test_set_wakeup_fd__is_told_while_a_proxy_runs(how):
    """zraw.proxy() lends it to itself meanwhile."""
    check(
        WAKEUP
        + f"""
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
class Stop(Exception):
    pass
def handler(*_):
    handled.append(bytes_since())
    if len(handled) == 10:
        raise Stop
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
try:
    zraw.{how}
except Stop:
    signal.setitimer(signal.ITIMER_REAL, 0)
assert all(handled) and set(b"".join(handled)) == {{signal.SIGALRM}}, handled
restored()
end()
"""
    )
