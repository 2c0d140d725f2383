"""zmq_poller_destroy() is Poller.destroy(): the sockets stay open."""

import zraw

with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PULL) as pull:
    poller = zraw.Poller()
    poller.add(pull)
    poller.destroy()
    print("open:", not pull.closed)
    try:
        poller.wait(0)
    except zraw.InvalidHandle:
        print("destroyed")

# prints:
# open: True
# destroyed
