"""The results as Markdown."""

from __future__ import annotations

import statistics

from entrants import label
from marks import UNITS, Results, Spread, all_marks, series, speed_ratio, spread

COLUMNS = {"c": "C", "zraw": "zraw", "pyzmq": "pyzmq", "pyomq": "pyomq"}
GROUPS = {
    "inproc": "inproc, one thread",
    "tcp": "tcp, two processes (a proxy: three)",
    "ipc": "ipc, two processes",
    "threads": "Threads",
    "memory": "Resident memory",
    "import": "Start",
    "growth": "Growth; inproc, one thread, 16 B",
    "aio": "Event loops; tcp, two processes",
}
BESIDE = ("pyzmq-asyncio", "pyomq-asyncio")  # whom those on loops are compared with
SPEEDS = ("rate", "round_trip")  # where a ratio means something


def number(value: float) -> str:
    """Three digits that count, in thousands and millions where that is shorter."""
    for limit, suffix in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scaled = value / (1e6 if suffix == "M" else 1e3)
            return f"{scaled:.{max(0, 3 - len(str(int(abs(scaled)))))}f} {suffix}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def heading(figure: str) -> str:
    return f"{figure.replace('_', ' ')}, {UNITS[figure]}"


def cell(found: Spread | None) -> str:
    if found is None:
        return "-"
    low, median, high = found
    return f"{number(median)} ({number(low)}…{number(high)})"


def ratio(found: Spread | None) -> str:
    return "-" if found is None else f"{found[1]:.2f}"


def markdown(rows: list[list[str]]) -> str:
    """Lay out a table whose first row is the heading; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for place, row in enumerate(rows):
        cells = [
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if place == 0:
            rule = [f"{'-' * (width + 1)}:" for width in widths]
            rule[0] = "-" * (widths[0] + 2)
            lines.append(f"|{'|'.join(rule)}|")
    return "\n".join(lines)


def about_text(results: Results) -> str:
    """What ran on what."""
    rows = [["", "version", "Python", "libzmq", "file"]]
    for entrant, about in results["about"].items():
        row = [COLUMNS[entrant]]
        row += [about.get(key) or "-" for key in ("version", "python", "libzmq")]
        rows.append([*row, about.get("file", "").rpartition("/")[2] or "-"])
    machine = results["machine"]
    return (
        f"{markdown(rows)}\n\n{machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}; load {machine['load_before']} before and "
        f"{machine['load_after']} after; {results['options']['rounds']} rounds."
    )


def marks_text(results: Results) -> str:
    """The marks: figure, mark, reached or not."""
    rows = [["case", "figure (quartiles)", "mark", "reached"]]
    for mark in all_marks():
        found = mark.value(results)
        if found is None:
            rows.append([mark.title, "-", mark.text(), "not measured"])
            continue
        low, median, high = found
        if mark.kind == "never above":
            figure = f"{median:.1f}, at most {high:.1f} {UNITS[mark.figure]}"
        elif mark.kind == "within":
            figure = f"C {median:+.0f} ns ({low:+.0f}…{high:+.0f})"
        else:
            figure = f"{median:.2f} ({low:.2f}…{high:.2f})"
        verdict = "yes" if mark.reached(found) else "NO"
        rows.append([mark.title, figure, mark.text(), verdict])
    return markdown(rows)


def group_rows(results: Results, prefix: str) -> list[list[str]]:
    rows = [["case", "", *COLUMNS.values(), "zraw : C", "zraw : pyzmq", "zraw : pyomq"]]
    for key, case in results["cases"].items():
        if key.partition("/")[0] != prefix:
            continue
        figures = dict.fromkeys(
            name for rounds in case["rounds"].values() for had in rounds for name in had
        )
        for subject in ("zraw", "zraw-many"):
            if subject in case["rounds"]:
                rows += [
                    row_of(results, key, case["title"], figure, subject)
                    for figure in figures
                ]
    return rows


def row_of(
    results: Results, key: str, title: str, figure: str, subject: str
) -> list[str]:
    """A line; for zraw's batches, its figure stands in zraw's column."""
    row = [title + (", zraw in batches" if subject == "zraw-many" else "")]
    row.append(heading(figure))
    for entrant in COLUMNS:
        who = subject if entrant == "zraw" else entrant
        values = series(results, key, who, figure)
        row.append(cell(spread([value for value in values if value is not None])))
    return row + [
        ratio(speed_ratio(results, key, figure, subject, other))
        for other in ("c", "pyzmq", "pyomq")
    ]


def loop_cell(figure: str, values: list[float]) -> str:
    """As cell(); of what is bad because it happens once, the worst of all rounds."""
    if figure == "worst" and values:
        return f"{number(statistics.median(values))} (at most {number(max(values))})"
    return cell(spread(values))


def loop_rows(results: Results) -> list[list[str]]:
    """A line for each who took part: there are too many of them for columns."""
    others = [f"{label(name)} = 1" for name in BESIDE]
    rows = [["case", "who", "", "median (quartiles)", *others]]
    for key, case in results["cases"].items():
        if not key.startswith("aio/"):
            continue
        for entrant, rounds in case["rounds"].items():
            for figure in dict.fromkeys(name for had in rounds for name in had):
                values = series(results, key, entrant, figure)
                there = [value for value in values if value is not None]
                row = [case["title"], label(entrant), heading(figure)]
                row.append(loop_cell(figure, there))
                for other in BESIDE:
                    found = speed_ratio(results, key, figure, entrant, other)
                    row.append(ratio(found) if figure in SPEEDS else "-")
                rows.append(row)
    return rows


def full_text(results: Results) -> str:
    """Everything that was measured."""
    parts = [about_text(results)]
    for prefix, title in GROUPS.items():
        aio = prefix == "aio"
        rows = loop_rows(results) if aio else group_rows(results, prefix)
        if len(rows) > 1:
            parts.append(f"### {title}\n\n{markdown(rows)}")
    parts.append(f"### Marks\n\n{marks_text(results)}")
    if notes := results["notes"]:
        parts.append("### Not measured\n\n" + "\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts)
