"""zmq_sendiov() sends an array of buffers; here it is Socket.send_multipart().

Any buffers will do, and a peer gets all frames or none.
"""

import array

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send_multipart([b"bytes", bytearray(b"more"), array.array("B", [1, 2])])
    print(pull.recv_multipart())

# prints:
# [b'bytes', b'more', b'\x01\x02']
