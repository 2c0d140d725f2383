"""Who holds the GIL: short calls keep it, long and waiting ones give it up."""

from __future__ import annotations

import pytest

from conftest import FREE_THREADED, run_child
from shim import run_shimmed

# A thread that counts whenever it gets the GIL.  With such a switch interval nobody
# is made to give it up: it runs when a call does so by itself, and only then.
TICKING = """
import sys, threading, time
import zraw

ticks, running = 0, True

def tick():
    global ticks
    while running:
        ticks += 1
        time.sleep(0)

sys.setswitchinterval(1000)
threading.Thread(target=tick, daemon=True).start()
context = zraw.Context()
push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
for socket in (push, pull):
    for option in ("RCVHWM", "SNDHWM", "LINGER"):
        socket.setsockopt(getattr(zraw, f"ZMQ_{option}"), 0)
pull.connect(push.bind("inproc://x"))

def moved(call):
    before = ticks
    call()
    return ticks - before
"""
END = """
running = False
push.close()
pull.close()
context.term()
"""


def run_ticking(program: str) -> None:
    done = run_child(TICKING + program + END)
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.skipif(FREE_THREADED, reason="there is no GIL to keep")
def test_send__short_ones_keep_the_gil():
    """Else each would wait for a computing thread to give it back."""
    run_ticking("""
def repeat(call, *args):
    return lambda: [call(*args) for _ in range(500)]

push.send_multipart([b"x", b"y"])
batch = [b"x"] * 500
for call in (
    repeat(push.send, b"x"), repeat(push.send, bytearray(b"x")),
    repeat(push.try_send, b"x"), repeat(push.send_const, b"x"),
    repeat(push.send_multipart, [b"x", b"y"]), lambda: push.send_many(batch),
    lambda: push.send_many([[b"x", b"y"]] * 500), lambda: pull.recv_many(500),
    lambda: pull.recv_many(500, multipart=True), repeat(pull.recv_multipart),
    repeat(pull.recv), repeat(pull.try_recv), repeat(pull.recv_msg),
    repeat(pull.recv_into, bytearray(5)),
):
    assert moved(call) == 0
""")


def test_recv__copies_above_1_mib_give_up_the_gil():
    run_ticking("""
body = bytes(24 << 20)
array = bytearray(body)
push.pin_threshold = 0

def received(call):
    def run():
        push.send(body)
        return moved(call)
    return run

def copied(call):
    def run():
        count = moved(lambda: call([b"x", array]))
        pull.recv_many()
        return count
    return run

calls = [
    received(pull.recv), received(pull.try_recv), received(pull.recv_multipart),
    received(pull.recv_many), received(lambda: pull.recv_into(array)),
    copied(push.send_multipart), copied(lambda parts: push.send_many([parts])),
]
for i, call in enumerate(calls):
    # The thread may be slow to wake; it never wakes while the GIL is held.
    if not any(call() for _ in range(50)):
        print(i)
""")


@pytest.mark.parametrize("threshold", [65536, -1])
def test_send__copies_above_1_mib_give_up_the_gil(library, threshold):
    program = """
        import sys, zraw
        from shim import attach
        shim = attach()
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        push.pin_threshold = int(sys.argv[1])
        pull.connect(push.bind("inproc://x"))
        body = bytes(1 << 20) + b"x"
        for data in (body, bytearray(body), memoryview(body), zraw.Message(body)):
            for call in (
                push.send,
                push.try_send,
                lambda data: push.send_multipart([data]),
                lambda data: push.send_multipart([b"x", data]),
                lambda data: push.send_many([data]),
                lambda data: push.send_many([[b"x", data]]),
            ):
                if isinstance(data, zraw.Message):
                    data.copy(zraw.Message(body))
                call(data)
                assert pull.recv_multipart()[-1] == body
                if shim.copied_with_gil:
                    print(call, type(data))
                    shim.copied_with_gil = 0
        push.close()
        pull.close()
        context.term()
    """
    done = run_shimmed(library, program, str(threshold))
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.parametrize(
    "call",
    [
        "pull.recv()",
        "pull.recv_into(bytearray(1))",
        "pull.recv_msg()",
        "pull.recv_multipart()",
        "pull.recv_many()",
        "pull.poll(300)",
        "lonely.send(b'x')",
        "lonely.send(bytearray(b'x'))",
        "lonely.send(zraw.Message(b'x'))",
        "lonely.send_const(b'x')",
        "lonely.send_multipart([b'x', b'y'])",
        "lonely.send_many([b'x'])",
        "lonely.send_many([[b'x', b'y']])",
    ],
)
def test_send__blocked_calls_give_up_the_gil(call):
    run_ticking(f"""
lonely = context.socket(zraw.ZMQ_PUSH)
lonely.setsockopt(zraw.ZMQ_SNDTIMEO, 300)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 300)

def wait():
    try:
        {call}
    except zraw.Again:
        pass

assert moved(wait) > 10
lonely.close()
""")


