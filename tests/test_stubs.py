"""The stubs say what the modules hold, and type checkers make sense of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zraw

HERE = Path(__file__).parent
PACKAGE = Path(zraw.__file__).parent
EDITABLE = PACKAGE.parent.name != "site-packages"
# What Cython adds to each of its modules; a list that follows zmq.h, so that no stub
# can repeat it (test_constants.py looks at it); and __init__() without arguments, of
# which the interpreter's wrapper says that it takes any.
ALLOWED = (
    "zraw\\.\\w+\\.__(pyx_capi|test)__\nzraw\\.__all__\n"
    "zraw\\.\\w+\\.(AtomicCounter|Poller|Stopwatch|Timers)\\.__init__\n"
)
if sys.version_info < (3, 12):  # buffers exist, but not these names for them
    ALLOWED += "zraw\\.\\w+\\.(Message|Flat|BaseFrame)\\.__(release_)?buffer__\n"


def python_m(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a folder that hides neither zraw nor its settings."""
    environment = {k: v for k, v in os.environ.items() if k != "MYPYPATH"}
    if EDITABLE:
        environment["MYPYPATH"] = str(PACKAGE.parent)
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


def pyright(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Run pyright as strictly as mypy."""
    settings = {
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "pythonVersion": "3.10",
        "extraPaths": [str(PACKAGE.parent)] if EDITABLE else [],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    for file in files:  # it reads the settings of the folder that a file is in
        if file.parent != folder:
            shutil.copy(file, folder)
    names = [file.name for file in files]
    return python_m(folder, "pyright", f"--pythonpath={sys.executable}", *names)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("check", [mypy, pyright])
@pytest.mark.parametrize("examples", ["typing_examples.py", "typing_examples_aio.py"])
def test_stubs__examples_have_the_types_expected(tmp_path, check, examples):
    done = check(tmp_path, HERE / examples)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("check", "codes"),
    [
        (mypy, ("[assert-type]", "[call-arg]", "[unused-ignore]")),
        (
            pyright,
            (
                "(reportAssertTypeFailure)",
                "(reportCallIssue)",
                "(reportUnnecessaryTypeIgnoreComment)",
            ),
        ),
    ],
)
def test_stubs__a_wrong_expectation_is_seen(tmp_path, check, codes):
    """The examples would fail if the stubs were not found, or said Any."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import zraw\n"
        "from typing_extensions import assert_type\n"
        "def f(socket: zraw.Socket) -> None:\n"
        "    assert_type(socket.recv(), str)\n"
        "    socket.send(b'x', 0, 0)\n"
        "    socket.send(b'x')  # type: ignore[arg-type]\n"
    )
    done = check(tmp_path, wrong)
    assert done.returncode == 1, done.stdout + done.stderr
    for line, code in zip((4, 5, 6), codes, strict=True):
        found = [x for x in done.stdout.splitlines() if f"wrong.py:{line}:" in x]
        assert [x for x in found if x.endswith(code)], done.stdout


def test_stubs__option_types_are_those_of_the_table():
    """What getsockopt() returns, by option, for who checks types."""
    table = (HERE.parent / "zraw" / "option.pyx").read_text()
    rows = re.findall(r'\((\d+), "\w+", (\w+), "(\w+)"\)', table)
    assert len(rows) > 100
    expected: dict[str, set[int]] = {}
    for number, kind, access in rows:
        name = {"BINARY": "_Binary", "STRING": "_String", "KEY": "_String"}.get(
            kind, "_Integer"
        )
        if "r" in access:
            expected.setdefault(name, set()).add(int(number))
    stub = (PACKAGE / "connecting.pyi").read_text()
    found = {
        name: {int(number) for number in re.findall(r"\b\d+\b", numbers)}
        for name, numbers in re.findall(
            r"^(_\w+): TypeAlias = Literal\[([^\]]*)\]", stub, re.MULTILINE
        )
    }
    assert found == expected


def test_stubs__every_module_has_one():
    modules = {path.name.partition(".")[0] for path in PACKAGE.glob("*.so")}
    stubs = {path.stem for path in PACKAGE.glob("*.pyi")}
    assert modules and modules <= stubs
    assert (PACKAGE / "py.typed").is_file()
