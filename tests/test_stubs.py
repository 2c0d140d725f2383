"""The stubs say what the modules hold, and type checkers make sense of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zraw

HERE = Path(__file__).parent
# What Cython adds to each of its modules; a list that follows zmq.h, so that no stub
# can repeat it (test_constants.py looks at it); and __init__() without arguments, of
# which the interpreter's wrapper says that it takes any.
ALLOWED = (
    "zraw\\.\\w+\\.__(pyx_capi|test)__\nzraw\\.__all__\n"
    "zraw\\.\\w+\\.(AtomicCounter|Poller|Stopwatch|Timers)\\.__init__\n"
)
if sys.version_info < (3, 12):  # buffers exist, but not these names for them
    ALLOWED += "zraw\\.message\\.Message\\.__(release_)?buffer__\n"


def python_m(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a folder that hides neither zraw nor its settings."""
    environment = {k: v for k, v in os.environ.items() if k != "MYPYPATH"}
    package = Path(zraw.__file__).parent
    if package.parent.name != "site-packages":  # an editable install
        environment["MYPYPATH"] = str(package.parent)
    return subprocess.run(
        [sys.executable, "-m", *args],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def mypy(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy --strict, without any file of settings."""
    options = ["--strict", "--config-file=", "--python-version=3.10"]
    return python_m(folder, "mypy", *options, *map(str, files))


@pytest.mark.timeout(180)
def test_stubs__agree_with_the_modules(tmp_path):
    allowlist = tmp_path / "allowlist"
    allowlist.write_text(ALLOWED)
    options = [f"--allowlist={allowlist}"]
    # Not said in the stubs: mypy before 1.18 does not know the decorator.
    if "--ignore-disjoint-bases" in python_m(tmp_path, "mypy.stubtest", "-h").stdout:
        options.append("--ignore-disjoint-bases")
    done = python_m(tmp_path, "mypy.stubtest", "zraw", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found" in done.stdout


@pytest.mark.timeout(180)
def test_stubs__examples_have_the_types_expected(tmp_path):
    done = mypy(tmp_path, HERE / "typing_examples.py")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(180)
def test_stubs__a_wrong_expectation_is_seen(tmp_path):
    """The examples would fail if the stubs were not found, or said Any."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import zraw\n"
        "from typing_extensions import assert_type\n"
        "def f(socket: zraw.Socket) -> None:\n"
        "    assert_type(socket.recv(), str)\n"
        "    socket.send('text')\n"
        "    socket.send(b'x')  # type: ignore[arg-type]\n"
    )
    done = mypy(tmp_path, wrong)
    assert done.returncode == 1, done.stdout + done.stderr
    for line, code in ((4, "assert-type"), (5, "arg-type"), (6, "unused-ignore")):
        found = [x for x in done.stdout.splitlines() if f"wrong.py:{line}:" in x]
        assert [x for x in found if x.endswith(f"[{code}]")], done.stdout


def test_stubs__every_module_has_one():
    package = Path(zraw.__file__).parent
    modules = {path.name.partition(".")[0] for path in package.glob("*.so")}
    stubs = {path.stem for path in package.glob("*.pyi")}
    assert modules and modules <= stubs
    assert (package / "py.typed").is_file()
