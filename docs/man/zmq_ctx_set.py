"""zmq_ctx_set() is Context.set(); most options count before the first socket only."""

import zraw

with zraw.Context() as ctx:
    ctx.set(zraw.ZMQ_MAX_SOCKETS, 2)
    ctx.set(zraw.ZMQ_IPV6, True)  # for every socket made from now on
    push = ctx.socket(zraw.ZMQ_PUSH)
    assert push.getsockopt(zraw.ZMQ_IPV6) == 1
    another = ctx.socket(zraw.ZMQ_PUSH)
    try:
        ctx.socket(zraw.ZMQ_PUSH)
    except zraw.TooManySockets as error:
        print(type(error).__name__)

# prints:
# TooManySockets
