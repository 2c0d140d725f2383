"""Context: the calls that wait, and the signals that arrive meanwhile."""

from __future__ import annotations

import pytest

from programs import check

# What a signal stops runs in the main thread, so in programs of their own.
INTERRUPTED = """
class Stop(Exception):
    pass

def stop(*_):
    signal.setitimer(signal.ITIMER_REAL, 0)
    raise Stop

signal.signal(signal.SIGALRM, stop)

def stopped(call):
    "Start the call, stop it by a signal, and return whether it was stopped."
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        call()
    except Stop:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

other = zraw.Context()
socket = other.socket(zraw.ZMQ_PULL)
"""


def test_ctx_term__interrupted_goes_on_afterwards():
    check(
        INTERRUPTED
        + """
for _ in range(3):
    assert stopped(other.term)
    assert other.closed
    refused(zraw.ContextTerminated, [
        lambda: other.socket(zraw.ZMQ_PUSH),
        lambda: other.get(zraw.ZMQ_IO_THREADS),
        lambda: other.set(zraw.ZMQ_IO_THREADS, 1),
        lambda: other.handle,
        socket.recv,
    ])
    other.shutdown()
    assert other.sockets == [socket]
socket.close()
other.term()
other.term()
end()
"""
    )


def test_ctx_term__interrupted_and_close_ends_it():
    check(
        INTERRUPTED
        + """
assert stopped(other.term)
other.close()
assert socket.closed and other.sockets == []
end()
"""
    )


def test_ctx_term__interrupted_and_collected():
    check(
        INTERRUPTED
        + """
assert stopped(other.term)
socket.close()
start = time.monotonic()
del other, socket
gc.collect()
assert time.monotonic() - start < 1
end()
"""
    )


def test_ctx_term__interrupted_second_call_leaves_the_first_alone():
    check(
        INTERRUPTED
        + """
first = threading.Thread(target=other.term)
first.start()
until(lambda: other.closed)
assert stopped(other.term)
assert first.is_alive()
socket.close()
first.join(10)
assert not first.is_alive()
other.term()
end()
"""
    )


@pytest.mark.parametrize("call", ["term", "close"])
@pytest.mark.parametrize("handler", ["close", "term", "shutdown"])
def test_ctx_term__handler_may_use_the_context(call, handler):
    """A handler for SIGTERM does just that, and may not wait for itself."""
    check(
        f"""
other = zraw.Context()
socket = other.socket(zraw.ZMQ_PUSH)
socket.connect("ipc:///nonexistent/s")
socket.setsockopt(zraw.ZMQ_LINGER, 300)
socket.send(b"x")
if {call!r} == "term" and {handler!r} != "close":
    threading.Timer(0.3, socket.close).start()
count = 0
def on_alarm(*_):
    global count
    count += 1
    other.{handler}()
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.1)
other.{call}()
assert other.closed and socket.closed and count == 1
end()
""",
        timeout=10,
    )
