"""zmq_msg_set_group() is Message.set_group(): said once, before ZMQ_RADIO sends it.

A draft.
"""

import zraw

message = zraw.Message(b"12 degrees")
try:
    message.set_group("weather")
    try:
        message.set_group("traffic")
    except zraw.InvalidArgument:
        print("still", message.group())
    try:
        zraw.Message().set_group("g" * (zraw.ZMQ_GROUP_MAX_LENGTH + 1))
    except ValueError:
        print("too long is refused, not cut")
except zraw.NotSupported as error:
    print(error)

# prints:
# still weather
# too long is refused, not cut
# prints without drafts:
# [Errno 95] Operation not supported: Message.set_group(): …
