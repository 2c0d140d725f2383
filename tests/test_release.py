"""Zero-copy: Python memory that libzmq reads, and how it comes back."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import sys
import threading
import time

import numpy
import pytest

import zraw
from conftest import FREE_THREADED, run_child, wait_until

SIZES = [0, 2, 33, 34, 126, 65_536, 300_000]
BIG = 100_000


def pattern(size):
    """Bytes that change wherever a mask is laid over them."""
    return (bytes(range(1, 252)) * (size // 251 + 1))[:size]


class Exporter(bytearray):
    """Memory that does something when the last reference to it goes."""

    def __init__(self, size, on_del):
        super().__init__(size)
        self.on_del = on_del

    def __del__(self):
        self.on_del()


@pytest.fixture
def unraisable(monkeypatch):
    """What went to sys.unraisablehook."""
    seen = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda hook: seen.append(repr(hook.exc_value))
    )
    return seen


@pytest.mark.parametrize("binds", ["sender", "receiver"])
@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp", "ws"])
def test_msg_init_data__sender_memory_is_never_changed(pair, transport, binds):
    """libzmq's ws client masks the bodies that it sends, in place if it may."""
    if transport == "ws" and not zraw.has("WS"):
        pytest.skip("this libzmq is built without WebSockets")
    if binds == "sender":
        push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    else:
        pull, push = pair(zraw.ZMQ_PULL, zraw.ZMQ_PUSH, transport)
    push.pin_threshold = 0
    for size in SIZES:
        body = pattern(size)
        objects = [bytes(bytearray(body)), bytearray(body),
                   numpy.frombuffer(bytearray(body), numpy.uint8)]  # fmt: skip
        for data in objects:
            push.send(data)
            push.send(zraw.Message.init_data(data))
            zraw.Message.init_data(data).send(push)
            push.send_multipart([zraw.Message.init_data(data), data, b"end"])
            push.send_many([data, [data, zraw.Message.init_data(data)]])
            kept = zraw.Message.init_data(data)
            copied = zraw.Message()
            copied.copy(kept)
            copied.send(push)
            assert [pull.recv() for _ in range(10)] == [
                *[body] * 5,
                b"end",
                *[body] * 4,
            ]
            assert kept == body
            assert bytes(data) == body
        push.send_const(objects[0])
        assert pull.recv() == objects[0] == body


def test_send__pins_exact_bytes_from_the_threshold_on(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)

    class Sub(bytes):
        pass

    def pinned(data, send=push.send):
        before = sys.getrefcount(data)
        send(data)
        during = sys.getrefcount(data)
        pull.recv_many()
        wait_until(lambda: sys.getrefcount(data) == before)
        return during > before

    default = 65_536
    assert not pinned(pattern(default - 1))
    assert pinned(pattern(default))
    assert not pinned(bytearray(default))
    assert not pinned(Sub(default))
    assert not pinned(memoryview(pattern(default)))
    for send in (
        push.try_send,
        lambda data: push.send_multipart([b"", data]),
        lambda data: push.send_many([data]),
        lambda data: push.send_many([[b"", data]]),
    ):
        assert pinned(pattern(default), send)
        assert not pinned(pattern(default - 1), send)
        assert not pinned(bytearray(default), send)
    push.pin_threshold = 0
    assert pinned(pattern(5))
    push.pin_threshold = -1
    assert not pinned(pattern(BIG))


def busy(until):
    while time.monotonic() < until:
        pass


def asleep(until):
    time.sleep(until - time.monotonic())


def receiving(until):
    with zraw.Context() as context, zraw.Socket(context, zraw.ZMQ_PULL) as pull:
        pull.setsockopt(zraw.ZMQ_RCVTIMEO, int((until - time.monotonic()) * 1000))
        with pytest.raises(zraw.Again):
            pull.recv()


@pytest.mark.parametrize("occupied", [asleep, busy, receiving])
def test_msg_init_data__is_released_while_the_program_is_occupied(pair, occupied):
    push, _ = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    released = []
    tracker = zraw.Tracker()
    exporter = Exporter(BIG, lambda: released.append(time.monotonic()))
    push.send(
        zraw.Message.init_data(
            exporter, lambda: released.append(time.monotonic()), tracker
        )
    )
    del exporter
    start = time.monotonic()
    occupied(start + 1.5)
    # Without a GIL, an object goes when the thread that made it runs Python again.
    assert len(released) == 2 or (FREE_THREADED and len(released) == 1)
    assert min(released if FREE_THREADED else [max(released)]) - start < 1
    assert tracker.pending == 0


