"""Memory lent to libzmq at exit, after a fork, at interpreter shutdown."""

from __future__ import annotations

import pytest

from conftest import FREE_THREADED, run_child

EXITS = {
    "no peer": "push.connect('tcp://127.0.0.1:1'); send()",
    "no peer, closed": "push.connect('tcp://127.0.0.1:1'); send(); context.close(0)",
    "no peer, lingering": "push.connect('tcp://127.0.0.1:1'); send(); push.close()",
    "live peer": "pull.connect(push.bind('tcp://127.0.0.1:*')); send(); pull.recv()",
    "inproc": "pull.connect(push.bind('inproc://x')); send(); got = pull.recv_msg()",
    "never sent": "kept = [message() for _ in range(50)]",
    "in a view": "view = message().data()",
    "daemon thread": """
pull.connect(push.bind('inproc://x'))
def forever():
    while True:
        send()
        push.send(b'x' * 100_000)
threading.Thread(target=forever, daemon=True).start()
for _ in range(100):
    pull.recv()
""",
}


@pytest.mark.parametrize("way", EXITS)
def test_msg_init_data__exit_with_pins_in_flight(way):
    done = run_child(
        """
        import sys, threading, zraw
        def freed():
            global count
            count += 1
        def message():
            return zraw.Message.init_data(bytearray(100_000), freed)
        def send():
            for _ in range(20):
                push.send(message())
                push.send(b"y" * 100_000)
        count = 0
        context = zraw.Context()
        context.exit_linger = 200
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        exec(sys.argv[1])
        """,
        EXITS[way],
    )
    assert (done.code, done.out, done.err) == (0, "", ""), done
    assert done.seconds < 10


@pytest.mark.parametrize("peer", [True, False])
def test_msg_init_data__on_free_is_called_before_exit(peer):
    done = run_child(
        """
        import os, sys, zraw
        context = zraw.Context()
        context.exit_linger = 200
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        if sys.argv[1] == "True":
            pull.connect(push.bind("inproc://x"))
        else:
            push.connect("tcp://127.0.0.1:1")
        for _ in range(10):
            data = bytearray(1000)
            push.send(zraw.Message.init_data(data, lambda: os.write(1, b"freed ")))
        """,
        str(peer),
    )
    assert (done.code, done.out, done.err) == (0, "freed " * 10, ""), done


def test_msg_init_data__works_in_a_forked_child():
    done = run_child("""
        import os, threading, warnings, zraw
        warnings.simplefilter("ignore")  # of forking with threads
        parents = zraw.Tracker()
        lent = zraw.Message.init_data(b"parent's" * 1000, tracker=parents)
        child = os.fork()
        if child == 0:
            for timeout in (-1, 0, 1000):
                try:
                    print("returned", parents.wait(timeout))
                except zraw.ForkError as error:
                    assert error.errno == 1, error
            freed = threading.Event()
            names = []
            def on_free():
                names.append(threading.current_thread().name)
                freed.set()
            tracker = zraw.Tracker()
            with zraw.Context() as context:
                push = context.socket(zraw.ZMQ_PUSH)
                pull = context.socket(zraw.ZMQ_PULL)
                pull.connect(push.bind("tcp://127.0.0.1:*"))
                push.send(zraw.Message.init_data(b"child's" * 1000, on_free, tracker))
                assert pull.recv() == b"child's" * 1000
                assert tracker.wait(10_000)
                assert freed.wait(10)
            assert names == ["zraw-release"], names
            print("child done")
        else:
            assert os.waitpid(child, 0)[1] == 0
            assert not parents.done
            lent.close()
            assert parents.wait(10_000)
            print("parent done")
    """)
    assert (done.code, done.err) == (0, ""), done
    assert done.out.split("\n") == ["child done", "parent done", ""], done


def test_msg_init_data__on_free_due_at_the_fork_runs_in_the_parent_only():
    """It may remove a file or a shared segment that both processes see."""
    done = run_child("""
        import os, threading, warnings, zraw
        warnings.simplefilter("ignore")  # of forking with threads
        parent = os.getpid()
        begun, go_on, freed = threading.Event(), threading.Event(), threading.Event()
        def slow():
            begun.set()
            go_on.wait(10)
        def due():
            os.write(1, b"parent " if os.getpid() == parent else b"child ")
            freed.set()
        zraw.Message.init_data(b"a", slow)
        assert begun.wait(10)
        zraw.Message.init_data(b"b", due)
        child = os.fork()
        if child == 0:
            seen = threading.Event()
            zraw.Message.init_data(b"c", seen.set)  # after the parent's, if at all
            assert seen.wait(10)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        go_on.set()
        assert freed.wait(10)
    """)
    assert (done.code, done.out, done.err) == (0, "parent ", ""), done


@pytest.mark.parametrize("pinned_before", [True, False])
def test_msg_init_data__at_interpreter_shutdown(pinned_before):
    """Handlers registered before zraw's run after it has stopped its thread."""
    done = run_child(
        """
        import atexit, os, sys
        class LastOfAll:
            def __del__(self, late=None):
                late(self.zraw)
        def late(zraw=None, modules=sys.modules, write=os.write):
            zraw = zraw or modules["zraw"]
            tracker = zraw.Tracker()
            data = bytearray(b"late" * 50_000)
            message = zraw.Message.init_data(data, lambda: write(1, b"freed "), tracker)
            assert message == data
            with zraw.Context() as context:
                push, pull = zraw.Socket(context, 8), zraw.Socket(context, 7)
                pull.connect(push.bind("inproc://late"))
                push.send(message)
                push.send(bytes(data))
                assert pull.recv() == pull.recv() == data
            assert tracker.wait(5000)
            write(1, b"late ")
        LastOfAll.__del__.__defaults__ = (late,)
        atexit.register(late)
        import zraw
        if sys.argv[1] == "True":
            zraw.Message.init_data(b"early").close()
        # Without a GIL, every module is empty before it dies.
        if getattr(sys, "_is_gil_enabled", lambda: True)():
            _last = LastOfAll()
            _last.zraw = zraw
        """,
        str(pinned_before),
    )
    assert (done.code, done.err) == (0, ""), done
    assert done.out == "freed late " * (1 if FREE_THREADED else 2), done
