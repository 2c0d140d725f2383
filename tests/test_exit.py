"""The interpreter's end: bounded, silent, and not before sent messages are gone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

import zraw
from conftest import run_child, wait_until
from programs import WAITING

# The first handler registered runs last: those of the cases run before `begun`.
START = """
import atexit, gc, os, pathlib, sys, threading, time
import zraw

def begun():
    print(repr(time.time()), flush=True)
    pathlib.Path(sys.argv[2]).touch()

atexit.register(begun)

"""
START += WAITING
START += """
def push(context, linger=-1):
    socket = context.socket(zraw.ZMQ_PUSH)
    socket.setsockopt(zraw.ZMQ_LINGER, linger)
    socket.connect(sys.argv[1])
    for number in range(10):
        socket.send(b"%d" % number)
    return socket

def daemon(target, *args):
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread

def make():
    context = zraw.Context()
    context.exit_linger = int(sys.argv[3])
    return context
"""

# What a program may leave behind; each sends b"0" to b"9".
SOCKETS = {
    "module_globals": "context = make(); socket = push(context)",
    "only_the_socket_is_kept": "socket = push(make())",
    "closed_earlier": "context = make(); push(context).close()",
    "all_collected": "def main():\n    push(make())\nmain(); gc.collect()",
    "socket_collected": "context = make(); push(context); gc.collect()",
    "closed_then_all_collected": "push(make()).close(); gc.collect()",
    "reference_cycle": """
class Node: pass
node = Node(); node.me = node; node.context = make(); node.socket = push(node.context)
del node
""",
    "cycle_through_a_subclass": """
class Mine(zraw.Context): pass
context = make(); context = Mine(); context.exit_linger = int(sys.argv[3])
context.socket_kept = push(context); context.me = context
del context
""",
    "closed_by_a_global_destructor": """
class Owner:
    def __init__(self):
        self.context = make()
        self.socket = push(self.context)
    def __del__(self):
        self.socket.close()
        self.context.close()
owner = Owner()
""",
    "held_by_another_module": """
os.context = make(); os.socket = push(os.context)
""",
    "daemon_blocked_in_recv": """
context = make(); socket = push(context)
pull = context.socket(zraw.ZMQ_PULL)
daemon(pull.recv); until(lambda: inside(pull))
""",
    "daemon_blocked_in_poll": """
context = make(); socket = push(context)
pull = context.socket(zraw.ZMQ_PULL)
daemon(pull.poll); until(lambda: inside(pull))
""",
    "daemon_blocked_in_a_receive_of_each_kind": """
context = make(); socket = push(context)
for name in ("recv_msg", "recv_multipart", "recv_many"):
    pull = context.socket(zraw.ZMQ_PULL)
    daemon(getattr(pull, name)); until(lambda: inside(pull))
""",
    "daemon_blocked_on_the_sending_socket": """
context = make()
socket = context.socket(zraw.ZMQ_DEALER)
socket.connect(sys.argv[1])
for number in range(10):
    socket.send(b"%d" % number)
daemon(socket.recv); until(lambda: inside(socket))
""",
    "daemon_blocked_in_term": """
context = make(); socket = push(context)
daemon(context.term); until(lambda: context.closed)
""",
    "daemon_blocked_in_close": """
context = make(); socket = push(context); socket.close()
daemon(context.close); until(lambda: context.closed)
""",
    "sys_exit_in_a_thread": """
context = make(); socket = push(context)
thread = threading.Thread(target=sys.exit, args=(5,)); thread.start(); thread.join()
""",
    "made_and_left_by_a_thread": """
def main():
    global context, socket
    context = make(); socket = push(context)
thread = threading.Thread(target=main); thread.start(); thread.join()
""",
    "two_contexts": """
first, second = make(), make()
idle = first.socket(zraw.ZMQ_ROUTER); socket = push(second)
""",
    "sent_by_an_atexit_handler": """
context = make()
socket = context.socket(zraw.ZMQ_PUSH)
socket.setsockopt(zraw.ZMQ_LINGER, -1)
socket.connect(sys.argv[1])
@atexit.register
def last_words():
    for number in range(10):
        socket.send(b"%d" % number)
