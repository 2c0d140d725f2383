"""zmq_ctx_get() is Context.get(): the value is returned, -1 is never an error."""

import zraw

with zraw.Context() as ctx:
    assert ctx.get(zraw.ZMQ_MAX_SOCKETS) == zraw.ZMQ_MAX_SOCKETS_DFLT
    print("I/O threads:", ctx.get(zraw.ZMQ_IO_THREADS))
    print("IPv6:", ctx.get(zraw.ZMQ_IPV6))
    try:
        ctx.get(4711)
    except zraw.InvalidArgument:
        print("no such option")

# prints:
# I/O threads: 1
# IPv6: 0
# no such option
