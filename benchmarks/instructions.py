"""Instructions per call, libzmq's and ours: they repeat exactly, as times do not.

    python benchmarks/instructions.py [--check | --accept] [--json FILE]

Each call runs under `valgrind --tool=callgrind` in one process: 1000 times to warm
up, then 1000 times and 11,000 times, with a profile of its own for each.  The
difference of the two is 10,000 calls and nothing else.
libzmq's share is what it executes from where zraw calls it, with the C library's part
of that.  The rest is ours, "zraw" in its own code and "python" in the interpreter.
Two things stand apart: what an empty loop takes, and the memory allocator, because its
count depends on what else is in memory.  --check exits with 1 if ours, or zraw's own,
has grown by more than 5 % over the accepted figures, which are those of one
interpreter and one libzmq.
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from table import markdown
from tqdm import tqdm  # type: ignore[import-untyped]

import zraw

HERE = Path(__file__).parent
ACCEPTED = HERE / "instructions.json"
CALLS = (
    "send",
    "recv",
    "recv_msg",
    "send_multipart",
    "recv_multipart",
    "try_recv",
    "send_many",
    "recv_many",
)
COUNTS = (1000, 1000, 11_000)
COLUMNS = ("ours", "zraw", "python", "memory", "libzmq", "loop")
GROWTH = 1.05
ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
ALLOCATOR = re.compile(
    r"_?Py(Object|Mem)_(Raw)?(Malloc|Calloc|Realloc|Free)$|(malloc|calloc|realloc|free)$"
)
Counts = dict[str, float]


@dataclass
class Profile:
    """Instructions of a whole process."""

    total: int = 0
    zraw: int = 0  # in zraw's own files, what they call not counted
    libzmq: int = 0  # and all below, from where zraw calls it
    memory: int = 0  # and all below, from where Python or zraw calls the allocator


def is_zraw(name: str) -> bool:
    return "/zraw/" in name and name.endswith(".so")


def is_ours(name: str) -> bool:
    return is_zraw(name) or "python" in os.path.basename(name)


def is_libzmq(name: str) -> bool:
    return os.path.basename(name).startswith("libzmq")


def read_profile(path: Path) -> Profile:
    """Add up a file of callgrind.

    A line is `position cost` for the function and the object file named before;
    after `calls=` comes one with the inclusive cost of a call into `cfn=` and `cob=`.
    A name is given in full once, and by its number later.
    """
    profile = Profile()
    names: dict[tuple[str, str], str] = {}
    at = {"ob": "", "fn": "", "cob": "", "cfn": ""}
    in_call = False
    for line in path.read_text().splitlines():
        if match := re.match(r"(c?)(ob|fn)=(\(\d+\))(?: (.*))?$", line):
            called, kind, number, name = match.groups()
            if name:
                names[kind, number] = name
            at[called + kind] = names[kind, number]
            if line.startswith("ob="):
                at["cob"] = at["ob"]
        elif line.startswith("calls="):
            in_call = True
        elif re.match(r"[+\-*\d]", line):
            cost = int(line.split()[1])
            if in_call:
                if is_zraw(at["ob"]) and is_libzmq(at["cob"]):
                    profile.libzmq += cost
                elif (
                    is_ours(at["ob"])
                    and ALLOCATOR.match(at["cfn"])
                    and not ALLOCATOR.match(at["fn"])
                ):
                    profile.memory += cost
                in_call, at["cob"] = False, at["ob"]
            else:
                profile.total += cost
                profile.zraw += cost if is_zraw(at["ob"]) else 0
    return profile


def run_callgrind(command: Sequence[str], out: Path) -> list[Profile]:
    """Profile what is done for each count between two zmq_version()."""
    command = [
        *("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "-q"),
        *("--dump-before=zmq_version", *command),
    ]
    done = subprocess.run(
        command,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr}")
    marks = len(list(out.parent.glob(f"{out.name}.*")))
    first = marks - len(COUNTS) + 1  # an import may ask for the version, too
    return [read_profile(Path(f"{out}.{first + i}")) for i in range(1, 3)]


def per_call(few: Profile, many: Profile) -> Counts:
    """What the calls took that the second profile has more than the first."""
    return {
        name: (getattr(many, name) - getattr(few, name)) / (COUNTS[-1] - COUNTS[-2])
        for name in ("total", "zraw", "libzmq", "memory")
    }


def count_call(call: str, folder: str) -> Counts:
    """Instructions of one call, and of the loop around it."""
    command = [sys.executable, str(HERE / "workload.py"), call, *map(str, COUNTS)]
    each = per_call(*run_callgrind(command, Path(folder, call)))
    rest = each["total"] - each["zraw"] - each["libzmq"] - each["memory"]
    return each | {"python": rest}


def count_all() -> dict[str, Counts]:
    """Every call, as many at a time as there are cores: counts do not mind."""
    with (
        tempfile.TemporaryDirectory(prefix="callgrind") as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(CALLS) + 1, disable=None, desc="callgrind") as bar,
    ):
        counts = {}
        found = pool.map(lambda call: count_call(call, folder), ["loop", *CALLS])
        empty = next(found)["python"]
        bar.update()
        for call, count in zip(CALLS, found, strict=True):
            loop = 0 if call.endswith("_many") else empty  # once in a thousand
            count |= {"loop": loop, "python": count["python"] - loop}
            count["ours"] = count["zraw"] + count["python"]
            counts[call] = {name: round(count[name], 1) for name in COLUMNS}
            bar.update()
    return counts


def this_key() -> str:
    """What the figures depend on, besides zraw."""
    libzmq = ".".join(map(str, zraw.version()))
    return (
        f"CPython {platform.python_version()} ({platform.python_compiler()}), "
        f"libzmq {libzmq}, {platform.machine()}"
    )


def load_accepted() -> dict[str, dict[str, Counts]]:
    if not ACCEPTED.is_file():
        return {}
    accepted: dict[str, dict[str, Counts]] = json.loads(ACCEPTED.read_text())
    return accepted


def grown(counts: dict[str, Counts], accepted: dict[str, Counts]) -> list[str]:
    """The calls of which ours, or zraw's own, has grown too much."""
    return [
        f"{call}, {name}: {accepted[call][name]:g} -> {found[name]:g} instructions"
        for call, found in counts.items()
        for name in ("ours", "zraw")
        if call in accepted and found[name] > accepted[call][name] * GROWTH
    ]


