"""Free-threaded CPython: the suite, shared objects, scaling, ThreadSanitizer.

    python -m tests.campaign freethreaded PYTHON [--seconds 60] [--steps suite ...]

PYTHON is a free-threaded interpreter, 3.13t or newer; the step `tsan` wants one that
was configured with --with-thread-sanitizer.  zraw is built into a fresh environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign import ROOT, TESTS

STEPS = ("suite", "shared", "scaling")
PACKAGES = ("pytest", "pytest-xdist", "pytest-timeout", "numpy", "anyio", "uvloop")
BUILD = ("setuptools", "wheel", "Cython>=3.1")
# Not all of them build for such an interpreter; what to leave out where they do not.
MAYBE = {
    "trio": (),
    "pyzmq": ("--ignore=test_interop.py",),
    "mypy": ("--ignore=test_stubs.py",),
    "pyright[nodejs]": ("--ignore=test_stubs.py",),
    "hypothesis": ("--ignore-glob=test_fuzz*",),
    "msgspec": (
        "--deselect=test_examples.py::test_examples__serializer",
        "--deselect=test_examples.py"
        "::test_examples__serializer_reads_where_the_message_is",
    ),
}

# A pair of sockets in each thread, and nothing that they share.
SCALING = """
import sys, threading, time, zraw
def work(counts, start, seconds):
    with zraw.Context(0) as context:
        push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
        pull.connect(push.bind("inproc://x"))
        send, recv, count = push.send, pull.recv, 0
        start.wait(30)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(1000):
                send(b"0123456789abcdef")
                recv()
            count += 1000
        push.close(); pull.close()
        counts.append(count)
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
counts, start = [], threading.Barrier(threads)
team = [threading.Thread(target=work, args=(counts, start, seconds))
        for _ in range(threads)]
for each in team: each.start()
for each in team: each.join()
print(sum(counts) / seconds)
"""


def make_environment(
    python: str, folder: Path, flags: str = ""
) -> tuple[str, list[str]]:
    """Return an interpreter that has zraw and what its tests need, and what to omit."""
    omitted = []
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    inside = str(folder / "venv/bin/python")
    pip = [inside, "-m", "pip", "install", "-q", "--prefer-binary"]
    subprocess.run([*pip, *BUILD, *PACKAGES], check=True)
    for package, without in MAYBE.items():
        done = subprocess.run([*pip, package], capture_output=True, check=False)
        if done.returncode:
            omitted += without
            print(f"not to be had for this Python: {package}", *without)
    source = folder / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", "*.so", "*.c", "build")
    )
    for path in ROOT.glob("tests/*.c"):
        shutil.copy(path, source / "tests")
    env = {**os.environ, "CFLAGS": flags, "LDFLAGS": flags}
    build = ["--no-build-isolation", "--no-deps", source]
    subprocess.run([*pip, *build], check=True, env=env)
    return inside, omitted


def rate(python: str, threads: int, seconds: float, processes: int = 1) -> float:
    """Return messages per second of so many threads in so many processes."""
    command = [python, "-c", SCALING, str(threads), str(seconds)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(each.communicate()[0]) for each in running)


def scaling(python: str, seconds: float) -> bool:
    """Threads of one process against processes, which cannot share a lock of ours."""
    rounds = [
        (
            rate(python, 1, seconds / 12),
            rate(python, 2, seconds / 12),
            rate(python, 1, seconds / 12, processes=2),
        )
        for _ in range(5)
    ]
    one, two, apart = (sorted(column)[2] for column in zip(*rounds, strict=True))
    print(f"one thread {one / 1e6:.2f} M/s, two {two / 1e6:.2f} ({two / one:.2f} x), ")
    print(f"two processes {apart / 1e6:.2f} ({apart / one:.2f} x): {two / apart:.2f}")
    return two / apart > 0.8


def tsan(python: str, folder: Path, seconds: float) -> bool:
    """The shared objects under ThreadSanitizer; what it reports is counted by file."""
    inside, _ = make_environment(python, folder, "-fsanitize=thread -g -O1")
    reports = folder / "tsan"
    env = {
        **os.environ,
        "TSAN_OPTIONS": f"log_path={reports} history_size=4 second_deadlock_stack=1 "
        f"suppressions={TESTS / 'campaign/tsan.supp'}",
    }
    command = [inside, TESTS / "shared.py", "all", "--seconds", str(seconds)]
    code = subprocess.run(command, env=env, check=False).returncode
    ours = [
        report
        for path in folder.glob("tsan.*")
        for report in path.read_text(errors="replace").split("=" * 18)
        if "zraw" in report
    ]
    for report in ours[:20]:
        print(report)
    print(f"ThreadSanitizer: {len(ours)} reports with a frame of zraw")
    return not ours and code in (0, 66)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--steps", nargs="*", default=STEPS, choices=[*STEPS, "tsan"])
    args = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "tsan" in args.steps:
            (folder / "t").mkdir()
            if not tsan(args.python, folder / "t", args.seconds):
                failed.append("tsan")
            args.steps = [step for step in args.steps if step != "tsan"]
        if args.steps:
            python, omitted = make_environment(args.python, folder)
        for step in args.steps:
            start = time.monotonic()
            if step == "scaling":
                good = scaling(python, args.seconds)
            else:
                if step == "suite":
                    command = [python, "-m", "pytest", "-q", "-n2", *omitted]
                else:
                    command = [python, str(TESTS / "shared.py"), "all"]
                    command += ["--seconds", str(args.seconds)]
                cwd = folder / "source/tests"
                good = not subprocess.run(command, cwd=cwd, check=False).returncode
            print(f"{step}: {'good' if good else 'FAILED'}", end=", ")
            print(f"{time.monotonic() - start:.0f} s", flush=True)
            failed += [] if good else [step]
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
