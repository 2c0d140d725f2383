"""A broker: clients and workers that know neither each other nor how many they are.

    python examples/proxy_broker.py

Clients (ZMQ_REQ) connect to its one end, workers (ZMQ_REP) to the other, and between a
ZMQ_ROUTER and a ZMQ_DEALER zraw.proxy() hands on what comes, without Python seeing it.
Here all are threads; they can be programs as well, any number of them:

    python examples/proxy_broker.py broker
    python examples/proxy_broker.py worker
    python examples/proxy_broker.py client --questions 1000

Questions are dealt out in turn; a broker that knows who is idle is load_balancer.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from collections import Counter

import zraw

# How a thread ends: Context.shutdown() frees it, wherever it waits.
until_shutdown = contextlib.suppress(zraw.ContextTerminated)


def broker(context: zraw.Context, clients: str, workers: str) -> None:
    with (
        until_shutdown,
        context.socket(zraw.ZMQ_ROUTER) as frontend,
        context.socket(zraw.ZMQ_DEALER) as backend,
    ):
        where = frontend.bind(clients), backend.bind(workers)
        print("clients at {}, workers at {}".format(*where), flush=True)
        zraw.proxy(frontend, backend)


def work(context: zraw.Context, endpoint: str, name: str) -> None:
    with until_shutdown, context.socket(zraw.ZMQ_REP) as worker:
        worker.connect(endpoint)
        while True:
            question = worker.recv()
            worker.send(question + b" answered by " + name.encode())


def ask(
    context: zraw.Context, endpoint: str, questions: int, answered: Counter[str]
) -> None:
    with until_shutdown, context.socket(zraw.ZMQ_REQ) as client:
        client.setsockopt(zraw.ZMQ_LINGER, 0)
        client.connect(endpoint)
        for number in range(questions):
            client.send(b"question %d" % number)
            _, _, name = client.recv().decode().partition(" answered by ")
            answered[name] += 1


def run_all(context: zraw.Context, questions: int) -> Counter[str]:
    """Run a broker, three workers and four clients, each in a thread."""
    ends = "inproc://clients", "inproc://workers"
    answered: list[Counter[str]] = [Counter() for _ in range(4)]
    serving = [threading.Thread(target=broker, args=(context, *ends))]
    for name in ("worker 1", "worker 2", "worker 3"):
        args = (context, ends[1], name)
        serving.append(threading.Thread(target=work, args=args))
    asking = [
        threading.Thread(target=ask, args=(context, ends[0], questions, answers))
        for answers in answered
    ]
    for thread in serving + asking:
        thread.start()
    try:
        for thread in asking:
            thread.join()
    finally:
        context.shutdown()
        for thread in serving + asking:
            thread.join()
    return sum(answered, Counter())


def main() -> None:
    parser = argparse.ArgumentParser(description="Bring clients and workers together.")
    roles = ["all", "broker", "worker", "client"]
    parser.add_argument("role", nargs="?", default="all", choices=roles)
    parser.add_argument("--clients", metavar="ENDPOINT", default="tcp://127.0.0.1:5559")
    parser.add_argument("--workers", metavar="ENDPOINT", default="tcp://127.0.0.1:5560")
    parser.add_argument("--questions", metavar="N", type=int, default=100)
    args = parser.parse_args()
    with zraw.Context() as context:
        if args.role == "broker":
            broker(context, args.clients, args.workers)
            return
        if args.role == "worker":
            work(context, args.workers, f"process {os.getpid()}")
            return
        answered: Counter[str] = Counter()
        if args.role == "client":
            ask(context, args.clients, args.questions, answered)
        else:
            answered = run_all(context, args.questions)
    for name, count in sorted(answered.items()):
        print(f"{name}: {count} answers", flush=True)
    print(f"{answered.total()} answers", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
