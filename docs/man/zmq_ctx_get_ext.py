"""zmq_ctx_get_ext() is Context.get_ext(): an int, or a str for a name. A draft."""

import zraw

with zraw.Context() as ctx:
    try:
        assert ctx.get_ext(zraw.ZMQ_IO_THREADS) == ctx.get(zraw.ZMQ_IO_THREADS)
        print(repr(ctx.get_ext(zraw.ZMQ_THREAD_NAME_PREFIX)))
    except zraw.NotSupported as error:
        print(error)

# prints:
# ''
# prints without drafts:
# [Errno 95] Operation not supported: Context.get_ext(): …
