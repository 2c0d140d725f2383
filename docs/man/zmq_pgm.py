"""pgm:// and epgm://: reliable multicast, of ZMQ_PUB and ZMQ_SUB and their X kin.

A subscriber would connect to "epgm://eth0;239.192.1.1:5555", and so would a publisher.
"""

import zraw

with zraw.Context() as ctx:
    pub, push = ctx.socket(zraw.ZMQ_PUB), ctx.socket(zraw.ZMQ_PUSH)
    pub.setsockopt(zraw.ZMQ_RATE, 10_000)  # kilobits in a second
    pub.setsockopt(zraw.ZMQ_RECOVERY_IVL, 2000)  # ms in which what is lost comes again
    print(pub.getsockopt(zraw.ZMQ_RATE), pub.getsockopt(zraw.ZMQ_MULTICAST_HOPS))
    try:
        push.connect("epgm://127.0.0.1;239.192.1.1:5555")
    except zraw.IncompatibleProtocol:
        assert zraw.has("pgm")
        print("not for ZMQ_PUSH")
    except zraw.ProtocolNotSupported:
        assert not zraw.has("pgm")
        print("not in this libzmq")

# prints:
# 10000 1
# not for ZMQ_PUSH
# prints without pgm:
# 10000 1
# not in this libzmq
