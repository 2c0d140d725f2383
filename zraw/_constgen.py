"""Write constants.py and .pyi from zmq.h: names from its #defines, values from cpp.

The build runs this file before anything is compiled, so it uses the standard
library alone.  Nothing is executed on the target: a cross build works.  Every
compiler can say what a name stands for; only GCC and its like can list all names.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HEADER = '''"""Every constant of zmq.h, under its full C name.

Written by the build from the zmq.h that zraw was compiled with (libzmq {version}),
its draft block included.  A name that the header lacks does not exist here.
"""
'''
# For type checkers: to read it is to know the numbers, without importing typing.
STUB_HEADER = "from typing import Final as _Final\n"
# Not constants: include guard, export attribute, plumbing, valueless flags.
NOT_CONSTANTS = {
    "__ZMQ_H_INCLUDED__",
    "ZMQ_EXPORT",
    "ZMQ_DEFINED_STDINT",
    "ZMQ_HAVE_TIMERS",
    "ZMQ_HAVE_POLLER",
    "ZMQ_BUILD_DRAFT_API",
    "ZMQ_VERSION",
    "_WIN32_WINNT",
}
# "# 1" of GCC and Clang, "#line 1" and backslashes, each twice, of MSVC.
PLACE = re.compile(r'^#(?:line)? \d+ "([^"]*\bzmq\.h)"', re.M)
MARK = re.compile(r'"zraw (\w+)"')
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Z_][A-Z0-9_]*)(?![\w(])", re.M)


def compiler() -> list[str]:
    """Return the C compiler's command, as the build itself will use it."""
    usual = "cl" if sys.platform == "win32" else "cc"
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or usual)


def preprocess(command: list[str], include_dirs: list[str], lines: list[str]) -> str:
    """Return what the preprocessor makes of lines that follow zmq.h."""
    flags = [f"-I{directory}" for directory in include_dirs]
    flags.append("-DZMQ_BUILD_DRAFT_API")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        before = ["#include <errno.h>", "#include <zmq.h>"]
        source.write_text("\n".join([*before, *lines, ""]))
        return run([*command, *flags, "-E", str(source)])


def place(text: str) -> str:
    """Return the path of the zmq.h that was read, from the marks of its lines."""
    if not (found := PLACE.search(text)):
        raise FileNotFoundError("zmq.h")
    return found.group(1).replace("\\\\", "\\")


def run(command: list[str]) -> str:
    """Return the standard output of a command that has to succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise FileNotFoundError(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout


def value(text: str) -> int | str:
    """Fold what a macro stands for: literals, + - | << and ~."""

    def fold(node: ast.AST) -> int | str:
        if isinstance(node, ast.Expression):
            return fold(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, str)):
            return node.value
        if isinstance(node, ast.UnaryOp):
            operand = fold(node.operand)
            assert isinstance(operand, int)
            return -operand if isinstance(node.op, ast.USub) else ~operand
        if isinstance(node, ast.BinOp):
            left, right = fold(node.left), fold(node.right)
            assert isinstance(left, int) and isinstance(right, int)
            match node.op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.BitOr():
                    return left | right
                case ast.LShift():
                    return left << right
        raise ValueError(f"cannot fold {text!r}")

    return fold(ast.parse(text.strip(), mode="eval"))


def names(header: str) -> list[str]:
    """Return the constants that the header's text defines, in its order."""
    found = dict.fromkeys(DEFINE.findall(header))
    return [name for name in found if name not in NOT_CONSTANTS]


def constants(command: list[str], include_dirs: list[str]) -> dict[str, int | str]:
    """Return name and value of every constant of the zmq.h found."""
    path = place(preprocess(command, include_dirs, []))
    header = Path(path).read_text(encoding="utf-8", errors="replace")
    # A string is not expanded, and tells which name the text after it stands for.
    asked = [f'"zraw {name}" {name}' for name in names(header)]
    said = preprocess(command, include_dirs, asked)
    _, *parts = MARK.split(re.sub(r"^[ \t]*#.*", "", said, flags=re.M))
    found = {
        name: value(" ".join(text.split()))
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    major, minor, patch = (
        int(found[f"ZMQ_VERSION_{part}"]) for part in ("MAJOR", "MINOR", "PATCH")
    )
    found["ZMQ_VERSION"] = major * 10000 + minor * 100 + patch
    return found


def write(
    target: Path, include_dirs: list[str], command: list[str] | None = None
) -> tuple[int, int, int]:
    """Write constants.py to `target`, its stub beside it; return zmq.h's version.

    command: the C compiler's, if it is not the one that compiler() finds.
    """
    found = constants(command or compiler(), include_dirs)
    version = tuple(
        int(found[f"ZMQ_VERSION_{part}"]) for part in ("MAJOR", "MINOR", "PATCH")
    )
    header = HEADER.format(version=".".join(map(str, version)))
    for path, head, form in (
        (target, header, "{} = {!r}"),
        (target.with_suffix(".pyi"), STUB_HEADER, "{}: _Final = {!r}"),
    ):
        lines = [head, *(form.format(*item) for item in found.items())]
        text = "\n".join(lines).replace("'", '"') + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return version  # type: ignore[return-value]
