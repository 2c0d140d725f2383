"""zmq_timers_execute() is Timers.execute(): it calls what is due, in this thread.

An exception of a handler leaves when all have been called.
"""

import time

import zraw


def fail(timer):
    raise RuntimeError("of the first one")


with zraw.Timers() as timers:
    timers.execute()  # nothing is due: nothing happens
    timers.add(1, fail)
    timers.add(1, lambda timer: print("the second one"))
    time.sleep(0.01)
    try:
        timers.execute()
    except RuntimeError as error:
        print(error)

# prints:
# the second one
# of the first one
