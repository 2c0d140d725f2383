"""zmq_ctx_set_ext() is Context.set_ext(): context options that are text. A draft."""

import zraw

with zraw.Context() as ctx:
    try:
        ctx.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "weather")
        print("threads of", ctx.get_ext(zraw.ZMQ_THREAD_NAME_PREFIX))
    except zraw.NotSupported:
        ctx.set(zraw.ZMQ_THREAD_NAME_PREFIX, 7)  # without drafts, a number
        print("threads of number", ctx.get(zraw.ZMQ_THREAD_NAME_PREFIX))

# prints:
# threads of weather
# prints without drafts:
# threads of number 7
