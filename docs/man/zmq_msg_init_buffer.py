"""zmq_msg_init_buffer() is Message.init_buffer(): a copy of memory. A draft.

Message(data) does the same with every libzmq.
"""

import zraw

source = bytearray(b"tick")
message = zraw.Message(source)
source[:] = b"tock"
assert message == b"tick"
try:
    print(bytes(zraw.Message.init_buffer(source)).decode())
except zraw.NotSupported as error:
    print(error)

# prints:
# tock
# prints without drafts:
# [Errno 95] Operation not supported: Message.init_buffer(): …
