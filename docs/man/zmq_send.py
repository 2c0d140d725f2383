"""zmq_send() is Socket.send(): any buffer; its length is its own.

EAGAIN raises Again; try_send() returns False instead.
"""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    try:
        push.send(b"nobody", zraw.ZMQ_DONTWAIT)
    except zraw.Again:
        print("nobody takes it:", push.try_send(b"nobody"))
    push.connect(pull.bind("inproc://example"))
    push.send(b"ABC", zraw.ZMQ_SNDMORE)
    push.send(memoryview(b"..DEF..")[2:5], zraw.ZMQ_SNDMORE)
    push.send(bytearray(b"GHI"))
    print(pull.recv_multipart())

# prints:
# nobody takes it: False
# [b'ABC', b'DEF', b'GHI']
