"""zmq_msg_set() is Message.set(); libzmq has no property yet that can be set."""

import zraw

message = zraw.Message(b"x")
for property in (zraw.ZMQ_MORE, zraw.ZMQ_SHARED):
    try:
        message.set(property, 1)
    except zraw.InvalidArgument as error:
        print(error)

# prints:
# [Errno 22] Invalid argument: Message.set(ZMQ_MORE, 1)
# [Errno 22] Invalid argument: Message.set(ZMQ_SHARED, 1)
