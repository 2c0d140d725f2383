"""zmq_msg_init_data() is Message.init_data(): memory is lent, not copied.

C's free function and its hint are `on_free`, a callable, or a Tracker to wait for.
"""

import threading

import zraw

lent = bytearray(b"0123456789" * 10_000)
freed, tracker = threading.Event(), zraw.Tracker()
with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("tcp://127.0.0.1:*"))
    zraw.Message.init_data(lent, freed.set, tracker).send(push)
    assert pull.recv() == lent
    assert tracker.wait(5000) and freed.wait(5)
    lent[:4] = b"mine"  # libzmq is done with it
    print(bytes(lent[:10]).decode())

# prints:
# mine456789
