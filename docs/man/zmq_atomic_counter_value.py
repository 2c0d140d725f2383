"""zmq_atomic_counter_value() is AtomicCounter.value()."""

import zraw

with zraw.AtomicCounter() as counter:
    values = [counter.value()]
    counter.inc()
    values.append(counter.value())
    counter.dec()
    values.append(counter.value())
print(values)

# prints:
# [0, 1, 0]
