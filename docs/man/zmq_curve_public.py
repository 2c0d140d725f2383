"""zmq_curve_public() is zraw.curve_public(): the public key of a secret one."""

import zraw

public, secret = zraw.curve_keypair()
assert zraw.curve_public(secret) == public
try:
    zraw.curve_public(secret[:-1])
except ValueError as error:
    print(error)

# prints:
# curve_public(): secret: 40 characters, not 39
