"""One loop over many sockets, a pipe and a timer: zraw.Poller, and no event loop.

    python examples/poll_many.py

A service takes in jobs (ZMQ_PULL), hears news (ZMQ_SUB), answers questions (ZMQ_REP),
obeys what comes through a pipe, and does something every 20 ms.  What is registered
brings along what is to be called when it is ready.  The customer is a thread.

zraw.poll() is the same with a list that is given anew each time, as zmq_poll() in C.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter

import zraw

JOBS, NEWS, QUESTIONS = "inproc://jobs", "inproc://news", "inproc://questions"


def serve(context: zraw.Context, commands: int) -> Counter[str]:
    """Serve until a command says to stop; return what has been seen."""
    seen: Counter[str] = Counter()
    last_command = b""

    def on_jobs(jobs: zraw.Socket) -> None:
        seen["jobs"] += len(jobs.recv_many(100))  # all that are there, up to a limit

    def on_news(news: zraw.Socket) -> None:
        seen["news"] += len(news.recv_many(100))

    def on_question(questions: zraw.Socket) -> None:
        topic = questions.recv().decode()
        questions.send(str(seen[topic]).encode())

    def on_command(descriptor: int) -> None:
        nonlocal last_command
        last_command = os.read(descriptor, 100)

    def on_tick(timer_id: int) -> None:
        seen["ticks"] += 1

    with (
        context.socket(zraw.ZMQ_PULL) as jobs,
        context.socket(zraw.ZMQ_SUB) as news,
        context.socket(zraw.ZMQ_REP) as questions,
        zraw.Timers() as timers,
        zraw.Poller() as poller,
    ):
        jobs.bind(JOBS)
        news.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        news.bind(NEWS)
        questions.bind(QUESTIONS)
        poller.add(jobs, zraw.ZMQ_POLLIN, on_jobs)
        poller.add(news, zraw.ZMQ_POLLIN, on_news)
        poller.add(questions, zraw.ZMQ_POLLIN, on_question)
        poller.add_fd(commands, zraw.ZMQ_POLLIN, on_command)
        timers.add(20, on_tick)
        while last_command != b"stop":
            try:
                ready = poller.wait_all(len(poller), timers.timeout())
            except zraw.Again:
                ready = []  # nothing in time: a timer is due
            for what, callback, _events in ready:
                callback(what)
            timers.execute()
    return seen


def order(context: zraw.Context, commands: int) -> None:
    """The customer: a thread, which needs sockets of its own."""
    with (
        contextlib.suppress(zraw.ContextTerminated),
        context.socket(zraw.ZMQ_PUSH) as jobs,
        context.socket(zraw.ZMQ_XPUB) as news,
        context.socket(zraw.ZMQ_REQ) as questions,
    ):
        for socket, endpoint in ((jobs, JOBS), (news, NEWS), (questions, QUESTIONS)):
            socket.connect(endpoint)
        news.recv()  # the subscription: news before it would go nowhere
        jobs.send_many([b"a job"] * 500)
        for number in range(100):
            news.send(b"news %d" % number)
        wanted = {"jobs": 500, "news": 100, "ticks": 3}
        while wanted:
            topic, count = next(iter(wanted.items()))
            questions.send(topic.encode())
            if int(questions.recv()) >= count:
                del wanted[topic]
            time.sleep(0.001)
    os.write(commands, b"stop")


def main() -> None:
    reading, writing = os.pipe()
    with zraw.Context() as context:
        customer = threading.Thread(target=order, args=(context, writing))
        customer.start()
        try:
            seen = serve(context, reading)
        finally:
            context.shutdown()
            customer.join()
            os.close(reading)
            os.close(writing)
    for what, count in sorted(seen.items()):
        print(f"{count} {what}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
