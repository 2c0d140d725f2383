"""zmq_timers_destroy() is Timers.destroy(); `with` and collection do it, too."""

import zraw

timers = zraw.Timers()
timers.add(1, print)
timers.destroy()
timers.destroy()
try:
    timers.execute()
except zraw.InvalidHandle:
    print("destroyed")

# prints:
# destroyed
