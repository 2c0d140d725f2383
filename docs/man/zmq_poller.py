"""zmq_poller, the page: what is registered stays so, with data of one's own.

A draft in libzmq; without it, zraw does the same by zmq_poll().
"""

import os

import zraw

readable, writable = os.pipe()
with zraw.Context() as ctx, zraw.Poller() as poller:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    poller.add(pull, zraw.ZMQ_POLLIN, pull.recv)
    poller.add_fd(readable, zraw.ZMQ_POLLIN, lambda: os.read(readable, 100))
    push.send(b"a message")
    what, receive, events = poller.wait(5000)
    print(what is pull, receive())
    os.write(writable, b"a line")
    what, receive, events = poller.wait(5000)
    print(what == readable, receive())
os.close(readable)
os.close(writable)

# prints:
# True b'a message'
# True b'a line'
