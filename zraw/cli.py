"""The command line: python -m zraw."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import zraw
from zraw import perf

CAPABILITIES = ("ipc", "pgm", "tipc", "norm", "curve", "gssapi", "vmci", "WS", "WSS")
MAX_SIZE = 1 << 30

# Known holes of libzmq, by the version that first was without them; see SECURITY.md.
HOLES = {
    (4, 3, 3): (
        *("CVE-2020-15166", "CVE-2020-36400", "CVE-2021-20234", "CVE-2021-20235"),
        *("CVE-2021-20236", "CVE-2021-20237"),
    ),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def number(low: int, high: int, unit: str) -> Callable[[str], int]:
    """Return a type for argparse: an int from low to high."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{low} to {high} {unit}, not {text!r}")
        return value

    return parse


def build_parser() -> Parser:
    """Describe the commands."""
    parser = Parser(prog="zraw", description="ZeroMQ for Python, nothing in between.")
    parser.add_argument(
        "--version", action="version", version=f"zraw {zraw.__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    info = commands.add_parser("info", help="print versions and capabilities")
    info.set_defaults(run=print_info)
    speed = commands.add_parser(
        "perf",
        help="measure throughput and latency",
        description="Measure between two processes (inproc: two threads). Alone, "
        "print a table over transports and sizes; thr and lat print what libzmq's "
        "own perf tools print.",
    )
    speed.set_defaults(run=run_perf)
    speed.add_argument(
        "what",
        nargs="?",
        choices=("thr", "lat"),
        help="thr: messages a second; lat: half a round trip; neither: a table",
    )
    speed.add_argument(
        "--transport", choices=perf.TRANSPORTS, help="default: tcp; in the table: all"
    )
    speed.add_argument(
        "--size", type=number(0, MAX_SIZE, "bytes"), help="bytes a message; default: 16"
    )
    speed.add_argument(
        "--count",
        type=number(2, 10**12, "messages"),
        help="messages (thr, default 1000000) or round trips (lat, default 10000)",
    )
    return parser


def libzmq_path() -> str | None:
    """Return the file that libzmq was loaded from, where the system tells."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    paths = (line.split(maxsplit=5)[-1] for line in maps.splitlines())
    return next((path for path in paths if "/libzmq" in path), None)


def print_info(options: argparse.Namespace) -> int:
    """Print versions and capabilities."""
    compiled = (zraw.ZMQ_VERSION_MAJOR, zraw.ZMQ_VERSION_MINOR, zraw.ZMQ_VERSION_PATCH)
    rows = {
        "zraw": zraw.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "libzmq": f"{dotted(zraw.version())} running, {dotted(compiled)} compiled",
        "loaded from": libzmq_path(),
        "draft API": "yes" if zraw.has("draft") else "no",
        "has": " ".join(name for name in CAPABILITIES if zraw.has(name)),
        "lacks": " ".join(name for name in CAPABILITIES if not zraw.has(name)),
        "security": security(zraw.version()),
    }
    for name, text in rows.items():
        if text:
            print(f"{name:<12}{text}")
    return 0


def security(version: tuple[int, ...]) -> str:
    """Return what is known of a version of libzmq."""
    open_ones = {fixed: holes for fixed, holes in HOLES.items() if version < fixed}
    if not open_ones:
        return f"no hole is known of libzmq {dotted(version)}"
    holes = " ".join(" ".join(each) for each in open_ones.values())
    return (
        f"unless its distributor has patched it, libzmq {dotted(version)} has {holes}: "
        f"use {dotted(max(open_ones))} or newer"
    )


def dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def run_perf(options: argparse.Namespace) -> int:
    """Measure one case, or all of the table."""
    if options.what is None:
        if options.size is not None or options.count is not None:
            raise argparse.ArgumentTypeError("--size and --count need thr or lat")
        transports = [options.transport] if options.transport else perf.available()
        perf.print_table(transports)
        return 0
    transport = options.transport or "tcp"
    size = 16 if options.size is None else options.size
    if options.what == "thr":
        count = options.count or 1_000_000
        seconds = perf.throughput(transport, size, count).seconds_each
        print(f"message size: {size} [B]")
        print(f"message count: {count}")
        print(f"mean throughput: {1 / seconds:.0f} [msg/s]")
        print(f"mean throughput: {size * 8 / seconds / 1e6:.3f} [Mb/s]")
    else:
        count = options.count or 10_000
        seconds = perf.latency(transport, size, count).seconds_each
        print(f"message size: {size} [B]")
        print(f"roundtrip count: {count}")
        print(f"average latency: {seconds * 1e6:.3f} [us]")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; no second try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except (perf.PerfError, MemoryError, OSError) as error:
        print(f"zraw: error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return code
