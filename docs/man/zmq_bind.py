"""zmq_bind() is Socket.bind(): it returns the endpoint, with the port that was found.

C has to ask for ZMQ_LAST_ENDPOINT; a socket may bind any number of endpoints.
"""

import zraw

with zraw.Context() as ctx:
    pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
    endpoint = pull.bind("tcp://127.0.0.1:*")
    assert endpoint == pull.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    pull.bind("inproc://too")
    try:
        push.bind(endpoint)
    except zraw.AddressInUse:
        print("taken")
    for where in (endpoint, "inproc://too"):
        push.connect(where)
    push.send_many([b"1", b"2"])  # one to each
    print(sorted([pull.recv(), pull.recv()]))

# prints:
# taken
# [b'1', b'2']
