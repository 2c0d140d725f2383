"""zmq_msg_more() is Message.more(): a bool. recv_multipart() asks it for you."""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send(b"a", zraw.ZMQ_SNDMORE)
    push.send(b"b")
    frames = [pull.recv_msg()]
    while frames[-1].more():
        frames.append(pull.recv_msg())
    print([(bytes(frame), frame.more()) for frame in frames])

# prints:
# [(b'a', True), (b'b', False)]
