"""What a program may leave behind for the interpreter's end, besides plain sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import FREE_THREADED, run_child

START = """
import atexit, gc, sys, threading, time, weakref
import zraw

def make(linger=300):
    context = zraw.Context()
    context.exit_linger = linger
    return context

def unsent(context):
    socket = context.socket(zraw.ZMQ_PUSH)
    socket.setsockopt(zraw.ZMQ_LINGER, -1)
    socket.connect("ipc:///nonexistent/s")
    socket.send(b"short")
    socket.send(b"pinned" * 20000)
    return socket

def inside(socket):
    try:
        socket.getsockopt(zraw.ZMQ_LINGER)
    except zraw.SocketInUse:
        return True
    return False

class Node:
    pass

class AtTheEnd:
    "Called when the module's globals go, or later."
    def __init__(self, call):
        self.call = call
    def __del__(self):
        self.call()
"""

LEFT = {
    "thread locals": """
local = threading.local()
local.context = make()
local.socket = unsent(local.context)
made = threading.Event()
def work():
    local.context = make()
    local.socket = unsent(local.context)
    made.set()
    time.sleep(1000)
threading.Thread(target=work, daemon=True).start()
made.wait(10)
""",
    "weak references and finalizers": """
context = make()
socket = unsent(context)
kept = [weakref.ref(thing, lambda _: None) for thing in (context, socket)]
weakref.finalize(socket, socket.__class__.__name__.upper)
weakref.finalize(context, socket.close, 0)
""",
    "frozen": """
node = Node()
node.me, node.context = node, make()
node.socket = unsent(node.context)
gc.freeze()
del node
""",
    "collection disabled": """
gc.disable()
node = Node()
node.me, node.context = node, make()
node.socket = unsent(node.context)
del node
""",
    "an exception that is kept": """
def fail():
    context = make()
    socket = unsent(context)
    socket.setsockopt(zraw.ZMQ_LINGER, "wrong")
try:
    fail()
except TypeError as error:
    kept = error
""",
    "a generator": """
def generate():
    with make() as context, unsent(context) as socket:
        socket.setsockopt(zraw.ZMQ_LINGER, 100)
        yield socket
generator = generate()
next(generator)
""",
    "a non-daemon thread that ends by itself": """
context = make()
pull = context.socket(zraw.ZMQ_PULL)
socket = unsent(context)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 200)
def work():
    try:
        pull.recv()
    except zraw.Again:
        socket.send(b"last")
        with make() as own:
            own.socket(zraw.ZMQ_PULL).close()
threading.Thread(target=work).start()
""",
    "pollers and timers": """
context = make()
socket = unsent(context)
poller, timers = zraw.Poller(), zraw.Timers()
poller.add(socket, 0, poller)
timers.add(1, timers.execute)
""",
    "views and trackers": """
context = make()
socket = unsent(context)
tracker = zraw.Tracker()
message = zraw.Message.init_data(bytearray(100), gc.collect, tracker)
view = message.data()
socket.send(zraw.Message.init_data(bytearray(100), None, tracker))
""",
    "a monitor": """
context = make()
socket = unsent(context)
reader = socket.monitor()
other = context.socket(zraw.ZMQ_PULL).monitor()
""",
    "destructors that use them": """
def late():
    for call in (lambda: socket.send(b"x"), lambda: context.socket(1)):
        try:
            call()
        except zraw.ZMQError:
            pass
    socket.close()
    context.close()
context = make()
socket = unsent(context)
end = AtTheEnd(late)
""",
    "destructors that make new ones": """
def late(zraw=zraw):
    with zraw.Context() as own:
        a, b = own.socket(zraw.ZMQ_PAIR), own.socket(zraw.ZMQ_PAIR)
        a.connect(b.bind("inproc://late"))
        a.send(b"pinned" * 20000)
        assert len(b.recv()) == 120000
