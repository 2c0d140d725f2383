"""The publisher and the subscriber of a talk of 2010 on ZeroMQ in Perl.

The talk shows two programs, then lets either side bind, then a subscriber that
does both.  Here are the same calls in the same order; only the ports are free ones,
and the publisher repeats itself, as nobody waits for it to have subscribers.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import wait_until

# Publish until something arrives on standard input.
PUBLISHER = """
    import select, sys
    import zraw
    from zraw import ZMQ_PUB

    c = zraw.Context(io_threads=1)
    pub = zraw.Socket(c, ZMQ_PUB)
    {attach}
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        msg = zraw.Message({text})
        pub.send(msg)
        assert len(msg) == 0
    pub.close(linger=0)  # one that connected keeps messages for the peer that left
    c.term()
"""
# Print messages until each of the texts expected was among them.
SUBSCRIBER = """
    import zraw
    from zraw import ZMQ_IDENTITY, ZMQ_SUB, ZMQ_SUBSCRIBE

    c = zraw.Context(io_threads=1)
    sub = zraw.Socket(c, ZMQ_SUB)
    sub.setsockopt(ZMQ_IDENTITY, b"sub1")
    sub.setsockopt(ZMQ_SUBSCRIBE, b"")
    {attach}
    expected = {expected}
    while expected:
        msg = zraw.Message()
        sub.recv_msg(msg)
        expected.discard(bytes(msg))
        print(bytes(msg).decode(), flush=True)
    assert sub.getsockopt(ZMQ_IDENTITY) == b"sub1"
    sub.close()
    c.term()
"""
BIND = 'print({}.bind("{}"), flush=True)'
ANY_PORT = "tcp://127.0.0.1:*"


class Program:
    """One of the two, in a process of its own."""

    def __init__(self, source: str, folder: Path):
        self.out, self.err = folder / "out", folder / "err"
        folder.mkdir()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(source)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=Path(__file__).parent,
            )

    def first_line(self) -> str:
        """Wait for the first line of output: the endpoint bound."""
        wait_until(
            lambda: "\n" in self.out.read_text() or self.process.poll() is not None, 20
        )
        assert self.process.poll() is None, self.err.read_text()
        return self.out.read_text().split("\n")[0]

    def finish(self) -> list[str]:
        """Let it end; return what it printed."""
        self.process.communicate(b"enough\n", timeout=30)
        errors = self.err.read_text()
        assert (self.process.returncode, errors) == (0, ""), errors
        return self.out.read_text().splitlines()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs; kill those that are left."""
    programs: list[Program] = []

    def run(source: str, **words: object) -> Program:
        folder = tmp_path / str(len(programs))
        programs.append(Program(source.format(**words), folder))
        return programs[-1]

    yield run
    for program in programs:
        program.process.kill()
        program.process.communicate()


def publisher(start: Start, attach: str, text: bytes = b"hello, world") -> Program:
    return start(PUBLISHER, attach=attach, text=text)


def subscriber(start: Start, attach: str, *texts: bytes) -> Program:
    return start(SUBSCRIBER, attach=attach, expected=set(texts or [b"hello, world"]))


def test_talk__publisher_binds_and_subscriber_connects(start):
    pub = publisher(start, BIND.format("pub", ANY_PORT))
    sub = subscriber(start, f'sub.connect("{pub.first_line()}")')
    assert sub.process.wait(timeout=30) == 0, sub.err.read_text()
    assert sub.finish() == ["hello, world"]
    pub.finish()


def test_talk__subscriber_binds_and_publisher_connects(start):
    sub = subscriber(start, BIND.format("sub", ANY_PORT))
    where = sub.first_line()
    pub = publisher(start, f'pub.connect("{where}")')
    assert sub.process.wait(timeout=30) == 0, sub.err.read_text()
    assert sub.finish() == [where, "hello, world"]
    pub.finish()


def test_talk__subscriber_binds_and_connects(start):
    bound = publisher(start, BIND.format("pub", ANY_PORT), b"from the bound one")
    attach = f'{BIND.format("sub", ANY_PORT)}; sub.connect("{bound.first_line()}")'
    texts = [b"from the bound one", b"from the connected one"]
    sub = subscriber(start, attach, *texts)
    where = sub.first_line()
    connected = publisher(start, f'pub.connect("{where}")', b"from the connected one")
    assert sub.process.wait(timeout=30) == 0, sub.err.read_text()
    assert {*sub.finish()} == {where, *(text.decode() for text in texts)}
    bound.finish()
    connected.finish()
