"""zmq_poller_remove() is Poller.remove(): before another thread takes the socket."""

import zraw

with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PULL) as pull, zraw.Poller() as poller:
    poller.add(pull)
    poller.remove(pull)
    print(poller.size())
    try:
        poller.remove(pull)
    except zraw.InvalidArgument:
        print("not there")

# prints:
# 0
# not there
