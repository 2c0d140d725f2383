"""A load balancer: a task goes to the worker that has been idle the longest.

    python examples/load_balancer.py

Workers are ZMQ_REQ sockets which ask for work; the balancer knows each by the identity
that its ZMQ_ROUTER puts before every message, and keeps those that are idle in a queue.
Other than with ZMQ_PUSH (see work_queue.py) nobody gets a task before it has finished
the last one, however small the tasks are.  Clients are ZMQ_REQ sockets, too, and know
nothing of all that.

Here the workers are threads with plain sockets, the first of them a slow one; the
balancer is two callbacks and the clients are tasks, all on one event loop.  With other
endpoints each could be a process, on a machine of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import threading
import time
from collections import Counter

import zraw
from zraw import aio


def work(context: zraw.Context, endpoint: str, name: bytes, seconds: float) -> None:
    """A worker: it says that it is there, and then answers task after task."""
    with (
        contextlib.suppress(zraw.ContextTerminated),  # by Context.shutdown()
        context.socket(zraw.ZMQ_REQ) as worker,
    ):
        worker.connect(endpoint)
        worker.send(b"ready")
        while True:
            *envelope, task = worker.recv_multipart()
            time.sleep(seconds)
            worker.send_multipart([*envelope, task + b" done by " + name])


def balance(clients: aio.Router, workers: aio.Router) -> None:
    """Bring requests to workers, and answers to clients, from now on."""

    def on_read(_: aio.Router, message: list[bytes]) -> None:
        worker, _empty, *answer = message
        if answer != [b"ready"]:
            clients.push_write(answer)
        # The worker is idle: a request is for it, in its turn.  Requests for which
        # nobody is idle stay in the socket.  Everything up to the empty frame is the
        # client's address, and of no concern here.
        clients.push_read(
            lambda _, request: workers.push_write([worker, b"", *request])
        )

    workers.on_read = on_read


async def ask(
    context: zraw.Context, endpoint: str, name: str, count: int, done: Counter[str]
) -> None:
    """A client: it asks so many times, and notes who has answered."""
    async with aio.Request(context, connect=endpoint) as client:
        for number in range(count):
            answer = await client.request(f"{name}'s task {number}".encode())
            assert isinstance(answer, bytes)
            task, _, worker = answer.decode().partition(" done by ")
            assert task == f"{name}'s task {number}"
            done[worker] += 1


async def run(context: zraw.Context, frontend: str, backend: str) -> None:
    done: Counter[str] = Counter()
    async with aio.Router(context) as clients, aio.Router(context) as workers:
        frontend = clients.bind(frontend)
        workers.bind(backend)
        print(f"clients at {frontend}", flush=True)
        balance(clients, workers)
        asking = [ask(context, frontend, f"client {n}", 20, done) for n in range(5)]
        await asyncio.gather(*asking)
    for name, count in sorted(done.items()):
        print(f"{name}: {count} tasks", flush=True)
    print(f"{done.total()} of 100 done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Balance the load of some workers.")
    parser.add_argument("--clients", metavar="ENDPOINT", default="tcp://127.0.0.1:*")
    parser.add_argument("--workers", metavar="N", type=int, default=4)
    args = parser.parse_args()
    backend = "inproc://workers"
    with zraw.Context() as context:
        threads = []
        for number in range(args.workers):
            name, seconds = b"worker %d" % number, 0.001 if number else 0.1
            task = (context, backend, name, seconds)
            threads.append(threading.Thread(target=work, args=task))
            threads[-1].start()
        try:
            asyncio.run(run(context, args.clients, backend))
        finally:
            context.shutdown()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
