"""zmq_poller_size() is Poller.size(), and len(); whoever closes, leaves."""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    first, second = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PULL)
    poller.add(first)
    poller.add(second)
    print(poller.size())
    first.close()
    print(len(poller))

# prints:
# 2
# 1
