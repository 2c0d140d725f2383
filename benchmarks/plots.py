"""Pictures of the results, for README.md and the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from marks import Results, Spread, series, spread
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

INK, FAINT = "#24292f", "#d8dee4"
STYLES: dict[str, dict[str, Any]] = {
    "c": {"label": "C", "color": "#57606a", "linestyle": "--", "marker": "s"},
    "zraw-many": {
        "label": "zraw, batches",
        "color": "#54a3ff",
        "linestyle": "-",
        "marker": "^",
    },
    "zraw": {"label": "zraw", "color": "#0550ae", "linestyle": "-", "marker": "o"},
    "pyzmq": {"label": "pyzmq", "color": "#d4541a", "linestyle": "-", "marker": "D"},
    "pyomq": {"label": "pyomq", "color": "#1a7f37", "linestyle": "-", "marker": "v"},
}
LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "savefig.dpi": 140,
    "savefig.facecolor": "white",
}
Points = list[tuple[float, Spread]]


def short(value: float, _: object = None) -> str:
    """A round number for an axis."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g} {suffix}"
    return f"{value:g}"


def bytes_text(value: float, _: object = None) -> str:
    size = int(value)
    if size < 1024:
        return f"{size} B"
    return f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


def nanoseconds(value: float, _: object = None) -> str:
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if value >= limit:
            return f"{value / limit:g} {unit}"
    return f"{value:g} ns"


def points_of(
    results: Results,
    group: str,
    entrant: str,
    figure: str,
    scale: Callable[[float], float] = float,
) -> Points:
    """The figures of a group of cases, by the number that their keys end in."""
    points = []
    for key in results["cases"]:
        if key.rpartition("/")[0] == group:
            values = series(results, key, entrant, figure)
            found = spread([scale(value) for value in values if value])
            if found:
                points.append((float(key.rpartition("/")[2]), found))
    return sorted(points)


def draw_line(axes: Axes, entrant: str, points: Points) -> None:
    """The medians, and the quartiles as a band."""
    if not points:
        return
    places = [place for place, _ in points]
    low, median, high = zip(*(found for _, found in points), strict=True)
    style = STYLES[entrant]
    axes.plot(places, median, **style)
    axes.fill_between(places, low, high, color=style["color"], alpha=0.14, linewidth=0)


