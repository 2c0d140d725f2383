"""Compile the C programs, start the processes of a case, read what they measured."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrants import library_of

HERE = Path(__file__).parent
PATIENCE = 90  # seconds without an answer, after which a process counts as hung
Figures = dict[str, float]


class Failed(Exception):
    """A process did not measure what it should."""


def libzmq_flags() -> list[str]:
    """What the compiler needs for the libzmq that setup.py would take."""
    if prefix := os.environ.get("ZRAW_PREFIX"):
        libraries = [path for path in ("lib", "lib64") if Path(prefix, path).is_dir()]
        flags = [f"-I{prefix}/include"]
        for name in libraries:
            flags += [f"-L{prefix}/{name}", f"-Wl,-rpath,{prefix}/{name}"]
        return [*flags, "-lzmq"]
    tool = os.environ.get("PKG_CONFIG", "pkg-config")
    printed = subprocess.check_output([tool, "--cflags", "--libs", "libzmq"], text=True)
    return shlex.split(printed)


def compile_c(name: str, folder: str) -> str:
    """Build c/NAME.c and return the path of the program."""
    program = str(Path(folder, name))
    compiler = os.environ.get("CC", "cc")
    source = str(HERE / "c" / f"{name}.c")
    subprocess.check_call(
        [compiler, "-O2", "-o", program, source, *libzmq_flags(), "-pthread"]
    )
    return program


def loaded_libzmq(pid: int) -> str:
    """The file of libzmq that a process has mapped, or "" where /proc is not."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""
    found = re.search(r"(/\S*libzmq[^/\s]*\.so\S*)", maps)
    return os.path.realpath(found[1]) if found else ""


class Process:
    """A process that answers in lines of JSON."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None):
        self.command = command
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | (environment or {}),
            start_new_session=True,  # Ctrl-C is for the benchmark alone
        )

    def tell(self, line: str) -> None:
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(line + "\n")
        except BrokenPipeError:
            raise Failed(self.complaint()) from None

    def answer(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next line; lines come whole, so the buffer hides none from select."""
        assert self.popen.stdout is not None
        readable, _, _ = select.select([self.popen.stdout], [], [], patience)
        line = self.popen.stdout.readline() if readable else ""
        if not line:
            raise Failed(self.complaint() if readable else "nothing for too long")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def complaint(self) -> str:
        """The last line on standard error of a process that is gone."""
        assert self.popen.stderr is not None
        self.popen.kill()
        said = self.popen.stderr.read().strip().splitlines()
        return said[-1] if said else f"exit code {self.popen.wait()}"

    def finish(self) -> None:
        """Wait for the end of what has done its part."""
        try:
            code = self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("a process does not end") from None
        if code:
            raise Failed(self.complaint())

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            assert pipe is not None
            pipe.close()


@dataclass
class Setup:
    """Where the programs are, and the servers that are running."""

    programs: dict[str, str]
    peers_python: str
    drafts: str | None = None
    servers: dict[str, Process] = field(default_factory=dict)

    def python(self, entrant: str) -> list[str]:
        zraw = library_of(entrant) == "zraw"
        return [sys.executable if zraw else self.peers_python, str(HERE / "worker.py")]

    def command(self, entrant: str, role: str, *arguments: object) -> list[str]:
        """How the process of an entrant is started: "c", "zraw", "pyzmq", …"""
        rest = [str(argument) for argument in arguments]
        if entrant == "c":
            if role == "serve":
                return [self.programs["single"]]
            return [self.programs["roles"], role, *(rest or ["-"] * 5)]
        return [*self.python(entrant), entrant, role, *rest]

    def start(self, entrant: str, role: str, *arguments: object) -> Process:
        return Process(self.command(entrant, role, *arguments))

    def about(self, entrant: str) -> dict[str, str]:
        """Versions of an entrant, and the file of its libzmq."""
        process = self.start(entrant, "about")
        try:
            told: dict[str, str] = process.answer()
        finally:
            process.kill()
        server = self.server(entrant)
        server.tell("send_recv 16 1 0")
        server.answer()
        return told | {"file": loaded_libzmq(server.popen.pid)}

    def server(self, entrant: str) -> Process:
        """The process that runs the cases with one thread of an entrant."""
        if entrant not in self.servers:
            self.servers[entrant] = self.start(entrant, "serve")
        return self.servers[entrant]

    def serve(self, entrant: str, *words: object) -> Figures:
        """Have a server run a case."""
        server = self.server(entrant)
        try:
            server.tell(" ".join(map(str, words)))
            return server.answer()
        except Failed:
            self.servers.pop(entrant).kill()
            raise

    def close(self) -> None:
        for server in self.servers.values():
            server.kill()
        self.servers.clear()


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """See to it that none is left."""
    with ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
        yield


@dataclass(frozen=True)
class Load:
    """What goes through two processes: size and number of messages, and how."""

    endpoint: str
    size: int
    count: int
    mode: str = "one"
    batch_bytes: int = 0

    def words(self, endpoint: str | None = None) -> tuple[object, ...]:
        where = endpoint or self.endpoint
        return where, self.size, self.count, self.mode, self.batch_bytes


def environment_of(
    setup: Setup, entrant: str, load: Load
) -> tuple[dict[str, str], Load]:
    """The libzmq with drafts is for zraw and C, and for nobody else."""
    if not load.batch_bytes:
        return {}, load
    if entrant not in ("c", "zraw", "zraw-many"):
        return {}, Load(load.endpoint, load.size, load.count, load.mode)
    return {"LD_LIBRARY_PATH": setup.drafts or ""}, load


def two_processes(
    setup: Setup, entrant: str, binds: str, connects: str, load: Load
) -> dict[str, Any]:
    """Run the two roles; return what one of them measured."""
    environment, load = environment_of(setup, entrant, load)
    one = Process(setup.command(entrant, binds, *load.words()), environment)
    with running(one):
        endpoint = one.answer()["endpoints"][0]
        command = setup.command(entrant, connects, *load.words(endpoint))
        other = Process(command, environment)
        with running(other):
            measured = (one if binds == "pull" else other).answer()
            other.finish()
            one.finish()
            return measured
