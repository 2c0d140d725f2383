"""zmq_stopwatch_start() is Stopwatch(): it runs from its making on."""

import time

import zraw

with zraw.Stopwatch() as watch:
    time.sleep(0.01)
    assert watch.intermediate() >= 10_000  # microseconds
try:
    watch.intermediate()
except zraw.InvalidHandle:
    print("stopped by with")

# prints:
# stopped by with
