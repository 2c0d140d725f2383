"""zmq_poller_modify() is Poller.modify(): 0 is a pause without forgetting it."""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    a, b = ctx.socket(zraw.ZMQ_PAIR), ctx.socket(zraw.ZMQ_PAIR)
    b.connect(a.bind("inproc://example"))
    a.send(b"waiting")
    poller.add(b)
    for events in (zraw.ZMQ_POLLIN, zraw.ZMQ_POLLIN | zraw.ZMQ_POLLOUT, 0):
        poller.modify(b, events)
        try:
            print(poller.wait(0)[2])
        except zraw.Again:
            print("not asked")

# prints:
# 1
# 3
# not asked
