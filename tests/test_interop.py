"""zraw, pyzmq and a C program talk to each other over tcp."""

from __future__ import annotations

import inspect
import os
import shlex
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zraw
from conftest import wait_until

HERE = Path(__file__).parent
COUNT = 40  # every form of sending meets every kind of message twice
SYNC = [b"sync"]
PEERS = ["c", "pyzmq", "zraw"]


def message(number: int) -> list[bytes]:
    """Return the frames that peer.c sends under the same number."""
    text = b"%d" % number
    large = (bytes(range(251)) * 300)[number : number + 70000]
    kinds = [[text], [b""], [b"", text, b"", text], [large], [text, large, b""]]
    return kinds[number % 5]


# What peer.c does, with pyzmq or zraw.
PROGRAM = """
import select, sys, zlib
library, role, how, endpoint, count = sys.argv[1:]
if library == "pyzmq":
    import zmq
    names = {name: getattr(zmq, name) for name in dir(zmq)}
    context = zmq.Context()
else:
    import zraw
    names = {name.removeprefix("ZMQ_"): getattr(zraw, name) for name in dir(zraw)}
    context = zraw.Context()

def show(parts):
    print("got", *(f"{len(part)}:{zlib.adler32(part)}" for part in parts), flush=True)
    return parts

count = int(count)
socket = context.socket(names[role])
for option in ("RCVTIMEO", "SNDTIMEO", "LINGER"):
    socket.setsockopt(names[option], 20000)
if role == "SUB":
    socket.setsockopt(names["SUBSCRIBE"], b"")
if role == "DEALER":
    socket.setsockopt(names["ROUTING_ID"], b"dealer")
if how == "bind":
    socket.bind(endpoint)
    where = socket.getsockopt(names["LAST_ENDPOINT"])
    print("bound", where.decode().rstrip(chr(0)) if isinstance(where, bytes) else where,
          flush=True)
else:
    socket.connect(endpoint)
if role == "PUB":
    while True:
        socket.send(b"sync")
        if select.select([sys.stdin], [], [], 0.005)[0]:
            break
if role == "SUB":
    ready = False
    while count:
        parts = socket.recv_multipart()
        if parts != [b"sync"]:
            show(parts)
            count -= 1
        elif not ready:
            print("ready", flush=True)
            ready = True
for number in range(count):
    if role in ("PUB", "PUSH", "REQ", "DEALER"):
        socket.send_multipart(message(number))
    if role in ("PULL", "REQ", "REP", "ROUTER"):
        parts = show(socket.recv_multipart())
    if role in ("REP", "ROUTER"):
        socket.send_multipart(parts)
if role == "DEALER":
    for number in range(count):
        show(socket.recv_multipart())
socket.close()
context.term()
print("done", flush=True)
"""