""",
}


def run_to_exit(program, path, *, linger, endpoint=None, code=0):
    """Return how the program ended, and the seconds from its last line to its end."""
    done = run_child(
        START + program, endpoint or f"ipc://{path}/s", f"{path}/begun", str(linger)
    )
    ended = time.time()
    assert done.code == code, done
    assert done.out, done
    return done, ended - float(done.out.split()[-1])


@pytest.mark.parametrize("case", SOCKETS)
def test_exit__messages_leave_for_a_peer_that_comes_late(tmp_path, case):
    """The peer binds after the exit has begun, so only waiting delivers them."""
    got = []

    def peer():
        context = zraw.Context()
        kind = zraw.ZMQ_DEALER if "sending_socket" in case else zraw.ZMQ_PULL
        with context.socket(kind) as socket:
            wait_until((tmp_path / "begun").exists, 20)
            socket.bind(f"ipc://{tmp_path}/s")
            while len(got) < 10 and socket.poll(3000):
                got.append(socket.recv())
        context.close(linger=0)

    thread = threading.Thread(target=peer)
    thread.start()
    try:
        done, _ = run_to_exit(SOCKETS[case], tmp_path, linger=5000)
    finally:
        thread.join(20)
    assert done.err == "", done
    assert got == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize("case", SOCKETS)
def test_exit__is_bounded_without_a_peer(tmp_path, case):
    """LINGER is -1 everywhere: without the bound none of these would end."""
    done, seconds = run_to_exit(SOCKETS[case], tmp_path, linger=300)
    assert done.err == "", done
    assert seconds < 0.3 + 0.2 + 1.0, done


def test_exit__exit_linger_is_1000_by_default_and_waited_for(tmp_path):
    program = "context = zraw.Context(); socket = push(context)"
    done, seconds = run_to_exit(program, tmp_path, linger=0)
    assert done.err == "", done
    assert 0.9 < seconds < 1.0 + 0.2 + 1.0


@pytest.mark.parametrize(
    ("exit_linger", "own", "least", "most"),
    [
        (0, -1, 0, 0.9),
        (2500, -1, 2.4, 4.0),
        (5000, 0, 0, 0.9),
        (5000, 600, 0.55, 2.0),
        (300, 60000, 0.25, 1.5),
    ],
)
def test_exit__linger_is_the_smaller_of_the_two(
    tmp_path, exit_linger, own, least, most
):
    program = f"context = make(); socket = push(context, {own})"
    done, seconds = run_to_exit(program, tmp_path, linger=exit_linger)
    assert done.err == "", done
    assert least < seconds < most


def test_exit__many_contexts_wait_at_the_same_time(tmp_path):
    program = """
    contexts = [make() for _ in range(8)]
    sockets = [push(context) for context in contexts]
    """.replace("\n    ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=400)
    assert done.err == "", done
    assert 0.35 < seconds < 0.4 + 0.2 + 1.0


def test_exit__peer_that_is_there_gets_everything_at_once(tmp_path, sock):
    """A megabyte frame each: more than the kernel's buffers take at a time."""
    pull = sock(zraw.ZMQ_PULL, RCVTIMEO=10000)
    where = pull.bind("tcp://127.0.0.1:*")
    program = """
    context = make()
    socket = context.socket(zraw.ZMQ_PUSH)
    socket.setsockopt(zraw.ZMQ_LINGER, -1)
    socket.connect(sys.argv[1])
    for number in range(50):
        socket.send(bytes([number]) * 1000000)
    """.replace("\n    ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=20000, endpoint=where)
    assert done.err == "", done
    assert seconds < 10
    for number in range(50):
        assert pull.recv() == bytes([number]) * 1000000


LOOPS = {
    "send": "socket.send(b'%d' % sent); sent += 1",
    "send_multipart": "socket.send_multipart([b'%d' % sent, b'']); sent += 1",
    "send_many": "sent += socket.send_many([b'%d' % n "
    "for n in range(sent, sent + 3000)])",
    "try_send": "sent += socket.try_send(b'%d' % sent)",
}


@pytest.mark.parametrize("call", LOOPS)
def test_exit__daemon_in_a_send_loop(tmp_path, sock, call):
    """It dies somewhere in the loop: what arrives is all it sent until then."""
    pull = sock(zraw.ZMQ_PULL, RCVHWM=0)
    where = pull.bind("tcp://127.0.0.1:*")
    program = f"""
context = make()
socket = context.socket(zraw.ZMQ_PUSH)
socket.connect(sys.argv[1])
sent = 0
def loop():
    global sent
    while True:
        {LOOPS[call]}
daemon(loop)
until(lambda: sent >= 5000)
atexit.register(lambda: print(sent))
"""
    done, seconds = run_to_exit(program, tmp_path, linger=10000, endpoint=where)
    assert done.err == "", done
    assert seconds < 10
    sent = int(done.out.split()[0])
    numbers = []
    while pull.poll(5000 if len(numbers) < sent else 200):
        numbers.append(int(pull.recv_multipart()[0]))
    assert len(numbers) >= sent
    assert numbers == list(range(len(numbers)))


OTHER_DAEMONS = {
    "sends_without_a_peer": """
        socket = context.socket(zraw.ZMQ_PUSH)
        daemon(socket.send, b"x"); until(lambda: inside(socket))
    """,
    "send_many_at_the_high_water_mark": """
        socket = push(context)
        daemon(socket.send_many, [b"x"] * 100000); until(lambda: inside(socket))
    """,
    "try_recv_in_a_loop": """
        socket = context.socket(zraw.ZMQ_PULL)
        turns = []
        def loop():
            while True:
                turns.append(socket.try_recv())
        daemon(loop); until(lambda: len(turns) > 1000)
    """,
    "poll_with_short_timeouts": """
        socket = context.socket(zraw.ZMQ_PULL)
        turns = []
        def loop():
            while True:
                turns.append(socket.poll(1))
        daemon(loop); until(lambda: len(turns) > 20)
    """,
    "publishes_batches": """
        socket = context.socket(zraw.ZMQ_PUB)
        socket.bind("tcp://127.0.0.1:*")
        turns = []
        def loop():
            while True:
                turns.append(socket.send_many([b"x"] * 5000))
        daemon(loop); until(lambda: len(turns) > 20)
    """,
    "opens_and_closes_sockets": """
        turns = []
        def loop():
            while True:
                with context.socket(zraw.ZMQ_PULL) as socket:
                    socket.bind("tcp://127.0.0.1:*")
                    turns.append(1)
        daemon(loop); until(lambda: len(turns) > 20)
    """,
    "opens_and_closes_contexts": """
        turns = []
        def loop():
            while True:
                with zraw.Context() as mine:
                    mine.socket(zraw.ZMQ_PULL).connect(sys.argv[1])
                    turns.append(1)
        daemon(loop); until(lambda: len(turns) > 20)
    """,
    "waits_for_a_tracker": """
        socket = context.socket(zraw.ZMQ_PUSH)
        socket.connect(sys.argv[1])
        tracker = zraw.Tracker()
        socket.send(zraw.Message.init_data(b"x" * 100000, None, tracker))
        daemon(tracker.wait); until(lambda: threading.active_count() > 2)
    """,
    "many_threads_blocked": """
        sockets = [context.socket(zraw.ZMQ_PULL) for _ in range(50)]
        for socket in sockets:
            daemon(socket.recv)
        until(lambda: all(map(inside, sockets)))
    """,
}


@pytest.mark.parametrize("case", OTHER_DAEMONS)
def test_exit__daemons_stay_silent(tmp_path, case):
    program = "context = make()\n" + OTHER_DAEMONS[case].replace("\n        ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=300)
    assert done.err == "", done
    assert seconds < 0.3 + 0.2 + 1.0


@pytest.mark.parametrize(
    ("ending", "code"),
    [("sys.exit(3)", 3), ("raise SystemExit(4)", 4), ("sys.exit()", 0)],
)
def test_exit__code_is_the_programs_own(tmp_path, ending, code):
    program = f"context = make(); socket = push(context)\n{ending}"
    done, seconds = run_to_exit(program, tmp_path, linger=100, code=code)
    assert done.err == "", done
    assert seconds < 0.1 + 0.2 + 1.0


def test_exit__uncaught_exception_is_all_that_is_reported(tmp_path):
    program = "context = make(); socket = push(context)\nraise ValueError('mine')"
    done, seconds = run_to_exit(program, tmp_path, linger=100, code=1)
    assert done.err.startswith("Traceback"), done
    assert done.err.endswith("\nValueError: mine\n"), done
    assert done.err.count("Traceback") == 1, done
    assert len(done.err.splitlines()) in (3, 4), done  # with the source, or without
    assert seconds < 0.1 + 0.2 + 1.0


def test_exit__keyboard_interrupt_while_blocked(tmp_path):
    program = """
    import signal
    context = make(); socket = push(context); pull = context.socket(zraw.ZMQ_PULL)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        pull.recv()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    """.replace("\n    ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=100, code=-2)
    assert done.err.endswith("KeyboardInterrupt\n"), done
    assert done.err.count("Traceback") == 1, done
    assert seconds < 0.1 + 0.2 + 1.0


def test_exit__handler_that_runs_after_zraws_finds_closed_sockets(tmp_path):
    """It was registered before the import, so Python runs it last."""
    done = run_child("""
        import atexit
        @atexit.register
        def too_late():
            for call in (lambda: socket.send(b"x"), socket.recv, socket.poll):
                try:
                    call()
                except zraw.NotASocket:
                    print("closed")
            try:
                context.socket(zraw.ZMQ_PUSH)
            except zraw.ContextTerminated:
                print("terminated")
            context.close()
            socket.close()
        import zraw
        context = zraw.Context()
        socket = context.socket(zraw.ZMQ_PUSH)
    """)
    assert (done.code, done.err) == (0, ""), done
    assert done.out.split() == ["closed"] * 3 + ["terminated"]


@pytest.mark.parametrize("kept", ["global context, socket", "pass"])
def test_exit__context_made_by_a_handler_that_runs_last(tmp_path, kept):
    """Nothing closes it any more but collection, which must not wait."""
    done = run_child(
        f"""
        import atexit, sys
        @atexit.register
        def too_late():
            {kept}
            context = zraw.Context()
            socket = context.socket(zraw.ZMQ_PUSH)
            socket.connect(sys.argv[1])
            socket.send(b"x")
            socket.send(b"y" * 100000)
        import zraw
        """,
        f"ipc://{tmp_path}/s",
    )
    assert (done.code, done.err) == (0, ""), done
    assert done.seconds < 5


def test_exit__borrowed_handles_are_left_alone(tmp_path):
    program = """
    owner = make(); own = push(owner)
    context = zraw.Context.from_handle(owner.handle)
    socket = zraw.Socket.from_handle(context, own.handle)
    """.replace("\n    ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=200)
    assert done.err == "", done
    assert 0.15 < seconds < 0.2 + 0.2 + 1.0


def test_exit__nothing_open_is_immediate(tmp_path):
    program = """
    with make() as context, push(context, 0) as socket:
        pass
    """.replace("\n    ", "\n")
    done, seconds = run_to_exit(program, tmp_path, linger=5000)
    assert done.err == "", done
    assert seconds < 1.0


def test_exit__leaves_borrowed_sockets_alone():
    """What others own keeps its LINGER, and still works."""
    done = run_child("""
        import atexit, ctypes, sys

        def check():
            value, size = ctypes.c_int(-5), ctypes.c_size_t(4)
            linger = ctypes.byref(value), ctypes.byref(size)
            assert libzmq.zmq_getsockopt(owned, 17, *linger) == 0
            assert value.value == -1, value
            libzmq.zmq_close(owned)
            libzmq.zmq_ctx_term(context)
            print("checked", flush=True)

        atexit.register(check)  # before zraw's own, so it runs after
        import zraw

        libzmq = ctypes.CDLL(sys.modules["zraw.sending"].__file__)
        for name in ("zmq_ctx_new", "zmq_socket"):
            getattr(libzmq, name).restype = ctypes.c_void_p
        context = ctypes.c_void_p(libzmq.zmq_ctx_new())
        owned = ctypes.c_void_p(libzmq.zmq_socket(context, zraw.ZMQ_PUSH))
        lent = zraw.Context.from_handle(context.value)
        socket = zraw.Socket.from_handle(lent, owned.value)
        assert socket.getsockopt(zraw.ZMQ_LINGER) == -1
    """)
    assert (done.code, done.out, done.err) == (0, "checked\n", ""), done


def test_exit_linger__longest(ctx, sock):
    """More milliseconds than an int has with 200 more: it waits, and is heard."""
    pull = sock(zraw.ZMQ_PULL)
    where = pull.bind("tcp://127.0.0.1:*")
    pull.unbind(where)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, zraw; context = zraw.Context();"
            "context.exit_linger = 2**31 - 1; push = context.socket(zraw.ZMQ_PUSH);"
            "push.connect(sys.argv[1]); push.send(b'x'); print('ends', flush=True)",
            where,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "ends\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        pull.bind(where)
        assert pull.recv() == b"x"
        assert child.wait(10) == 0
