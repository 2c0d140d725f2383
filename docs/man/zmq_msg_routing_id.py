"""zmq_msg_routing_id() is Message.routing_id(): who sent it, on a ZMQ_SERVER.

A draft.
"""

import zraw

with zraw.Context() as ctx:
    try:
        server, client = ctx.socket(zraw.ZMQ_SERVER), ctx.socket(zraw.ZMQ_CLIENT)
        client.connect(server.bind("inproc://example"))
        client.send(b"question")
        question = server.recv_msg()
        assert question.routing_id() > 0
        answer = zraw.Message(b"answer to the " + bytes(question))
        answer.set_routing_id(question.routing_id())
        answer.send(server)
        print(client.recv().decode())
    except zraw.NotSupported as error:
        print(error)

# prints:
# answer to the question
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_SERVER): …
