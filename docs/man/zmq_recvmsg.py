"""zmq_recvmsg(socket, msg, flags) is deprecated in C; here it is Message.recv()."""

import zraw

with zraw.Context() as ctx:
    a, b = ctx.socket(zraw.ZMQ_PAIR), ctx.socket(zraw.ZMQ_PAIR)
    b.connect(a.bind("inproc://example"))
    a.send(b"received")
    message = zraw.Message()
    assert message.recv(b, zraw.ZMQ_DONTWAIT) == 8
    print(bytes(message).decode())

# prints:
# received
