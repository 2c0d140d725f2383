"""zmq_timers, the page: timers beside sockets in one loop, in one thread."""

import zraw

with zraw.Context() as ctx, zraw.Timers() as timers:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    timers.add(5, lambda timer: push.send(b"tick"))
    received = []
    while len(received) < 3:
        for socket, _ in zraw.poll([(pull, zraw.ZMQ_POLLIN)], timers.timeout()):
            received.append(socket.recv())
        timers.execute()
    print(received)

# prints:
# [b'tick', b'tick', b'tick']
