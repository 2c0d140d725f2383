"""zmq_timers_cancel() is Timers.cancel(); a handler may cancel its own timer."""

import zraw

with zraw.Timers() as timers:

    def once(timer):
        print("once")
        timers.cancel(timer)

    timer = timers.add(1, once)
    while (timeout := timers.timeout()) >= 0:
        zraw.poll([], timeout)
        timers.execute()
    try:
        timers.cancel(timer)
    except zraw.InvalidArgument:
        print("gone already")

# prints:
# once
# gone already
