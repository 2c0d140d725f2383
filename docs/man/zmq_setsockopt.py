"""zmq_setsockopt() is Socket.setsockopt(option, value): the size is not asked for.

The type follows from the option: int, bytes or str; what does not fit is refused.
"""

import zraw

with zraw.Context() as ctx:
    pub, sub = ctx.socket(zraw.ZMQ_XPUB), ctx.socket(zraw.ZMQ_SUB)
    sub.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    sub.setsockopt(zraw.ZMQ_SUBSCRIBE, b"ABC")
    sub.setsockopt(zraw.ZMQ_SUBSCRIBE, b"DEFGH")
    sub.connect(pub.bind("inproc://example"))
    print(sorted([pub.recv(), pub.recv()]))
    pub.send_many([b"DEF", b"DEFGHI", b"AB", b"ABCD"])
    print(sub.recv(), sub.recv())
    try:
        sub.setsockopt(zraw.ZMQ_RCVTIMEO, "soon")
    except TypeError:
        print("not a number")

# prints:
# [b'\x01ABC', b'\x01DEFGH']
# b'DEFGHI' b'ABCD'
# not a number
