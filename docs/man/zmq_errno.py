"""zmq_errno() is zraw.errno(), but the exception has the number, too.

A call that succeeds leaves errno() as it is, as in C.
"""

import errno

import zraw

assert zraw.errno() == 0
with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_REP) as rep:
    try:
        rep.send(b"nobody has asked")
    except zraw.ZMQError as error:
        assert error.errno == zraw.errno() == zraw.EFSM
        print(error)
    try:
        rep.recv(zraw.ZMQ_DONTWAIT)
    except BlockingIOError as error:  # zraw.Again is one
        assert error.errno == zraw.errno() == errno.EAGAIN
        print(type(error).__name__)
    assert rep.getsockopt(zraw.ZMQ_TYPE) == zraw.ZMQ_REP
    assert zraw.errno() == errno.EAGAIN

# prints:
# [Errno 156384763] Operation cannot be accomplished in current state: …
# Again
