"""The commands info and perf."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from types import ModuleType

import zraw
from zraw.cli_errors import CommandError, UsageError

CAPABILITIES = ("ipc", "pgm", "tipc", "norm", "curve", "gssapi", "vmci", "WS", "WSS")

# Known holes of libzmq, by the version that first was without them; see SECURITY.md.
HOLES = {
    (4, 3, 3): (
        *("CVE-2020-15166", "CVE-2020-36400", "CVE-2021-20234", "CVE-2021-20235"),
        *("CVE-2021-20236", "CVE-2021-20237"),
    ),
}


def print_info(options: argparse.Namespace) -> int:
    """Print versions and capabilities."""
    compiled = (zraw.ZMQ_VERSION_MAJOR, zraw.ZMQ_VERSION_MINOR, zraw.ZMQ_VERSION_PATCH)
    rows = {
        "zraw": zraw.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "libzmq": f"{dotted(zraw.version())} running, {dotted(compiled)} compiled",
        "loaded from": zraw.get_library(),
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
    """Measure, and print."""
    from zraw import perf  # slow to import

    try:
        return measure(options, perf)
    except perf.PerfError as error:
        raise CommandError(str(error)) from None


def measure(options: argparse.Namespace, perf: ModuleType) -> int:
    """Measure one case, or all of the table."""
    if options.what is None:
        if options.size is not None or options.count is not None:
            raise UsageError("--size and --count need thr or lat")
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
