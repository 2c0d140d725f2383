"""zmq_z85_decode() is zraw.z85_decode(): the bytes of a text, as of a CURVE key."""

import zraw

print(zraw.z85_decode("HelloWorld").hex(" "))
for wrong in ("Hello!", "\\\\\\\\\\"):
    try:
        zraw.z85_decode(wrong)
    except zraw.InvalidArgument as error:
        print(type(error).__name__)

# prints:
# 86 4f d2 6f b5 59 f7 5b
# InvalidArgument
# InvalidArgument
