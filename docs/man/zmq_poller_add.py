"""zmq_poller_add() is Poller.add(): socket, events, and anything to have with them."""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    poller.add(pull, zraw.ZMQ_POLLIN, {"name": "the feed"})
    try:
        poller.add(pull)
    except zraw.InvalidArgument:
        print("is there already")
    push.send(b"news")
    socket, user_data, events = poller.wait(5000)
    assert socket is pull and events == zraw.ZMQ_POLLIN
    print(user_data["name"], socket.recv())

# prints:
# is there already
# the feed b'news'
