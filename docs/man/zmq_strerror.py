"""zmq_strerror() is zraw.strerror(); it is the text of the exceptions, too."""

import errno

import zraw

for number in (errno.EAGAIN, zraw.EFSM, zraw.ETERM, zraw.EMTHREAD):
    print(zraw.strerror(number))
try:
    zraw.Context().get(-1)
except zraw.InvalidArgument as error:
    assert zraw.strerror(error.errno) in str(error)

# prints:
# Resource temporarily unavailable
# Operation cannot be accomplished in current state
# Context was terminated
# No thread available
