"""zmq_leave() is Socket.leave(): a ZMQ_DISH hears no more of a group. A draft."""

import zraw

with zraw.Context() as ctx:
    try:
        radio, dish = ctx.socket(zraw.ZMQ_RADIO), ctx.socket(zraw.ZMQ_DISH)
        dish.join("sports")
        dish.join("weather")
        dish.leave("sports")
        dish.connect(radio.bind("inproc://example"))
        for group, text in (("sports", b"2:1"), ("weather", b"sunny")):
            message = zraw.Message(text)
            message.set_group(group)
            radio.send(message)
        print(dish.recv())
        try:
            dish.leave("sports")
        except zraw.InvalidArgument:
            print("left already")
    except zraw.NotSupported as error:
        print(error)

# prints:
# b'sunny'
# left already
# prints without drafts:
# [Errno 95] Operation not supported: Socket(ZMQ_RADIO): …
