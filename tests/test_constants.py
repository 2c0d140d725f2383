"""Constants: those of zmq.h, all of them, with the values that C sees."""

from __future__ import annotations

import errno
import re
import subprocess
import types
from pathlib import Path

import pytest

import zraw
import zraw.constants
from conftest import run_child
from zmq_h import DRAFTS, compile_c

# Names in zmq.h that stand for no value.
NO_VALUE = {
    "ZMQ_EXPORT": "an attribute of declarations",
    "ZMQ_DEFINED_STDINT": "set on systems without stdint.h",
    "ZMQ_HAVE_TIMERS": "defined as nothing",
    "ZMQ_HAVE_POLLER": "defined as nothing",
    "ZMQ_HAVE_PPOLL": "defined as nothing",
    "ZMQ_BUILD_DRAFT_API": "what opens the draft block",
    "ZMQ_MAKE_VERSION": "takes arguments",
}
# zmq.h repeats these for systems whose errno.h lacks them.
ERRNO_NAME = re.compile(r"^\s*#\s*define\s+(E[A-Z0-9]+)\b", re.MULTILINE)
# Prints a constant as Python would write it, be it a number or a string.
PRINT = """
#define ZMQ_BUILD_DRAFT_API
#include <zmq.h>
#include <errno.h>
#include <stdio.h>
static void number(const char *name, long long value)
{ printf("%s %lld\\n", name, value); }
static void string(const char *name, const char *value)
{ printf("%s \\"%s\\"\\n", name, value); }
#define P(name) _Generic((name), char *: string, default: number)(#name, (name));
int main(void) {
"""


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int | str]:
    """What a compiled C program says about every constant of zmq.h."""
    include = f"{DRAFTS}\n#include <zmq.h>\n"
    macros = compile_c("-dM", "-E", source=include)
    names = re.findall(r"^#define (ZMQ_\w+)(?!\w|\()", macros, re.MULTILINE)
    places = re.findall(
        r'^# \d+ "(.*/zmq\.h)"', compile_c("-E", source=include), re.MULTILINE
    )
    names += ERRNO_NAME.findall(Path(places[0]).read_text())
    wanted = sorted(set(names) - set(NO_VALUE))
    program = str(tmp_path_factory.mktemp("constants") / "print")
    # -w: the header's own EVENT_ALL_V2 lacks parentheses.
    body = "\n".join(f"P({name})" for name in wanted)
    compile_c("-w", "-o", program, source=f"{PRINT}{body}\nreturn 0; }}\n")
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    found: dict[str, int | str] = {}
    for line in out.splitlines():
        name, value = line.split(" ", 1)
        found[name] = value[1:-1] if value.startswith('"') else int(value)
    assert len(found) == len(wanted) > 200
    return found


def public(module: types.ModuleType) -> dict[str, object]:
    """Return what a module holds under names that do not begin with _."""
    return {k: v for k, v in vars(module).items() if not k.startswith("_")}


def test_constants__agree_with_c(in_c):
    found = public(zraw.constants)
    assert {name: found.get(name) for name in in_c} == in_c
    assert {name: getattr(zraw, name) for name in in_c} == in_c


def test_constants__star_import_brings_nothing_else(in_c):
    done = run_child("""
        before = set(globals()) | {"before"}
        from zraw.constants import *
        print(*sorted(set(globals()) - before))
    """)
    assert (done.code, done.err) == (0, ""), done
    assert done.out.split() == sorted(in_c)


def test_constants__strings_are_str(in_c):
    strings = {name: value for name, value in in_c.items() if isinstance(value, str)}
    assert strings == {
        "ZMQ_MSG_PROPERTY_PEER_ADDRESS": "Peer-Address",
        "ZMQ_MSG_PROPERTY_ROUTING_ID": "Routing-Id",
        "ZMQ_MSG_PROPERTY_SOCKET_TYPE": "Socket-Type",
        "ZMQ_MSG_PROPERTY_USER_ID": "User-Id",
    }
    for name in in_c:
        assert type(getattr(zraw.constants, name)) is type(in_c[name]), name


def test_constants__errno_names_are_the_systems(in_c):
    shared = [name for name in in_c if name.startswith("E") and hasattr(errno, name)]
    assert len(shared) == 18
    for name in shared:
        assert getattr(zraw, name) == getattr(errno, name)
    for name in ("EFSM", "ENOCOMPATPROTO", "ETERM", "EMTHREAD"):
        assert getattr(zraw, name) > zraw.ZMQ_HAUSNUMERO


def test_constants__draft_block_is_included():
    if zraw.ZMQ_VERSION >= 40304:
        assert zraw.ZMQ_SERVER == 12
        assert zraw.ZMQ_EVENT_ALL_V2 == 0x1FFFF
        assert zraw.ZMQ_ZERO_COPY_RECV == 10


def test_all__holds_exactly_what_is_public(in_c):
    names = zraw.__all__
    assert len(names) == len(set(names))
    # errno would hide the standard module from whoever imports *.
    documented = {
        name
        for name, value in public(zraw).items()
        if not isinstance(value, types.ModuleType)
    } - {"errno"}
    assert set(names) == documented
    assert set(names) - set(in_c) == {
        name for name in documented if callable(getattr(zraw, name))
    }
    assert not [name for name in names if name not in vars(zraw)]


def test_all__has_classes_and_functions():
    assert {"Context", "Socket", "Message", "Tracker", "ZMQError"} <= set(zraw.__all__)
    assert {"has", "strerror", "version", "get_include"} <= set(zraw.__all__)
    assert callable(zraw.errno)


def test_all__import_star_hides_no_module():
    done = run_child("""
        import errno, select, socket, types
        mine = errno, select, socket, types
        before = set(globals()) | {"before"}
        from zraw import *
        assert mine == (errno, select, socket, types)
        modules = [name for name in set(globals()) - before
                   if isinstance(globals()[name], types.ModuleType)]
        assert modules == [], modules
        with Context() as context, context.socket(ZMQ_PUSH) as push:
            assert push.type == ZMQ_PUSH
    """)
    assert (done.code, done.err) == (0, ""), done
