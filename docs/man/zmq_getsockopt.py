"""zmq_getsockopt() is Socket.getsockopt(option): an int, str or bytes comes back."""

import zraw

with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_DEALER) as dealer:
    dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"\x01\x02")
    dealer.bind("tcp://127.0.0.1:*")
    print("number:", dealer.getsockopt(zraw.ZMQ_RCVHWM))
    print("bytes:", dealer.getsockopt(zraw.ZMQ_ROUTING_ID))
    print("text:", dealer.getsockopt(zraw.ZMQ_LAST_ENDPOINT).rpartition(":")[0])
    # An option that zraw does not know needs to be told the type.
    print("told:", dealer.getsockopt(zraw.ZMQ_TYPE, int) == zraw.ZMQ_DEALER)

# prints:
# number: 1000
# bytes: b'\x01\x02'
# text: tcp://127.0.0.1
# told: True
