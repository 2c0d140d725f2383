"""Throughput and latency between two processes, or two threads over inproc."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import zraw

TRANSPORTS = ("tcp", "ipc", "inproc")
TABLE_SIZES = (16, 256, 4096, 65536)
TABLE_SECONDS = 0.5  # for each figure of the table
PATIENCE_MS = 10_000  # without a message, the other side is taken for dead
WITHOUT_END = 0


class PerfError(Exception):
    """The other side did not do its part."""


@dataclass
class Measured:
    """Messages, or half round trips, and the time that they took."""

    count: int
    seconds: float

    @property
    def seconds_each(self) -> float:
        return self.seconds / self.count


def available() -> list[str]:
    """The transports that this libzmq has."""
    return [name for name in TRANSPORTS if name != "ipc" or zraw.has("ipc")]


def high_water_mark(size: int) -> int:
    """A queue that keeps small messages flowing and large ones out of memory."""
    if size < 256:
        return 0
    return 1000 if size < 1 << 20 else 16


def make_socket(context: zraw.Context, kind: int, size: int) -> zraw.Socket:
    """Open a socket that gives up after PATIENCE_MS."""
    socket = zraw.Socket(context, kind)
    socket.setsockopt(zraw.ZMQ_SNDHWM, high_water_mark(size))
    socket.setsockopt(zraw.ZMQ_RCVHWM, high_water_mark(size))
    socket.setsockopt(zraw.ZMQ_SNDTIMEO, PATIENCE_MS)
    socket.setsockopt(zraw.ZMQ_RCVTIMEO, PATIENCE_MS)
    return socket


def send_all(context: zraw.Context, endpoint: str, size: int, count: int) -> None:
    """The sender of the throughput test: `count` messages, or without end."""
    body = bytes(size)
    with make_socket(context, zraw.ZMQ_PUSH, size) as push:
        push.connect(endpoint)
        send = push.send
        if count == WITHOUT_END:
            while True:
                send(body)
        for _ in range(count):
            send(body)


def echo_all(context: zraw.Context, endpoint: str, size: int, count: int) -> None:
    """The far end of the latency test: send back what comes."""
    with make_socket(context, zraw.ZMQ_REP, size) as rep:
        rep.connect(endpoint)
        echoed = 0
        while count == WITHOUT_END or echoed < count:
            rep.send(rep.recv())
            echoed += 1


FAR_ENDS: dict[str, Callable[[zraw.Context, str, int, int], None]] = {
    "send": send_all,
    "echo": echo_all,
}


def run_far_end(
    role: str, context: zraw.Context, endpoint: str, size: int, count: int
) -> None:
    """Play one side, quietly: the near one is gone, or reports what is wrong."""
    try:
        FAR_ENDS[role](context, endpoint, size, count)
    except (zraw.Again, zraw.ContextTerminated, KeyboardInterrupt):
        for socket in context.sockets:
            socket.close(linger=0)


@contextmanager
def far_end(
    role: str, context: zraw.Context, endpoint: str, size: int, count: int
) -> Iterator[None]:
    """Run the other side, in a thread over inproc, else in a process."""
    if endpoint.startswith("inproc:"):
        thread = threading.Thread(
            target=run_far_end, args=(role, context, endpoint, size, count)
        )
        thread.start()
        try:
            yield
        finally:
            context.shutdown()
            thread.join()
        return
    arguments = [role, endpoint, str(size), str(count)]
    process = subprocess.Popen(
        [sys.executable, "-m", "zraw.perf", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process alone
    )
    assert process.stderr is not None
    try:
        yield
    except zraw.Again:
        process.kill()
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        raise PerfError(
            f"nothing came from the second process: {said[-1] if said else 'silence'}"
        ) from None
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@contextmanager
def near_end(
    kind: int, role: str, transport: str, size: int, count: int
) -> Iterator[zraw.Socket]:
    """Bind a socket for a test and start the other side."""
    with (
        tempfile.TemporaryDirectory(prefix="zraw") as folder,
        zraw.Context() as context,
        make_socket(context, kind, size) as socket,
    ):
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        endpoint = {
            "tcp": "tcp://127.0.0.1:*",
            "ipc": f"ipc://{folder}/perf",
            "inproc": "inproc://perf",
        }[transport]
        with far_end(role, context, socket.bind(endpoint), size, count):
            yield socket


def throughput(
    transport: str, size: int, count: int, seconds: float | None = None
) -> Measured:
    """Count messages one way; the clock starts with the first, as in local_thr."""
    deadline_in = float("inf") if seconds is None else seconds
    asked = WITHOUT_END if seconds is not None else count
    with near_end(zraw.ZMQ_PULL, "send", transport, size, asked) as pull:
        message = zraw.Message()
        recv = pull.recv_msg
        recv(message)
        start = perf_counter()
        got, stride = 0, max(1, min(count - 1, 2000 if size < 4096 else 50))
        while got < count - 1 and perf_counter() - start < deadline_in:
            for _ in range(min(stride, count - 1 - got)):
                recv(message)
                if len(message) != size:
                    raise PerfError(f"a message of {len(message)} B came, not {size}")
            got += min(stride, count - 1 - got)
        return Measured(got, perf_counter() - start)


def latency(
    transport: str, size: int, count: int, seconds: float | None = None
) -> Measured:
    """Time round trips; one counts as two messages, as in remote_lat."""
    deadline_in = float("inf") if seconds is None else seconds
    with near_end(zraw.ZMQ_REQ, "echo", transport, size, WITHOUT_END) as req:
        body = bytes(size)
        send, recv = req.send, req.recv
        send(body)
        recv()  # the connection is up
        start = perf_counter()
        done = 0
        while done < count and perf_counter() - start < deadline_in:
            for _ in range(min(10, count - done)):
                send(body)
                if len(recv()) != size:
                    raise PerfError("the answer is not the question")
            done += min(10, count - done)
        return Measured(2 * done, perf_counter() - start)


def size_text(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


class Progress:
    """A bar on standard error, if that is a terminal."""

    def __init__(self, total: int):
        self.total = total
        self.done = 0
        self.shown = sys.stderr.isatty()

    def step(self, what: str) -> None:
        """Show what is being done now."""
        if self.shown:
            filled = 30 * self.done // self.total
            bar = "#" * filled + "." * (30 - filled)
            sys.stderr.write(f"\r\x1b[K[{bar}] {self.done}/{self.total} {what}")
            sys.stderr.flush()
        self.done += 1

    def clear(self) -> None:
        """Leave the line to others."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def print_table(transports: list[str]) -> None:
    """Measure every transport and size for a moment; print a line for each."""
    print(
        f"zraw {zraw.__version__}, libzmq {'.'.join(map(str, zraw.version()))}, "
        f"Python {sys.version.split()[0]}; one send() or recv_msg() a message,\n"
        "two processes (inproc: two threads that share the GIL)\n"
    )
    print(f"{'transport':<10}{'size':>8}{'msg/s':>12}{'Mb/s':>10}{'latency us':>13}")
    progress = Progress(2 * len(transports) * len(TABLE_SIZES))
    try:
        for transport in transports:
            for size in TABLE_SIZES:
                case = f"{transport} {size_text(size)}"
                progress.step(f"throughput {case}")
                each = throughput(transport, size, 10**12, TABLE_SECONDS).seconds_each
                progress.step(f"latency {case}")
                one_way = latency(transport, size, 10**12, TABLE_SECONDS).seconds_each
                progress.clear()
                print(
                    f"{transport:<10}{size_text(size):>8}{1 / each:>12.0f}"
                    f"{size * 8 / each / 1e6:>10.0f}{one_way * 1e6:>13.1f}",
                    flush=True,
                )
    finally:
        progress.clear()


if __name__ == "__main__":
    with zraw.Context() as _own_context:
        run_far_end(sys.argv[1], _own_context, sys.argv[2], *map(int, sys.argv[3:5]))
