"""The overview page, in one program: a context, two sockets, a message each way."""

import zraw

with zraw.Context() as ctx:
    server = ctx.socket(zraw.ZMQ_REP)
    client = ctx.socket(zraw.ZMQ_REQ)
    client.connect(server.bind("tcp://127.0.0.1:*"))
    client.send(b"What time is it?")
    print(server.recv().decode())
    server.send(b"Late.")
    print(client.recv().decode())

# prints:
# What time is it?
# Late.
