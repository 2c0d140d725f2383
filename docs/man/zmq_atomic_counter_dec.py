"""zmq_atomic_counter_dec() is AtomicCounter.dec(): False for whoever counts to 0.

That one cleans up.
"""

import zraw

users = zraw.AtomicCounter()
users.set(3)
print([users.dec() for _ in range(3)])

# prints:
# [True, True, False]
