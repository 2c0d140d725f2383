"""Mongrel2 itself, clients of it, and handlers that can be killed."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import zraw

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAM = EXAMPLES / "mongrel2_handler.py"
sys.path.append(str(EXAMPLES))
handler = importlib.import_module(PROGRAM.stem)

ROUTES = 24  # of each protocol: one for a test
SECONDS = 15  # the limit of each wait
# libzmq looks for lost peers at most once in a millisecond when it sends.
LIBZMQ_NOTICES = 0.01

SERVER = """
main = Server(uuid="main", name="main", port={port}, bind_addr="127.0.0.1", chroot="./",
    access_log="/logs/access.log", error_log="/logs/error.log",
    pid_file="/run/mongrel2.pid", default_host="localhost",
    hosts=[Host(name="localhost", routes={{ {routes} }})])
settings = {{"server.daemonize": 0, "limits.content_length": 4000000,
    "control_port": "ipc://run/{port}-control"}}
servers = [main]
"""
ROUTE = """
{name} = Handler(send_spec="ipc://run/{port}-{name}-out", send_ident="{name}-server",
    recv_spec="ipc://run/{port}-{name}-in", recv_ident="", protocol="{protocol}")
"""


@dataclass(frozen=True)
class Route:
    """Paths of the server, and the endpoints of their handler."""

    name: str
    requests: str
    responses: str

    @property
    def path(self) -> str:
        return f"/{self.name}/"


class Server:
    """A server with routes that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("mongrel2") is None or shutil.which("m2sh") is None:
            pytest.skip("mongrel2 is not installed")
        self.folder = folder
        for name in ("run", "logs", "tmp"):
            (folder / name).mkdir()
        # Bound, and never listening, it keeps the port for the server.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._routes = {
            protocol: [f"{protocol}{number}" for number in range(ROUTES)]
            for protocol in ("json", "tnetstring")
        }
        self._load()

    def _load(self) -> None:
        handlers, routes = "", []
        for protocol, names in self._routes.items():
            for name in names:
                handlers += ROUTE.format(name=name, port=self.port, protocol=protocol)
                routes.append(f'"/{name}/": {name}')
        config = handlers + SERVER.format(port=self.port, routes=", ".join(routes))
        (self.folder / "mongrel2.conf").write_text(config)
        self._run(["m2sh", "load", "-config", "mongrel2.conf", "-db", "config.sqlite"])

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "LOGNAME": "tests"},  # m2sh wants to know who it was
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                ["mongrel2", "config.sqlite", "main"],
                cwd=self.folder,  # endpoints are relative to it, with chroot or without
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            output_so_far = (self.folder / "output").read_text()
            assert self._process.poll() is None, output_so_far
            assert time.monotonic() < deadline, output_so_far
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            with Client(self) as client:
                return client.ask("/nowhere")[0] == 404
        except OSError:
            return False

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)

    def close(self) -> None:
        self.kill()
        self._reserved.close()

    def route(self, protocol: str = "json") -> Route:
        """Return a route that no other test has had."""
        name = self._routes[protocol].pop()
        specs = [
            f"ipc://{self.folder}/run/{self.port}-{name}-{to}" for to in ("out", "in")
        ]
        return Route(name, *specs)

    def handlers_of(self, route: Route) -> int:
        """How many handlers pull from a route, as far as the server knows."""
        name = f"run/{self.port}-{route.name}-out"
        table = Path("/proc/net/unix").read_text()
        lines = [line.split() for line in table.splitlines()]
        connected = "03"
        return sum(line[5] == connected and line[-1] == name for line in lines)


class Client:
    """A connection to the server."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), SECONDS)

    def send(
        self,
        path: str,
        body: bytes = b"",
        *,
        method: str = "GET",
        version: str = "1.1",
        headers: bytes = b"",
    ) -> None:
        self._method = method
        start = f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n".encode()
        if body:
            start += b"Content-Length: %d\r\n" % len(body)
        self.socket.sendall(start + headers + b"\r\n" + body)

    def response(self) -> HTTPResponse:
        """Return the response when its head is there."""
        response = HTTPResponse(self.socket, method=self._method)
        response.begin()
        return response

    def ask(self, path: str, body: bytes = b"", **words: Any) -> tuple[int, bytes]:
        """Send a request; return status and body of the response."""
        self.send(path, body, **words)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        with self.response() as response:
            return response.status, response.read()

    def waits(self, seconds: float = 0.2) -> bool:
        """Whether there is neither an answer nor an end for a while."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(SECONDS)
        return False

    def is_closed(self) -> bool:
        """Wait for what comes next; whether it is the end."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def handling(
    route: Route, answer: Callable[..., Any], backend: str = "asyncio"
) -> Iterator[list[Any]]:
    """Handle a route in a thread of this process; give the list of notices."""
    notices: list[Any] = []

    async def main(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        context = zraw.Context()
        try:
            with anyio.fail_after(SECONDS) as limit:
                async with handler.Mongrel2(
                    context,
                    requests=route.requests,
                    responses=route.responses,
                    on_disconnect=notices.append,
                ) as server:
                    limit.deadline = float("inf")
                    task_status.started()
                    await handler.serve(server, answer)
        finally:
            context.close(linger=0)

    with start_blocking_portal(backend) as portal:
        future, _ = portal.start_task(main)
        try:
            yield notices
            assert not future.done(), future.exception()
        finally:
            future.cancel()


def start_program(route: Route, *args: str) -> subprocess.Popen[str]:
    """Start the program, as a user does."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments(route), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def arguments(route: Route) -> list[str]:
    return ["--requests", route.requests, "--responses", route.responses]


class Forks:
    """Programs that start in no time: forks of a process that has imported it all."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, command: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, route: Route) -> int:
        """Start a handler; return its process id."""
        return self._ask(f"start {' '.join(arguments(route))}")

    def kill(self, pid: int) -> None:
        """Kill -9, and wait until it is gone."""
        self._ask(f"kill {pid}")

    def close(self) -> None:
        self._process.communicate(timeout=SECONDS)


def fork_programs() -> None:
    """Do what Forks says, line by line; kill at the end who is left."""
    pids = set()
    for line in sys.stdin:
        command, *words = line.split()
        if command == "kill":
            pid = int(words[0])
            pids.discard(pid)
            end(pid)
        else:
            pid = os.fork()
            if pid == 0:
                sys.argv[1:] = words
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                try:
                    handler.main()
                finally:
                    os._exit(1)
            pids.add(pid)
        print(pid, flush=True)
    for pid in pids:
        end(pid)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    fork_programs()
