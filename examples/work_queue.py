"""A work queue: each task goes to a worker that is available; workers may be added.

    python examples/work_queue.py

A ventilator pushes tasks, workers pull them and push results, a sink pulls those.  The
program starts a slow worker, adds a fast one while it runs, and counts the results.
Workers on other machines are added in the same way, over tcp:

    python examples/work_queue.py --tasks tcp://0.0.0.0:5557 \\
        --results tcp://0.0.0.0:5558
    python examples/work_queue.py worker --tasks tcp://host:5557 \\
        --results tcp://host:5558

ZMQ_PUSH deals tasks out in turn, and passes over who has no room.  The room is what
makes a worker unavailable, so it has to be small: with the default of 1000 messages on
either side a slow worker would hoard all there is to do.  In between are the system's
buffers; they hold few of these tasks, but thousands of tiny ones would fit.  Who needs
exactly one task per worker has load_balancer.py.  A worker that dies takes the tasks
it had with it.

The program runs on trio.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter

import trio

import zraw
from zraw import aio

SIZE = 32_768  # of a task
# Messages on either side of a connection, and bytes in between: tcp has megabytes.
LITTLE_ROOM = {
    zraw.ZMQ_SNDHWM: 1,
    zraw.ZMQ_RCVHWM: 1,
    zraw.ZMQ_SNDBUF: SIZE,
    zraw.ZMQ_RCVBUF: SIZE,
}


def work(tasks: str, results: str, seconds: float) -> None:
    """A worker: it has one thing to do, and needs no event loop."""
    name = str(os.getpid()).encode()
    with zraw.Context() as context:
        pull, push = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
        for option, value in LITTLE_ROOM.items():
            pull.setsockopt(option, value)
        push.setsockopt(zraw.ZMQ_LINGER, 1000)
        pull.connect(tasks)
        push.connect(results)
        while True:
            number, data = pull.recv_multipart()
            time.sleep(seconds)
            push.send_multipart([number, hashlib.sha256(data).digest(), name])


async def end_on_ctrl_c(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


async def run_queue(context: zraw.Context, args: argparse.Namespace) -> None:
    done: Counter[str] = Counter()
    async with (
        aio.Push(context, options={**LITTLE_ROOM, zraw.ZMQ_LINGER: 0}) as ventilator,
        aio.Pull(context) as sink,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(end_on_ctrl_c, nursery.cancel_scope)
        tasks, results = ventilator.bind(args.tasks), sink.bind(args.results)
        print(f"tasks at {tasks}, results at {results}", flush=True)

        async def deal_out() -> None:
            for number in range(args.count):
                task = [str(number).encode(), os.urandom(SIZE)]
                await ventilator.send_multipart(task)  # waits for a worker

        def add_worker(seconds: float) -> None:
            command = [sys.executable, __file__, "worker", "--seconds", str(seconds)]
            command += ["--tasks", tasks, "--results", results]
            nursery.start_soon(trio.run_process, command)

        nursery.start_soon(deal_out)
        add_worker(0.03)
        for number in range(args.count):
            _number, _digest, worker = await sink.recv_multipart()
            done[worker.decode()] += 1
            if number == 0:
                add_worker(0.001)
        nursery.cancel_scope.cancel()  # which ends the workers
    for name, count in done.items():
        print(f"worker {name}: {count} tasks", flush=True)
    print(f"{done.total()} of {args.count} done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Deal tasks out to workers.")
    parser.add_argument("role", nargs="?", default="queue", choices=["queue", "worker"])
    parser.add_argument("--tasks", metavar="ENDPOINT")
    parser.add_argument("--results", metavar="ENDPOINT")
    parser.add_argument("--count", metavar="N", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=0.01, help="for each task")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        args.tasks = args.tasks or f"ipc://{folder}/tasks"
        args.results = args.results or f"ipc://{folder}/results"
        if args.role == "worker":
            work(args.tasks, args.results, args.seconds)
        else:
            with zraw.Context() as context:
                trio.run(run_queue, context, args)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
