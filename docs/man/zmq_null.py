"""NULL: no security, and what every socket begins with; messages carry no name."""

import zraw

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    for socket in (push, pull):
        assert socket.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_NULL
    push.connect(pull.bind("tcp://127.0.0.1:*"))
    push.send(b"in the clear")
    print(bytes(pull.recv_msg()).decode())
    push.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "admin")  # for later connections
    print("PLAIN:", push.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_PLAIN)

# prints:
# in the clear
# PLAIN: True
