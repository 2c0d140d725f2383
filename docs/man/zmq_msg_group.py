"""zmq_msg_group() is Message.group(): to which group a message belongs. A draft."""

import zraw

message = zraw.Message(b"12 degrees")
try:
    assert message.group() == ""  # none yet
    message.set_group("weather")
    print(message.group(), bytes(message))
except zraw.NotSupported as error:
    print(error)

# prints:
# weather b'12 degrees'
# prints without drafts:
# [Errno 95] Operation not supported: Message.group(): …
