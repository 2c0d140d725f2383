"""pyzmq's own tests, on pyzmq's own backend and on zraw.pyzmq, test by test.

    python -m tests.campaign pyzmq [--version 27.3.0] [--keep FOLDER] [PYTEST'S]

It installs that pyzmq in an environment of its own, gets the tests from its source
distribution, and runs them with both backends in turn.  What passes on pyzmq's own has
to pass on ours; what failed is run again, without the others, on either.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import zraw

BACKENDS = {"pyzmq's": "cython", "ours": "zraw.pyzmq"}
# pytest-asyncio's next versions want a loop that the tests do not make.
NEEDED = (
    "pytest<8.4",
    "pytest-asyncio<0.24",
    "pytest-timeout",
    "pytest-rerunfailures",
    "tornado",
    "gevent",
    "Cython",
    "setuptools",
)
CHANCES = 2  # more; a PUB of theirs sometimes sends before anybody has subscribed
REFS = "looks into zmq.utils.garbage.gc.refs, where zraw.pyzmq has nothing"
EXCUSED = {
    "test_message.TestFrame.test_above_30": REFS,
    "test_message.TestFrame.test_lifecycle1": REFS,
    "test_message.TestFrame.test_lifecycle2": REFS,
    "test_cython.test_cython": "compiles against the C structs of pyzmq's own backend",
}


def run(*command: str | Path) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def prepare(folder: Path, version: str) -> tuple[Path, list[str]]:
    """Return the interpreter of an environment, and what pytest is to run."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder / "venv")
        pip = (python, "-m", "pip", "-q", "--disable-pip-version-check")
        run(*pip, "install", f"pyzmq=={version}", *NEEDED)
        options = ("--no-binary=pyzmq", "--no-deps", f"--dest={folder}")
        run(*pip, "download", *options, f"pyzmq=={version}")
        # Of all that is beside zraw, nothing is to be seen from there.
        (folder / "zraw").mkdir()
        (folder / "zraw" / "zraw").symlink_to(Path(zraw.__file__).parent)
    name = f"pyzmq-{version}"
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        members = [
            each
            for each in archive.getmembers()
            if each.name.startswith(f"{name}/tests/")
        ]
        if not members:  # before 26, they are installed with it
            return python, ["--pyargs", "zmq.tests"]
        archive.extractall(folder, members)
    shutil.rmtree(folder / "tests", ignore_errors=True)
    shutil.move(folder / name / "tests", folder / "tests")
    return python, ["tests"]


def outcomes(report: Path) -> dict[str, str]:
    """Return what became of each test: passed, skipped or failed."""
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "passed"
        if "skipped" in kinds:
            outcome = "skipped"
        place = case.get("classname", "").rpartition("tests.")[2]
        found[f"{place}.{case.get('name')}"] = outcome
    return found


def test(
    python: Path, folder: Path, backend: str, what: list[str], arguments: list[str]
) -> dict[str, str]:
    """Run pytest with a backend; return the outcome of each test."""
    report = folder / f"{backend}.xml"
    report.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"PYZMQ_BACKEND": backend, "PYTHONPATH": str(folder / "zraw")}
    options = [f"--junitxml={report}", "-p", "no:cacheprovider", "-q", "--timeout=60"]
    options += ["-o", "asyncio_mode=auto", "-o", "pythonpath=tests"]
    options += ["--import-mode=importlib", "--rootdir=."]
    with (folder / f"{backend}.log").open("a") as log:
        subprocess.run(
            [python, "-X", "faulthandler", "-m", "pytest", *options, *what, *arguments],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            check=False,
        )
    if not report.exists():
        sys.exit(f"{backend}: no report; see {folder / f'{backend}.log'}")
    return outcomes(report)


def again(
    python: Path, folder: Path, backend: str, what: list[str], failed: list[str]
) -> dict[str, str]:
    """Run the tests that failed once more, without the others."""
    words = sorted({name.rpartition(".")[2].partition("[")[0] for name in failed})
    found = test(python, folder, backend, what, ["-k", " or ".join(words)])
    return {name: found[name] for name in failed if name in found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--version", default="27.3.0")
    parser.add_argument("--keep", type=Path, help="a folder that is used again")
    options, arguments = parser.parse_known_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="zraw-pyzmq-"))
    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    try:
        python, what = prepare(folder, options.version)
        print(f"pyzmq {options.version}, libzmq of ours {zraw.version()}\n")
        print("| backend | passed | skipped | failed | seconds |")
        print("|---|---:|---:|---:|---:|")
        found: dict[str, dict[str, str]] = {}
        for whose, backend in BACKENDS.items():
            start = time.monotonic()
            mine = found[whose] = test(python, folder, backend, what, arguments)
            seconds = time.monotonic() - start
            for _ in range(CHANCES):
                if failed := [name for name in mine if mine[name] == "failed"]:
                    mine |= again(python, folder, backend, what, failed)
            counts = [
                sum(outcome == each for outcome in mine.values())
                for each in ("passed", "skipped", "failed")
            ]
            cells = " | ".join(map(str, counts))
            print(f"| {whose} | {cells} | {seconds:.0f} |", flush=True)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    worse = [
        (name, found["ours"].get(name, "missing"))
        for name, outcome in found["pyzmq's"].items()
        if outcome == "passed" and found["ours"].get(name) != "passed"
    ]
    unexcused = 0
    for name, outcome in worse:
        reason = EXCUSED.get(name.partition("[")[0])
        print(f"{name}: {outcome}: {reason or 'UNEXPECTED'}")
        unexcused += reason is None
    return int(unexcused > 0)


if __name__ == "__main__":
    sys.exit(main())
