"""vmci://: between a virtual machine of VMware's and its host; elsewhere, tcp.

Only libzmq built with VMCI has it: zraw.has("vmci").
"""

import zraw

with zraw.Context() as ctx:
    pull, push = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PUSH)
    try:
        endpoint = pull.bind("vmci://*:*")
    except zraw.ProtocolNotSupported:
        assert not zraw.has("vmci")
        endpoint = pull.bind("tcp://127.0.0.1:*")
    push.connect(endpoint)
    push.send(b"hello")
    print("over", endpoint.partition(":")[0] + ":", pull.recv().decode())

# prints:
# over …: hello
