"""zmq_msg_size() is Message.size(), and len() of the message."""

import zraw

for data in (b"", b"four", bytes(1 << 20)):
    message = zraw.Message(data)
    assert message.size() == len(message) == message.data().nbytes
    print(message.size())

# prints:
# 0
# 4
# 1048576
