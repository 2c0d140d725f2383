"""zmq_poller_wait() is Poller.wait(): one event, of the first that is ready."""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    poller.add(pull, zraw.ZMQ_POLLIN, "in")
    poller.add(push, zraw.ZMQ_POLLOUT, "out")
    for _ in range(2):
        socket, name, events = poller.wait(5000)
        print(name)
        if events & zraw.ZMQ_POLLOUT:
            socket.send(b"now the other is ready, too, and comes first")

# prints:
# out
# in
