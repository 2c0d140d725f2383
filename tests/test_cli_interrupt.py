"""zraw and Ctrl-C, pipes that are closed, terminals; proxy and monitor."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

import zraw
from cli_tools import ZRAW, Done, run, started
from conftest import wait_until

pytestmark = pytest.mark.skipif(not zraw.has("ipc"), reason="no ipc")
QUIET = ("--timeout", "1000000")


@pytest.fixture
def there(tmp_path):
    return f"ipc://{tmp_path}/s"


def is_asleep(pid):
    """Whether a process waits in the kernel, in all that it does."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        return stream.read().rpartition(")")[2].split()[0] == "S"


def is_waiting(pid, file):
    """Whether it has come so far that it has bound, and then went to sleep."""
    return os.path.exists(file) and is_asleep(pid)


# ---- Ctrl-C

BIND = [
    ("send", "PUSH", "x"),
    ("send", "PUB", "x"),
    ("send", "PUSH", "x", "--wait-for", "2", *QUIET),
    ("send", "PUSH"),
    ("recv", "PULL"),
    ("recv", "SUB", *QUIET),
    ("request", "REQ", "x"),
    ("request", "REQ", "x", *QUIET, "--retries", "9"),
    ("request", "REQ"),
    ("reply", "REP", "--echo"),
    ("monitor", "REP", *QUIET),
]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("arguments", BIND, ids=" ".join)
def test_main__ctrl_c_ends_what_waits(tmp_path, there, arguments):
    with started(*arguments, "--bind", there) as command:
        pid = command.process.pid
        wait_until(lambda: is_waiting(pid, tmp_path / "s"))
        start = time.monotonic()
        os.killpg(pid, signal.SIGINT)
        done = command.end()
    assert (done.code, done.err) == (130, "")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("linger", ["30", "1000000"])
def test_send__ctrl_c_ends_its_linger(there, linger):
    """Nobody is there: all it does is waiting for somebody, at the end."""
    with started("send", "PUSH", "--connect", there, "--linger", linger) as command:
        command.process.stdin.write(b"x\n")
        command.process.stdin.close()
        command.process.stdin = None
        time.sleep(0.5)
        assert command.process.poll() is None
        os.killpg(command.process.pid, signal.SIGINT)
        start = time.monotonic()
        assert command.end() == Done(130, b"", "")
        assert time.monotonic() - start < 5


def test_send__ctrl_c_between_messages(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    every = ("--count", 10, "--interval", 1000)
    with started("send", "PUSH", "x", "--connect", there, *every) as command:
        assert pull.recv() == b"x"
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.end() == Done(130, b"", "")


def test_recv__ctrl_c_keeps_what_was_printed(sock, there, tmp_path):
    push = sock(zraw.ZMQ_PUSH)
    push.bind(there)
    with (
        open(tmp_path / "out", "wb") as out,
        started("recv", "PULL", "--connect", there, stdout=out) as command,
    ):
        push.send_many([b"%d" % number for number in range(1000)])
        expected = b"".join(b"%d\n" % number for number in range(1000))
        wait_until(lambda: (tmp_path / "out").stat().st_size == len(expected))
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.process.wait(10) == 130
        assert (tmp_path / "out").read_bytes() == expected


def test_recv__ctrl_c_while_nobody_reads_the_pipe(sock, there):
    push = sock(zraw.ZMQ_PUSH)
    push.bind(there)
    with started("recv", "PULL", "--connect", there) as command:
        for _ in range(10):
            push.send(bytes(100_000))
        pid = command.process.pid
        assert select.select([command.process.stdout], [], [], 10)[0]
        wait_until(lambda: is_asleep(pid))
        os.killpg(pid, signal.SIGINT)
        assert command.process.wait(10) == 130
        assert command.process.stderr.read() == b""


@pytest.mark.parametrize("how", ["--exec", "--shell"])
def test_reply__ctrl_c_ends_its_command(sock, there, tmp_path, how):
    script = f"touch {tmp_path}/begun; exec sleep 1000"
    command = (how, *(["sh", "-c", script] if how == "--exec" else [script]))
    req = sock(zraw.ZMQ_REQ)
    req.connect(there)
    req.send(b"x")
    with started("reply", "REP", "--bind", there, *command) as reply:
        wait_until((tmp_path / "begun").exists)
        os.killpg(reply.process.pid, signal.SIGINT)
        assert reply.end() == Done(130, b"", "")
        wait_until(lambda: not is_there(reply.process.pid))


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_main__ctrl_c_at_any_time_is_no_traceback(there):
    """From the first bytecode of main() on; before that it is Python's affair."""
    program = f"""
import sys
from zraw import cli
build = cli.build_parser
def begun():
    print(flush=True)
    return build()
cli.build_parser = begun
sys.exit(cli.main(['recv', 'PULL', '--bind', {there!r}]))
"""
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)
        assert (child.returncode, said) == (130, b"")


