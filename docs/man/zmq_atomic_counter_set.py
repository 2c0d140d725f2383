"""zmq_atomic_counter_set() is AtomicCounter.set(): a C int, while nobody counts."""

import zraw

counter = zraw.AtomicCounter()
counter.set(10)
print(counter.value())
try:
    counter.set(1 << 31)
except OverflowError:
    print("too large, still", counter.value())

# prints:
# 10
# too large, still 10
