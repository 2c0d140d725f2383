"""zmq_close() is Socket.close(); its argument sets ZMQ_LINGER, in milliseconds.

A second close() does nothing; any other call raises NotASocket.
"""

import zraw

ctx = zraw.Context()
push = ctx.socket(zraw.ZMQ_PUSH)
push.connect("tcp://127.0.0.1:1")  # nobody is there
push.send(b"queued")
push.close(linger=0)  # drop it: term() has nothing to wait for
push.close()
try:
    push.send(b"too late")
except zraw.NotASocket as error:
    assert error.errno == zraw.ENOTSOCK
    print(type(error).__name__)
ctx.term()

# prints:
# NotASocket
