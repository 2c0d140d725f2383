"""zmq_z85_encode() is zraw.z85_encode(): bytes as text that fits into a shell."""

import zraw

print(zraw.z85_encode(bytes([0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B])))
try:
    zraw.z85_encode(b"five!")
except zraw.InvalidArgument:
    print("four bytes make five characters: no other lengths")

# prints:
# HelloWorld
# four bytes make five characters: no other lengths
