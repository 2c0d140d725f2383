"""A peer in Python, with pyzmq, or with what has its names.

    peer_pyzmq.py ROLE bind|connect ENDPOINT MESSAGE...
    peer_pyzmq.py version

A message is the sizes of its frames, as 0,300,1000000. Byte i of a frame of n bytes is
i + n, modulo 256; a frame that is not so is printed as "wrong".
"""

from __future__ import annotations

import os
import select
import sys

CYCLE = bytes(range(256))


def body(size):
    return (CYCLE * (size // 256 + 2))[size % 256 :][:size]


def show(parts):
    sizes = (str(len(part)) if part == body(len(part)) else "wrong" for part in parts)
    print("got", ",".join(sizes), flush=True)


def connect(zmq, context, role, how, endpoint):
    socket = context.socket(getattr(zmq, role.upper()))
    for option in (zmq.RCVTIMEO, zmq.SNDTIMEO, zmq.LINGER):
        socket.setsockopt(option, 20000)
    if "[" in endpoint:
        socket.setsockopt(zmq.IPV6, 1)
    if endpoint.startswith("epgm"):
        socket.setsockopt(zmq.RATE, 100000)
    if "CURVE_SERVER_KEY" in os.environ:
        for name in ("SERVER_KEY", "PUBLIC_KEY", "SECRET_KEY"):
            option = getattr(zmq, f"CURVE_{name.replace('_', '')}")
            socket.setsockopt(option, os.environ[f"CURVE_{name}"].encode())
    elif "CURVE_SECRET_KEY" in os.environ:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        secret = os.environ["CURVE_SECRET_KEY"].encode()
        socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
    if how == "bind":
        socket.bind(endpoint)
        where = socket.getsockopt(zmq.LAST_ENDPOINT)
        if isinstance(where, bytes):
            where = where.decode().rstrip("\0")
        print("bound", where, flush=True)
    else:
        socket.connect(endpoint)
    if role == "sub":  # now: pyomq does not say it to those that connect, before
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    return socket


def main(zmq, version):
    if sys.argv[1] == "version":
        print(version)
        return
    role, how, endpoint, *messages = sys.argv[1:]
    context = zmq.Context()
    socket = connect(zmq, context, role, how, endpoint)
    if role == "pub":  # until somebody has heard of it
        while not select.select([sys.stdin], [], [], 0.005)[0]:
            socket.send(b"sync")
    ready = False
    for message in messages:
        if role in ("req", "pub", "push"):
            socket.send_multipart([body(int(size)) for size in message.split(",")])
        if role in ("req", "rep", "sub", "pull"):
            parts = socket.recv_multipart()
            while parts == [b"sync"]:
                if not ready:
                    print("ready", flush=True)
                ready = True
                parts = socket.recv_multipart()
            show(parts)
        if role == "rep":
            socket.send_multipart(parts)
    socket.close()
    context.term()
    print("done", flush=True)


if __name__ == "__main__":
    import zmq

    main(zmq, f"pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}")