end = AtTheEnd(late)
sys.modules["kept until the end"] = end
""",
    "destructors that leave some": """
def late(zraw=zraw):
    a = zraw.Context().socket(zraw.ZMQ_PUSH)
    a.connect("ipc:///nonexistent/s")
    a.send(b"x")
end = AtTheEnd(late)
sys.modules["kept until the end"] = end
""",
    "a tracker that is waited for": """
context = make()
socket = context.socket(zraw.ZMQ_PUSH)
socket.connect("ipc:///nonexistent/s")
tracker = zraw.Tracker()
socket.send(zraw.Message.init_data(b"x" * 100000, None, tracker))
# It is called after zraw's handler, which has given the message up.
def wait():
    assert tracker.wait(10000)
end = AtTheEnd(wait)
""",
    "asyncio": """
import asyncio, zraw.aio
context = make()
socket = unsent(context)
pull = context.socket(zraw.ZMQ_PULL)
handle, sender = zraw.aio.Handle(pull), zraw.aio.Handle(socket)
async def main():
    asyncio.ensure_future(handle.recv())
    handle.on_read = print
    sender.push_write(b"pushed")
    zraw.aio.io(pull, zraw.ZMQ_POLLIN, print)
    await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
# Or asyncio tells of the task, and of the loop.
for task in asyncio.all_tasks(loop):
    task._log_destroy_pending = False
loop.close()
""",
}


BY_NAME = {"destructors that use them", "a tracker that is waited for"}
# Without a GIL, CPython empties every module before the objects in it die, and keeps
# what a function of a module has, whose import has failed, until the end.
with_gil = pytest.mark.skipif(FREE_THREADED, reason="objects die in another order")


@pytest.mark.parametrize(
    "left",
    [pytest.param(left, marks=with_gil) if left in BY_NAME else left for left in LEFT],
)
def test_exit__is_silent_and_bounded_whatever_is_left(left):
    done = run_child(START + LEFT[left])
    assert (done.code, done.out, done.err) == (0, "", ""), done
    assert done.seconds < 5


def test_exit__loop_that_was_never_closed():
    """Only asyncio's own warning, and only if those are asked for."""
    program = """
        import asyncio, contextlib, zraw, zraw.aio
        context = zraw.Context()
        context.exit_linger = 100
        pull = context.socket(zraw.ZMQ_PULL)
        handle = zraw.aio.Handle(pull)
        loop = asyncio.new_event_loop()
        async def main():
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(handle.recv(), 0.01)
            handle.on_read = print
        loop.run_until_complete(main())
    """
    done = run_child(program)
    assert (done.code, done.out, done.err) == (0, "", ""), done
    assert done.seconds < 5


