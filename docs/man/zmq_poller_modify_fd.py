"""zmq_poller_modify_fd() is Poller.modify_fd(): wait to write, then to read."""

import socket

import zraw

ours, theirs = socket.socketpair()
with ours, theirs, zraw.Poller() as poller:
    poller.add_fd(ours, zraw.ZMQ_POLLOUT)
    what, _, events = poller.wait(5000)
    print("writable:", events == zraw.ZMQ_POLLOUT)
    what.send(b"request")
    poller.modify_fd(ours, zraw.ZMQ_POLLIN)
    theirs.send(theirs.recv(100) + b", answered")
    what, _, events = poller.wait(5000)
    print("readable:", events == zraw.ZMQ_POLLIN, what.recv(100))

# prints:
# writable: True
# readable: True b'request, answered'
