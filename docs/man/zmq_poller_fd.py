"""zmq_poller_fd() is Poller.fd(): a descriptor for the loops of others. A draft.

Only for thread-safe sockets, which are drafts: others have ZMQ_FD, or fileno().
"""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    pull = ctx.socket(zraw.ZMQ_PULL)
    poller.add(pull)
    try:
        poller.fd()
    except zraw.InvalidArgument:
        print("not for ZMQ_PULL; it has fileno():", pull.fileno() > 2)
    if zraw.has("draft"):
        poller.add(server := ctx.socket(zraw.ZMQ_SERVER))
        print("for ZMQ_SERVER:", poller.fd() > 2)
    else:
        print("no thread-safe sockets in this libzmq")

# prints:
# not for ZMQ_PULL; it has fileno(): True
# for ZMQ_SERVER: True
# prints without drafts:
# not for ZMQ_PULL; it has fileno(): True
# no thread-safe sockets in this libzmq
