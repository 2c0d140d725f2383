"""Runs the programs pyzmq_<what>.py in children, on a backend of pyzmq's.

ZRAW_PYZMQ_BACKENDS="zraw.pyzmq cython" runs each on pyzmq's own backend as well, which
tells a fault of ours from one of theirs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

import zraw
from conftest import Finished, wait_until

FOLDER = Path(__file__).parent
BACKENDS = os.environ.get("ZRAW_PYZMQ_BACKENDS", "zraw.pyzmq").split()
MARK = "ZRAW_CHILD_OF"


def descendants(mark: str) -> list[int]:
    """The processes that have the mark, whatever session they moved to."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def play(
    program: str, *args: str, backend: str, folder: Path, timeout: float = 45
) -> str:
    """Run a program to its good end, and return what it printed.

    Its exit code is 0, its error output is empty, and none of its processes is left.
    """
    mark = uuid.uuid4().hex
    out, err = folder / "out", folder / "err"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        MARK: mark,
        "PYZMQ_BACKEND": backend,
        "HOME": str(folder),  # what Jupyter writes goes there
        "PYTHONPATH": str(Path(zraw.__file__).parents[1]),
        "PYTHONWARNINGS": "default::ResourceWarning",
        "PYTHONFAULTHANDLER": "1",
    }
    start = time.monotonic()
    # Files, since a process that stays would keep a pipe open.
    with out.open("wb") as out_file, err.open("wb") as err_file:
        child = subprocess.Popen(
            [sys.executable, FOLDER / f"{program}.py", *args],
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            cwd=folder,
            env=environment,
        )
    try:
        code = child.wait(timeout)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not descendants(mark), 5)
    finally:
        left = descendants(mark)
        kill(left)
        child.wait()
        done = Finished(
            subprocess.CompletedProcess(
                child.args, child.returncode, out.read_text(), err.read_text()
            ),
            time.monotonic() - start,
        )
        if sys.exc_info()[0]:  # it hung
            print(done)
    assert (code, done.err, left) == (0, "", []), done
    return done.out


def needs(*modules: str) -> None:
    """Skip a test, by name, for what is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
