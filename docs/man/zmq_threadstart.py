"""zmq_threadstart() is left out: Python has threading. Contexts may be shared.

Sockets may not be used by two threads at once: each thread makes its own.
"""

import threading

import zraw


def worker(ctx):
    with ctx.socket(zraw.ZMQ_PAIR) as pipe:
        pipe.connect("inproc://worker")
        pipe.send(pipe.recv().upper())


with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PAIR) as pipe:
    pipe.bind("inproc://worker")
    thread = threading.Thread(target=worker, args=(ctx,))
    thread.start()
    pipe.send(b"hello")
    print(pipe.recv().decode())
    thread.join()

# prints:
# HELLO