def report(counts: dict[str, Counts], accepted: dict[str, Counts]) -> str:
    rows = [["instructions per call", *COLUMNS, "ours, accepted", "growth"]]
    for call, found in counts.items():
        before = accepted.get(call, {}).get("ours")
        row = [call, *(f"{found[name]:.1f}" for name in COLUMNS)]
        if before:
            row += [f"{before:.1f}", f"{(found['ours'] / before - 1) * 100:+.1f} %"]
        else:
            row += ["-", "-"]
        rows.append(row)
    return markdown(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="fail if ours has grown")
    what.add_argument("--accept", action="store_true", help="write them down")
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    options = parser.parse_args()
    every, key = load_accepted(), this_key()
    accepted, counts = every.get(key), count_all()
    table = report(counts, accepted or {})
    print(f"{key}; send_many and recv_many per message\n\n{table}")
    if options.json:
        Path(options.json).write_text(json.dumps({key: counts}, indent=1) + "\n")
    if options.accept:
        ACCEPTED.write_text(json.dumps(every | {key: counts}, indent=1) + "\n")
    elif accepted is None:
        print(f"\nNot compared: {ACCEPTED.name} has no figures for {key}")
    elif too_much := grown(counts, accepted):
        print("\nGrown by more than 5 %:", *too_much, sep="\n  ")
        return 1 if options.check else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
