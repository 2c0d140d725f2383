"""zmq_atomic_counter_destroy() is AtomicCounter.destroy(); `with` and collection, too.

C's function sets the caller's pointer to NULL; here every later call raises.
"""

import zraw

counter = zraw.AtomicCounter()
counter.destroy()
counter.destroy()
try:
    counter.inc()
except zraw.InvalidHandle:
    print("destroyed")

# prints:
# destroyed
