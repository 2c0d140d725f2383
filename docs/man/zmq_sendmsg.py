"""zmq_sendmsg(socket, msg, flags) is deprecated in C; here it is Message.send()."""

import zraw

with zraw.Context() as ctx:
    a, b = ctx.socket(zraw.ZMQ_PAIR), ctx.socket(zraw.ZMQ_PAIR)
    b.connect(a.bind("inproc://example"))
    message = zraw.Message(b"sent")
    assert message.send(a) == 4
    print(b.recv().decode())

# prints:
# sent
