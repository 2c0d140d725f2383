"""Write docs/api-map.md: where every function of zmq.h is in zraw.

It reads the sources alone: `C call: zmq_xxx()` in the docstrings, the names of the
tests, and the declarations in zmq.h.  `python docs/api_map.py` writes the page anew.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api-map.md"

# What zmq.h declares and zraw leaves out.
EXCLUDED = {
    "zmq_init": "deprecated: Context(io_threads)",
    "zmq_term": "deprecated: Context.term()",
    "zmq_ctx_destroy": "deprecated: Context.term()",
    "zmq_device": "deprecated: proxy()",
    "zmq_sendmsg": "deprecated: Message.send()",
    "zmq_recvmsg": "deprecated: Message.recv()",
    "zmq_sendiov": "deprecated: Socket.send_multipart()",
    "zmq_recviov": "deprecated: Socket.recv_multipart()",
    "zmq_threadstart": "Python has threading",
    "zmq_threadclose": "Python has threading",
}
# C's constructors, which are Python's, and what is named after what it returns.
CONSTRUCTORS = {
    "zmq_ctx_new": "Context",
    "zmq_socket": "Socket",
    "zmq_msg_init": "Message",
    "zmq_poller_new": "Poller",
    "zmq_timers_new": "Timers",
    "zmq_atomic_counter_new": "AtomicCounter",
    "zmq_stopwatch_start": "Stopwatch",
}
OWNERS = {
    "zmq_ctx_": "Context",
    "zmq_msg_": "Message",
    "zmq_poller_": "Poller",
    "zmq_timers_": "Timers",
    "zmq_atomic_counter_": "AtomicCounter",
    "zmq_stopwatch_": "Stopwatch",
    "zmq_socket_": "Socket",
}
CLASS = re.compile(r"(?:cdef )?class (\w+)")
DEFINITION = re.compile(r"( *)(?:def|(?:cdef )?class) (\w+)")


class Entry(NamedTuple):
    """A public name with a docstring that says which C functions it calls."""

    name: str
    file: str
    line: int
    calls: tuple[str, ...]
    since: str
    draft: bool


def docstring_after(lines: list[str], start: int) -> str:
    """Return the docstring of the definition that begins at a line."""
    text = "\n".join(lines[start : start + 80])
    found = re.match(r'.*?:\n\s+"""(.*?)"""', text, re.DOTALL)
    if found is None or re.search(r"\n *(?:def|cdef|class) ", found[0]):
        return ""
    return found[1]


def entries() -> list[Entry]:
    """Return what the sources of zraw say of themselves."""
    found = []
    for path in sorted([*ROOT.glob("zraw/*.pyx"), *ROOT.glob("zraw/*.py")]):
        lines = path.read_text().splitlines()
        owner = ""
        for number, line in enumerate(lines):
            if kind := CLASS.match(line):
                owner = kind[1]
            definition = DEFINITION.match(line)
            if definition is None:
                continue
            indented, name = definition.groups()
            text = docstring_after(lines, number)
            call = re.search(r"^ *C call: ((?:.+\n?)+)", text, re.MULTILINE)
            if call is None:
                continue
            since = re.search(r"Since: libzmq ([\d.]+)", text)
            # The halves of Socket are one class to whoever uses it.
            holder = re.sub("^(Connecting|Monitored)Socket$", "Socket", owner)
            found.append(
                Entry(
                    f"{holder}.{name}" if indented else name,
                    str(path.relative_to(ROOT)),
                    number + 1,
                    tuple(re.findall(r"\b(zmq_\w+)\(", call[1])),
                    since[1] if since else "",
                    "(draft)" in call[1],
                )
            )
    return found


def declared() -> list[str]:
    """Return the functions that libzmq.pxd declares, in the order of zmq.h."""
    text = (ROOT / "zraw" / "libzmq.pxd").read_text()
    text = re.sub(r"#.*|^\s*ctypedef .*\(.*$", "", text, flags=re.MULTILINE)
    return re.findall(r"\b(zmq_\w+)\(", text)


@functools.cache
def tests() -> dict[str, list[tuple[str, str]]]:
    """Return (file, name) of the tests, by the C function that their name begins with.

    test_msg_copy__shares_large_bodies() is one of zmq_msg_copy().
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(ROOT.glob("tests/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                function = "zmq_" + node.name[5:].partition("__")[0]
                found.setdefault(function, []).append((path.name, node.name))
    return found


def python_names(function: str, known: list[Entry]) -> list[Entry]:
    """Return what calls a C function: first the name that the rule gives to it."""
    rest = function.removeprefix("zmq_")
    by_rule = [CONSTRUCTORS.get(function, rest)]
    for prefix, owner in OWNERS.items():
        if function.startswith(prefix):
            by_rule.append(f"{owner}.{function.removeprefix(prefix)}")
    by_rule.append(f"Socket.{rest}")
    callers = [entry for entry in known if function in entry.calls]
    return sorted(
        callers,
        key=lambda entry: (
            by_rule.index(entry.name) if entry.name in by_rule else len(by_rule),
            entry.name,
        ),
    )


def page() -> str:
    """Return the text of docs/api-map.md."""
    known = entries()
    tested = tests()
    since_of = {entry.name: entry.since for entry in known}
    lines = [
        "# From C to Python",
        "",
        "Every function of `zmq.h`, drafts included: what it is called in zraw, where",
        "that is, and how many tests are named after it. `python docs/api_map.py`",
        "writes this page, and a test compares it with the sources.",
        "",
        "| C | Python | source | since libzmq | tests |",
        "|---|---|---|---|---|",
    ]
    for function in declared():
        entry, *others = python_names(function, known)
        names = ", ".join(f"`{other.name}`" for other in others)
        owner = since_of.get(entry.name.partition(".")[0], "")
        since = entry.since or owner or "4.3.2 or older"
        mine = tested.get(function, [])
        files = sorted({file for file, _ in mine})
        lines.append(
            f"| `{function}` | `{entry.name}`{f'; {names}' if names else ''} "
            f"| [{entry.file}:{entry.line}](../{entry.file}#L{entry.line}) "
            f"| {since}{', draft' if entry.draft else ''} "
            f"| {len(mine)} in {', '.join(files) or 'none'} |"
        )
    lines += ["", "Left out:", "", "| C | instead |", "|---|---|"]
    lines += [f"| `{function}` | {reason} |" for function, reason in EXCLUDED.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