def test_msg_init_data__on_free_runs_on_its_own_thread_only(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    calls = []

    def on_free(*args):
        calls.append((args, threading.current_thread().name))

    for i in range(200):
        push.send(zraw.Message.init_data(pattern(i), on_free))
        pull.recv()  # frees it inside this very call
        zraw.Message.init_data(b"never sent", on_free).close()
        zraw.Message.init_data(b"collected", on_free)
    wait_until(lambda: len(calls) == 600)
    assert set(calls) == {((), "zraw-release")}
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("zraw-release") == 1


def test_msg_init_data__threads_that_pin_first_share_one_release_thread():
    done = run_child("""
        import sys, threading, zraw
        sys.setswitchinterval(1e-5)
        count = 16
        barrier = threading.Barrier(count)
        def pin():
            barrier.wait()
            zraw.Message.init_data(b"x" * 100)
        threads = [threading.Thread(target=pin) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print([t.name for t in threading.enumerate()].count("zraw-release"))
    """)
    assert (done.code, done.out, done.err) == (0, "1\n", ""), done


def test_msg_init_data__exception_of_on_free_goes_to_the_hook(unraisable):
    freed = threading.Event()

    def fails():
        raise ValueError("from on_free")

    zraw.Message.init_data(b"x", fails).close()
    zraw.Message.init_data(b"y", freed.set).close()
    assert freed.wait(10)
    assert unraisable == ["ValueError('from on_free')"]


def test_msg_init_data__on_free_may_use_zraw(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    again = zraw.Tracker()

    def on_free():
        zraw.Message.init_data(b"pinned by on_free", tracker=again).send(push)

    zraw.Message.init_data(pattern(BIG), on_free).close()
    assert pull.recv() == b"pinned by on_free"
    assert again.wait(10_000)


def test_tracker__counts_every_message_that_it_was_given(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    tracker, other = zraw.Tracker(), zraw.Tracker()
    assert tracker.done and tracker.pending == 0
    assert tracker.wait() and tracker.wait(0)
    push.send_multipart([zraw.Message.init_data(pattern(i), None, tracker)
                         for i in (0, 5, 40, BIG)])  # fmt: skip
    push.send(zraw.Message.init_data(b"x", tracker=tracker))
    push.send(zraw.Message.init_data(b"y", tracker=other))
    assert (tracker.pending, tracker.done) == (5, False)
    assert repr(tracker) == "<zraw.Tracker pending=5>"
    assert tracker.wait(0) is False
    start = time.monotonic()
    assert tracker.wait(50) is False
    assert 0.04 < time.monotonic() - start < 2
    pull.recv_multipart()
    assert tracker.wait(0) is False
    assert tracker.pending == 1
    pull.recv()
    assert tracker.wait(10_000) is True
    assert (tracker.pending, tracker.done, other.done) == (0, True, False)
    pull.recv()
    assert other.wait(10_000)


def test_tracker__wakes_every_thread_that_waits(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    tracker = zraw.Tracker()
    kept = zraw.Message.init_data(pattern(BIG), tracker=tracker)
    results = []
    threads = [
        threading.Thread(target=lambda t=t: results.append(tracker.wait(t)))
        for t in (-1, -1, 20_000)
    ]
    for thread in threads:
        thread.start()
    copied = zraw.Message()
    copied.copy(kept)
    copied.send(push)
    assert pull.recv() == kept
    assert results == []
    start = time.monotonic()
    kept.close()
    for thread in threads:
        thread.join(10)
    assert results == [True] * 3
    assert time.monotonic() - start < 2


def test_tracker__refuses_wrong_timeouts_and_pickling():
    tracker = zraw.Tracker()
    for wrong, error in (
        (-2, ValueError),
        (2**31, OverflowError),
        (1.5, TypeError),
        (None, TypeError),
        ("1", TypeError),
    ):
        with pytest.raises(error, match="timeout"):
            tracker.wait(wrong)
    with pytest.raises(TypeError, match="Tracker"):
        pickle.dumps(tracker)


def test_tracker__waiting_in_small_steps_keeps_no_memory():
    done = run_child("""
        import tracemalloc, zraw
        tracker = zraw.Tracker()
        message = zraw.Message.init_data(b"x" * 100, tracker=tracker)
        def wait(times):
            for _ in range(times):
                assert tracker.wait(1) is False
        tracemalloc.start()
        wait(50)
        before = tracemalloc.get_traced_memory()[0]
        wait(500)
        print(tracemalloc.get_traced_memory()[0] - before)
        message.close()
    """)
    assert (done.code, done.err) == (0, ""), done
    assert int(done.out) < 8000


@pytest.mark.parametrize("size", [5, 33, BIG])
def test_msg_copy__keeps_the_pin_until_the_last_copy_is_gone(pair, size):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    tracker = zraw.Tracker()
    first = zraw.Message.init_data(pattern(size), tracker=tracker)
    second, third = zraw.Message(), zraw.Message()
    second.copy(first)
    third.move(second)
    first.close()
    assert tracker.wait(20) is False
    third.send(push)
    received = pull.recv_msg()
    assert tracker.wait(20) is False
    view = received.data()
    del received
    assert tracker.wait(20) is False
    assert view == pattern(size)
    view.release()
    del view
    assert tracker.wait(10_000)


def test_msg_init_data__bytearray_cannot_grow_in_flight(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    data, tracker = bytearray(pattern(100)), zraw.Tracker()
    push.send(zraw.Message.init_data(data, tracker=tracker))
    for change in (lambda: data.append(1), data.clear):
        with pytest.raises(BufferError):
            change()
    assert pull.recv() == pattern(100)
    assert tracker.wait(10_000)
    data.append(1)


def test_msg_init_data__reference_counts_return(pair, sock):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.pin_threshold = 0
    alone = sock(zraw.ZMQ_PUSH)
    alone.pin_threshold = 0
    data, array, tracker = pattern(1000), bytearray(pattern(1000)), zraw.Tracker()

    def on_free():
        pass

    held = [data, array, tracker, on_free]
    before = [sys.getrefcount(item) for item in held]
    for _ in range(50):
        push.send(data)
        push.send(zraw.Message.init_data(array, on_free, tracker))
        push.send_multipart([data, zraw.Message.init_data(data, on_free, tracker)])
        assert len(pull.recv_many()) == 3
        with pytest.raises(zraw.Again):
            alone.send(data, zraw.ZMQ_DONTWAIT)
        assert alone.try_send(zraw.Message.init_data(array, None, tracker)) is False
        with pytest.raises(TypeError):
            push.send_multipart([data, zraw.Message.init_data(array, on_free), "text"])
        with pytest.raises(BufferError):
            zraw.Message.init_data(memoryview(data)[::2], on_free, tracker)
    assert tracker.wait(10_000)
    wait_until(lambda: [sys.getrefcount(item) for item in held] == before)
    assert pull.try_recv() is None


def test_msg_init_data__no_memory_growth():
    done = run_child(
        """
        import gc, sys, time, tracemalloc, zraw
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.connect(push.bind(sys.argv[1]))
        push.pin_threshold = 0
        tracker = zraw.Tracker()
        freed = []
        def pins(count):
            for i in range(count):
                push.send(b"%09d" % i * 100)
                pull.recv()
                if i % 10 == 0:
                    message = zraw.Message.init_data(
                        bytearray(1000), lambda: freed.append(1), tracker)
                    push.send(message)
                    pull.recv()
            assert tracker.wait(10_000)
            wanted = len(range(0, count, 10))
            while len(freed) < wanted:
                time.sleep(0.001)
            freed.clear()
        tracemalloc.start()
        pins(2_000)
        gc.collect()  # without a GIL, lists are freed later
        before = tracemalloc.get_traced_memory()[0]
        pins(20_000)
        gc.collect()
        print(tracemalloc.get_traced_memory()[0] - before)
        context.close()
        """,
        "inproc://growth",
    )
    assert (done.code, done.err) == (0, ""), done
    # What the smallest part that each pin has would add up to is more.
    assert int(done.out) < 40_000, done


@pytest.mark.parametrize("what", ["raises", "stat", "zraw"])
def test_recv__is_not_disturbed_by_what_a_released_object_does(pair, what, unraisable):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    other, _ = pair(zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, "tcp")
    ran = []

    def on_del():
        ran.append(threading.current_thread())
        if what == "raises":
            raise ValueError("from __del__")
        if what == "stat":
            try:
                os.stat("/no/such/file")
            except OSError:
                gc.collect()
        elif what == "zraw":
            assert push.try_send(b"from __del__")
            with pytest.raises(zraw.Again):
                other.recv(zraw.ZMQ_DONTWAIT)
            zraw.Message.init_data(b"nested").close()

    calls = [
        (lambda m: m.recv(pull), 4),
        (lambda m: pull.recv_msg(m).size(), 4),
        (pull.try_recv_msg, True),
        (lambda m: m.move(zraw.Message(b"new")), None),
        (lambda m: m.copy(zraw.Message(b"new")), None),
        (lambda m: m.close(), None),
        (push.send, BIG),
        (lambda m: m.send(push), BIG),
    ]
    for count, (call, result) in enumerate(calls):
        message = zraw.Message.init_data(Exporter(BIG, on_del))
        push.send(b"body")
        assert call(message) == result
        while pull.try_recv() is not None:
            pass
        wait_until(lambda wanted=count + 1: len(ran) == wanted)
    if what == "raises":
        assert unraisable == ["ValueError('from __del__')"] * len(calls)
    else:
        assert unraisable == []


def test_msg_recv__released_object_may_close_the_very_message():
    """libzmq aborts when it is asked for the size of a closed message."""
    done = run_child("""
        import zraw
        class Exporter(bytearray):
            def __del__(self):
                message.close()
        context = zraw.Context()
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.connect(push.bind("inproc://x"))
        for call in ("recv", "recv_msg", "try_recv_msg"):
            message = zraw.Message.init_data(Exporter(1000))
            push.send(b"body")
            if call == "recv":
                print(message.recv(pull))
            else:
                print(getattr(pull, call)(message))
        for source in (zraw.Message(b"new"), zraw.Message(b"new" * 100)):
            for call in ("move", "copy"):
                message = zraw.Message.init_data(Exporter(1000))
                getattr(message, call)(source)
                print(message)
        context.close()
    """)
    assert (done.code, done.err) == (0, ""), done
    closed = "<zraw.Message closed>\n"
    assert done.out == f"4\n{closed}True\n{closed * 4}", done


def test_send__errno_survives_what_a_released_object_does(sock):
    push = sock(zraw.ZMQ_PUSH)
    ran_here = []

    def on_del():
        ran_here.append(threading.current_thread() is threading.main_thread())
        with pytest.raises(FileNotFoundError):
            os.stat("/no/such/file")
        with pytest.raises(zraw.InvalidArgument):
            push.getsockopt(9999, type=int)

    def all_ran_here():
        """Whether the calls, not the release thread, did the releasing."""
        ran_here.clear()
        for data in (bytearray(b"x"), zraw.Message(b"x"), pattern(BIG)):
            zraw.Message.init_data(Exporter(10, on_del))  # collected at once
            with pytest.raises(zraw.Again) as caught:
                push.send(data, zraw.ZMQ_DONTWAIT)
            assert caught.value.errno == errno.EAGAIN == zraw.errno()
        return ran_here == [True] * 3

    wait_until(all_ran_here)


def test_msg_init_data__exporter_is_released_exactly_once(pair):
    """A Message counts its exports: too many or too few, and it will not close."""
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    lender, tracker = zraw.Message(pattern(BIG)), zraw.Tracker()
    deaths = []
    for _ in range(20):
        push.send(zraw.Message.init_data(lender, tracker=tracker))
        push.send(zraw.Message.init_data(Exporter(10, lambda: deaths.append(1))))
        zraw.Message.init_data(lender, tracker=tracker).close()
        with pytest.raises(TypeError):
            push.send_multipart([zraw.Message.init_data(lender, None, tracker), 5])
    kept = zraw.Message.init_data(lender, tracker=tracker)
    with pytest.raises(BufferError):
        lender.close()
    kept.close()
    assert tracker.wait(10_000)
    lender.close()
    wait_until(lambda: len(deaths) == 20)
    assert pull.recv() == pattern(BIG)


def test_msg_init_data__copies_where_threads_are_greenlets():
    """The release thread would be one, and wait in C: all others with it."""
    done = run_child("""
        import threading, _thread, time
        def start_joinable_thread(function, *, handle=None, daemon=True):
            raise SystemExit("a greenlet")
        def start_new_thread(function, args):
            raise SystemExit("a greenlet")
        if hasattr(threading, "_start_joinable_thread"):
            threading._start_joinable_thread = start_joinable_thread
        threading._start_new_thread = start_new_thread
        import zraw
        with zraw.Context() as context:
            push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
            pull.connect(push.bind("inproc://x"))
            tracker, buffer, freed = zraw.Tracker(), bytearray(b"x" * 100000), []
            push.send(zraw.Message.init_data(buffer, lambda: freed.append(1), tracker))
            push.send(bytes(buffer))
            buffer.clear()
            print(tracker.done, freed, len(pull.recv()), len(pull.recv()))
            print([thread.name for thread in threading.enumerate()])
    """)
    assert (done.code, done.err) == (0, ""), done
    assert done.out == "True [1] 100000 100000\n['MainThread']\n"
