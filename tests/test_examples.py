"""The programs in examples/: each does what it says, and some are killed on the way.

They run as their users run them, in processes, with endpoints that nobody else has; a
warning, of a socket left open, say, would be in their error output.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import zraw
from conftest import run_child, wait_until

FOLDER = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.name for path in FOLDER.glob("*.py"))
HELLO = {"CATS: hello, world", "LOL.CATS: hello, world"}
ANY_PORT = "tcp://127.0.0.1:*"
FOR_LONG = ["--rounds", 10**6, "--interval", 0.01]  # of a publisher


class Example:
    """An example that runs, with all that it has started."""

    def __init__(self, name: str, args: tuple[str, ...], folder: Path) -> None:
        folder.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, FOLDER / f"{name}.py", *args],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**os.environ, "PYTHONWARNINGS": "always::ResourceWarning"},
                start_new_session=True,
            )

    @property
    def lines(self) -> list[str]:
        """What it has printed, as far as lines are complete."""
        return self._out.read_text().split("\n")[:-1]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line that begins so."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            ended = self.process.poll() is not None
            matches = [re.match(pattern, line) for line in self.lines]
            found.extend(match for match in matches if match)
            return bool(found) or ended

        wait_until(look, 30)
        assert found, (self.process.returncode, self.lines, self._err.read_text())
        return found[0]

    def finish(self) -> list[str]:
        """Let it end; return what it has printed."""
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            code = None
        errors = self._err.read_text()
        assert (code, errors) == (0, ""), (code, self.lines, errors)
        return self.lines

    def interrupt(self) -> list[str]:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait(10)

    def end_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process.stdin.close()


Start = Callable[..., Example]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start examples; kill those that are left."""
    examples: list[Example] = []

    def run(name: str, *args: object) -> Example:
        folder = tmp_path / f"{len(examples)}"
        examples.append(Example(name, tuple(map(str, args)), folder))
        return examples[-1]

    yield run
    for example in examples:
        example.end_all()


@pytest.fixture
def ipc(tmp_path: Path) -> Callable[[str], str]:
    """Name an endpoint that can be bound again after a crash."""
    return lambda name: f"ipc://{tmp_path}/{name}"


def load(name: str) -> ModuleType:
    """Import an example."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def counts(lines: list[str], pattern: str) -> dict[str, int]:
    """Read a table of names and numbers."""
    matches = [re.fullmatch(pattern, line) for line in lines]
    return {match[1]: int(match[2]) for match in matches if match}


# ---- all of them


def test_examples__readme_lists_each_and_nothing_else():
    readme = (FOLDER / "README.md").read_text()
    named = set(re.findall(r"`(\w+\.py)`", readme))
    assert named == set(NAMES)
    assert set(re.findall(r"python examples/(\w+\.py)", readme)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_examples__docstring_says_how_to_run_it(name):
    source = (FOLDER / name).read_text()
    docstring = source.split('"""')[1]
    assert f"\n    python examples/{name}" in docstring
    # None of the modules that are shadowed by a file beside the program.
    assert Path(name).stem not in sys.stdlib_module_names


# ---- publisher.py, subscriber.py


@pytest.mark.parametrize("loop", ["", "--trio", "--uvloop"])
def test_examples__subscriber_connects_on_every_loop(start, loop):
    publisher = start("publisher", "--bind", ANY_PORT, *FOR_LONG)
    where = publisher.wait_for("bound to (.*)")[1]
    args = ["--connect", where, "--count", 4]
    subscriber = start("subscriber", *args, *filter(None, [loop]))
    lines = subscriber.finish()
    assert len(lines) == 4 and set(lines) <= HELLO
    publisher.interrupt()


@pytest.mark.parametrize("loop", ["", "--trio", "--uvloop"])
def test_examples__subscriber_binds_and_is_interrupted(start, loop):
    subscriber = start(
        "subscriber", "--bind", ANY_PORT, "--count", 10**6, *filter(None, [loop])
    )
    where = subscriber.wait_for("bound to (.*)")[1]
    publisher = start("publisher", "--connect", where, *FOR_LONG)
    for line in HELLO:
        subscriber.wait_for(line)
    publisher.interrupt()  # first: otherwise it waits for the subscriber for a second
    assert set(subscriber.interrupt()) == {f"bound to {where}", *HELLO}


def test_examples__subscriber_of_several_publishers(start, ipc):
    sooner, later = ipc("sooner"), ipc("later")
    args = ["--bind", ANY_PORT, "--bind", sooner, "--connect", later]
    subscriber = start("subscriber", *args, "--topic", "DOGS", "--count", 10**6)
    where = subscriber.wait_for(r"bound to (tcp.*)")[1]
    publishers = [
        start("publisher", *side, "--message", text, *FOR_LONG)
        for side, text in (
            (("--connect", where), "over tcp"),
            (("--connect", sooner), "over ipc"),
            (("--bind", later), "bound"),
            (("--connect", where, "--connect", sooner, "--bind", ipc("x")), "all"),
        )
    ]
    for text in ("over tcp", "over ipc", "bound", "all"):
        subscriber.wait_for(f"DOGS: {text}$")
    for publisher in publishers:
        publisher.process.send_signal(signal.SIGINT)
    for publisher in publishers:
        publisher.finish()
    assert {line.split(":")[0] for line in subscriber.interrupt()[2:]} == {"DOGS"}


