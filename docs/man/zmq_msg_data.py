"""zmq_msg_data() is Message.data(): a memoryview, writable only where that is safe."""

import zraw

message = zraw.Message.init_size(5)
with message.data() as body:
    body[:] = b"hello"
print(bytes(message), bytes(message.data()[1:4]))
print(zraw.Message(b"a copy").data().readonly)

# prints:
# b'hello' b'ell'
# True
