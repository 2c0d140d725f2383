"""zmq_disconnect() is Socket.disconnect(): the endpoint as connect() was given it."""

import zraw

with zraw.Context() as ctx:
    push = ctx.socket(zraw.ZMQ_PUSH)
    first, second = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PULL)
    endpoints = [first.bind("inproc://first"), second.bind("inproc://second")]
    for endpoint in endpoints:
        push.connect(endpoint)
    push.send_many([b"1", b"2"])
    print(first.recv(), second.recv())
    push.disconnect(endpoints[0])
    push.send_many([b"3", b"4"])
    print(second.recv(), second.recv(), first.try_recv())

# prints:
# b'1' b'2'
# b'3' b'4' None