def test_examples__publisher_ends_without_subscribers(start, ipc):
    args = ["--bind", ipc("bound"), "--connect", ipc("nobody")]
    publisher = start("publisher", *args, "--rounds", 3, "--interval", 0.01)
    assert publisher.finish() == [f"bound to {ipc('bound')}"]


# ---- durable_subscriber.py


def test_examples__durable_subscriber_gets_what_it_missed(start):
    lines = start("durable_subscriber").finish()
    there, back, full, lost = (line.partition(", received: ")[2] for line in lines)
    assert there == "1 2 3"
    assert back == "4 5 6"
    queued = [int(number) for number in full.split()]
    assert 1 <= len(queued) <= 10
    assert queued == [7 + n for n in range(len(queued))]
    assert lost == "none"


def test_examples__durable_subscriber_can_be_killed_by_hand(start, ipc):
    subscriber = start("durable_subscriber", "subscriber", ipc("durable"))
    publisher = start("durable_subscriber", "publisher", ipc("durable"))
    publisher.wait_for("subscribed")

    def type_line(line: bytes) -> None:
        publisher.process.stdin.write(line + b"\n")
        publisher.process.stdin.flush()

    type_line(b"2")
    subscriber.wait_for("2$")
    subscriber.kill()
    type_line(b"gone")
    type_line(b"2")
    wait_until(lambda: publisher.lines.count("done") == 3, 30)
    subscriber = start("durable_subscriber", "subscriber", ipc("durable"))
    subscriber.wait_for("4$")
    publisher.process.stdin.close()
    publisher.finish()
    assert subscriber.interrupt() == ["3", "4"]


# ---- work_queue.py


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_examples__work_queue_prefers_who_is_available(start, transport):
    args = ["--tasks", ANY_PORT, "--results", ANY_PORT] if transport == "tcp" else []
    lines = start("work_queue", *args).finish()
    done = counts(lines, r"worker (\d+): (\d+) tasks")
    slow, fast = done.values()
    assert slow + fast == 300
    assert fast > slow
    assert lines[-1] == "300 of 300 done"


def test_examples__work_queue_takes_workers_from_elsewhere(start, ipc):
    where = ["--tasks", ipc("tasks"), "--results", ipc("results")]
    workers = [start("work_queue", "worker", *where) for _ in range(2)]
    queue = start("work_queue", *where, "--count", 1000)
    lines = queue.finish()
    done = counts(lines, r"worker (\d+): (\d+) tasks")
    assert {str(worker.process.pid) for worker in workers} <= set(done)
    assert sum(done.values()) == 1000
    for worker in workers:
        assert worker.interrupt() == []


def test_examples__work_queue_is_interrupted(start):
    queue = start("work_queue", "--count", 10**6)
    queue.wait_for("tasks at")
    assert queue.interrupt()[-1].endswith(" of 1000000 done")


# ---- lazy_pirate.py


def test_examples__lazy_pirate_gives_up_and_goes_on(start):
    assert start("lazy_pirate").finish() == [
        "the server is started",
        "first question: answer to first question",
        "the server is killed",
        "second question: no answer, given up",
        "the server is started",
        "third question: answer to third question",
        "the server is killed",
    ]


def test_examples__lazy_pirate_survives_its_servers(start, ipc):
    client = start("lazy_pirate", "client", ipc("pirate"), "--questions", 90)
    for number in (30, 60):
        server = start("lazy_pirate", "server", ipc("pirate"))
        client.wait_for(f"question {number}:")
        server.kill()
    server = start("lazy_pirate", "server", ipc("pirate"))
    assert client.finish() == [
        f"question {n}: answer to question {n}" for n in range(90)
    ]
    assert server.interrupt() == []


# ---- load_balancer.py


def test_examples__load_balancer_spares_the_slow_one(start):
    lines = start("load_balancer").finish()
    done = counts(lines, r"(worker \d): (\d+) tasks")
    assert sum(done.values()) == 100
    slow = done.pop("worker 0")
    assert len(done) == 3 and slow < min(done.values())
    assert lines[-1] == "100 of 100 done"


# ---- monitoring.py


def test_examples__monitoring_restarts_who_crashes(start):
    lines = start("monitoring").finish()
    assert "disk: ended with -9, is restarted" in lines
    assert sum("restarted" in line for line in lines) == 1
    samples = counts(lines, r"(\w+): (\d+) samples")
    assert samples["cpu"] == samples["net"] == 200
    assert samples["disk"] >= 200


