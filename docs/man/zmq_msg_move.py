"""zmq_msg_move() is Message.move(): the body changes hands, nothing is copied."""

import zraw

slot, arrived = zraw.Message(b"old"), zraw.Message(b"new")
slot.move(arrived)
print(bytes(slot), bytes(arrived))

# prints:
# b'new' b''
