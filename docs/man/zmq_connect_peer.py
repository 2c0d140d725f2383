"""zmq_connect_peer() is Socket.connect_peer(): whom to send to is known at once.

A draft.
"""

import zraw

with zraw.Context() as ctx:
    try:
        there, here = ctx.socket(zraw.ZMQ_PEER), ctx.socket(zraw.ZMQ_PEER)
        routing_id = here.connect_peer(there.bind("tcp://127.0.0.1:*"))
        message = zraw.Message(b"hello")
        message.set_routing_id(routing_id)
        here.send(message)
        received = there.recv_msg()
        print(bytes(received))
        there.send(received)  # back: it has the id of its sender
        print(bytes(here.recv_msg()))
    except zraw.NotSupported as error:
        print(error)

# prints:
# b'hello'
# b'hello'
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_PEER): …
