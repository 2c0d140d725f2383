"""zmq_msg_set_routing_id() is Message.set_routing_id(): to which client. A draft."""

import zraw

with zraw.Context() as ctx:
    try:
        server, *clients = map(ctx.socket, [zraw.ZMQ_SERVER] + [zraw.ZMQ_CLIENT] * 2)
        server.bind("inproc://example")
        ids = []
        for number, client in enumerate(clients):
            client.connect("inproc://example")
            client.send(b"here I am")
            ids.append(server.recv_msg().routing_id())
            assert len(set(ids)) == number + 1
        for number, routing_id in reversed([*enumerate(ids)]):
            message = zraw.Message(b"for %d" % number)
            message.set_routing_id(routing_id)
            server.send(message)
        print([client.recv() for client in clients])
    except zraw.NotSupported as error:
        print(error)

# prints:
# [b'for 0', b'for 1']
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_SERVER): …
