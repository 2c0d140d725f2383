"""vsock://: between a virtual machine and its host, on Linux; elsewhere, tcp.

Only libzmq after 4.3.5 has it, and only if built with it: zraw.has("vsock").
"""

import zraw

with zraw.Context() as ctx:
    pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
    try:
        endpoint = pull.bind("vsock://@:*")
    except zraw.ZMQError as error:  # of libzmq or of the kernel
        assert zraw.has("vsock") or error.errno == zraw.EPROTONOSUPPORT
        endpoint = pull.bind("tcp://127.0.0.1:*")
    push.connect(endpoint)
    push.send(b"hello")
    print("over", endpoint.partition(":")[0] + ":", pull.recv().decode())

# prints:
# over …: hello
