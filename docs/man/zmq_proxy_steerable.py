"""zmq_proxy_steerable() is zraw.proxy_steerable(): a control socket stops it and asks.

PAUSE and RESUME do what they say except in libzmq 4.3.5; see help().
"""

import struct
import threading

import zraw

with zraw.Context() as ctx:
    pull, sink = ctx.socket(zraw.ZMQ_PULL), ctx.socket(zraw.ZMQ_PULL)
    push, source = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PUSH)
    control, theirs = ctx.socket(zraw.ZMQ_PAIR), ctx.socket(zraw.ZMQ_PAIR)
    source.connect(pull.bind("inproc://in"))
    sink.connect(push.bind("inproc://out"))
    control.connect(theirs.bind("inproc://control"))
    steered = threading.Thread(
        target=zraw.proxy_steerable, args=(pull, push, None, theirs)
    )
    steered.start()

    def statistics():
        control.send(b"STATISTICS")
        while len(frames := control.recv_multipart()) != 8:
            pass  # newer ones answer every command
        return [struct.unpack("=Q", frame)[0] for frame in frames]

    source.send(b"1")
    print(sink.recv())
    if zraw.version() != (4, 3, 5):
        control.send(b"PAUSE")
        statistics()  # by its answer, PAUSE was obeyed
        source.send(b"2")
        assert sink.poll(50) == 0
        control.send(b"RESUME")
    else:
        source.send(b"2")
    print(sink.recv())
    print("received:", statistics()[0])
    control.send(b"TERMINATE")
    steered.join()

# prints:
# b'1'
# b'2'
# received: 2