def set_log(axes: Axes, x_text: Callable[..., str], y_text: Callable[..., str]) -> None:
    """Log axes with the numbers that people say."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(x_text))
    axes.yaxis.set_major_formatter(FuncFormatter(y_text))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def size_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(FixedLocator([16, 256, 4096, 65536, 1 << 20]))
    axes.set_xlabel("message size")


def finish(
    figure: Figure, axes: Axes, title: str, results: Results, path: Path
) -> None:
    """A legend above all panels, what it was measured on below, and the file."""
    handles, labels = axes.get_legend_handles_labels()
    figure.text(0.012, 0.985, title, va="top", fontsize=14, fontweight="bold")
    figure.legend(
        handles,
        labels,
        loc="upper right",
        ncols=len(labels),
        frameon=False,
        bbox_to_anchor=(0.995, 1.0),
    )
    about, machine = results["about"], results["machine"]
    bands = "; bands are quartiles" if axes.lines else ""
    versions = [f"zraw and C on libzmq {about['c']['libzmq']}"]
    if "pyzmq" in about:
        bundled = f"pyzmq {about['pyzmq']['version']} on {about['pyzmq']['libzmq']}"
        versions.append(bundled)
    if "pyomq" in about:
        versions.append(f"pyomq {about['pyomq']['version']}")
    note = (
        f"{'; '.join(versions)}; CPython {about['zraw']['python']}; {machine['cpu']}, "
        f"{machine['cores']} cores. Medians{bands}."
    )
    figure.text(0.012, 0.012, note, fontsize=8, color="#57606a")
    figure.tight_layout(rect=(0, 0.035, 1, 1 - 0.4 / figure.get_figheight()))
    figure.savefig(path)
    plt.close(figure)


def has(results: Results, *groups: str) -> list[str]:
    """Those of the groups that were measured."""
    found = {key.rpartition("/")[0] for key in results["cases"]}
    return [group for group in groups if group in found]


def draw_throughput(results: Results, folder: Path) -> Iterator[Path]:
    groups = has(results, "tcp/throughput", "ipc/throughput", "inproc/send_recv")
    if not groups:
        return
    figure, panels = plt.subplots(
        1, len(groups), figsize=(10.6, 4.5), sharey=True, squeeze=False
    )
    for axes, group in zip(panels[0], groups, strict=True):
        transport = group.partition("/")[0]
        for entrant in STYLES:
            if transport == "inproc":
                points = points_of(results, group, entrant, "pair", lambda ns: 1e9 / ns)
            else:
                points = points_of(results, group, entrant, "rate")
            draw_line(axes, entrant, points)
        set_log(axes, bytes_text, short)
        size_axis(axes)
        threads = "one thread" if transport == "inproc" else "two processes"
        axes.set_title(f"{transport}, {threads}")
    panels[0][0].set_ylabel("messages per second")
    path = folder / "throughput.png"
    finish(figure, panels[0][0], "PUSH → PULL", results, path)
    yield path


def draw_latency(results: Results, folder: Path) -> Iterator[Path]:
    groups = has(results, "tcp/latency", "ipc/latency")
    if not groups:
        return
    figure, panels = plt.subplots(
        1, len(groups), figsize=(10.6, 4.2), sharey=True, squeeze=False
    )
    for axes, group in zip(panels[0], groups, strict=True):
        for entrant in STYLES:
            points = points_of(
                results, group, entrant, "round_trip", lambda micro: micro * 1e3
            )
            draw_line(axes, entrant, points)
        set_log(axes, bytes_text, nanoseconds)
        size_axis(axes)
        axes.set_title(f"{group.partition('/')[0]}, two processes")
    panels[0][0].set_ylabel("round trip")
    path = folder / "latency.png"
    finish(figure, panels[0][0], "REQ ↔ REP", results, path)
    yield path


CALLS = {
    "send": ("inproc/send_recv/16", "send"),
    "recv": ("inproc/send_recv/16", "recv"),
    "recv_msg": ("inproc/recv_msg/16", "recv"),
    "send_multi-\npart, 3 parts": ("inproc/multipart/16", "send"),
    "recv_multi-\npart, 3 parts": ("inproc/multipart/16", "recv"),
    "send_many,\na message": ("inproc/batches/16", "send"),
    "recv_many,\na message": ("inproc/batches/16", "recv"),
    "try_recv,\nnothing there": ("inproc/try_recv/16", "call"),
}


def draw_calls(results: Results, folder: Path) -> Iterator[Path]:
    """What one call costs, as bars in groups."""
    calls = {name: at for name, at in CALLS.items() if at[0] in results["cases"]}
    if not calls:
        return
    figure, axes = plt.subplots(figsize=(10.6, 4.5))
    entrants = ("c", "zraw", "pyzmq", "pyomq")
    width = 0.2
    for number, entrant in enumerate(entrants):
        for place, (key, figure_name) in enumerate(calls.values()):
            values = series(results, key, entrant, figure_name)
            found = spread([value for value in values if value])
            if found is None:
                continue
            x = place + (number - 1.5) * width
            style = STYLES[entrant]
            label = style["label"] if place == 0 else None
            axes.bar(x, found[1], width * 0.92, color=style["color"], label=label)
            axes.text(x, found[1] * 1.06, f"{found[1]:.0f}", ha="center", fontsize=7.5)
    axes.set_yscale("log")
    axes.set_ylim(10, None)
    axes.yaxis.set_major_formatter(FuncFormatter(nanoseconds))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(range(len(calls)), list(calls))
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("time per call")
    path = folder / "calls.png"
    finish(figure, axes, "16 B over inproc, one thread", results, path)
    yield path


GROWTH = (
    ("growth/fan_out", "send", "send() of a PUB", "subscribers"),
    ("growth/peers", "pair", "send and recv", "senders to a PULL"),
    ("growth/router", "call", "DEALER → ROUTER → DEALER", "dealers"),
    ("growth/poller", "call", "wait, one ready (Poller)", "sockets waited for"),
    ("growth/sockets", "pair", "send and recv", "sockets used in turn"),
    ("growth/sockets", "open", "open and connect", "sockets"),
)


def draw_growth(results: Results, folder: Path) -> Iterator[Path]:
    if not has(results, *(group for group, *_ in GROWTH)):
        return
    figure, panels = plt.subplots(2, 3, figsize=(10.6, 6.6))
    for axes, (group, name, title, what) in zip(panels.flat, GROWTH, strict=True):
        for entrant in STYLES:
            draw_line(axes, entrant, points_of(results, group, entrant, name))
        set_log(axes, short, nanoseconds)
        axes.xaxis.set_major_locator(FixedLocator([1, 10, 100, 1000, 10_000]))
        axes.set_xlabel(what)
        axes.set_title(title)
    path = folder / "growth.png"
    title = "Cost as numbers grow (inproc, 16 B)"
    finish(figure, panels[0][0], title, results, path)
    yield path


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw what was measured; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with matplotlib.rc_context(LOOK):
        for draw in (draw_throughput, draw_latency, draw_calls, draw_growth):
            paths += draw(results, folder)
    return paths
