"""zmq_poll() is zraw.poll(): sockets and files together; the ready ones come back."""

import os

import zraw

readable, writable = os.pipe()
with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    items = [(pull, zraw.ZMQ_POLLIN), (readable, zraw.ZMQ_POLLIN)]
    print("at first:", zraw.poll(items, 0))

    os.write(writable, b"from the file")
    [(what, events)] = zraw.poll(items, 5000)
    assert (what, events) == (readable, zraw.ZMQ_POLLIN)
    print(os.read(what, 100))

    push.send(b"from the socket")
    [(what, events)] = zraw.poll(items, 5000)
    print(what.recv())
os.close(readable)
os.close(writable)

# prints:
# at first: []
# b'from the file'
# b'from the socket'
