"""One pair of sockets, as many messages as it takes, checked from end to end.

    python tests/soak_stream.py 1000000

A sender in another process; bodies of 8 to 16 bytes, each with its number.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import zlib
from typing import Any

import zraw
from soak import heap, resident

BATCH = 999  # a multiple of the nine sizes
NUMBERS = struct.Struct("<" + "".join(f"Q{size}x" for size in range(9)) * (BATCH // 9))
BODIES = struct.Struct("".join(f"{size}s" for size in range(8, 17)) * (BATCH // 9))
WAIT_MS = 60_000
QUEUE = 20_000
MAY_GROW = 2048  # KiB, from a tenth to the end


def batch_of(start: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The messages from a number on: joined, and each by itself."""
    joined = NUMBERS.pack(*range(start, start + BATCH))
    return joined, BODIES.unpack(joined)


def send(endpoint: str, batches: int) -> None:
    """The sender; the last message has the checksum."""
    checksum = 0
    with zraw.Context() as context, context.socket(zraw.ZMQ_PUSH) as push:
        push.setsockopt(zraw.ZMQ_SNDTIMEO, WAIT_MS)
        push.setsockopt(zraw.ZMQ_SNDHWM, QUEUE)
        push.connect(endpoint)
        for start in range(0, batches * BATCH, BATCH):
            joined, bodies = batch_of(start)
            checksum = zlib.crc32(joined, checksum)
            assert push.send_many(bodies) == BATCH
        figures = {"checksum": checksum, "rss": resident(), "heap": heap()}
        push.send(json.dumps(figures).encode())


def receive(pull: zraw.Socket, batches: int) -> dict[str, Any]:
    """Compare each message with what it has to be; return the figures."""
    checksum = count = 0
    early: tuple[int, int] = (0, 0)
    start = time.monotonic()
    for number in range(batches):
        _, expected = batch_of(number * BATCH)
        place = 0
        while place < BATCH:
            got = tuple(pull.recv_many(BATCH - place))
            assert got == expected[place : place + len(got)], (number, place)
            checksum = zlib.crc32(b"".join(got), checksum)
            place += len(got)
            count += len(got)
        if number == batches // 10:
            early = resident(), heap()
    seconds = time.monotonic() - start
    grown = resident() - early[0], heap() - early[1]
    theirs = json.loads(pull.recv())
    assert theirs["checksum"] == checksum
    assert pull.try_recv() is None
    return {
        "messages": count,
        "seconds": round(seconds, 1),
        "per_second": round(count / seconds),
        "checksum": f"{checksum:08x}",
        "rss_grown": grown[0] // 1024,
        "heap_grown": grown[1] // 1024,
    }


def run(messages: int) -> dict[str, Any]:
    """Send so many messages, rounded up to whole batches, through tcp."""
    batches = -(-messages // BATCH)
    with zraw.Context() as context, context.socket(zraw.ZMQ_PULL) as pull:
        pull.setsockopt(zraw.ZMQ_RCVTIMEO, WAIT_MS)
        pull.setsockopt(zraw.ZMQ_RCVHWM, QUEUE)
        where = pull.bind("tcp://127.0.0.1:*")
        sender = subprocess.Popen([sys.executable, __file__, where, str(batches)])
        try:
            figures = receive(pull, batches)
            assert sender.wait(60) == 0
        finally:
            sender.kill()
            sender.wait(60)
    return figures


if __name__ == "__main__":
    if len(sys.argv) == 3:
        send(sys.argv[1], int(sys.argv[2]))
    else:
        print(json.dumps(run(int(sys.argv[1]))))
