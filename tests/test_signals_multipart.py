"""A signal between any two frames of a message, whose handler raises or closes."""

from __future__ import annotations

import pytest

from shim import run_shimmed

# The signal comes before a certain call into libzmq, and its handler runs when the call
# of zraw is over, or, in a batch, at its next mark: the message is whole before.
PROGRAM = """
import signal, sys, zraw
from functools import partial
from operator import methodcaller
from shim import RECEIVES, SENDS, attach

class Stop(Exception):
    pass

def stop(*_):
    raise Stop

def whole(call, arguments, kind, frame, handler):
    "Results, exception and what arrives, for a signal before this frame."
    with zraw.Context() as context:
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        spare = context.socket(zraw.ZMQ_PULL)
        for socket in (push, pull, spare):
            socket.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
            socket.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
        push.connect(pull.bind("inproc://x"))
        socket = push if kind == SENDS else pull
        handlers = {
            "raises": stop,
            "closes": lambda *_: socket.close(),
            "closes and raises": lambda *_: (socket.close(), stop()),
            "closes the context": lambda *_: context.close(),
            "uses": lambda *_: push.send_multipart([b"of", b"the", b"handler"]),
        }
        signal.signal(signal.SIGUSR1, handlers[handler])
        if kind == RECEIVES:
            push.send_multipart(PARTS)
            push.send_multipart(PARTS)
        results, error = [], None
        shim.raise_signal(frame, signal.SIGUSR1, kind)
        try:
            results.extend(map(methodcaller("__call__"),
                               (partial(getattr(socket, call), *arguments),)))
        except Stop as raised:
            error = raised
        shim.countdown[kind] = 0
        assert (error is not None) == ("raises" in handler), (handler, error)
        assert len(results) == 1, (handler, results, error)
        arrived = []
        while not pull.closed and pull.poll(0):
            arrived.append(pull.recv_multipart())
        return results[0], arrived

shim = attach()
PARTS = [b"one", b"two" * 30, b"three" * 20000]
own = [b"of", b"the", b"handler"]
handler = sys.argv[1]
closed = "closes" in handler
for frame in (1, 2, 3):
    result, arrived = whole("send_multipart", [PARTS], SENDS, frame, handler)
    assert result is None
    if "context" in handler:
        assert arrived == []
    else:
        assert arrived == [PARTS] + [own] * (handler == "uses"), (frame, arrived)
    batch = [PARTS, b"single", PARTS]
    sent, arrived = whole("send_many", [batch], SENDS, frame, handler)
    assert sent == 3
    if "context" in handler:
        assert arrived == []
    else:
        assert arrived == [PARTS, [b"single"], PARTS] + [own] * (handler == "uses")
    for call, arguments in (("recv_multipart", []), ("recv_multipart", [0, False]),
                            ("recv_many", [1]), ("recv_many", [1, 0, False, True])):
        result, arrived = whole(call, arguments, RECEIVES, frame, handler)
        parts = result if call == "recv_multipart" else result[0]
        assert [bytes(part) for part in parts] == PARTS, (call, frame, parts)
        assert arrived == [] if closed else (
            arrived == [PARTS] + [own] * (handler == "uses")), (call, frame, arrived)
"""


@pytest.mark.parametrize(
    "handler", ["raises", "closes", "closes and raises", "closes the context", "uses"]
)
def test_multipart__signal_between_two_frames(library, handler):
    done = run_shimmed(library, PROGRAM, handler)
    assert (done.code, done.out, done.err) == (0, "", ""), done


def test_send_multipart__signal_between_the_frames_of_a_message_sent_by_hand(library):
    """ZMQ_SNDMORE is C's own: what is open stays open, and can be ended."""
    done = run_shimmed(
        library,
        """
        import signal, zraw
        from shim import attach
        shim = attach()
        class Stop(Exception):
            pass
        def stop(*_):
            raise Stop
        signal.signal(signal.SIGUSR1, stop)
        with zraw.Context() as context:
            push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
            pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
            push.connect(pull.bind("inproc://x"))
            parts = [b"one", b"two", b"three"]
            for frame in (1, 2, 3):
                shim.raise_signal(frame, signal.SIGUSR1)
                stopped = 0
                for part in parts:
                    try:
                        push.send(part, zraw.ZMQ_SNDMORE if part != parts[-1] else 0)
                        for _ in range(100):
                            pass  # where the handler runs at the latest
                    except Stop:
                        stopped += 1  # the frame was sent before
                assert stopped == 1
                assert pull.recv_multipart() == parts, frame
                push.send_multipart(parts)
                assert pull.recv_multipart() == parts
        """,
    )
    assert (done.code, done.out, done.err) == (0, "", ""), done
