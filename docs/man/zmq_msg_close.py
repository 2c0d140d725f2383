"""zmq_msg_close() is Message.close(); it is rarely needed, as collection closes.

A view keeps the body alive: close() then raises instead of leaving it dangling.
"""

import zraw

message = zraw.Message(b"content")
view = memoryview(message)
try:
    message.close()
except BufferError:
    print("still seen:", bytes(view).decode())
view.release()
message.close()
try:
    message.size()
except zraw.InvalidHandle:
    print("closed")

# prints:
# still seen: content
# closed
