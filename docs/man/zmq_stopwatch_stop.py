"""zmq_stopwatch_stop() is Stopwatch.stop(): the microseconds; there is no second time.

C frees the watch and leaves a dangling pointer; here a second stop() raises.
"""

import zraw

watch = zraw.Stopwatch()
print(watch.stop() < 10_000_000)
try:
    watch.stop()
except zraw.InvalidHandle:
    print("stopped already")

# prints:
# True
# stopped already
