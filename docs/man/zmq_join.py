"""zmq_join() is Socket.join(): a ZMQ_DISH hears the groups that it joined. A draft."""

import zraw

with zraw.Context() as ctx:
    try:
        radio, dish = ctx.socket(zraw.ZMQ_RADIO), ctx.socket(zraw.ZMQ_DISH)
        dish.join("weather")
        dish.connect(radio.bind("inproc://example"))
        for group, text in (("sports", b"2:1"), ("weather", b"sunny")):
            message = zraw.Message(text)
            message.set_group(group)
            radio.send(message)
        message = dish.recv_msg()
        print(message.group(), bytes(message))
    except zraw.NotSupported as error:
        print(error)

# prints:
# weather b'sunny'
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_RADIO): …