class Peer:
    """A child that speaks ZeroMQ; what it prints goes to files."""

    def __init__(self, command: list[str], folder: Path):
        self.files = [folder / f"{os.path.basename(command[0])}.{n}" for n in "oe"]
        with self.files[0].open("wb") as out, self.files[1].open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=HERE
            )

    def lines(self) -> list[str]:
        """Return the lines printed so far, whole ones only."""
        return self.files[0].read_text().split("\n")[:-1]

    def wait_for(self, word: str) -> str:
        """Wait for a line that begins with a word; return what follows."""

        def seen() -> bool:
            return self.process.poll() is not None or bool(found())

        def found() -> list[str]:
            return [line for line in self.lines() if line.split()[0] == word]

        wait_until(seen, 20)
        assert found(), (self.process.returncode, self.files[1].read_text())
        return found()[0].removeprefix(word).strip()

    def tell(self) -> None:
        """Write a line to the child's standard input."""
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def finish(self) -> list[str]:
        """Wait for the end; return the lines about messages."""
        code = self.process.wait(timeout=30)
        errors = self.files[1].read_text()
        assert (code, errors) == (0, ""), (code, errors)
        assert self.lines()[-1] == "done"
        return [line for line in self.lines() if line.startswith("got")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compile peer.c; return the path of the program."""
    target = str(tmp_path_factory.mktemp("peer") / "peer")
    asked = ["pkg-config", "--cflags", "--libs", "libzmq"]
    flags = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    command = ["cc", "-Wall", "-Werror", "-o", target, str(HERE / "peer.c")]
    subprocess.run([*command, *shlex.split(flags)], check=True, timeout=60)
    return target


@pytest.fixture
def start(program: str, tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    """Start peers: start(kind, role, "bind" or "connect", endpoint)."""
    peers: list[Peer] = []

    def run(kind: str, *args: str) -> Peer:
        python = [sys.executable, "-c", inspect.getsource(message) + PROGRAM, kind]
        command = [program] if kind == "c" else python
        peers.append(Peer([*command, *args, str(COUNT)], tmp_path))
        return peers[-1]

    yield run
    for peer in peers:
        peer.process.kill()
        peer.process.wait()
        assert peer.process.stdin
        peer.process.stdin.close()


def printed(messages: list[list[bytes]]) -> list[str]:
    """Return the lines of a peer that got these messages."""
    return [
        " ".join(["got", *(f"{len(part)}:{zlib.adler32(part)}" for part in parts)])
        for parts in messages
    ]


def send(socket: zraw.Socket, parts: list[bytes], form: int) -> None:
    """Send a message in one of the ways there are."""
    if form % 4 == 0:
        socket.send_multipart(parts)
    elif form % 4 == 1:
        for part in parts[:-1]:
            socket.send(part, zraw.ZMQ_SNDMORE)
        socket.send(parts[-1])
    elif form % 4 == 2:
        socket.send_multipart([zraw.Message.init_data(part) for part in parts])
    else:
        assert socket.send_many([parts]) == 1


def recv(socket: zraw.Socket, form: int) -> list[bytes]:
    """Receive a message in one of the ways there are."""
    if form % 4 == 0:
        return socket.recv_multipart()
    if form % 4 == 1:
        parts = [socket.recv()]
        while socket.getsockopt(zraw.ZMQ_RCVMORE):
            parts.append(socket.recv())
        return parts
    if form % 4 == 2:
        return [bytes(part) for part in socket.recv_multipart(copy=False)]
    return socket.recv_many(1, multipart=True)[0]


def connected(
    start: Callable[..., Peer], socket: zraw.Socket, binds: bool, kind: str, role: str
) -> Peer:
    """Start a peer and connect it with a socket of this process."""
    if binds:
        return start(kind, role, "connect", socket.bind("tcp://127.0.0.1:*"))
    peer = start(kind, role, "bind", "tcp://127.0.0.1:*")
    socket.connect(peer.wait_for("bound"))
    return peer


# (kind of the first, kind of the second): the first binds, and one of them is the
# zraw of this process.
PAIRS = [(True, kind) for kind in PEERS] + [(False, kind) for kind in PEERS]
IDS = [f"zraw-{kind}" if here else f"{kind}-zraw" for here, kind in PAIRS]
EXPECTED = [message(number) for number in range(COUNT)]


@pytest.mark.parametrize(("here", "kind"), PAIRS, ids=IDS)
def test_interop__pub_and_sub(sock, start, here, kind):
    socket = sock(zraw.ZMQ_PUB if here else zraw.ZMQ_SUB, RCVTIMEO=20000)
    if here:
        peer = connected(start, socket, True, kind, "SUB")

        def synchronised() -> bool:
            socket.send(SYNC[0])
            return "ready" in peer.lines()

        wait_until(synchronised, 20)
        for number, parts in enumerate(EXPECTED):
            send(socket, parts, number)
        assert peer.finish() == printed(EXPECTED)
    else:
        socket.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        peer = connected(start, socket, False, kind, "PUB")
        assert socket.recv_multipart() == SYNC
        peer.tell()
        got: list[list[bytes]] = []
        while len(got) < COUNT:
            parts = recv(socket, len(got))
            got += [parts] if parts != SYNC else []
        assert got == EXPECTED
        assert peer.finish() == []
        assert socket.try_recv() is None


@pytest.mark.parametrize(("here", "kind"), PAIRS, ids=IDS)
def test_interop__push_and_pull(sock, start, here, kind):
    socket = sock(zraw.ZMQ_PUSH if here else zraw.ZMQ_PULL, RCVTIMEO=20000)
    peer = connected(start, socket, here, kind, "PULL" if here else "PUSH")
    if here:
        socket.setsockopt(zraw.ZMQ_SNDTIMEO, 20000)
        for number, parts in enumerate(EXPECTED):
            send(socket, parts, number)
        assert peer.finish() == printed(EXPECTED)
    else:
        assert [recv(socket, number) for number in range(COUNT)] == EXPECTED
        assert peer.finish() == []
        assert socket.try_recv() is None


@pytest.mark.parametrize(("here", "kind"), PAIRS, ids=IDS)
def test_interop__rep_and_req(sock, start, here, kind):
    socket = sock(zraw.ZMQ_REP if here else zraw.ZMQ_REQ, RCVTIMEO=20000)
    peer = connected(start, socket, here, kind, "REQ" if here else "REP")
    for number, parts in enumerate(EXPECTED):
        if here:
            assert recv(socket, number) == parts
            send(socket, parts, number)
        else:
            send(socket, parts, number)
            assert recv(socket, number) == parts
    assert peer.finish() == printed(EXPECTED)


@pytest.mark.parametrize(("here", "kind"), PAIRS, ids=IDS)
def test_interop__router_and_dealer(sock, start, here, kind):
    socket = sock(zraw.ZMQ_ROUTER if here else zraw.ZMQ_DEALER, RCVTIMEO=20000)
    if not here:
        socket.setsockopt(zraw.ZMQ_ROUTING_ID, b"dealer")
    peer = connected(start, socket, here, kind, "DEALER" if here else "ROUTER")
    if here:
        for number, parts in enumerate(EXPECTED):
            assert recv(socket, number) == [b"dealer", *parts]
            send(socket, [b"dealer", *parts], number)
        assert peer.finish() == printed(EXPECTED)
    else:
        for number, parts in enumerate(EXPECTED):
            send(socket, parts, number)
        assert [recv(socket, number) for number in range(COUNT)] == EXPECTED
        assert peer.finish() == printed([[b"dealer", *parts] for parts in EXPECTED])
