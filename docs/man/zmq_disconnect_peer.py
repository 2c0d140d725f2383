"""zmq_disconnect_peer() is Socket.disconnect_peer(): a server is done with a client.

A draft, of libzmq 4.3.6 and newer.
"""

import zraw

with zraw.Context() as ctx:
    try:
        server, client = ctx.socket(zraw.ZMQ_SERVER), ctx.socket(zraw.ZMQ_CLIENT)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        client.send(b"hello")
        guest = server.recv_msg().routing_id()
        server.disconnect_peer(guest)
        try:
            while server.poll(1) == 0:  # libzmq needs a moment
                message = zraw.Message(b"still here?")
                message.set_routing_id(guest)
                server.send(message)
        except zraw.HostUnreachable:
            print("not there any longer")
    except zraw.NotSupported as error:
        print(error)

# prints:
# not there any longer
# prints without drafts:
# [Errno 95] Operation not supported: …
