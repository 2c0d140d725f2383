"""Every call into libzmq fails with each errno it documents, every allocation once.

    python -m tests.campaign faults [--depth 3] [--quick]

zraw is built anew, with line numbers, so that the table says which call sites of the
.pyx files were reached; the scenarios run in children, one each where memory fails.
LD_LIBRARY_PATH chooses another libzmq, ZRAW_PREFIX another header.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.campaign import ROOT, TESTS

LINES = (  # a build whose return addresses tell the line of the .pyx
    ('"-O3",', '"-O1", "-g", "-fno-optimize-sibling-calls",'),
    (
        "compiler_directives=DIRECTIVES,",
        "compiler_directives=DIRECTIVES, emit_linenums=True,",
    ),
)
PROGRAM = """
import faulthandler, importlib, sys
faulthandler.enable()
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
import faults, faults_run
for module in faults.MODULES:
    importlib.import_module(module)
if sys.argv[2] == "list":
    for name, scene in faults_run.SCENARIOS.items():
        print(name, int(scene.memory))
else:
    faults_run.main(sys.argv[2], int(sys.argv[3]), memory=sys.argv[4] == "memory")
"""


def build_copy(folder: Path) -> None:
    """Build zraw in a folder, with line numbers."""
    for name in ("zraw", "include"):
        skip = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    setup = (ROOT / "setup.py").read_text()
    for before, after in LINES:
        assert before in setup, before
        setup = setup.replace(before, after)
    (folder / "setup.py").write_text(setup)
    command = [sys.executable, "setup.py", "-q", "build_py", "build_ext", "--inplace"]
    with (folder / "log").open("wb") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)


def child(env: dict[str, str], *args: str, seconds: int) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seconds), *args],
        cwd=TESTS,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def lines_of(module: str, offsets: list[int]) -> dict[int, tuple[str, int]]:
    """Return the file and line that calls were made from, by return address."""
    command = ["addr2line", "-e", module, *(hex(offset - 1) for offset in offsets)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    for offset, line in zip(offsets, out.splitlines(), strict=True):
        path, _, number = line.partition(" ")[0].rpartition(":")
        if path.endswith((".pyx", ".pxd")) and number.isdigit():
            found[offset] = (Path(path).name, int(number))
    return found


def coverage(reached: set[tuple[str, int, str, int]]) -> dict[Any, set[int]]:
    """Return the errnos made up at each call site."""
    import faults

    sites = list(faults.call_sites())
    offsets = collections.defaultdict(set)
    for module, offset, _, _ in reached:
        offsets[module].add(offset)
    places = {
        module: lines_of(module, sorted(each)) for module, each in offsets.items()
    }
    covered: dict[Any, set[int]] = {site: set() for site in sites}
    for module, offset, function, err in reached:
        file, line = places[module].get(offset, ("?", 0))
        near = [s for s in sites if (s.file, s.function) == (file, function)]
        site = min(near, key=lambda site: abs(site.line - line), default=None)
        if site is None or abs(site.line - line) > 3:
            print(f"no call site: {function} at {file}:{line} in {module}")
        else:
            covered[site].add(err)
    return covered


def report(covered: dict[Any, set[int]]) -> int:
    """Print the table; return how many call sites that can fail have not failed."""
    import faults
    import zraw

    missing = complete = errnos = sure = 0
    for site, errs in covered.items():
        if site.function in faults.SURE or not faults.FUNCTIONS[site.function]:
            sure += 1
            continue
        wanted = {
            faults.number_of(name) for name in faults.FUNCTIONS[site.function].split()
        }
        errnos += len(errs)
        if wanted <= errs:
            complete += 1
            continue
        missing += 1
        why = faults.UNREACHED.get((site.file, site.inside, site.function), "")
        if not why and not hasattr(faults.libzmq(), site.function):
            why = "absent from this libzmq"
        print(
            f"  {site.file}:{site.line} {site.function} in {site.inside}(): "
            f"{len(errs)} of {len(wanted)} errnos. {why}"
        )
    print(
        f"libzmq {'.'.join(map(str, zraw.version()))}, drafts: {zraw.has('draft')}. "
        f"Call sites: {len(covered)}, of functions without an errno: {sure}, that can "
        f"fail: {complete + missing}; failed with every errno: {complete}; "
        f"{errnos} pairs of site and errno"
    )
    return missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=3, help="faults in one run")
    parser.add_argument("--only", default="", help="scenarios whose names begin so")
    wanted = parser.parse_args()
    import faults

    wrong = runs = allocations = 0
    reached: set[tuple[str, int, str, int]] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_copy(folder)
        faults.SOURCES = folder / "zraw"  # which does not change meanwhile
        env = {**os.environ, **faults.preloaded(faults.build(folder))}
        env["PYTHONPATH"] = f"{folder}{os.pathsep}{TESTS}"
        code, out, err = child(env, "list", seconds=60)
        assert code == 0, err
        scenes = [line.split() for line in out.splitlines()]
        for scene, memory in scenes:
            if not scene.startswith(wanted.only):
                continue
            for kind in ("faults", "memory")[: 1 + int(memory)]:
                code, out, err = child(env, scene, str(wanted.depth), kind, seconds=600)
                if code or err:
                    wrong += 1
                    print(f"{scene}, {kind}: exit code {code}: {err[-800:]}")
                    continue
                result = json.loads(out)
                runs += result["runs"] * (kind == "faults")
                allocations += result["runs"] * (kind == "memory")
                reached.update(map(tuple, result.get("sites", ())))
                wrong += len(result["problems"])
                for problem, first in result["problems"].items():
                    print(f"{scene}: {first}: {problem[:300]}", flush=True)
        missing = report(coverage(reached))
    print(
        f"{len(scenes)} scenarios, {runs} chains of faults, {allocations} allocations "
        f"failed; wrong: {wrong}; call sites not reached: {missing}"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