def test_send_many__offers_the_gil_in_mid_batch():
    """Another thread runs while the socket is in a batch that never has to wait."""
    run_ticking("""
sys.setswitchinterval(1e-4)
met = 0

def meet():
    global met
    while running:
        try:
            met += push.getsockopt(zraw.ZMQ_TYPE) < 0
        except zraw.SocketInUse:
            met += 1
        time.sleep(0)

other = threading.Thread(target=meet, daemon=True)
for batch in ([b"x"] * 20000, [[b"x", b"y"]] * 20000, [b"x" * 60000] * 400):
    met = 0
    for attempt in range(200):
        push_again = list(batch)
        try:
            if not other.ident:
                other.start()
            push.send_many(push_again)
        except zraw.SocketInUse:
            pass
        while pull.try_recv() is not None:
            pull.recv_many(10**6)
        if met:
            break
    assert met, len(batch)
running = False
other.join()
""")


@pytest.mark.parametrize("kind", ["PUB", "XPUB"])
def test_send__slow_pub_gives_up_the_gil(library, kind):
    """Its sends take longer the more peers it has."""
    program = """
        import sys, zraw
        from shim import SENDS, attach
        shim = attach()
        context = zraw.Context()
        pub = context.socket(getattr(zraw, "ZMQ_" + sys.argv[1]))

        def held(count, call):
            "How many of so many calls came with the GIL held?"
            calls, before = shim.calls[SENDS], shim.with_gil[SENDS]
            for _ in range(count):
                call()
            assert shim.calls[SENDS] - calls == count
            return shim.with_gil[SENDS] - before

        message = zraw.Message(b"x")
        for call in (
            lambda: pub.send(b"x"),
            lambda: pub.send(bytearray(b"x")),
            lambda: pub.send_const(b"x"),
            lambda: pub.send(message),
            lambda: pub.send_multipart([b"x"]),
            lambda: pub.send_many([b"x"]),
        ):
            shim.pause_us = 0
            while held(1, call) == 0:  # now and then the machine is slow as well
                pass
            best = max(held(100, call) for _ in range(20))
            assert best >= 80, (best, "fast sends are to keep the GIL")
            shim.pause_us = 300
            first = held(100, call)
            assert first <= 18, (first, "slow sends are to give it up")
            assert held(100, call) == 0
        pub.close()
        context.term()
    """
    done = run_shimmed(library, program, kind)
    assert (done.code, done.out, done.err) == (0, "", ""), done


def test_send__first_try_keeps_the_gil_and_waiting_gives_it_up(library):
    program = """
        import zraw
        from shim import RECEIVES, SENDS, attach
        shim = attach()
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        push.setsockopt(zraw.ZMQ_SNDTIMEO, 1)
        pull.setsockopt(zraw.ZMQ_RCVTIMEO, 1)

        def again(call, kind):
            "How the calls into libzmq were made, if it had to wait in vain."
            calls, held = shim.calls[kind], shim.with_gil[kind]
            try:
                call()
            except zraw.Again:
                held = shim.with_gil[kind] - held
                return held, shim.calls[kind] - calls - held
            raise AssertionError("it did not wait")

        dontwait = zraw.ZMQ_DONTWAIT
        # A second try, since libzmq looks for credit once per millisecond.
        tried = ((2, 1), (3, 1))
        assert again(lambda: push.send(b"x"), SENDS) in tried
        assert again(lambda: push.send_multipart([b"x", b"y"]), SENDS) in tried
        assert again(lambda: push.send(b"x", dontwait), SENDS)[1] == 0
        assert again(lambda: push.send_many([b"x"], dontwait), SENDS)[1] == 0
        assert again(pull.recv, RECEIVES) == (1, 1)
        assert again(lambda: pull.recv(dontwait), RECEIVES) == (1, 0)
        assert again(pull.recv_multipart, RECEIVES) == (1, 1)
        assert again(pull.recv_many, RECEIVES) == (1, 1)
        assert again(lambda: pull.recv_into(bytearray(1)), RECEIVES) == (1, 1)
        push.close()
        pull.close()
        context.term()
    """
    done = run_shimmed(library, program)
    assert (done.code, done.out, done.err) == (0, "", ""), done
