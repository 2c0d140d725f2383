"""Free-threaded CPython: the suite, shared objects, scaling, ThreadSanitizer.

    python -m tests.campaign freethreaded PYTHON [--seconds 60] [--steps suite ...]

PYTHON is a free-threaded interpreter, 3.13t or newer; zraw is built into a fresh
environment of it.  The step `tsan` wants one that was configured with
--with-thread-sanitizer, and gcc; Cython is then that of the command's own interpreter,
for everything takes ten times as long in the other.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.campaign import ROOT, TESTS

STEPS = ("suite", "shared", "scaling")
PACKAGES = ("pytest", "pytest-xdist", "pytest-timeout", "anyio", "trio", "uvloop")
BUILD = ("setuptools", "wheel", "Cython>=3.1")
# Only ready-made, and not all of them are, for such an interpreter; what then to omit.
MAYBE = {
    "numpy": (
        "--ignore=test_message.py",
        "--ignore=test_message_properties.py",
        "--ignore=test_release.py",
    ),
    "pyzmq": ("--ignore=test_interop.py", "--ignore=test_interop_peers.py"),
    "mypy": ("--ignore=test_stubs.py",),
    "pyright[nodejs]": ("--ignore=test_stubs.py",),
    "hypothesis": ("--ignore-glob=test_fuzz*",),
    "msgspec": (
        "--deselect=tests/test_examples.py::test_examples__serializer",
        "--deselect=tests/test_examples.py"
        "::test_examples__serializer_reads_where_the_message_is",
    ),
}
BARE = ("-p", "no:cacheprovider", "-c", "../pyproject.toml", "--rootdir", "..")
NOT_COPIED = (".git", ".*_cache", ".venv", "__pycache__", "build", "*.so", "*.egg-info")

# What the threads of the step `scaling` do: how they send, receive, and what.
DATA = 'b"0123456789abcdef"'
CALLS = (
    ("send", "recv", DATA),
    ("send_const", "recv", DATA),
    ("send", "recv_msg", f"Message({DATA})"),
    ("send_multipart", "recv_multipart", f"[{DATA}, {DATA}]"),
    ("send_many", "recv_many", f"[{DATA}] * 10"),
    ("send", "recv", "b'x' * 65536"),
)
REPORTED = 66  # exit code of a process that ThreadSanitizer had something to say of
# A race that is there: two threads count without a lock, in an extension of zraw's.
RACE = """
static volatile long count;
long race(long times) { while (times--) count += times; return count; }
"""
RACING = """
import ctypes, glob, os, threading
(path,) = glob.glob(os.environ["PYTHONPATH"] + "/zraw/race.*")
race, start = ctypes.CDLL(path).race, threading.Barrier(2)
def run():
    start.wait(30)
    race(30000000)
team = [threading.Thread(target=run) for _ in range(2)]
for each in team: each.start()
for each in team: each.join()
"""

# A pair of sockets in each thread, and nothing that they share.  Counted per second
# that the thread had a processor: others may need those, too.  A lock that is waited
# for shows as a voluntary switch, a cache line that is fought for in the rate.
SCALING = """
import resource, sys, threading, time, zraw
from zraw import Message
def work(results, start, seconds):
    with zraw.Context(0) as context:
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.connect(push.bind("inproc://x"))
        send, recv, count = push.SEND, pull.RECV, 0
        start.wait(30)
        end = time.monotonic() + seconds
        used = time.thread_time()
        waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        while time.monotonic() < end:
            for _ in range(1000):
                send(WHAT)
                recv()
            count += 1000
        used = time.thread_time() - used
        waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - waits
        push.close(); pull.close()
        results.append((count / used, waits, used / seconds))
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
results, start = [], threading.Barrier(threads)
team = [threading.Thread(target=work, args=(results, start, seconds))
        for _ in range(threads)]
for each in team: each.start()
for each in team: each.join()
print(*map(sum, zip(*results)))
"""


def copy_tree(folder: Path) -> Path:
    """Copy what zraw is built of and tested with."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return source


