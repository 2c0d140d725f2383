"""Batches and multipart messages that signals arrive in."""

from __future__ import annotations

import pytest

from shim import run_shimmed

# A signal arrives before a certain call into libzmq; its handler runs at the next
# mark of the batch, with the socket free.
SIGNALS = """
import signal, sys, zraw
from shim import RECEIVES, SENDS, attach
shim = attach()
context = zraw.Context()
push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
for socket in (push, pull):
    for option in (zraw.ZMQ_SNDHWM, zraw.ZMQ_RCVHWM, zraw.ZMQ_LINGER):
        socket.setsockopt(option, 0)
pull.connect(push.bind("inproc://x"))
class Stop(Exception):
    pass
def stop(number, frame):
    push.getsockopt(zraw.ZMQ_TYPE)  # the guard is free
    pull.getsockopt(zraw.ZMQ_TYPE)
    raise Stop
seen = []
size, parts, mark = map(int, sys.argv[1:])
body = bytes(size)
messages = [[body] * parts if parts > 1 else body for _ in range(3000)]
signal.signal(signal.SIGUSR1, lambda *_: seen.append(len(seen)))
shim.raise_signal(10 * parts, signal.SIGUSR1)
assert push.send_many(messages[:2000]) == 2000
assert seen == [0], seen
shim.raise_signal(10 * parts, signal.SIGUSR1, RECEIVES)
assert pull.recv_many(2000) == messages[:2000]
assert seen == [0, 1], seen
signal.signal(signal.SIGUSR1, stop)
before = shim.calls[SENDS]
shim.raise_signal(10 * parts, signal.SIGUSR1)
try:
    push.send_many(messages)
except Stop as stopped:
    sent = stopped.sent
else:
    sys.exit("send_many() went on")
assert sent == mark, sent
assert shim.calls[SENDS] - before == sent * parts
rest = push.send_many(messages[sent:])
assert sent + rest == 3000, (sent, rest)
shim.raise_signal(10 * parts, signal.SIGUSR1, RECEIVES)
try:
    pull.recv_many(3000)
except Stop as stopped:
    got = stopped.received
else:
    sys.exit("recv_many() went on")
assert len(got) == mark, len(got)
while len(got) < 3000:
    got += pull.recv_many(3000)
assert got == messages
push.close()
pull.close()
context.term()
"""


@pytest.mark.parametrize(
    ("size", "parts", "mark"),
    # 1024 messages, or 1 MiB, whichever comes first.
    [(1, 1, 1024), (1, 3, 1024), (65_000, 1, 17), (40_000, 2, 14)],
)
def test_send_many__signal_handlers_run_in_mid_batch(library, size, parts, mark):
    done = run_shimmed(library, SIGNALS, str(size), str(parts), str(mark))
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.parametrize("closed", ["push", "pull"])
def test_send_many__handler_that_closes_the_socket(library, closed):
    """It ends the batch; what was accepted or taken is returned."""
    program = """
        import signal, sys, zraw
        from shim import RECEIVES, SENDS, attach
        shim = attach()
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        for socket in (push, pull):
            socket.setsockopt(zraw.ZMQ_SNDHWM, 0)
            socket.setsockopt(zraw.ZMQ_RCVHWM, 0)
            socket.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        pull.connect(push.bind("inproc://x"))
        batch = [b"%d" % i for i in range(3000)]
        if sys.argv[1] == "push":
            signal.signal(signal.SIGUSR1, lambda *_: push.close())
            shim.raise_signal(5, signal.SIGUSR1, SENDS)
        else:
            signal.signal(signal.SIGUSR1, lambda *_: pull.close())
            shim.raise_signal(5, signal.SIGUSR1, RECEIVES)
        sent = push.send_many(batch)
        assert sent == (1024 if sys.argv[1] == "push" else 3000), sent
        assert pull.recv_many(3000) == batch[:1024]
        try:
            push.send_many(batch) if push.closed else pull.recv_many()
        except zraw.NotASocket:
            pass
        else:
            raise AssertionError("it went on with a closed socket")
        push.close()
        pull.close()
        context.term()
    """
    done = run_shimmed(library, program, closed)
    assert (done.code, done.out, done.err) == (0, "", ""), done


def test_send_multipart__signal_in_mid_message_waits_for_its_end(library):
    done = run_shimmed(
        library,
        """
        import signal, zraw
        from shim import RECEIVES, attach
        shim = attach()
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.connect(push.bind("inproc://x"))
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(pull.try_recv()))
        shim.raise_signal(2, signal.SIGUSR1)
        push.send_multipart([b"one", b"two", b"three"])
        assert seen == [b"one"], seen
        seen.clear()
        assert pull.recv_multipart() == [b"two", b"three"]
        push.send_multipart([b"one", b"two", b"three"])
        shim.raise_signal(2, signal.SIGUSR1, RECEIVES)
        assert pull.recv_multipart() == [b"one", b"two", b"three"]
        assert seen == [None], seen
        push.close()
        pull.close()
        context.term()
        """,
    )
    assert (done.code, done.out, done.err) == (0, "", ""), done
