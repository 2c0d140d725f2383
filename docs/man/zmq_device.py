"""zmq_device(type, in, out) is deprecated in C; here it is proxy() or three threads.

The type said nothing but which sockets; a ZMQ_STREAMER is a proxy of PULL and PUSH.
"""

import contextlib
import threading

import zraw

ctx = zraw.Context()


def streamer(pull, push):
    with pull, push, contextlib.suppress(zraw.ContextTerminated):
        zraw.proxy(pull, push)


pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
source, sink = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
source.connect(pull.bind("inproc://in"))
sink.connect(push.bind("inproc://out"))
thread = threading.Thread(target=streamer, args=(pull, push))
thread.start()
source.send_many([b"one", b"two"])
print(sink.recv(), sink.recv())
ctx.shutdown()
thread.join()
ctx.close()

# prints:
# b'one' b'two'
