"""zmq_timers_reset() is Timers.reset(): the interval begins anew, as for a watchdog."""

import time

import zraw

with zraw.Timers() as timers:
    watchdog = timers.add(10_000, lambda timer: print("nobody came"))
    time.sleep(0.02)
    before = timers.timeout()
    timers.reset(watchdog)
    print("more time than before:", timers.timeout() > before)

# prints:
# more time than before: True
