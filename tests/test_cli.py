"""python -m zraw, as a newcomer meets it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import zraw
from zraw import cli_info

HERE = Path(__file__).parent


def run(*arguments: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zraw", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=HERE,
    )


def test_info__tells_versions_and_capabilities():
    done = run("info")
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["zraw"] == zraw.__version__
    assert rows["Python"].startswith(sys.version.split()[0])
    running = ".".join(map(str, zraw.version()))
    assert rows["libzmq"].startswith(f"{running} running, {zraw.ZMQ_VERSION_MAJOR}.")
    assert ("curve" in rows["has"].split()) is zraw.has("curve")
    assert rows["security"] == cli_info.security(zraw.version())
    assert rows["draft"].split()[-1] == ("yes" if zraw.has("draft") else "no")


def test_info__names_the_known_holes():
    """Of the oldest libzmq that is supported, and of what Debian has."""
    old, new = cli_info.security((4, 3, 2)), cli_info.security((4, 3, 4))
    assert "libzmq 4.3.2 has CVE-2020-15166 " in old and old.endswith("4.3.3 or newer")
    assert new == "no hole is known of libzmq 4.3.4"
    listed = (HERE.parent / "SECURITY.md").read_text()
    known = {hole for holes in cli_info.HOLES.values() for hole in holes}
    assert known == set(re.findall(r"CVE-\d+-\d+", listed))


@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
def test_perf_thr__prints_what_local_thr_prints(transport):
    done = run("perf", "thr", "--transport", transport, "--count", "20000")
    assert (done.returncode, done.stderr) == (0, "")
    expected = (
        r"message size: 16 \[B\]\n"
        r"message count: 20000\n"
        r"mean throughput: (\d+) \[msg/s\]\n"
        r"mean throughput: (\d+\.\d{3}) \[Mb/s\]\n"
    )
    found = re.fullmatch(expected, done.stdout)
    assert found, done.stdout
    assert float(found[2]) == pytest.approx(int(found[1]) * 16 * 8 / 1e6, rel=1e-3)


def test_perf_thr__a_million_messages_between_two_processes():
    done = run("perf", "thr", "--count", "1000000")
    assert (done.returncode, done.stderr) == (0, "")
    assert "message count: 1000000\n" in done.stdout


@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
def test_perf_lat__prints_what_remote_lat_prints(transport):
    options = ("--transport", transport, "--count", "200", "--size", "100")
    done = run("perf", "lat", *options)
    assert (done.returncode, done.stderr) == (0, "")
    expected = (
        r"message size: 100 \[B\]\n"
        r"roundtrip count: 200\n"
        r"average latency: \d+\.\d{3} \[us\]\n"
    )
    assert re.fullmatch(expected, done.stdout), done.stdout


def test_perf__table_over_transports_and_sizes_in_under_30_seconds():
    start = time.monotonic()
    done = run("perf")
    assert time.monotonic() - start < 30
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()[4:]]
    assert [row[0] for row in rows] == ["tcp"] * 4 + ["ipc"] * 4 + ["inproc"] * 4
    for row in rows:
        assert all(float(figure) > 0 for figure in row[3:]), row


def test_perf__shows_a_bar_on_a_terminal():
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "zraw", "perf", "--transport", "inproc"],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        cwd=HERE,
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.1)[0]:
            try:
                shown += os.read(main, 4096)
            except OSError:  # the terminal's other end is closed
                break
    os.close(main)
    assert process.wait(10) == 0
    assert b"[" + b"." * 30 + b"] 0/8 throughput inproc 16 B" in shown
    assert b"7/8 latency inproc 64 KiB" in shown
    assert shown.endswith(b"\r\x1b[K")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "the following arguments are required: command"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("perf", "both"), "invalid choice: 'both'"),
        (("perf", "thr", "--size", "x"), "argument --size: 0 to 1073741824 bytes"),
        (("perf", "thr", "--size", "-1"), "argument --size: 0 to 1073741824 bytes"),
        (("perf", "thr", "--count", "1"), "argument --count: 2 to 1000000000000"),
        (("perf", "lat", "--transport", "udp"), "invalid choice: 'udp'"),
        (("perf", "--size", "5"), "--size and --count need thr or lat"),
        (("info", "--what"), "unrecognized arguments: --what"),
    ],
)
def test_main__bad_argument_gets_one_line(arguments, complaint):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "error: " in done.stderr and complaint in done.stderr


def test_main__help_and_version():
    done = run("--help")
    assert done.returncode == 0 and "perf" in done.stdout
    done = run("--version")
    assert done.stdout == f"zraw {zraw.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("perf",),
        ("perf", "thr", "--count", "1000000000"),
        ("perf", "lat", "--count", "1000000000"),
        ("perf", "thr", "--transport", "inproc", "--count", "1000000000"),
        ("perf", "lat", "--transport", "inproc", "--count", "1000000000"),
    ],
)
def test_perf__ctrl_c_ends_it_cleanly(arguments):
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "zraw", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE,
        start_new_session=True,
    )
    assert process.stderr is not None
    # -X importtime names every import: after perf's own the measuring begins.
    for line in process.stderr:
        if line.rstrip().endswith("zraw.perf"):
            break
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    said = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert process.returncode == 130, (out, said)
    assert said in ([], [""]), said
    assert process_group_is_empty(process.pid)


def process_group_is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_perf__closed_pipe_is_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "zraw", "perf", "--transport", "inproc"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=HERE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()
