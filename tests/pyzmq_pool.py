"""A ventilator, workers by fork, spawn and forkserver, a sink: each a process."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading

import zmq

from pyzmq_case import check_backend, limited, main

WORKERS, TASKS = 3, 300
parents: zmq.Context | None = None  # known to forked children only


def work(tasks: str, results: str, context: zmq.Context | None = None) -> None:
    """Square numbers until there are no more; say who did it, and how many."""
    check_backend()
    context = context or zmq.Context()
    with (
        limited(context.socket(zmq.PULL)) as pull,
        limited(context.socket(zmq.PUSH)) as push,
    ):
        pull.rcvhwm = 1  # nobody takes what others could do
        pull.connect(tasks)
        push.linger = 10000
        push.connect(results)
        push.send_pyobj(("ready", os.getpid()))
        done = 0
        while (number := pull.recv_pyobj()) is not None:
            push.send_pyobj((number, number**2))
            done += 1
        push.send_pyobj(("done", os.getpid(), done))
    context.term()


def work_on_instance(tasks: str, results: str) -> None:
    """The instance of the parent is not that of a child."""
    context = zmq.Context.instance()
    assert parents is not None
    assert context is not parents
    work(tasks, results, context)


def leave_alone(tasks: str, results: str) -> None:
    """End a forked child without a look at the parent's sockets."""
    work(tasks, results)
    sys.exit(0)


def play(method: str, target=work) -> None:
    starting = multiprocessing.get_context(method)
    context = zmq.Context()
    push, pull = limited(context.socket(zmq.PUSH)), limited(context.socket(zmq.PULL))
    push.sndhwm = 1
    tasks, results = (
        f"tcp://127.0.0.1:{each.bind_to_random_port('tcp://127.0.0.1')}"
        for each in (push, pull)
    )
    # What a forked child inherits: a socket in use by a thread, one with a message.
    blocked = context.socket(zmq.PULL)
    blocked.bind("inproc://blocked")
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(blocked.recv()))
    thread.start()

    children = [
        starting.Process(target=target, args=(tasks, results)) for _ in range(WORKERS)
    ]
    for child in children:
        child.start()
    pids = {child.pid for child in children}
    ready = {pull.recv_pyobj() for _ in children}
    assert ready == {("ready", pid) for pid in pids}, ready

    for number in range(TASKS):
        push.send_pyobj(number)
    squares = [pull.recv_pyobj() for _ in range(TASKS)]
    assert sorted(squares) == [(n, n**2) for n in range(TASKS)]
    for _ in children:
        push.send_pyobj(None)
    ends = [pull.recv_pyobj() for _ in children]
    assert {end[1] for end in ends} == pids, ends
    assert sum(end[2] for end in ends) == TASKS, ends
    for child in children:
        child.join(10)
    codes = [child.exitcode for child in children]
    assert codes == [0] * WORKERS, codes

    with context.socket(zmq.PUSH) as last:
        last.connect("inproc://blocked")
        last.send(b"undisturbed")
        thread.join(10)
    assert got == [b"undisturbed"], got
    for socket in (blocked, push, pull):
        socket.close()
    context.term()


def fork() -> None:
    play("fork")


def spawn() -> None:
    play("spawn")


def forkserver() -> None:
    play("forkserver")


def fork_instance() -> None:
    """With an instance in the parent, before and after."""
    global parents
    parents = zmq.Context.instance()
    play("fork", work_on_instance)
    assert zmq.Context.instance() is parents
    parents.term()


def fork_exits() -> None:
    play("fork", leave_alone)


def map_in_pool() -> None:
    """Tasks of a multiprocessing.Pool that each ask a server in the parent."""
    context = zmq.Context()
    router = limited(context.socket(zmq.ROUTER))
    port = router.bind_to_random_port("tcp://127.0.0.1")
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        waiting = pool.map_async(ask, [(port, n) for n in range(50)], chunksize=5)
        for _ in range(50):
            client, empty, body = router.recv_multipart()
            router.send_multipart([client, empty, body + b"!"])
        assert waiting.get(10) == [b"%d!" % n for n in range(50)]
        pool.close()
        pool.join()
    router.close()
    context.term()


def ask(task: tuple[int, int]) -> bytes:
    port, number = task
    request = limited(zmq.Context.instance().socket(zmq.REQ))
    request.connect(f"tcp://127.0.0.1:{port}")
    request.send(b"%d" % number)
    with request:
        return request.recv()


if __name__ == "__main__":
    main(globals())
