"""zraw's command line in children, as a shell would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ZRAW = [sys.executable, "-m", "zraw"]


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str


def run(*arguments: object, stdin: bytes = b"", timeout: float = 30) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        [*ZRAW, *map(os.fspath, map(as_path, arguments))],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def as_path(argument: object) -> str | bytes | Path:
    return argument if isinstance(argument, str | bytes | Path) else str(argument)


class Started:
    """A command that runs beside the test."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def endpoint(self) -> str:
        """Return the endpoint that it says it has bound."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        assert line.startswith("zraw: bound "), line
        return line.split()[-1]

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, stdin: bytes | None = None, timeout: float = 30) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(stdin, timeout)
        return Done(self.process.returncode, out, err.decode())


@contextmanager
def started(*arguments: object, **given: object) -> Iterator[Started]:
    """Start a command in a session of its own; at the end it is killed."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(
        [*ZRAW, *map(os.fspath, map(as_path, arguments))],
        start_new_session=True,
        **{**pipes, **given},  # type: ignore[call-overload]
    )
    try:
        yield Started(process)
    finally:
        process.kill()
        process.communicate()
