"""zraw, plain C, pyzmq and pyomq in turn: figures, ratios, marks and pictures.

    python benchmarks/run.py [--quick] [--only PATTERN] [--json FILE] [--plots FOLDER]

In every round of a case each of them has its turn, so what else the machine does
falls on all alike.  benchmarks/README.md says what the cases measure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from aio_cases import aio_cases
from cases import Case, Effort, all_cases
from entrants import library_of, loop_of
from processes import Failed, Setup, compile_c
from table import full_text
from tqdm import tqdm  # type: ignore[import-untyped]

Results = dict[str, Any]
README = Path(__file__).with_name("README.md")
README_HEADING = "## The latest table\n"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="3 short rounds of fewer cases")
    add("--only", default="", metavar="PATTERN", help="cases whose key it is found in")
    add("--list", action="store_true", help="print the keys of the cases, and end")
    add("--rounds", type=int, help="how many; 11, or 3 with --quick")
    add("--json", metavar="FILE", help="write the figures of every round")
    add("--table", metavar="FILE", help="write what is printed")
    add("--readme", action="store_true", help="put that into benchmarks/README.md")
    add("--plots", metavar="FOLDER", help="draw pictures (needs matplotlib)")
    add("--show", metavar="FILE", help="measure nothing, take what --json wrote")
    add("--peers", metavar="PYTHON", help="interpreter that has pyzmq and pyomq")
    add("--drafts", metavar="FOLDER", help="of a libzmq.so with drafts, for its cases")
    return parser.parse_args()


def cpu_name() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def load_now() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def present(setup: Setup, notes: list[str]) -> dict[str, dict[str, str]]:
    """Who can take part, and with what."""
    about = {}
    for entrant in ("c", "zraw", "pyzmq", "pyomq"):
        try:
            about[entrant] = setup.about(entrant)
        except Failed as failure:
            notes.append(f"{entrant}: {failure}")
    if about.keys() < {"c", "zraw"}:
        raise SystemExit("\n".join(notes))
    if about["c"]["file"] != about["zraw"]["file"]:
        raise SystemExit(
            f"the C programs run on {about['c']['file']} and zraw on "
            f"{about['zraw']['file']}: set ZRAW_PREFIX or LD_LIBRARY_PATH"
        )
    return about


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    cases = [
        case
        for case in [*all_cases(bool(options.drafts)), *aio_cases()]
        if re.search(options.only, case.key) and (case.quick or not options.quick)
    ]
    if not cases:
        raise SystemExit(f"--only {options.only}: no such case")
    return cases


class Runner:
    """Runs cases, and keeps what they measure."""

    def __init__(self, options: argparse.Namespace, setup: Setup) -> None:
        self.options = options
        self.setup = setup
        self.effort = Effort(15, 4) if options.quick else Effort(40, 1)
        self.notes: list[str] = []
        self.cases: dict[str, dict[str, Any]] = {}
        self.about = present(setup, self.notes)

    def rounds(self, case: Case) -> int:
        rounds: int = self.options.rounds
        return min(rounds, case.rounds or rounds)

    def entrants(self, case: Case) -> list[str]:
        """Those who can take part; a loop that is missing is noted once."""
        able = []
        for name in case.entrants:
            library, loop = library_of(name), loop_of(name)
            if library not in self.about:
                continue
            if not loop or loop in self.about[library]["loops"].split():
                able.append(name)
                continue
            note = f"{library}: its Python has no {loop}"
            if note not in self.notes:
                self.notes.append(note)
        return able

    def run_all(self, cases: list[Case]) -> None:
        total = sum(len(self.entrants(case)) * self.rounds(case) for case in cases)
        with tqdm(total=total, disable=None, dynamic_ncols=True) as bar:
            for case in cases:
                self.run(case, bar)

    def run(self, case: Case, bar: tqdm[Any]) -> None:
        """All rounds of a case; who begins changes from round to round."""
        entrants, failed = self.entrants(case), set[str]()
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in entrants}
        self.cases[case.key] = {"title": case.title, "rounds": rounds}
        for turn in range(self.rounds(case)):
            shift = turn % len(entrants)
            for entrant in entrants[shift:] + entrants[:shift]:
                bar.set_description_str(f"{case.key:24.24} {entrant:17}")
                figures: dict[str, float] = {}
                try:
                    if entrant not in failed:
                        figures = case.measure(self.setup, entrant, self.effort)
                except (Failed, subprocess.CalledProcessError) as failure:
                    failed.add(entrant)
                    self.notes.append(f"{case.key}, {entrant}: {failure}")
                rounds[entrant].append(figures)
                bar.update()


def measure(options: argparse.Namespace) -> Results:
    """Run everything that was asked for."""
    cases = chosen_cases(options)
    machine = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": load_now(),
    }
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        programs = {name: compile_c(name, folder) for name in ("single", "roles")}
        setup = Setup(programs, options.peers or sys.executable, options.drafts)
        try:
            runner = Runner(options, setup)
            runner.run_all(cases)
        finally:
            setup.close()
    return {
        "machine": machine | {"load_after": load_now()},
        "options": {"quick": options.quick, "rounds": options.rounds},
        "about": runner.about,
        "cases": runner.cases,
        "notes": runner.notes,
    }


def main() -> int:
    options = parse_arguments()
    if options.rounds is None:
        options.rounds = 3 if options.quick else 11
    if options.list:
        print("\n".join(case.key for case in chosen_cases(options)))
        return 0
    if options.show:
        results = json.loads(Path(options.show).read_text())
    else:
        results = measure(options)
    text = full_text(results)
    print(text)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    if options.table:
        Path(options.table).write_text(text + "\n")
    if options.readme:
        page = README.read_text().partition(README_HEADING)[0]
        README.write_text(f"{page}{README_HEADING}\n{text}\n")
    if options.plots:
        from plots import draw_all

        draw_all(results, Path(options.plots))
    return 0


if __name__ == "__main__":
    sys.exit(main())
