"""zmq_socket() is Context.socket(), or Socket(context, type)."""

import zraw

with zraw.Context() as ctx:
    pub = ctx.socket(zraw.ZMQ_PUB)
    sub = zraw.Socket(ctx, zraw.ZMQ_SUB)
    assert (pub.type, sub.type) == (zraw.ZMQ_PUB, zraw.ZMQ_SUB)
    assert pub.context is sub.context is ctx
    try:
        ctx.socket(4711)
    except zraw.InvalidArgument:
        print("no such type")
print("both closed:", pub.closed and sub.closed)

# prints:
# no such type
# both closed: True
