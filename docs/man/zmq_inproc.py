"""inproc://: between the threads of a process. It needs no I/O thread at all.

Both sides have to be of one context; which one comes first does not matter.
"""

import threading

import zraw

with zraw.Context(io_threads=0) as ctx, ctx.socket(zraw.ZMQ_REQ) as req:
    req.connect("inproc://#1")

    def serve():
        with ctx.socket(zraw.ZMQ_REP) as rep:
            rep.bind("inproc://#1")
            rep.send(rep.recv()[::-1])

    thread = threading.Thread(target=serve)
    thread.start()
    req.send(b"stressed")
    print(req.recv().decode())
    thread.join()
    try:
        req.bind("tcp://127.0.0.1:*")
    except zraw.NoIOThread as error:
        print(type(error).__name__)

# prints:
# desserts
# NoIOThread