ENDINGS = {
    "pass": (0, ""),
    "sys.exit()": (0, ""),
    "sys.exit(7)": (7, ""),
    "sys.exit('text')": (1, "text\n"),
    "raise SystemExit(8)": (8, ""),
    "os._exit(9)": (9, ""),
    "raise KeyboardInterrupt": (-2, "KeyboardInterrupt\n"),
    "os.kill(os.getpid(), 15)": (-15, ""),
    "threading.Thread(target=sys.exit, args=(3,)).start()": (0, ""),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_exit__code_and_last_words_are_the_programs(ending):
    code, err = ENDINGS[ending]
    done = run_child(
        START + f"import os\ncontext = make(100)\nsocket = unsent(context)\n{ending}"
    )
    assert done.code == code, done
    assert (
        done.err == err
        if not err.endswith("Interrupt\n")
        else (done.err.endswith(err) and done.err.count("Traceback") == 1)
    ), done
    assert done.seconds < 4, done


FAILS = {
    "raise ValueError('mine')": "ValueError: mine",
    "import nothing_of_that_name": "No module named 'nothing_of_that_name'",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "os.kill(os.getpid(), signal.SIGINT); pull.recv()": "KeyboardInterrupt",
}


@with_gil
@pytest.mark.parametrize("fails", FAILS)
def test_exit__module_that_fails_while_it_is_imported(tmp_path, fails):
    """Its globals go with it; a second import makes them anew."""
    (tmp_path / "broken.py").write_text(
        START
        + "import os, signal\ncontext = make(100)\npull = context.socket(7)\n"
        + f"socket = unsent(context)\n{fails}\n"
    )
    done = run_child(
        """
        import gc, sys, zraw
        sys.path.insert(0, sys.argv[1])
        for _ in range(3):
            try:
                import broken
            except BaseException as error:
                assert sys.argv[2] in repr(error), error
                assert "broken" not in sys.modules
        gc.collect()
        left = [thing for thing in gc.get_objects() if isinstance(thing, zraw.Context)]
        assert not left, left
        raise SystemExit(4)
        """,
        str(tmp_path),
        FAILS[fails].split(": ")[-1],
    )
    assert (done.code, done.out, done.err) == (4, "", ""), done
    assert done.seconds < 4


@pytest.mark.parametrize("where", ["zraw", "zraw.aio"])
def test_import__ctrl_c_at_any_moment_of_it(where):
    """Then another import makes it whole."""
    done = run_child(
        """
        import importlib, os, signal, sys
        import asyncio, subprocess, threading  # whose own imports are not the matter

        def stop(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, stop)
        def unraisable(its):
            "What importlib's own callbacks swallow is not the matter either."
            if "importlib" not in its.exc_traceback.tb_frame.f_code.co_filename:
                sys.__unraisablehook__(its)
        sys.unraisablehook = unraisable
        interrupted = 0
        for microseconds in range(100, 12000, 700):
            pid = os.fork()
            if pid == 0:
                try:
                    signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
                    importlib.import_module(sys.argv[1])
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    code = 0
                except KeyboardInterrupt:
                    code = 5
                signal.signal(signal.SIGALRM, signal.SIG_IGN)
                import zraw
                with zraw.Context() as context:
                    a, b = context.socket(0), context.socket(0)
                    a.connect(b.bind("inproc://x"))
                    a.send(b"x" * 100000)
                    assert len(b.recv()) == 100000
                sys.exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert code in (0, 5), code
            interrupted += code == 5
        assert interrupted > 3, interrupted
        """,
        where,
    )
    assert (done.code, done.out, done.err) == (0, "", ""), done


PLAIN = """
import zraw
with zraw.Context() as context:
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    with push, pull:
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        push.send(b"pinned" * 20000)
        push.send_multipart([b"a", zraw.Message.init_data(bytearray(9), print)])
        if len(pull.recv()) != 120000 or len(pull.recv_multipart()) != 2:
            raise AssertionError  # -O takes the statement away
        poller = zraw.Poller()
        poller.add(pull)
        poller.destroy()
"""


@pytest.mark.parametrize(
    "options",
    [
        "-X dev -W error",
        "-X dev -W error -X tracemalloc=5",
        "-I -S",
        "-O",
        "-OO -W error",
        "-X utf8 -bb -W error",
        "-X importtime",
        "-v",
        "-X showrefcount",
        "-X frozen_modules=off -P" if sys.version_info >= (3, 11) else "-E",
    ],
)
def test_exit__with_pythons_own_checks(options):
    """No warning of zraw's making, and memory that is not freed twice."""
    if "-S" in options:
        import zraw

        root = str(Path(zraw.__file__).parent.parent)
        program = f"import sys\nsys.path.insert(0, {root!r})\n" + PLAIN
    else:
        program = PLAIN
    done = subprocess.run(
        [sys.executable, *options.split(), "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONMALLOC": "debug"},
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done
    if options in ("-X importtime", "-v"):
        assert "zraw.context" in done.stderr
        assert "Traceback" not in done.stderr and "rror:" not in done.stderr
    else:
        assert done.stderr == "", done
