"""zmq_msg_init() is Message(): empty, to be received into. It closes itself."""

import zraw

message = zraw.Message()
assert (message.size(), bytes(message)) == (0, b"")
with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    push.send_many([b"first", b"second"])
    for _ in range(2):
        message.recv(pull)  # the body that it had is released
        print(bytes(message).decode())

# prints:
# first
# second
