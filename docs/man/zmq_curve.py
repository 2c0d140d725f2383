"""CURVE: encrypted, to a server that proves who it is by its key.

The client knows the server's public key beforehand; with another one, nothing comes.
"""

import zraw

with zraw.Context() as ctx:
    public, secret = zraw.curve_keypair()
    server, client, fooled = map(ctx.socket, [zraw.ZMQ_REP, zraw.ZMQ_REQ, zraw.ZMQ_REQ])
    server.setsockopt(zraw.ZMQ_CURVE_SERVER, True)
    server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, secret)
    reader = server.monitor(events=zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
    endpoint = server.bind("tcp://127.0.0.1:*")
    for socket, server_key in ((client, public), (fooled, zraw.curve_keypair()[0])):
        own_public, own_secret = zraw.curve_keypair()
        socket.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, server_key)
        socket.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, own_public)
        socket.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, own_secret)
        socket.connect(endpoint)
    client.send(b"a secret")
    print(server.recv().decode())
    event = zraw.recv_event(reader)
    assert event.value == zraw.ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
    print("the other one failed")
    assert client.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_CURVE

# prints:
# a secret
# the other one failed
