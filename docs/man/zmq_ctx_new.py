"""zmq_ctx_new() is Context(); `with` closes the sockets and terminates."""

import zraw

with zraw.Context() as ctx:
    assert ctx.get(zraw.ZMQ_IO_THREADS) == 1
    push = ctx.socket(zraw.ZMQ_PUSH)
    print(len(ctx.sockets), "socket")
assert push.closed and ctx.closed

busy = zraw.Context(io_threads=4)  # zmq_ctx_set() with ZMQ_IO_THREADS
print(busy.get(zraw.ZMQ_IO_THREADS), "I/O threads")
busy.close()

# prints:
# 1 socket
# 4 I/O threads
