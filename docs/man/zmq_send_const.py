"""zmq_send_const() is Socket.send_const(): bytes that are kept for good, not copied.

For constants of a program only. send() takes everything else; it reads long bytes in
place, too, and gives them back.
"""

import zraw

WELCOME = b"Welcome to the weather. " * 1000

with zraw.Context() as ctx:
    push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://example"))
    print(push.send_const(WELCOME), pull.recv() == WELCOME)
    try:
        push.send_const(bytearray(b"may change"))
    except TypeError:
        print("bytes only")

# prints:
# 24000 True
# bytes only
