"""zmq_poller_wait_all() is Poller.wait_all(): up to n events, as a list."""

import zraw

with zraw.Context() as ctx, zraw.Poller() as poller:
    push = ctx.socket(zraw.ZMQ_PUSH)
    pulls = [ctx.socket(zraw.ZMQ_PULL) for _ in range(3)]
    for number, pull in enumerate(pulls):
        push.connect(pull.bind(f"inproc://{number}"))
        poller.add(pull, zraw.ZMQ_POLLIN, number)
    push.send_many([b"a", b"b"])  # to the first two
    events = poller.wait_all(len(poller), 5000)
    print([(number, socket.recv()) for socket, number, _ in events])

# prints:
# [(0, b'a'), (1, b'b')]
