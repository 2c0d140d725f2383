"""zmq_msg_send() is Message.send(): nothing is copied, and the message is empty after.

Socket.send(message) is the same call.
"""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    head, body = zraw.Message(b"head"), zraw.Message(b"the body")
    head.send(push, zraw.ZMQ_SNDMORE)
    print(body.send(push), "bytes sent,", body.size(), "left")
    print(pull.recv_multipart())

# prints:
# 8 bytes sent, 0 left
# [b'head', b'the body']
