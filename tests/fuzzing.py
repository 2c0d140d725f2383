"""Every public callable of zraw, found by looking, and what it may raise."""

from __future__ import annotations

import builtins
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import zraw
from zraw import aio

# Wrong types and values: any call may say so, as CONTRIBUTING.md has it.
USUAL = frozenset({"TypeError", "ValueError", "OverflowError"})

# Not called with what would end or stop the process, as README.md says, or with
# what is the system's and not zraw's.  The name of a callable, or of an argument.
LEFT_OUT = {
    "from_handle: address": "a wrong one crashes: only numbers that are no address",
    "ZMQ_USE_FD": "libzmq takes a descriptor over, and aborts if it is none of its own",
    "ZMQ_CONNECT_ROUTING_ID": "aborts if a remote peer has it: each used once",
    "ZMQ_WSS_KEY_PEM": "libzmq aborts for a malformed one",
    "ZMQ_WSS_CERT_PEM": "libzmq aborts for a malformed one",
    "ZMQ_SOCKS_PROXY": "libzmq aborts if the proxy hangs up: none that is there",
    "norm://": "kills the process if it is connected to itself",
    "pgm://, epgm://": "raw sockets, which need another network than there is",
    "ipc: absolute paths": "bind() removes what is there: only inside a new folder",
    "ZMQ_CONFLATE": "libzmq aborts with inproc before a bind, and several frames",
    "ROUTER and REP: connect": "to an inproc name before its bind: libzmq may abort",
    "other hosts": "nothing leaves this machine, and nothing asks for names",
    "proxy_steerable: control": "libzmq 4.3.4 aborts on an unknown word: without peers",
    "ZMQ_IO_THREADS": "memory running out: 3 threads at most",
    "ZMQ_MAX_SOCKETS": "memory running out: 2000 at most",
    "ZMQ_THREAD_...": "the system's scheduler: only what it takes from everybody",
    "init_size: size": "memory: up to 1 MiB, or more than any machine has",
    "ZMQ_RECONNECT_IVL": "0 keeps a thread busy for good",
    "Socket._hook, Socket._arm": "private, zraw.aio's",
    "send_const: data": "kept for good: only a few constants",
}
# Python's own, tried on every class that has them.
PROTOCOLS = [
    *("__enter__", "__exit__", "__repr__", "__str__"),
    *("__hash__", "__len__", "__bytes__", "__eq__"),
    *("__ne__", "__lt__", "__reduce__", "__reduce_ex__"),
    *("__copy__", "__deepcopy__", "__del__", "__init__"),
    *("__sizeof__", "__bool__", "__iter__", "__getitem__"),
    *("__contains__", "__format__", "__dir__"),
]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A callable of the table.

    owner: the class that its first argument is of, if it has one.
    names: of the arguments after that; least: how many it needs.
    """

    name: str
    function: Callable[..., Any]
    owner: type | None
    names: tuple[str, ...]
    least: int
    may_raise: frozenset[str]


def text_of(value: object) -> str:
    return inspect.cleandoc(getattr(value, "__doc__", None) or "")


def paragraphs(text: str) -> dict[str, str]:
    """Return what follows "Raises:", "Waits:" and so on, by that word."""
    found = {}
    for block in re.split(r"\n\s*\n", text):
        for piece in re.split(r"\n(?=[A-Z]\w+(?:, \w+)*:)", block):
            head, colon, body = piece.partition(":")
            if colon and re.fullmatch(r"[A-Z]\w+(, \w+)*", head):
                for word in head.split(", "):
                    found[word] = " ".join(body.split())
    return found


def resolve(name: str) -> object:
    """Return what a dotted name of zraw stands for, as a class has it."""
    value: object = zraw
    for part in name.split("."):
        value = inspect.getattr_static(value, part)
    return value


def exception(name: str) -> type[BaseException] | None:
    kind = getattr(zraw, name, None) or getattr(builtins, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


@functools.cache
def documented(name: str) -> frozenset[str]:
    """Return the names of the exceptions that a docstring says a callable raises.

    "as bind()" stands for what that one raises, "never Again" takes one away, and
    what a class raises "from every method" need not be said again there.
    """
    owner = name.rpartition(".")[0]
    text = text_of(resolve(name))
    said = paragraphs(text).get("Raises", "")
    named = {word for word in re.findall(r"\b[A-Z]\w+", said) if exception(word)}
    for word in re.findall(r"\bas ((?:\w+\.)?\w+)\(\)", said):
        other = word if "." in word or not owner else f"{owner}.{word}"
        try:
            resolve(other)
        except AttributeError:
            other = word
        if other != name:
            named |= documented(other)
    named -= set(re.findall(r"\bnever (\w+)", said))
    if owner:
        named |= from_every_method(owner)
    if re.search(r"\bbuffers?\b|what send\(\) takes", text):
        named.add("BufferError")  # memory that is not contiguous
    return frozenset(named)


def from_every_method(owner: str) -> set[str]:
    said = paragraphs(text_of(resolve(owner))).get("Raises", "")
    return set(re.findall(r"\b([A-Z]\w+)\b[^;.]*from every method", said))


def arguments(function: Any) -> tuple[tuple[str, ...], int]:
    """Return the names of the arguments, and how many are needed.

    The docstring of a class of Cython's begins with its signature.
    """
    if isinstance(function, type) and (
        found := re.match(rf"{function.__name__}\((.*?)\): ", text_of(function))
    ):
        given = [one for one in found[1].split(", ") if one]
        names = tuple(one.partition("=")[0] for one in given)
        return names, sum("=" not in one for one in given)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return (), 0
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    plain = [one for one in parameters if one.kind not in kinds]
    return (
        tuple(one.name for one in plain),
        sum(one.default is inspect.Parameter.empty for one in plain),
    )


def is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def members(name: str, kind: type) -> Iterator[Call]:
    """Yield the methods, properties and protocols of a class."""
    seen = set()
    for base in kind.__mro__[:-1]:
        for inner, value in vars(base).items():
            if inner in seen or (inner.startswith("_") and inner not in PROTOCOLS):
                continue
            seen.add(inner)
            full = f"{name}.{inner}"
            if isinstance(value, staticmethod):
                function = value.__func__
                names, least = arguments(function)
                yield Call(full, function, None, names, least, allowed(full))
            elif inspect.isdatadescriptor(value):
                get, put = value.__get__, value.__set__
                yield Call(full, get, kind, (), 0, allowed(full))
                may = allowed(full) | {"AttributeError"}  # it cannot be set
                yield Call(f"{full}=", put, kind, (inner,), 1, may)
            elif callable(value):
                names, least = arguments(value)
                if inner == "__init__":
                    names, least = arguments(kind)
                elif inner.startswith("__"):
                    names, least = PROTOCOL_ARGUMENTS.get(inner, ((), 0))
                else:
                    names, least = names[1:], least - 1
                yield Call(full, value, kind, names, least, allowed(full))


PROTOCOL_ARGUMENTS = {
    "__exit__": (("kind", "value", "traceback"), 0),
    "__eq__": (("other",), 1),
    "__ne__": (("other",), 1),
    "__lt__": (("other",), 1),
    "__reduce_ex__": (("protocol",), 1),
    "__deepcopy__": (("memo",), 1),
    "__getitem__": (("index",), 1),
    "__contains__": (("item",), 1),
    "__format__": (("spec",), 1),
}
# What "with" ends with; a second __init__ is refused.
BEHIND = {
    "Context.__exit__": "Context.close",
    "Socket.__exit__": "Socket.close",
    "Poller.__exit__": "Poller.destroy",
    "Timers.__exit__": "Timers.destroy",
    "Stopwatch.__exit__": "Stopwatch.stop",
    "Message.__len__": "Message.size",
    "Message.__bytes__": "Message.data",
}


def allowed(name: str) -> frozenset[str]:
    """Return the names of the exceptions that a callable may raise."""
    owner, _, last = name.rpartition(".")
    if last == "__init__":
        # Called before: refused, or done again.
        return USUAL | documented(owner) | {"RuntimeError", "InvalidHandle"}
    if last.startswith("__"):
        behind = documented(BEHIND[name]) if name in BEHIND else frozenset()
        return USUAL | behind | from_every_method(owner)
    return USUAL | documented(name)


@functools.cache
def table() -> list[Call]:
    """Return every public callable of zraw, and every protocol of its classes."""
    calls = []
    for name in [*zraw.__all__, "errno"]:
        value = getattr(zraw, name)
        if not callable(value) or is_exception(value):
            continue
        names, least = arguments(value)
        calls.append(Call(name, value, None, names, least, allowed(name)))
        if isinstance(value, type) and not issubclass(value, tuple):
            calls += members(name, value)
    return calls


def table_aio() -> list[Call]:
    """Return the constructors and functions of zraw.aio, for calls without a loop."""
    calls = []
    for name in aio.__all__:
        value = getattr(aio, name)
        if callable(value) and not is_exception(value):
            names, least = arguments(value)
            may = aio_allowed(text_of(value))
            calls.append(Call(f"aio.{name}", value, None, names, least, may))
    return calls


def aio_allowed(text: str) -> frozenset[str]:
    said = paragraphs(text).get("Raises", "")
    named = {word for word in re.findall(r"\b[A-Z]\w+", said) if exception(word)}
    # They open a socket, set options, and bind or connect.
    opened = ("Socket", "Socket.setsockopt", "Socket.bind")
    return (
        USUAL | named | {"RuntimeError"} | frozenset().union(*map(documented, opened))
    )
