"""zmq_stopwatch_intermediate() is Stopwatch.intermediate(): a look; it runs on."""

import time

import zraw

watch = zraw.Stopwatch()
looks = []
for _ in range(3):
    time.sleep(0.002)
    looks.append(watch.intermediate())
assert looks == sorted(looks) and looks[-1] >= 6000
print(watch.stop() >= looks[-1])

# prints:
# True
