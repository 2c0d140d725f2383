"""zmq_timers_new() is Timers(): a set of timers; nothing runs by itself."""

import time

import zraw

with zraw.Timers() as timers:
    called = []
    timers.add(1, called.append)
    time.sleep(0.01)
    print("called:", bool(called))
    timers.execute()
    print("called:", bool(called))

# prints:
# called: False
# called: True
