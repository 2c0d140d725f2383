"""Every public name has a docstring, and it names the C function behind it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import zraw
from zmq_h import DRAFTS, FUNCTION, functions, newer_functions
from zraw import aio

# What zraw adds to C: nothing of libzmq's is called, or nothing of its own.
NO_C_CALL = {
    "Context.from_handle": "takes the address of a context made elsewhere",
    "Socket.from_handle": "takes the address of a socket made elsewhere",
    "Tracker": "counts zraw's own pins",
    "Tracker.wait": "waits for zraw's own counter",
    "get_include": "is about files",
    "get_library": "is about files",
    "live": "looks at zraw's own lists",
    "MonitorEvent": "is a record",
    "MonitorEventV2": "is a record",
}
# Attributes of the C struct, to which Cython gives no docstring.
NO_DOCSTRING = {"Socket.context", "Socket.type", "Tracker.pending"}
PACKAGE = Path(zraw.__file__).parent


def public() -> dict[str, object]:
    """Return everything public that can have a docstring, by its dotted name."""
    found: dict[str, object] = {}
    for name in [*zraw.__all__, "errno"]:
        value = getattr(zraw, name)
        if not callable(value):
            continue
        found[name] = value
        if not isinstance(value, type) or issubclass(value, BaseException | tuple):
            continue  # tuples: their fields are described with the class
        for kind in value.__mro__:
            if kind is not object:
                for inner in vars(kind):
                    if not inner.startswith("_"):
                        found[f"{name}.{inner}"] = inspect.getattr_static(value, inner)
    return found


def public_aio() -> dict[str, object]:
    """Return the same of zraw.aio; what is inherited under who has it first."""
    found: dict[str, object] = {}
    for name in aio.__all__:
        value = getattr(aio, name)
        found[name] = value
        for kind in value.__mro__ if isinstance(value, type) else ():
            if not kind.__module__.startswith("zraw.aio") or kind is aio.Unsent:
                continue
            found[kind.__name__] = kind
            for inner, what in vars(kind).items():
                if not inner.startswith("_") and (
                    inspect.isfunction(what) or inspect.isdatadescriptor(what)
                ):
                    found[f"{kind.__name__}.{inner}"] = what
    return found


PUBLIC = public()
PUBLIC_AIO = public_aio()
DOCUMENTED = [name for name in PUBLIC if name not in NO_DOCSTRING]
# Both, to be parametrized with: the name, and what has the docstring.
ALL_DOCUMENTED = [(name, PUBLIC[name]) for name in DOCUMENTED]
ALL_DOCUMENTED += [(f"aio.{name}", value) for name, value in PUBLIC_AIO.items()]
documented = pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, value, id=name) for name, value in ALL_DOCUMENTED],
)
CALLED = {
    name: value
    for name, value in PUBLIC.items()
    if not inspect.isdatadescriptor(value)
    and not (isinstance(value, type) and issubclass(value, BaseException))
}


def docstring(value: object) -> str:
    """Return a docstring without the signature that Cython puts before it."""
    text = getattr(value, "__doc__", None)
    assert isinstance(text, str)
    return inspect.cleandoc(text)


def indent_of(name: str) -> int:
    return 8 if "." in name.removeprefix("aio.") else 4


@pytest.fixture(scope="module")
def declared() -> frozenset[str]:
    """Functions of zmq.h with its drafts, and newer drafts that zraw declares."""
    found = functions(DRAFTS)
    assert len(found) > 90
    return found | newer_functions()


def test_docstrings__something_is_looked_at():
    assert {"Socket.send", "Message.copy", "Context.term", "has"} <= set(CALLED)
    assert {"Socket.type", "Socket.handle", "Context.closed"} <= set(PUBLIC)
    assert set(NO_C_CALL) <= set(CALLED)
    assert set(PUBLIC) - set(CALLED) >= NO_DOCSTRING
    assert {"Readable.recv", "Base.close", "Request.request", "io"} <= set(PUBLIC_AIO)


@documented
def test_docstrings__first_line_is_one_sentence(name, value):
    text = docstring(value)
    first, _, rest = text.partition("\n")
    assert first[:1].isupper(), first
    assert first.endswith("."), first
    assert not re.search(r"[.!?] [A-Z]", first), first
    # Indented as in the source, with the quotes before it.
    indent = indent_of(name)
    assert len(first) + indent + 3 <= 88, first
    assert not rest or rest.startswith("\n"), "no blank line after the first"


@documented
def test_docstrings__lines_fit_a_screen(name, value):
    indent = indent_of(name)
    for line in docstring(value).split("\n"):
        assert len(line) + indent <= 88, line
        assert line == line.rstrip(), line


@pytest.mark.parametrize("name", CALLED)
def test_docstrings__name_the_c_call(name, declared):
    text = docstring(CALLED[name])
    paragraph = re.findall(r"^C call: ((?:.+\n?)+)", text, re.MULTILINE)
    if name in NO_C_CALL:
        assert not paragraph
        return
    assert len(paragraph) == 1
    called = FUNCTION.findall(paragraph[0])
    assert called, paragraph
    assert set(called) <= declared
    assert paragraph[0].startswith(called[0])


# The rule for names, read backwards: zmq_msg_copy() is Message.copy().
PREFIXES = {"Context": ["zmq_ctx_"], "Socket": ["zmq_", "zmq_socket_"]}
PREFIXES |= {"Message": ["zmq_msg_"], "": ["zmq_"]}


def test_docstrings__a_method_named_like_c_calls_that_function(declared):
    matched = []
    for name, value in CALLED.items():
        owner, _, method = name.rpartition(".")
        for prefix in PREFIXES.get(owner, []):
            if prefix + method in declared:
                matched.append((name, f"{prefix}{method}()" in docstring(value)))
    assert len(matched) > 30
    # zmq_recv() wants memory first; bytes are made from a zmq_msg_t.
    assert [name for name, named in matched if not named] == ["Socket.recv"]


def test_docstrings__draft_functions_say_so(declared):
    drafts = functions(DRAFTS) - functions()
    marked = 0
    for name, value in CALLED.items():
        text = docstring(value)
        call = re.search(r"^C call: (.*)", text, re.MULTILINE)
        if call and FUNCTION.findall(call[1])[0] in drafts:
            assert "(draft)" in call[1], name
            # Poller does its work with zmq_poll() where the functions are missing.
            assert "NotSupported" in text or name.startswith("Poller"), name
            marked += 1
    assert marked >= 7


def test_docstrings__raises_names_classes_that_exist():
    for name, value in ALL_DOCUMENTED:
        text = docstring(value)
        for kind, number in re.findall(r"\b([A-Z]\w+)\s+\((E[A-Z]+)\)", text):
            assert issubclass(getattr(zraw, kind), zraw.ZMQError), name
            errors = docstring(getattr(zraw, kind)).partition(":")[0]
            assert number == errors, name


@pytest.mark.parametrize("name", CALLED)
def test_docstrings__signature_can_be_read(name):
    value = CALLED[name]
    if isinstance(value, type):
        if issubclass(value, tuple):
            return
        assert docstring(value).startswith(f"{name}(") or name == "Tracker"
        return
    if isinstance(value, staticmethod):
        value = value.__func__
    parameters = inspect.signature(value).parameters
    described = re.findall(r"^(\w+): ", docstring(value), re.MULTILINE)
    known = {*parameters, "Waits", "Copies", "Raises", "Returns", "Since"}
    assert set(described) <= known


def test_libzmq_pxd__declares_functions_that_exist(declared):
    text = (PACKAGE / "libzmq.pxd").read_text()
    code = re.sub(r"#.*", "", text)
    # A call-back type is no function.
    code = re.sub(r"^\s*ctypedef .*\(.*$", "", code, flags=re.MULTILINE)
    functions = FUNCTION.findall(code)
    assert len(functions) > 80
    assert len(functions) == len(set(functions))
    assert set(functions) <= declared


def test_libzmq_pxd__every_weak_function_is_declared(declared):
    text = (PACKAGE / "libzmq.pxd").read_text()
    drafts = functions(DRAFTS) - functions()
    assert len(drafts) > 20
    assert drafts <= newer_functions()
    assert newer_functions() <= set(FUNCTION.findall(text))
