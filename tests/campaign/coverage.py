"""Line and branch coverage of the Cython code.

    python -m tests.campaign coverage -- -n2 test_socket.py

builds an instrumented copy of the package (gcc --coverage, no optimization), runs
pytest against it in a copy of the tests, and prints for every .pyx how many lines and
branches were reached.  --library FOLDER runs the tests once more, with the libzmq that
is there, and adds what they reach then: for one with drafts.

A line is reached if any C statement that Cython made of it was.  Branches are those of
the source: `if`, `while`, `and`, loops; not those of Cython's own checks for errors.
What a child did that was killed, or crashed, is not counted.

With --library, every line that is not reached has to stand in uncovered.txt, with the
reason.  The exit code says whether that is so, and whether the tests passed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("zraw", "include", "tests", "docs", "examples", "benchmarks")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
FILES += ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
COMPILER = """#!/bin/sh
exec gcc "$@" --coverage -fprofile-update=prefer-atomic -O0 -w -Wl,-u,__gcov_dump
"""
# Who ends by os._exit() leaves no counts behind, unless they are written before.
SITE = """import os

def leave(code, leave=os._exit):
    try:
        import ctypes, sys
        for name, module in list(sys.modules.items()):
            if name.startswith("zraw.") and module.__file__.endswith(".so"):
                ctypes.CDLL(module.__file__).__gcov_dump()
    finally:
        leave(code)

os._exit = leave
"""
# Which line of which file the C code that follows was made of.
PLACE = re.compile(r'^\s*/\* "(zraw/\w+\.p[yx][xd])":(\d+)$')
# After these comes what belongs to no line: the ends of functions.
NOWHERE = ("/* function exit code */", "/*--- Wrapped")
BRANCH = re.compile(r"^\s*(?:\} else )?(?:if|while|for|switch) \(")
# Cython's own checks, for errors and for the kinds of things.
CHECKS = re.compile(
    r"likely\(|__PYX_ERR|__Pyx_|PyErr_|CYTHON_|__pyx_n|PyTuple_|PyList_"
)


# uncovered.txt has a paragraph for each reason, and the lines below it: file, function,
# text, as they survive changes of what stands above them.
UNCOVERED = Path(__file__).with_name("uncovered.txt")
NAMED = re.compile(r"    (\w+\.p[yx][xd]) (\w*): (.+)")
FUNCTION = re.compile(r"\s*(?:cdef|def)\s[^=(]*?(\w+)\(")
Line = tuple[str, str, str]


@dataclass
class Covered:
    """What was reached of a file: lines by number, branches by place in the C code."""

    lines: dict[int, int] = field(default_factory=dict)
    branches: dict[tuple[int, int, int], int] = field(default_factory=dict)

    @property
    def missed(self) -> list[int]:
        return sorted(line for line, count in self.lines.items() if not count)

    def half_taken(self) -> list[int]:
        """Return the lines that were reached, but not with every outcome."""
        return sorted(
            {
                line
                for (line, _, _), count in self.branches.items()
                if not count and self.lines.get(line)
            }
        )


def copy_tree(folder: Path) -> None:
    ignored = shutil.ignore_patterns("*.so", "*.c.gcov", "__pycache__", "*.gc??")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in FILES:
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, folder)
    for made in (folder / "zraw").glob("*.c"):
        made.unlink()


def build(folder: Path, compiler: str = COMPILER) -> None:
    """Copy the package into a folder and compile it there, with every line counted."""
    copy_tree(folder)
    script = folder / "compiler"
    script.write_text(compiler)
    script.chmod(0o755)
    env = {**os.environ, "CC": str(script), "LDSHARED": f"{script} -shared"}
    command = [sys.executable, "setup.py", "-q", "build_py", "build_ext", "--inplace"]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which `import zraw` is the one of the folder."""
    return {**os.environ, "PYTHONPATH": str(folder), "ZRAW_EXIT": "properly"}


def places(source: Path) -> list[tuple[str, int] | None]:
    """Return for every line of a .c of Cython's what it was made of."""
    found: list[tuple[str, int] | None] = [None]
    place: tuple[str, int] | None = None
    inside = False
    for line in source.read_text(errors="replace").splitlines():
        if match := PLACE.match(line):
            place, inside = (match[1], int(match[2])), True
        elif any(mark in line for mark in NOWHERE) or line == "}":
            place = None
        found.append(None if inside else place)
        if inside and "*/" in line:
            inside = False
    return found


def counted(folder: Path, module: Path) -> list[dict[str, Any]]:
    """Return what gcov says of the lines of a module's .c."""
    objects = list((folder / "build").rglob(f"{module.stem}.gcda"))
    if not objects:
        return []
    with tempfile.TemporaryDirectory() as work:
        command = ["gcov", "--branch-probabilities", "--json-format", str(objects[0])]
        subprocess.run(command, cwd=work, capture_output=True, check=True)
        for result in Path(work).glob("*.gcov.json.gz"):
            for file in json.loads(gzip.decompress(result.read_bytes()))["files"]:
                if Path(file["file"]).name == module.name:
                    return list(file["lines"])
    return []


