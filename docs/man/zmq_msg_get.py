"""zmq_msg_get() is Message.get(): what libzmq knows of a frame, as a number."""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("tcp://127.0.0.1:*"))
    push.send_multipart([b"first", b"last"])
    first, last = pull.recv_multipart(copy=False)
    print("more:", first.get(zraw.ZMQ_MORE), last.get(zraw.ZMQ_MORE))
    descriptor = first.get(zraw.ZMQ_SRCFD)  # of the connection that it came over
    print("over a connection:", descriptor > 2)

# prints:
# more: 1 0
# over a connection: True
