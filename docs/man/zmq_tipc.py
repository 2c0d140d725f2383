"""tipc://: services by number in a cluster. Linux needs its module tipc.

Here a service of this process's own number; where there is no TIPC, tcp.
"""

import os

import zraw

with zraw.Context() as ctx:
    pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
    number = os.getpid()
    try:
        pull.bind(f"tipc://{{5560,{number},{number}}}")  # type, lower, upper
        endpoint = f"tipc://{{5560,{number}}}"
    except zraw.ZMQError:  # of libzmq or of the kernel
        endpoint = pull.bind("tcp://127.0.0.1:*")
    push.connect(endpoint)
    push.send(b"hello")
    print("over", endpoint.partition(":")[0] + ":", pull.recv().decode())

# prints:
# over …: hello
