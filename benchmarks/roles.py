"""One process of a case with several, in Python: what c/roles.c is in C.

Who binds prints its endpoints; who measures prints figures when it is done.  Modes:
"one" call per message, "many" for batches of 1000, "zero" without copies.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

from library import (
    IN_BATCH_SIZE,
    LINGER,
    OUT_BATCH_SIZE,
    RCVHWM,
    SNDHWM,
    Library,
    Socket,
)

BATCH = 1000
GIL_SECONDS = 1.0
PAGE = os.sysconf("SC_PAGESIZE")


@dataclass
class Job:
    """What the process was told to do."""

    library: Library
    endpoint: str
    size: int
    count: int
    mode: str
    batch_bytes: int

    def open(self, kind: str) -> Socket:
        socket = self.library.open(kind, self.size)
        self.library.set(socket, LINGER, -1)  # all that was sent arrives
        if self.batch_bytes:
            self.library.set(socket, IN_BATCH_SIZE, self.batch_bytes)
            self.library.set(socket, OUT_BATCH_SIZE, self.batch_bytes)
        return socket

    def bind(self, *sockets: Socket) -> None:
        """Bind and tell where."""
        show(endpoints=[self.library.bind(socket, self.endpoint) for socket in sockets])

    def connect(self, kind: str, endpoint: str | None = None) -> Socket:
        socket = self.open(kind)
        self.library.connect(socket, endpoint or self.endpoint)
        return socket


def show(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def pull(job: Job) -> None:
    """Time `count` messages from the first to the last."""
    library, socket = job.library, job.open("PULL")
    job.bind(socket)
    left = job.count - 1
    library.recv(socket, 1)
    start = perf_counter()
    if job.mode == "many":
        library.recv_many(socket, left)
    elif job.mode == "zero":
        last = library.recv_msg(socket, left)
        if len(last) != job.size:
            raise ValueError(f"{len(last)} B came")
    elif len(library.recv(socket, left)) != job.size:
        raise ValueError("a message of another size came")
    show(messages=left, seconds=perf_counter() - start)
    library.close(socket)


def push(job: Job) -> None:
    """Send `count` messages."""
    library, socket, body = job.library, job.connect("PUSH"), bytes(job.size)
    if job.mode == "many":
        batch = [body] * BATCH
        for _ in range(job.count // BATCH):
            library.send_many(socket, batch)
        if rest := job.count % BATCH:
            library.send_many(socket, batch[:rest])
    elif job.mode == "zero":
        library.send_lent(socket, body, job.count)
    else:
        library.send(socket, body, job.count)
    library.close(socket)


def rep(job: Job) -> None:
    """Send back what comes."""
    socket = job.open("REP")
    job.bind(socket)
    job.library.echo(socket, job.count)
    job.library.close(socket)


def req(job: Job) -> None:
    """Time round trips, but for the first tenth."""
    socket, body = job.connect("REQ"), bytes(job.size)
    warm = job.count // 10
    job.library.ask(socket, body, warm)
    start = perf_counter()
    job.library.ask(socket, body, job.count - warm)
    show(messages=job.count - warm, seconds=perf_counter() - start)
    job.library.close(socket)


def proxy(job: Job) -> None:
    """Forward from one endpoint to another until killed."""
    frontend, backend = job.open("PULL"), job.open("PUSH")
    job.bind(frontend, backend)
    job.library.proxy(frontend, backend)


def gil(job: Job) -> None:
    """Two threads send to two endpoints while a third computes."""
    stop: list[bool] = []
    sent, computed = [0, 0], [0]

    def send_from(number: int, endpoint: str) -> None:
        send, body, done = job.connect("PUSH", endpoint).send, bytes(job.size), 0
        while not stop:
            send(body)
            done += 1
        sent[number] = done

    def compute() -> None:
        done = 0
        while not stop:
            done += 1
        computed[0] = done

    threads = [
        threading.Thread(target=send_from, args=item)
        for item in enumerate(job.endpoint.split(","))
    ]
    threads.append(threading.Thread(target=compute))
    start = perf_counter()
    for thread in threads:
        thread.start()
    sleep(GIL_SECONDS)
    stop.append(True)
    for thread in threads:
        thread.join()
    seconds = perf_counter() - start
    show(sends=sum(sent) / seconds, computed=computed[0] / seconds)
    os._exit(0)  # not waiting for what is queued


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def memory(job: Job) -> None:
    """Bytes for each of `count` sockets, queued messages or pins, by `mode`."""
    library, body = job.library, bytes(job.size)
    to, origin = library.open("PULL", 16), library.open("PUSH", 16)
    for socket in (to, origin):  # pyomq takes 0 for a limit that it has itself
        library.set(socket, SNDHWM, job.count + 1)
        library.set(socket, RCVHWM, job.count + 1)
    library.bind(to, "inproc://memory")
    library.connect(origin, "inproc://memory")
    library.send(origin, body, 1)
    opened: list[Socket] = [None] * job.count
    before = resident()
    if job.mode == "socket":
        for number in range(job.count):
            opened[number] = library.open("PULL", 16)
    elif job.mode == "pin":
        library.send_lent(origin, body, job.count)
    else:
        library.send(origin, body, job.count)
    show(bytes=(resident() - before) / job.count)
    os._exit(0)


ROLES = {role.__name__: role for role in (pull, push, rep, req, proxy, gil, memory)}


def play(library: Library, role: str, words: list[str]) -> None:
    """Do one job, as the command line says it."""
    endpoint, size, count, mode, batch_bytes = words
    job = Job(library, endpoint, int(size), int(count), mode, int(batch_bytes))
    ROLES[role](job)
    library.finish()
