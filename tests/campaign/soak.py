"""Long days: everything at once for 30 minutes, then 100 million messages, all checked.

    python -m tests.campaign soak [--minutes 30] [--messages 100000000]
        [--plot docs/soak.svg]

What the process holds is looked at now and then, and must not grow.  The figures are
written beside the picture, which needs matplotlib.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.campaign import ROOT, TESTS  # puts the tests' own modules on the path

assert str(TESTS) in sys.path

import soak  # noqa: E402
import soak_stream  # noqa: E402
import zraw  # noqa: E402

Figures = dict[str, Any]
ENOUGH = 6  # quiet points
# What the columns of the table and the panels of the picture say.
ROWS = {
    "rss": ("resident memory, MiB", 1024),
    "heap": ("given out by malloc, MiB", 1024),
    "blocks": ("blocks of CPython's allocator", 1),
    "objects": ("objects that the collector knows", 1),
    "fds": ("descriptors", 1),
    "threads": ("threads", 1),
    "sockets": ("sockets", 1),
    "contexts": ("contexts", 1),
    "pins": ("memory still lent", 1),
}
# What a thread keeps of freed memory for itself would count as given out, and the less
# arenas there are, the less of the resident memory is holes between what is in use.
MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "MALLOC_ARENA_MAX": "2"}
INK, FAINT = "#24292f", "#d8dee4"
LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "zraw",
    "path.simplify_threshold": 0.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.5,
}


def live_a_day(minutes: float, every: float, seed: int) -> Figures:
    """Have tests/soak.py run; return its figures."""
    command = [sys.executable, str(TESTS / "soak.py"), "--minutes", str(minutes)]
    command += ["--every", str(every), "--seed", str(seed)]
    samples: list[soak.Sample] = []
    counts: dict[str, int] = {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **MALLOC}
    ) as process:
        for line in process.stdout or ():
            found = json.loads(line)
            if "counts" in found:
                counts = found["counts"]
                continue
            samples.append(found)
            print(f"{found['seconds']:6.0f} s  {line.strip()}", flush=True)
    wrong = [] if process.returncode == 0 else [f"exit code {process.returncode}"]
    names = list(samples[0]) if samples else []
    if len(samples) < ENOUGH:
        wrong.append(f"only {len(samples)} quiet points")
    else:
        wrong += soak.judge(samples)
    return {
        "minutes": minutes,
        "seed": seed,
        "counts": counts,
        "wrong": wrong,
        "samples": {name: [each[name] for each in samples] for name in names},
    }


def rows_of(columns: dict[str, list[float]]) -> list[soak.Sample]:
    names = list(columns)
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def table(day: Figures) -> None:
    """The last two thirds of the day, as it stands in docs/reliability.md."""
    samples = rows_of(day["samples"])
    late = samples[len(samples) // 3 :]
    print(f"\n{day['minutes']:g} minutes, {len(samples)} quiet points:")
    print("\n| at quiet points | after a third | least | most | at the end | growth |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (text, unit) in ROWS.items():
        values = [sample[name] / unit for sample in late]
        grown = soak.growth(late, name)[0] / unit
        cells = [values[0], min(values), max(values), values[-1]]
        form = "{:,.1f}" if unit > 1 else "{:,.0f}"
        cell = " | ".join(form.format(each).replace(",", " ") for each in cells)
        grows = f"{grown:+.2f}" if unit > 1 else f"{grown:+.0f}"
        grows = grows if min(values) < max(values) else "0"
        print(f"| {text} | {cell} | {grows} |")
    print("\nGrowth: in ten minutes, of a line through the last two thirds.")
    print(", ".join(f"{name}: {count:,}" for name, count in day["counts"].items()))


def draw(day: Figures, path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        print("no picture: pip install matplotlib")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = day["samples"]
    minutes = [each / 60 for each in columns["seconds"]]
    points = list(zip(minutes, columns["messages"], strict=True))
    rates = [
        (after[1] - before[1]) / (after[0] - before[0]) / 60
        for before, after in itertools.pairwise(points)
    ]
    mib = {name: [each / 1024 for each in columns[name]] for name in ("rss", "heap")}
    panels: list[tuple[str, dict[str, list[float]], list[float]]] = [
        ("messages a second, all checked", {"": rates}, minutes[1:]),
        (
            "MiB",
            {"resident memory": mib["rss"], "given out by malloc": mib["heap"]},
            minutes,
        ),
        (
            "objects, blocks of memory",
            {"blocks": columns["blocks"], "objects": columns["objects"]},
            minutes,
        ),
        ("", {name: columns[name] for name in ("fds", "sockets", "threads")}, minutes),
    ]
    titles = {"fds": "descriptors"}
    colours = ["#0550ae", "#d4541a", "#1a7f37"]
    with matplotlib.rc_context(LOOK):
        figure, grid = plt.subplots(4, 1, figsize=(8, 8), sharex=True)
        for axes, (title, lines, places) in zip(grid, panels, strict=True):
            for colour, (name, values) in zip(colours, lines.items(), strict=False):
                axes.plot(places, values, color=colour)
                if name:
                    axes.annotate(
                        titles.get(name, name),
                        (places[-1], values[-1]),
                        (6, 0),
                        textcoords="offset points",
                        va="center",
                        color=colour,
                    )
            axes.set_title(title or "descriptors, sockets, threads")
            axes.set_ylim(bottom=0, top=max(map(max, lines.values())) * 1.15)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        grid[-1].set_xlabel("minutes")
        grid[-1].set_xlim(0, minutes[-1])
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--messages", type=int, default=100_000_000)
    parser.add_argument("--every", type=float, default=10, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs/soak.svg")
    options = parser.parse_args()
    python = platform.python_version()
    figures: Figures = {
        "python": python,
        "libzmq": ".".join(map(str, zraw.version())),
        "zraw": zraw.__version__,
    }
    wrong = []
    if options.minutes:
        figures["day"] = day = live_a_day(options.minutes, options.every, options.seed)
        wrong += day["wrong"]
    if options.messages:
        figures["stream"] = stream = soak_stream.run(options.messages)
        if max(stream["rss_grown"], stream["heap_grown"]) > soak_stream.MAY_GROW:
            wrong.append(f"a stream of messages grows: {stream}")
    place = options.plot.with_suffix(".json")
    place.write_text(json.dumps(figures, separators=(",", ":")) + "\n")
    if options.minutes and len(figures["day"]["samples"].get("seconds", ())) >= ENOUGH:
        table(figures["day"])
        draw(figures["day"], options.plot)
    if options.messages:
        print(f"\n{figures['stream']}")
    print(f"\nwrong: {len(wrong)}")
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
