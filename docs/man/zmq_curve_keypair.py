"""zmq_curve_keypair() is zraw.curve_keypair(): (public, secret), both of Z85."""

import zraw

public, secret = zraw.curve_keypair()
assert len(zraw.z85_decode(public)) == len(zraw.z85_decode(secret)) == 32
assert zraw.curve_keypair() != (public, secret)
print(len(public), "characters each")

# prints:
# 40 characters each
