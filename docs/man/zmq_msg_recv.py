"""zmq_msg_recv() is Message.recv(); Socket.recv_msg() makes the message itself."""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send_multipart([b"", b"question"])
    message = zraw.Message()
    while True:
        size = message.recv(pull)
        print(size, bytes(message), "more" if message.more() else "last")
        if not message.more():
            break
    push.send(b"another")
    print(bytes(pull.recv_msg()))

# prints:
# 0 b'' more
# 8 b'question' last
# b'another'
