"""zmq_timers_timeout() is Timers.timeout(): how long to wait; -1 is for ever."""

import zraw

with zraw.Timers() as timers:
    print(timers.timeout())
    timers.add(1000, print)
    timers.add(10, print)
    print(0 <= timers.timeout() <= 10)  # the next one of all

# prints:
# -1
# True
