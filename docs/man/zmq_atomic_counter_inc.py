"""zmq_atomic_counter_inc() is AtomicCounter.inc(): it returns the value before."""

import zraw

ticket = zraw.AtomicCounter()
print([ticket.inc() for _ in range(3)], ticket.value())

# prints:
# [0, 1, 2] 3
