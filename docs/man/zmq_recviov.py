"""zmq_recviov() fills an array of buffers; here it is Socket.recv_multipart().

With copy=False it gives Messages, whose memory is libzmq's own.
"""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send_multipart([b"name", b"x" * 1000])
    name, body = pull.recv_multipart(copy=False)
    print(bytes(name).decode(), len(body))

# prints:
# name 1000
