"""zmq_init(io_threads) is deprecated in C; in zraw it is Context(io_threads)."""

import zraw

with zraw.Context(2) as ctx:
    print(ctx.get(zraw.ZMQ_IO_THREADS))

# prints:
# 2
