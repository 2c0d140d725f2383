"""zmq_timers_set_interval() is Timers.set_interval(): in ms, beginning now."""

import zraw

with zraw.Timers() as timers:
    timer = timers.add(60_000, lambda timer: print("at last"))
    assert timers.timeout() > 50_000
    timers.set_interval(timer, 1)
    zraw.poll([], timers.timeout())
    timers.execute()

# prints:
# at last
