"""Calls of every public callable, with any argument and in any order.

    python -m tests.campaign fuzz --minutes 15 --calls 10000000

makes random calls in children, each from a seed of its own, until the calls or the
minutes are over.  A child that crashes or hangs is reported with its seed and its last
calls, and the next one starts.  At last some calls are made on an instrumented copy,
and lines and branches of the .pyx that they reached are printed.

With --atheris the choices come from libFuzzer instead, led by coverage of the C code:
that needs `pip install atheris` and clang, with which the copy is built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.campaign import coverage

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
CHUNK = 200_000  # calls of one child
LIMIT = 100  # seconds for them
# What libzmq, the C++ library and faulthandler say of an end, and where it was.
SAID = re.compile(
    r"Assertion|\(src/|terminate called|what\(\)|Fatal|Current|fuzzing_\w+\.py"
)
CLANG = """#!/bin/sh
exec clang{suffix} "$@" -O1 -w \\
    -fsanitize=fuzzer-no-link -fno-sanitize-coverage=stack-depth
"""


class Total:
    """What all children did and found."""

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.waited = 0
        self.raised: dict[str, int] = {}
        self.found: dict[tuple[str, str], dict[str, Any]] = {}
        self.crashes: list[str] = []

    def add(self, line: dict[str, Any], seed: int) -> None:
        if "call" not in line:
            self.calls += line["calls"]
            self.seconds += line["seconds"]
            self.waited += line["waited"]
            for name, count in line["raised"].items():
                self.raised[name] = self.raised.get(name, 0) + count
            return
        kind = line["call"], line["error"][:60]
        if kind not in self.found:
            self.found[kind] = line
            print(f"seed {seed}: {line['call']}({line['arguments'].strip()})")
            print(f"    {line['error']}\n    {line['where']}", flush=True)


def run_child(
    seed: int, calls: int, work: Path, env: dict[str, str]
) -> tuple[int, str]:
    """Run a child; return its exit code, or -SIGABRT if it had to be stopped."""
    command = [sys.executable, "-X", "faulthandler", str(TESTS / "fuzzing_child.py")]
    command += [str(seed), str(calls), str(work / "notes")]
    with open(work / "out", "wb") as out, open(work / "err", "wb") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, env=env, cwd=work)
        try:
            child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)  # faulthandler says where it hangs
            child.wait(30)
    return child.returncode, (work / "err").read_text(errors="replace")


def one_child(
    total: Total, seed: int, calls: int, work: Path, env: dict[str, str]
) -> None:
    from fuzzing_child import last_calls

    code, err = run_child(seed, calls, work, env)
    for text in (work / "out").read_text(errors="replace").splitlines():
        if text.startswith("{"):
            total.add(json.loads(text), seed)
    if code:
        last = last_calls(work / "notes")
        total.calls += int(last[-1].split()[0]) if last else 0
        said = [line for line in err.splitlines() if SAID.search(line)]
        at = next((n for n, line in enumerate(said) if "Fatal" in line), 0)
        said = said[max(0, at - 1) : at + 6]
        crash = "\n    ".join([f"seed {seed}: exit code {code}", *said, *last])
        total.crashes.append(crash)
        print(crash, flush=True)


def campaign(options: argparse.Namespace, work: Path) -> Total:
    """Run children until the calls or the minutes are over."""
    total = Total()
    end = time.monotonic() + options.minutes * 60
    seed = options.seed
    while total.calls < options.calls and time.monotonic() < end:
        calls = min(CHUNK, options.calls - total.calls)
        one_child(total, seed, calls, work, dict(os.environ))
        seed += 1
        if seed % 10 == 0:
            print(f"{total.calls} calls, next seed {seed}", flush=True)
    return total


def atheris(options: argparse.Namespace, work: Path) -> int:
    """Let libFuzzer lead, with the extensions built by clang."""
    suffix = next(
        (
            one
            for one in ("", "-14", "-15", "-16", "-19")
            if shutil.which(f"clang{one}")
        ),
        None,
    )
    if suffix is None:
        raise SystemExit("--atheris: there is no clang")
    folder = work / "copy"
    folder.mkdir()
    coverage.build(folder, CLANG.format(suffix=suffix))
    corpus = work / "corpus"
    corpus.mkdir()
    command = [
        sys.executable, str(TESTS / "fuzzing_atheris.py"), str(corpus),
        f"-max_total_time={int(options.minutes * 60)}", "-max_len=4096",
        "-len_control=0",
        f"-seed={options.seed + 1}", "-print_final_stats=1", "-timeout=60",
        f"-artifact_prefix={work}/",
    ]  # fmt: skip
    done = subprocess.run(
        command, env=coverage.environment(folder), cwd=work, check=False
    )
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    parser.add_argument(
        "--covered",
        type=int,
        default=300_000,
        metavar="CALLS",
        help="calls made on the instrumented copy; 0 for none",
    )
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="zraw-fuzz-"))
    try:
        if options.atheris:
            return atheris(options, work)
        total = campaign(options, work)
        if options.covered:
            folder = work / "copy"
            folder.mkdir()
            coverage.build(folder)
            env = coverage.environment(folder)
            for index in range(0, options.covered, 50_000):
                one_child(Total(), options.seed + index, 50_000, work, env)
            coverage.show(coverage.measure(folder), folder, False)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    rate = total.calls / total.seconds if total.seconds else 0
    print(
        f"{total.calls} calls in {total.seconds:.0f} s, {rate:.0f} a second; "
        f"{total.waited} had to be interrupted"
    )
    raised = sorted(total.raised.items(), key=lambda item: -item[1])
    print("raised:", ", ".join(f"{name} {count}" for name, count in raised))
    print(
        f"{len(total.found)} exceptions that no docstring names, "
        f"{len(total.crashes)} crashes"
    )
    return 1 if total.found or total.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
