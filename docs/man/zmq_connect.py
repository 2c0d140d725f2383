"""zmq_connect() is Socket.connect(): the other side may come later, or again."""

import zraw

with zraw.Context() as ctx:
    push = ctx.socket(zraw.ZMQ_PUSH)
    push.connect("inproc://later")  # success: nobody is there yet
    push.send(b"early")
    pull = ctx.socket(zraw.ZMQ_PULL)
    pull.bind("inproc://later")
    print(pull.recv().decode())
    for wrong in ("tcp://127.0.0.1", "carrier://pigeon"):
        try:
            push.connect(wrong)
        except zraw.ZMQError as error:
            print(type(error).__name__)

# prints:
# early
# InvalidArgument
# ProtocolNotSupported
