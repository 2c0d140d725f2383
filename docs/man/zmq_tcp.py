"""tcp://: an interface and a port to bind, a host and a port to connect to.

The port * is one that the system finds: bind() returns it.
"""

import zraw

with zraw.Context() as ctx:
    server, client = ctx.socket(zraw.ZMQ_REP), ctx.socket(zraw.ZMQ_REQ)
    server.setsockopt(zraw.ZMQ_TCP_KEEPALIVE, 1)  # before bind(), to have an effect
    host, _, port = server.bind("tcp://127.0.0.1:*").rpartition(":")
    assert 0 < int(port) < 65536
    client.connect(f"tcp://localhost:{port}")
    client.send(b"hello")
    message = server.recv_msg()
    print(host, bytes(message), "from", message.gets("Peer-Address"))
    for wrong in ("tcp://*:*", "tcp://127.0.0.1:70000"):
        try:
            client.connect(wrong)
        except (zraw.InvalidArgument, ValueError) as error:
            print(error)

# prints:
# tcp://127.0.0.1 b'hello' from 127.0.0.1
# [Errno 22] Invalid argument: connect('tcp://*:*'): …
# connect(): endpoint: a port from 0 to 65535, …