def make_environment(python: str, folder: Path) -> tuple[str, Path, list[str]]:
    """Return an interpreter that has zraw, the tree, and what the tests are to omit."""
    omitted = []
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    inside = str(folder / "venv/bin/python")
    pip = [inside, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "--prefer-binary", *BUILD, *PACKAGES], check=True)
    for package, without in MAYBE.items():
        command = [*pip, "--only-binary=:all:", package]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            omitted += without
            print(f"not to be had for this Python: {package}", *without, flush=True)
    source = copy_tree(folder)
    build = ["--no-build-isolation", "--no-deps", str(source)]
    subprocess.run([*pip, *build], check=True)
    return inside, source, omitted


def rate(python: str, program: str, threads: int, processes: int = 1) -> list[float]:
    """Return turns per second of so many threads, waits, and processors had."""
    command = [python, "-P", "-c", program, str(threads), "0.4"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    said = [map(float, each.communicate()[0].split()) for each in running]
    return [sum(column) for column in zip(*said, strict=True)]


def scaling(python: str, seconds: float) -> bool:
    """Threads of one process against processes, which cannot share a lock of ours.

    In short rounds that take turns; what counts is the median of what each one says.
    """
    print(
        "| turns of | one thread | two | two processes | threads / processes ", end=""
    )
    print("| waits | processors |\n|---|---:|---:|---:|---:|---:|---:|")
    good = True
    for send, recv, what in CALLS:
        program = SCALING.replace("SEND", send).replace("RECV", recv)
        program = program.replace("WHAT", what)
        rounds = [
            (
                rate(python, program, 1),
                rate(python, program, 2),
                rate(python, program, 1, processes=2),
            )
            for _ in range(max(5, round(seconds / 10)))
        ]
        kept = statistics.median(two[0] / apart[0] for _, two, apart in rounds)
        one, two, apart = (
            [statistics.median(column) for column in zip(*turns, strict=True)]
            for turns in zip(*rounds, strict=True)
        )
        print(f"| `{send}({what})`, `{recv}()`", end=" | ")
        rates = [f"{each[0] / 1e6:.2f} M/s" for each in (one, two, apart)]
        print(*rates, sep=" | ", end="")
        print(f" | {kept:.2f} | {two[1]:g} | {two[2]:.1f} |", flush=True)
        good &= kept > 0.8 and two[1] < 50
    print("The fewer processors the two threads had, the less it says.")
    return good


def ask(python: str, expression: str) -> str:
    """Return what an interpreter's sysconfig says."""
    program = f"import json, sysconfig; print(json.dumps({expression}))"
    done = subprocess.run(
        [python, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def shared_names() -> list[str]:
    """Return the kinds of sharing that shared.py has."""
    from shared import SHARED  # late: it needs a zraw

    return list(SHARED)


def share(
    python: str,
    tests: Path,
    name: str,
    seconds: float,
    env: dict[str, str] | None = None,
) -> tuple[str, int]:
    """Have eight threads share something; return a row of a table, and the code."""
    command = [python, str(tests / "shared.py"), name, "--seconds", str(seconds)]
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    if "GIL off {" not in done.stdout:
        return f"| {name} | FAILED | {done.stdout.strip()} | |", done.returncode or 1
    counts = ast.literal_eval(done.stdout[done.stdout.index("{") :])
    did = counts.pop("done")
    # Of classes; what is written small is what the kind of sharing counts itself.
    refused = sum(count for key, count in counts.items() if key[0].isupper())
    rest = [f"{count:_} {key}" for key, count in counts.items() if key[0].islower()]
    row = f"| {name} | {did:_} | {refused:_} | {', '.join(rest)} |"
    return row.replace("_", " "), done.returncode


def shared(python: str, tests: Path, seconds: float) -> bool:
    """Every kind of sharing, for so long."""
    print(f"| shared for {seconds:g} seconds | done | refused | |")
    print("|---|---:|---:|---|", flush=True)
    good = True
    for name in shared_names():
        row, code = share(python, tests, name, seconds)
        print(row, flush=True)
        good &= not code
    return good


def build_for_tsan(python: str, folder: Path) -> Path:
    """Compile zraw for an interpreter that takes too long to do that itself."""
    source, target = copy_tree(folder), folder / "target"
    command = [sys.executable, "setup.py", "-q", "build_py", f"--build-lib={target}"]
    log = folder / "build.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=source, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        raise SystemExit(f"the build failed:\n{log.read_text()}")
    include = ask(python, "sysconfig.get_path('include')")
    suffix = ask(python, "sysconfig.get_config_var('EXT_SUFFIX')")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libzmq"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()
    options = ["-shared", "-fPIC", "-fwrapv", "-fsanitize=thread", "-g", "-O1", "-w"]
    options += [f"-I{include}", "-Iinclude"]
    (source / "zraw/race.c").write_text(RACE)
    for path in sorted((source / "zraw").glob("*.c")):
        output = target / "zraw" / f"{path.stem}{suffix}"
        command = ["gcc", *options, f"zraw/{path.name}", "-o", str(output), *flags]
        subprocess.run(command, cwd=source, check=True)
    return target


class Sanitized:
    """Runs of one interpreter, and what ThreadSanitizer has to say of them."""

    def __init__(self, python: str, folder: Path):
        self.python, self.folder = python, folder
        self.target = build_for_tsan(python, folder)

    def environment(self, name: str) -> dict[str, str]:
        options = {
            "log_path": self.folder / name,
            "suppressions": TESTS / "campaign/tsan.supp",
            "history_size": 7,
            "exitcode": REPORTED,
        }
        return {
            **os.environ,
            "PYTHONPATH": str(self.target),
            "TSAN_OPTIONS": " ".join(
                f"{key}={value}" for key, value in options.items()
            ),
        }

    def reports(self, name: str) -> list[str]:
        """Return the reports in which zraw does something."""
        texts = [
            report
            for path in self.folder.glob(f"{name}.*")
            for report in path.read_text(errors="replace").split("=" * 18)
        ]
        return [text for text in texts if is_ours(text)]


def is_ours(report: str) -> bool:
    """Whether one of the two accesses was made by zraw, or below it."""
    accesses = re.split(r"\n  (?=\S)", report)[1:3]
    inner = [re.split(r"#\d+ _PyEval_EvalFrame", access)[0] for access in accesses]
    return any(re.search(r"\bzraw/\w+\.c:", access) for access in inner)


def tsan(python: str, folder: Path, seconds: float) -> bool:
    """The shared objects under ThreadSanitizer, each for so long."""
    sanitized = Sanitized(python, folder)
    subprocess.run(
        [python, "-c", RACING], env=sanitized.environment("race"), check=False
    )
    if not sanitized.reports("race"):
        print("ThreadSanitizer does not report a race that is there")
        return False
    good = True
    found: Counter[str] = Counter()
    print("| under ThreadSanitizer | done | refused | | reports |")
    print("|---|---:|---:|---|---:|", flush=True)
    for name in shared_names():
        env = sanitized.environment(name)
        row, code = share(python, TESTS, name, seconds, env)
        reports = sanitized.reports(name)
        print(f"{row} {len(reports)} |", flush=True)
        found.update(reports)
        good &= not reports and code in (0, REPORTED)
    for report in list(found)[:20]:
        print(report)
    return good


def main() -> int:
    description = f"{(__doc__ or '').splitlines()[0]}  See the module's docstring."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("python")
    parser.add_argument("--seconds", type=float, default=60, help="for each object")
    parser.add_argument("--steps", nargs="*", default=STEPS, choices=[*STEPS, "tsan"])
    args = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="zraw-") as name:
        folder = Path(name)
        if args.steps != ["tsan"]:
            (folder / "plain").mkdir()
            python, source, omitted = make_environment(args.python, folder / "plain")
        for step in args.steps:
            start = time.monotonic()
            if step == "suite":
                command = [python, "-m", "pytest", "-q", "-n2", *BARE, *omitted]
                cwd = source / "tests"
                good = not subprocess.run(command, cwd=cwd, check=False).returncode
            elif step == "shared":
                good = shared(python, source / "tests", args.seconds)
            elif step == "scaling":
                good = scaling(python, args.seconds)
            else:
                (folder / "tsan").mkdir()
                good = tsan(args.python, folder / "tsan", args.seconds)
            print(f"{step}: {'good' if good else 'FAILED'}", end=", ")
            print(f"{time.monotonic() - start:.0f} s", flush=True)
            failed += [] if good else [step]
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
