"""zmq_ctx_destroy() is the old name of zmq_ctx_term(): Context.term() or close().

close() is what most programs want: it closes the sockets that are still open.
"""

import zraw

ctx = zraw.Context()
push = ctx.socket(zraw.ZMQ_PUSH)
ctx.close(linger=0)
print("context:", ctx.closed, "socket:", push.closed)

# prints:
# context: True socket: True
