"""zmq_version() is zraw.version(): three numbers that compare as a tuple.

It is the library at hand; the constants are those of the header at build time.
"""

import zraw

built_with = zraw.ZMQ_VERSION_MAJOR, zraw.ZMQ_VERSION_MINOR, zraw.ZMQ_VERSION_PATCH
major, minor, patch = zraw.version()
assert min(built_with, (major, minor, patch)) >= (4, 3, 2)  # older ones are refused
print("libzmq", major)

# prints:
# libzmq 4
