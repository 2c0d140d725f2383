"""multiprocessing and concurrent.futures, with every way to start a process."""

from __future__ import annotations

import textwrap

import pytest

from conftest import run_child

METHODS = ["fork", "spawn", "forkserver"]

# What the children import, and their parent runs.
START = """
import multiprocessing, os, signal, sys, threading, time, warnings
import zraw

warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # os.fork's
parent = None  # a context, and what the parent has in it; None in a child that imports

def connect(where, kind=zraw.ZMQ_PUSH, linger=1000):
    context = zraw.Context()
    context.exit_linger = linger
    socket = context.socket(kind)
    socket.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
    socket.connect(where)
    return context, socket

def ran(processes, code=0):
    "Start them all; they end in time, and with this exit code."
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    codes = [process.exitcode for process in processes]
    assert codes == [code] * len(processes), codes

class Parent:
    "A context with sockets of every state, which no child is to disturb."

    def __init__(self, folder):
        self.context = zraw.Context()
        self.context.exit_linger = 0
        self.pull = self.make(zraw.ZMQ_PULL)
        self.where = self.pull.bind(f"ipc://{folder}/parent")
        self.unsent = self.make(zraw.ZMQ_PUSH)
        self.unsent.setsockopt(zraw.ZMQ_LINGER, -1)
        self.unsent.connect(f"ipc://{folder}/nobody")
        self.unsent.send(b"x" * 100000)
        self.blocked = self.make(zraw.ZMQ_PULL)
        self.inner = self.blocked.bind("inproc://blocked")
        self.got = []
        self.thread = threading.Thread(
            target=lambda: self.got.append(self.blocked.recv()))
        self.thread.start()

    def make(self, kind):
        socket = self.context.socket(kind)
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, 15000)
        return socket

    def received(self, count):
        bodies = [self.pull.recv() for _ in range(count)]
        assert self.pull.poll(50) == 0
        return sorted(bodies)

    def end(self):
        with self.make(zraw.ZMQ_PUSH) as push:
            push.connect(self.inner)
            push.send(b"undisturbed")
            self.thread.join(10)
        assert self.got == [b"undisturbed"], self.got
        self.context.close(linger=0)
"""
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import work
from work import *
multiprocessing.set_start_method(sys.argv[2])
work.parent = Parent(sys.argv[1])
work.main()
work.parent.end()
"""


def check(tmp_path, method, program):
    (tmp_path / "work.py").write_text(START + textwrap.dedent(program))
    done = run_child(RUN, str(tmp_path), method)
    assert (done.code, done.out, done.err) == (0, "", ""), done
    return done


@pytest.mark.parametrize("method", METHODS)
def test_process__what_a_child_has_sent_arrives(tmp_path, method):
    """Unless zraw sees to it, for multiprocessing ends a child by os._exit()."""
    check(
        tmp_path,
        method,
        """
        def child(where, way):
            global kept
            context, socket = connect(where)
            socket.send(way.encode())
            socket.send(way.encode() + b" pinned" * 10000)
            if way == "kept":
                kept = context, socket
            elif way == "exits":
                kept = context, socket
                sys.exit(0)
            elif way == "socket is kept":
                kept = socket
            elif way == "closed":
                socket.close()
            elif way == "thread is left":
                # Not a daemon, and neither it nor its socket ends before the child.
                other = context.socket(zraw.ZMQ_PUSH)
                other.connect(where)
                def late():
                    time.sleep(0.2)
                    other.send(b"late")
                threading.Thread(target=late).start()

        WAYS = ["closed", "collected", "exits", "kept", "socket is kept",
                "thread is left"]

        def main():
            ran([multiprocessing.Process(target=child, args=(parent.where, way))
                 for way in WAYS])
            expected = [b"late"]
            for way in WAYS:
                expected += [way.encode(), way.encode() + b" pinned" * 10000]
            assert parent.received(len(expected)) == sorted(expected)
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_process__child_that_imports_zraw_only_when_it_runs(tmp_path, method):
    (tmp_path / "late.py").write_text(
        textwrap.dedent("""
        def child(where):
            global kept
            import zraw
            kept = zraw.Context()
            kept = kept.socket(zraw.ZMQ_PUSH)
            kept.connect(where)
            kept.send(b"x")
        """)
    )
    check(
        tmp_path,
        method,
        """
        import late

        def main():
            ran([multiprocessing.Process(target=late.child, args=(parent.where,))])
            assert parent.received(1) == [b"x"]
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_process__child_ends_in_time_whatever_it_leaves(tmp_path, method):
    check(
        tmp_path,
        method,
        """
        def unsent(where):
            global kept
            kept = connect(where + "-nobody", linger=300)
            kept[1].setsockopt(zraw.ZMQ_LINGER, -1)
            kept[1].send(b"unsent")

        def daemons(where):
            global kept
            context, pull = kept = connect(where + "-nobody", zraw.ZMQ_PULL, 100)
            pull.setsockopt(zraw.ZMQ_RCVTIMEO, -1)
            poller = zraw.Poller()
            other = context.socket(zraw.ZMQ_PULL)
            poller.add(other)
            for target in (pull.recv, poller.wait):
                threading.Thread(target=target, daemon=True).start()
            for socket in (pull, other):
                while True:
                    try:
                        socket.getsockopt(zraw.ZMQ_LINGER)
                    except zraw.SocketInUse:
                        break

        def main():
            start = time.monotonic()
            ran([multiprocessing.Process(target=target, args=(parent.where,))
                 for target in (unsent, daemons)])
            assert time.monotonic() - start < 10
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_process__exit_code_and_traceback_are_the_childs_own(tmp_path, method):
    check(
        tmp_path,
        method,
        """
        def exits(where):
            kept = connect(where)
            sys.exit(5)

        def raises(where):
            global kept
            kept = connect(where)
            kept[1].send(b"last words")
            sys.stderr = open(os.devnull, "w")
            raise KeyError("mine")

        def killed(where, number):
            kept = connect(where, zraw.ZMQ_PULL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
            kept[1].recv()

        def main():
            new = multiprocessing.Process
            ran([new(target=exits, args=(parent.where,))], 5)
            ran([new(target=raises, args=(parent.where,))], 1)
            assert parent.received(1) == [b"last words"]
            for number in (signal.SIGTERM, signal.SIGKILL):
                ran([new(target=killed, args=(parent.where, number))], -number)
        """,
    )


def test_process__forked_child_is_refused_what_is_its_parents(tmp_path):
    check(
        tmp_path,
        "fork",
        """
        def child():
            for call in (parent.pull.recv, parent.unsent.close, parent.context.shutdown,
                         parent.blocked.recv, lambda: parent.unsent.send(b"y")):
                try:
                    call()
                    assert call == parent.unsent.close
                except zraw.ForkError:
                    pass
            parent.context.close()
            with zraw.Context() as own:
                push = own.socket(zraw.ZMQ_PUSH)
                push.connect(parent.where)
                push.send(b"own")

        def main():
            ran([multiprocessing.Process(target=child) for _ in range(4)])
            assert parent.received(4) == [b"own"] * 4
        """,
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_process__arguments_are_not_sockets(tmp_path, method):
    """They are pickled; the text says what to pass instead."""
    check(
        tmp_path,
        method,
        """
        def child(thing):
            raise AssertionError

        def main():
            for thing in (parent.context, parent.pull, zraw.Message(b"x")):
                try:
                    multiprocessing.Process(target=child, args=(thing,)).start()
                except TypeError as error:
                    assert "pickled" in str(error), error
                else:
                    raise AssertionError(thing)
            assert multiprocessing.active_children() == []
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_process_pool_executor__workers_ask_their_parent(tmp_path, method):
    check(
        tmp_path,
        method,
        """
        from concurrent.futures import ProcessPoolExecutor

        def begin(where):
            global worker
            worker = connect(where, zraw.ZMQ_REQ)

        def double(number):
            worker[1].send(b"%d" % number)
            return int(worker[1].recv())

        def main():
            router = parent.make(zraw.ZMQ_ROUTER)
            where = router.bind(parent.where + "-router")
            with ProcessPoolExecutor(2, multiprocessing.get_context(),
                                     begin, (where,)) as pool:
                answers = pool.map(double, range(50))
                for _ in range(50):
                    name, empty, body = router.recv_multipart()
                    router.send_multipart([name, empty, b"%d" % (2 * int(body))])
                assert list(answers) == list(range(0, 100, 2))
            router.close()
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_pool__what_workers_have_sent_arrives_when_it_is_closed(tmp_path, method):
    check(
        tmp_path,
        method,
        """
        def begin(where):
            global worker
            worker = connect(where)

        def send(number):
            worker[1].send(b"%03d" % number)

        def main():
            with multiprocessing.Pool(2, begin, (parent.where,)) as pool:
                pool.map(send, range(100))
                pool.close()
                pool.join()
            assert parent.received(100) == [b"%03d" % n for n in range(100)]
        """,
    )
