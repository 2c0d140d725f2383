"""zmq_msg_init_size() is Message.init_size(): a body to be written in place."""

import struct

import zraw

message = zraw.Message.init_size(12)
body = message.data()  # writable: nobody else has it yet
struct.pack_into(">id", body, 0, 42, 2.5)
body.release()  # send() would refuse while a view is alive
with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    print(message.send(push), "bytes")
    print(struct.unpack(">id", pull.recv()))

# prints:
# 12 bytes
# (42, 2.5)
