"""zmq_recv() is Socket.recv_into(): into memory of one's own, cut to fit, as in C.

Most programs want Socket.recv(), which returns the whole frame as bytes.
"""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send_many([b"0123456789", b"0123456789"])
    buffer = bytearray(4)
    size = pull.recv_into(buffer)
    print(size, "bytes, of which we have", bytes(buffer))
    print(pull.recv())
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10)
    try:
        pull.recv()
    except zraw.Again:
        print("nothing in time, nor now:", pull.try_recv())

# prints:
# 10 bytes, of which we have b'0123'
# b'0123456789'
# nothing in time, nor now: None
