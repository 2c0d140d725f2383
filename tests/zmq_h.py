"""What the zmq.h that zraw is compiled with declares, and what an extension calls."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
from pathlib import Path

import zraw

FUNCTION = re.compile(r"\b(zmq_\w+)\s*\(")
DRAFTS = "#define ZMQ_BUILD_DRAFT_API"


@functools.cache
def compiler_flags() -> tuple[str, ...]:
    """Return the flags with which zraw was compiled."""
    if prefix := os.environ.get("ZRAW_PREFIX"):
        return (f"-I{prefix}/include",)
    command = ["pkg-config", "--cflags", "libzmq"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(shlex.split(done.stdout))


def compile_c(*args: str, source: str) -> str:
    """Run the C compiler on a source text and return what it prints."""
    command = ["cc", *compiler_flags(), "-x", "c", *args, "-"]
    return subprocess.run(
        command, input=source, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@functools.cache
def functions(macro: str = "") -> frozenset[str]:
    """Return the functions that zmq.h declares; DRAFTS adds the draft ones."""
    return frozenset(
        FUNCTION.findall(compile_c("-E", "-P", source=f"{macro}\n#include <zmq.h>\n"))
    )


@functools.cache
def newer_functions() -> frozenset[str]:
    """Return the draft functions that zraw declares, those of newer headers, too."""
    compat = Path(zraw.get_include(), "zmq_compat.h").read_text()
    return frozenset(re.findall(r"^#pragma weak (zmq_\w+)$", compat, re.MULTILINE))


def symbols(extension: Path) -> dict[str, str]:
    """Return the functions of libzmq in an extension, and nm's letter for each."""
    done = subprocess.run(
        ["nm", "-D", str(extension)], capture_output=True, text=True, check=True
    )
    # "                 U zmq_send", with an address before it if it is defined.
    return {
        name: letter
        for letter, name in re.findall(r" (\w) (zmq_\w+)(?:@\S+)?$", done.stdout, re.M)
    }
