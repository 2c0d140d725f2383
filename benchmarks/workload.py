"""What instructions.py runs under callgrind: one kind of call, so many times.

python workload.py CALL COUNT...
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import repeat

import zraw

BODY = b"x" * 16
PARTS = [BODY] * 3
BATCH = [BODY] * 1000


def open_pair() -> tuple[zraw.Socket, zraw.Socket]:
    context = zraw.Context()
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    push.setsockopt(zraw.ZMQ_SNDHWM, 0)
    pull.setsockopt(zraw.ZMQ_RCVHWM, 0)
    pull.connect(push.bind("inproc://workload"))
    return push, pull


def loop(call: Callable[..., object], count: int, *arguments: object) -> None:
    """Call with one argument or none; repeat(), other than range(), makes no int."""
    if arguments:
        argument = arguments[0]
        for _ in repeat(None, count):
            call(argument)
    else:
        for _ in repeat(None, count):
            call()


def work(name: str, count: int, push: zraw.Socket, pull: zraw.Socket) -> None:
    """Make `count` calls, or move `count` messages in batches."""
    if name == "loop":
        for _ in repeat(None, count):
            pass
    elif name == "send":
        loop(push.send, count, BODY)
    elif name == "send_multipart":
        loop(push.send_multipart, count, PARTS)
    elif name == "send_many":
        loop(push.send_many, count // len(BATCH), BATCH)
    elif name == "recv_msg":
        loop(pull.recv_msg, count, zraw.Message())
    elif name == "recv_many":
        loop(pull.recv_many, count // len(BATCH), len(BATCH))
    else:
        loop(getattr(pull, name), count)


def main(name: str, *counts: str) -> None:
    """Do it for each count; callgrind writes a file at every zmq_version()."""
    push, pull = open_pair()
    if name.startswith("recv"):
        message = PARTS if name == "recv_multipart" else BODY
        push.send_many([message] * sum(map(int, counts)))
    for count in map(int, counts):
        zraw.version()
        work(name, count, push, pull)
    zraw.version()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # the end of the interpreter is not part of it
