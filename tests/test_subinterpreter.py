"""Subinterpreters: the import is refused there, and nothing else is disturbed."""

from __future__ import annotations

import importlib.util

import pytest

from conftest import run_child

pytestmark = pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
    reason="this Python cannot make subinterpreters by itself",
)

# The modules have changed their names and manners from version to version.
START = """
import sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

def make(kind):
    if hasattr(interpreters, "exec"):
        return interpreters.create(kind)
    return interpreters.create(isolated=kind == "isolated")

def error_of(interpreter, code):
    "The class and text of what the code raised; None if it came to its end."
    if hasattr(interpreters, "exec"):
        error = interpreters.exec(interpreter, code)
        return error and f"{error.type.__name__}: {error.msg}"
    try:
        interpreters.run_string(interpreter, code)
    except interpreters.RunFailedError as error:
        return str(error)

def is_refused(interpreter, code="import zraw"):
    error = error_of(interpreter, code)
    assert error and "ImportError" in error, error
    assert "does not support loading in subinterpreters" in error, error

def works():
    import zraw
    with zraw.Context() as context:
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
        pull.connect(push.bind("tcp://127.0.0.1:*"))
        tracker = zraw.Tracker()
        for body in (b"short", b"pinned" * 100000):
            push.send(body)
            assert pull.recv() == body
        push.send(zraw.Message.init_data(b"lent" * 1000, None, tracker))
        assert pull.recv() == b"lent" * 1000
        assert tracker.wait(10000)
"""


def check(program):
    done = run_child(START + program)
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
@pytest.mark.parametrize("first", ["main", "sub"])
def test_import__in_a_subinterpreter_says_what_is_wrong(kind, first):
    """Whoever comes first: the main interpreter has zraw, and keeps it."""
    check(f"""
if {first!r} == "main":
    works()
interpreter = make({kind!r})
for code in ("import zraw", "from zraw import Context", "import zraw.context",
             "import zraw.aio", "import zraw"):
    is_refused(interpreter, code)
works()
is_refused(interpreter)
interpreters.destroy(interpreter)
is_refused(make({kind!r}))  # which is left to the exit
works()
""")


def test_import__that_is_refused_leaves_the_subinterpreter_as_it_was():
    check("""
interpreter = make("legacy")
is_refused(interpreter)
assert error_of(interpreter, '''
import sys
left = [name for name in sys.modules if name.split(".")[0] == "zraw"]
assert "zraw" not in left and "zraw.context" not in left, left
import json
assert json.loads("[1]") == [1]
''') is None
interpreters.destroy(interpreter)
works()
""")


def test_import__refused_in_a_thread_while_the_main_interpreter_works():
    check("""
ended = threading.Event()
errors = []
def refuse():
    try:
        for kind in ("legacy", "isolated") * 5:
            interpreter = make(kind)
            is_refused(interpreter)
            interpreters.destroy(interpreter)
    except BaseException as error:
        errors.append(error)
    ended.set()
thread = threading.Thread(target=refuse)
thread.start()
works()
while not ended.is_set():
    works()
thread.join(10)
assert not errors, errors
""")
