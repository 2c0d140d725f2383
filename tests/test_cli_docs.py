"""The examples of docs/cli.md, run as they stand there, print what stands there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import zraw

PAGE = (Path(__file__).parents[1] / "docs" / "cli.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.skipif(
    not (zraw.has("ipc") and zraw.has("curve")), reason="no ipc, or no CURVE"
)


def same_for_all(text):
    """Take out what is different each time: times, ports, descriptors, keys."""
    text = re.sub(r"^[0-9:.]{12} (?=ZMQ_)", "TIME ", text, flags=re.MULTILINE)
    text = re.sub(r"(127\.0\.0\.1:|descriptor |in )\d+(?! s)", r"\1N", text)
    return re.sub(r"^\S{40}$", "KEY", text, flags=re.MULTILINE)


def test_docs__show_every_command():
    commands = set(re.findall(r"zraw (\w+)", "".join(BLOCKS)))
    assert commands >= {
        *("send", "recv", "request", "reply", "proxy", "monitor", "keygen")
    }


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_docs__example_prints_what_it_says(tmp_path, block):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "zraw"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m zraw "$@"\n')
    program.chmod(0o755)
    lines = block.splitlines(keepends=True)
    script = "".join(line[2:] for line in lines if line.startswith("$ "))
    printed = "".join(line for line in lines if not line.startswith("$ "))
    child = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = child.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    assert same_for_all(out) == same_for_all(printed)
