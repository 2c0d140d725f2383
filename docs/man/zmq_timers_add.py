"""zmq_timers_add() is Timers.add(): a handler is any callable; it gets the id.

C's third argument, for the handler, is what the callable knows by itself.
"""

import zraw

with zraw.Timers() as timers:
    names = {}
    for name, interval in (("slow", 60_000), ("fast", 5)):
        names[timers.add(interval, lambda timer: print(names[timer]))] = name
    print(len(timers), "timers")
    zraw.poll([], timers.timeout())
    timers.execute()

# prints:
# 2 timers
# fast