def measure(folder: Path) -> dict[str, Covered]:
    """Return what was reached of every .pyx and .pxd, by its name."""
    found: dict[str, Covered] = {}
    for module in sorted((folder / "zraw").glob("*.c")):
        where = places(module)
        text = ["", *module.read_text(errors="replace").splitlines()]
        for line in counted(folder, module):
            number = line["line_number"]
            place = where[number] if number < len(where) else None
            if place is None:
                continue
            name, at = place
            file = found.setdefault(name, Covered())
            file.lines[at] = max(file.lines.get(at, 0), line["count"])
            if BRANCH.match(text[number]) and not CHECKS.search(text[number]):
                for index, branch in enumerate(line["branches"]):
                    # Inline functions stand in many modules: one place for all.
                    nth = number if name.endswith(".pyx") else 0
                    key = (at, nth, index)
                    file.branches[key] = max(file.branches.get(key, 0), branch["count"])
    return found


def left_out() -> dict[Line, str]:
    """Read uncovered.txt: the reason of each line."""
    found: dict[Line, str] = {}
    for paragraph in UNCOVERED.read_text().split("\n\n"):
        lines = paragraph.splitlines()
        named = [match.groups() for line in lines if (match := NAMED.fullmatch(line))]
        reason = " ".join(lines[: len(lines) - len(named)])
        found.update(dict.fromkeys(named, reason))
    return found


def by_text(found: dict[str, Covered], folder: Path) -> dict[Line, int]:
    """Return how often each line was not reached, by what survives changes."""
    counts: dict[Line, int] = {}
    for name, file in found.items():
        inside = ""
        for number, line in enumerate((folder / name).read_text().splitlines(), 1):
            if match := FUNCTION.match(line):
                inside = match[1]
            key = (Path(name).name, inside, line.strip())
            if number in file.lines:
                counts[key] = counts.get(key, 0) + (not file.lines[number])
    return counts


def explain(missed: dict[Line, int]) -> int:
    """Print why lines are left out; return how many are without a reason."""
    reasons = left_out()
    numbers: dict[str, int] = {}
    for line, count in missed.items():
        if count:
            reason = reasons.get(line, "")
            numbers[reason] = numbers.get(reason, 0) + count
            if not reason:
                print("without a reason: {} {}: {}".format(*line))
    for line in reasons:
        if not missed.get(line):
            print("named, but reached or gone: {} {}: {}".format(*line))
    unexplained = numbers.pop("", 0)
    print("\n| lines | left out, because |\n|---:|---|")
    for reason, number in sorted(numbers.items(), key=lambda item: -item[1]):
        print(f"| {number} | {reason} |")
    return unexplained


def share(part: int, whole: int) -> str:
    return f"{part:5} of {whole:5} {100 * part / whole if whole else 100:6.1f} %"


def total(found: dict[str, Covered]) -> str:
    """Return the row of a markdown table: lines, and branches."""
    cells = []
    for kind in ("lines", "branches"):
        counts = [n for file in found.values() for n in getattr(file, kind).values()]
        cells.append(" ".join(share(sum(map(bool, counts)), len(counts)).split()))
    return " | ".join(cells)


def show(found: dict[str, Covered], folder: Path, texts: bool) -> None:
    """Print a line per file, and the lines that were not reached if asked for."""
    total = [0, 0, 0, 0]
    print(f"{'file':28} {'lines':>23}   {'branches':>23}")
    for name, file in sorted(found.items()):
        row = (
            sum(map(bool, file.lines.values())), len(file.lines),
            sum(map(bool, file.branches.values())), len(file.branches),
        )  # fmt: skip
        total = [one + other for one, other in zip(total, row, strict=True)]
        print(f"{name:28} {share(*row[:2])}   {share(*row[2:])}")
    print(f"{'all':28} {share(*total[:2])}   {share(*total[2:])}")
    for name, file in sorted(found.items() if texts else ()):
        source = (folder / name).read_text().splitlines()
        for line in file.missed:
            print(f"{name}:{line}: {source[line - 1].strip()}")
        for line in file.half_taken():
            print(f"{name}:{line}: one way only: {source[line - 1].strip()}")


def run(folder: Path, arguments: list[str], library: Path | None) -> int:
    """Run pytest in the copy, with a libzmq of one's own; return its exit code."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
        "-c", "../pyproject.toml", "--rootdir", "..", *arguments,
    ]  # fmt: skip
    env = environment(folder)
    if library:
        env["LD_LIBRARY_PATH"] = str(library)
    done = subprocess.run(command, cwd=folder / "tests", env=env, check=False)
    return done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the copy and its counts here")
    parser.add_argument(
        "--library", type=Path, action="append", default=[], help="another libzmq.so's"
    )
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="zraw-coverage-"))
    try:
        if not (folder / "build").is_dir():
            folder.mkdir(exist_ok=True)
            build(folder)
            (folder / "sitecustomize.py").write_text(SITE)
        failed, table = 0, ["| tests run with | lines | branches |\n|---|---:|---:|"]
        libraries = [None, *options.library]
        for library in libraries:
            failed |= run(folder, options.pytest, library)
            found = measure(folder)
            show(found, folder, library is libraries[-1])
            table.append(f"| {library or 'libzmq at hand'} | {total(found)} |")
        unexplained = explain(by_text(found, folder)) if options.library else 0
        print("", *table, sep="\n")
    finally:
        if not options.folder:
            shutil.rmtree(folder)
    return int(bool(failed or unexplained))


if __name__ == "__main__":
    sys.exit(main())
