"""zmq_unbind() is Socket.unbind(): the endpoint is free for others."""

import zraw

with zraw.Context() as ctx:
    old, new = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PULL)
    push = ctx.socket(zraw.ZMQ_PUSH)
    endpoint = old.bind("inproc://service")
    old.unbind(endpoint)
    new.bind(endpoint)
    push.connect(endpoint)
    push.send(b"to whom?")
    print(new.recv().decode(), "to the new one")
    try:
        old.unbind(endpoint)
    except zraw.NotFound:
        print("not bound any longer")

# prints:
# to whom? to the new one
# not bound any longer
