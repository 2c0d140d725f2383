"""zmq_poller_remove_fd() is Poller.remove_fd(): before the descriptor is closed.

Its number may soon be another file's.
"""

import os

import zraw

readable, writable = os.pipe()
with zraw.Poller() as poller:
    poller.add_fd(readable)
    poller.remove_fd(readable)
    os.close(readable)
    os.close(writable)
    print(poller.size())
    try:
        poller.modify_fd(readable, zraw.ZMQ_POLLIN)
    except zraw.InvalidArgument:
        print("not there")

# prints:
# 0
# not there
