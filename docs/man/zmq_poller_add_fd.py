"""zmq_poller_add_fd() is Poller.add_fd(): descriptors, and objects with fileno()."""

import socket

import zraw

ours, theirs = socket.socketpair()
with ours, theirs, zraw.Poller() as poller:
    poller.add_fd(ours, zraw.ZMQ_POLLIN, "a plain socket")
    theirs.send(b"bytes")
    what, name, _ = poller.wait(5000)
    print(name, what.recv(100))

# prints:
# a plain socket b'bytes'
