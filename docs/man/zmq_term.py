"""zmq_term() is deprecated in C; in zraw it is Context.term(), after the sockets."""

import zraw

ctx = zraw.Context()
pair = ctx.socket(zraw.ZMQ_PAIR)
pair.close()
ctx.term()
ctx.term()  # a second one does nothing
try:
    ctx.socket(zraw.ZMQ_PAIR)
except zraw.ContextTerminated as error:
    print(error.errno == zraw.ETERM)

# prints:
# True