def test_examples__monitoring_service_is_killed(start):
    monitoring = start("monitoring", "--crash", "nobody", "--samples", 500)
    pid = int(monitoring.wait_for(r"net: process (\d+)")[1])
    monitoring.wait_for("disk: process")
    os.kill(pid, signal.SIGKILL)
    monitoring.wait_for("net: ended with -9, is restarted")
    samples = counts(monitoring.finish(), r"(\w+): (\d+) samples")
    assert samples["cpu"] == samples["disk"] == 500
    assert samples["net"] >= 500


def test_examples__monitoring_is_interrupted(start):
    monitoring = start("monitoring", "--crash", "nobody", "--samples", 10**6)
    pids = [
        int(monitoring.wait_for(rf"{name}: process (\d+)")[1])
        for name in ("processor", "cpu", "disk", "net")
    ]
    monitoring.interrupt()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_examples__monitoring_in_one_process(start):
    lines = start("monitoring", "--in-process").finish()
    assert lines == ["cpu: 200 samples", "disk: 200 samples", "net: 200 samples"]


def test_examples__monitoring_services_under_test(ctx):
    monitoring = load("monitoring")
    endpoint = "inproc://here"

    async def main() -> dict[str, int]:
        collecting = [monitoring.collect(ctx, endpoint, name, 10) for name in "abc"]
        count, *_ = await asyncio.wait_for(
            asyncio.gather(monitoring.process(ctx, endpoint, 3), *collecting), 20
        )
        return count

    assert asyncio.run(main()) == {"a": 10, "b": 10, "c": 10}


# ---- those with plain sockets, and the rest


def test_examples__multipart(start):
    assert start("multipart").finish() == [
        "several frames: [b'CATS', b'', b'hello, world']",
        "two frames sent, received: None",
        "all three sent, received: [b'first', b'second', b'last']",
        "a sender gave up, received: [b'another message']",
        "without a copy: picture, 128000000 in all",
        "envelope of a REQ: [b'asker', b'', b'a question']",
        "the REQ gets: [b'the answer to', b'a question']",
        "envelope of a DEALER: [b'dealer', b'two', b'frames']",
    ]


def test_examples__serializer(start):
    thanks, refused = start("serializer").finish()
    assert thanks == "Thanks(name='cat.png', brightness=127.5)"
    assert refused.startswith("Expected `object`")


def test_examples__serializer_reads_where_the_message_is():
    done = run_child(
        f"""
        import sys
        import msgspec, zraw
        sys.path.insert(0, {str(FOLDER)!r})
        from serializer import Picture

        picture = Picture("cat", (2, 1), [], memoryview(b"12"))
        message = zraw.Message(msgspec.msgpack.encode(picture))
        decoded = msgspec.msgpack.decode(message, type=Picture)
        assert decoded.pixels == b"12" and decoded.pixels.obj is message
        """
    )
    assert (done.code, done.err) == (0, ""), done


def test_examples__curve_gives_nothing_to_a_wrong_key(start):
    assert start("curve").finish() == [
        "with the server's key: the answer to a question",
        "with a wrong key: nothing",
        "without encryption: nothing",
        "with the server's key: the answer to a question",
    ]


def test_examples__curve_server_and_client_apart(start):
    server = start("curve", "server", ANY_PORT)
    line = server.wait_for(r"for clients: (\S+) (--key=)'(\S{40})'")
    where, key = line[1], line[2] + line[3]
    wrong_key = f"--key={zraw.curve_keypair()[0]}"
    wrong = start("curve", "client", where, wrong_key, "--timeout", 0.5)
    right = start("curve", "client", where, key, "--timeout", 20)
    assert right.finish() == ["the answer to a question"]
    assert wrong.finish() == ["nothing"]
    assert len(server.interrupt()) == 1


def test_examples__proxy_broker(start):
    lines = start("proxy_broker").finish()
    answers = counts(lines[1:-1], r"(worker \d): (\d+) answers")
    assert len(answers) == 3 and sum(answers.values()) == 400
    assert lines[-1] == "400 answers"


def test_examples__proxy_broker_in_processes(start):
    broker = start(
        "proxy_broker", "broker", "--clients", ANY_PORT, "--workers", ANY_PORT
    )
    _, front, back = broker.wait_for(r"clients at (.*), workers at (.*)").group(0, 1, 2)
    workers = [start("proxy_broker", "worker", "--workers", back) for _ in range(2)]
    clients = [start("proxy_broker", "client", "--clients", front) for _ in range(2)]
    answered: set[str] = set()
    for client in clients:
        lines = client.finish()
        assert lines[-1] == "100 answers"
        answered |= set(counts(lines, r"process (\d+): (\d+) answers"))
    for worker in workers:
        if str(worker.process.pid) in answered:  # else it may not have started yet
            assert worker.interrupt() == []
    assert len(broker.interrupt()) == 1


def test_examples__poll_many(start):
    jobs, news, ticks = (line.split() for line in start("poll_many").finish())
    assert jobs == ["500", "jobs"]
    assert news == ["100", "news"]
    assert int(ticks[0]) >= 3 and ticks[1] == "ticks"