# ---- pipes


def piped(script, *arguments):
    """Run a script of bash, in which "$@" is the command."""
    done = subprocess.run(
        ["bash", "-c", script, "bash", *ZRAW, *map(str, arguments)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def test_recv__ends_with_its_reader(sock, there):
    """It does not take another message, or years, to notice."""
    push = sock(zraw.ZMQ_PUSH)
    push.bind(there)
    push.connect(f"{there}2")  # nobody: half of all messages stay here
    push.disconnect(f"{there}2")
    script = '"$@" | head -1; echo "${PIPESTATUS[0]}"'
    child = subprocess.Popen(
        ["bash", "-c", script, "bash", *ZRAW, "recv", "PULL", "--connect", there],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    push.send(b"only")
    out, err = child.communicate(timeout=20)
    assert (out, err) == (b"only\n1\n", b"")


@pytest.mark.parametrize(
    "command", [("--help",), ("send", "--help"), ("info",), ("keygen", "x")]
)
def test_main__closed_pipe_is_quiet(tmp_path, command):
    done = piped(f'cd {shlex.quote(str(tmp_path))}; "$@" | true', *command)
    assert done == Done(0, b"", "")


# ---- terminals


def on_terminal(arguments, until, seconds=20):
    """Run a command with a terminal for everything; return what that shows."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*ZRAW, *map(str, arguments)], stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + seconds
    try:
        while not until(shown):
            assert time.monotonic() < deadline, shown
            if select.select([main], [], [], 0.1)[0]:
                try:
                    shown += os.read(main, 4096)
                except OSError:  # the command has ended
                    break
        return shown
    finally:
        process.kill()
        process.wait()
        os.close(main)


def test_send__shows_a_bar_on_a_terminal(sock, there):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind(there)
    many = ("x", "--count", 20, "--interval", 0.1)
    shown = on_terminal(("send", "PUSH", *many, "--connect", there), lambda _: False)
    assert re.search(rb"\[#+\.+\] \d+/20 messages", shown)
    assert shown.endswith(b"\r\x1b[K")
    assert [pull.recv() for _ in range(20)] == [b"x"] * 20


def test_send__tells_on_a_terminal_whom_it_waits_for(there):
    said = b"zraw: waiting for 2 subscribers\r\n"
    more = ("x", "--wait-for", 2, "--bind", there)
    assert on_terminal(("send", "PUB", *more), lambda shown: shown == said) == said


class Tmux:
    """A terminal as people have it."""

    def __init__(self, folder):
        self.socket = str(folder / "tmux")

    def __call__(self, *arguments):
        return subprocess.run(
            ["tmux", "-S", self.socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout

    def screen(self):
        return self("capture-pane", "-p").strip()


@pytest.fixture
def tmux(tmp_path, monkeypatch):
    if shutil.which("tmux") is None:
        pytest.skip("no tmux: apt install tmux")
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.chdir(tmp_path)  # short names of endpoints
    terminal = Tmux(tmp_path)
    terminal(
        "new-session",
        "-d",
        "-x",
        "100",
        "-y",
        "30",
        "env",
        "PS1=$ ",
        "bash",
        "--norc",
        "--noprofile",
    )
    wait_until(lambda: terminal.screen().endswith("$"))
    yield terminal
    terminal("kill-server")


def test_main__in_a_terminal_with_ctrl_c(tmux, sock):
    """Typed lines are sent, Ctrl-D is the end; Ctrl-C gives the prompt back."""
    pull = sock(zraw.ZMQ_PULL)
    pull.bind("ipc://typed")
    zraw_ = shlex.join(ZRAW)
    tmux("send-keys", f"{zraw_} send PUSH --connect ipc://typed; echo =$?", "Enter")
    for word in ("first", "second"):
        tmux("send-keys", word, "Enter")
        assert pull.recv() == word.encode()
    tmux("send-keys", "C-d")
    wait_until(lambda: "\n=0\n" in tmux.screen())
    tmux("send-keys", "clear", "Enter")
    wait_until(lambda: tmux.screen() == "$")
    tmux("send-keys", f"{zraw_} recv PULL --bind ipc://read; echo =$?", "Enter")
    assert run("send", "PUSH", "--connect", "ipc://read", "a line") == Done(0, b"", "")
    wait_until(lambda: "\na line" in tmux.screen())
    tmux("send-keys", "C-c")
    # Shells that are interrupted, too, do not get to the echo.
    wait_until(lambda: tmux.screen().endswith("$"))
    assert re.search(r"a line\n\^C\n(=130\n)?\$$", tmux.screen()), tmux.screen()


# ---- proxy and monitor


def test_proxy__forwards_both_ways_and_copies(sock, tmp_path):
    ends = {name: f"ipc://{tmp_path}/{name}" for name in ("front", "back", "copy")}
    copies = sock(zraw.ZMQ_PULL)
    copies.bind(ends["copy"])
    sides = ("--frontend-bind", ends["front"], "--backend-bind", ends["back"])
    capture = ("--capture", "push", "--capture-connect", ends["copy"])
    with (
        started("proxy", "ROUTER", "DEALER", *sides, *capture) as proxy,
        started("reply", "REP", "--connect", ends["back"], "--exec", "tr", "a", "b"),
    ):
        asked = run("request", "REQ", "--connect", ends["front"], "banana")
        assert asked == Done(0, b"bbnbnb\n", "")
        bodies = [copies.recv_multipart()[-1] for _ in range(2)]
        assert bodies == [b"banana", b"bbnbnb"]
        os.killpg(proxy.process.pid, signal.SIGINT)
        assert proxy.end() == Done(130, b"", "")


def test_proxy__subscriptions_go_through(tmp_path):
    front, back = f"ipc://{tmp_path}/front", f"ipc://{tmp_path}/back"
    sides = ("--frontend-bind", front, "--backend-bind", back)
    with started("proxy", "XSUB", "XPUB", *sides):
        sub = ("recv", "SUB", "--connect", back, "--subscribe", "b", "--count", 1)
        with started(*sub) as recv:
            assert run("send", "PUB", "a", "b", "--connect", front).code == 0
            assert recv.end() == Done(0, b"b\n", "")


def test_monitor__prints_events_as_they_come(sock):
    rep = ("monitor", "REP", "--bind", "tcp://127.0.0.1:*", "--count", 3)
    with started(*rep) as monitor:
        endpoint = monitor.endpoint()
        req = sock(zraw.ZMQ_REQ)
        req.connect(endpoint)
        lines = [monitor.line().decode() for _ in range(3)]
        assert monitor.end() == Done(0, b"", "")
    words = [line.split(maxsplit=3) for line in lines]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", word[0]) for word in words)
    assert [word[1] for word in words] == [
        "ZMQ_EVENT_LISTENING",
        "ZMQ_EVENT_ACCEPTED",
        "ZMQ_EVENT_HANDSHAKE_SUCCEEDED",
    ]
    assert {word[2] for word in words} == {endpoint}
    assert re.fullmatch(r"descriptor \d+\n", words[1][3])


def test_monitor__says_what_the_numbers_mean(tmp_path):
    absent = f"ipc://{tmp_path}/absent"
    done = run("monitor", "REQ", "--connect", absent, "--count", 3, "--timeout", 20)
    assert re.search(rf"CONNECT_RETRIED {absent} in \d+ ms\n", done.out.decode())
