"""zmq_ctx_shutdown() is Context.shutdown(): threads that wait in a call come back."""

import threading

import zraw

ctx = zraw.Context()
ready = threading.Event()


def worker():
    with ctx.socket(zraw.ZMQ_PULL) as pull:
        ready.set()
        try:
            pull.recv()  # nobody ever sends
        except zraw.ContextTerminated:
            print("the worker goes home")


thread = threading.Thread(target=worker)
thread.start()
ready.wait()
ctx.shutdown()
thread.join()
ctx.term()  # does not wait: the worker closed its socket
print("closed:", ctx.closed)

# prints:
# the worker goes home
# closed: True
