"""udp://: datagrams, of ZMQ_RADIO to ZMQ_DISH, or as they are with ZMQ_DGRAM. Drafts.

A group goes along; one datagram is one message, and may get lost.
"""

import socket

import zraw

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]  # libzmq cannot find one itself
with zraw.Context() as ctx:
    try:
        radio, dish = ctx.socket(zraw.ZMQ_RADIO), ctx.socket(zraw.ZMQ_DISH)
        dish.bind(f"udp://127.0.0.1:{port}")
        dish.join("weather")
        radio.connect(f"udp://127.0.0.1:{port}")
        while not dish.poll(10):
            message = zraw.Message(b"sunny")
            message.set_group("weather")
            radio.send(message)
        message = dish.recv_msg()
        print(message.group(), bytes(message))
    except zraw.NotSupported as error:
        print(error)

# prints:
# weather b'sunny'
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_RADIO): …
