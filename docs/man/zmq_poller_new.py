"""zmq_poller_new() is Poller(): a set to wait for, kept between the waits."""

import zraw

with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PULL) as pull, zraw.Poller() as poller:
    poller.add(pull)
    try:
        poller.wait(0)
    except zraw.Again:  # C's -1 with EAGAIN
        print("nothing to receive")

# prints:
# nothing to receive
