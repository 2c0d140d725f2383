"""zmq_atomic_counter_new() is AtomicCounter(): threads count without a lock."""

import threading

import zraw

counter = zraw.AtomicCounter()


def count():
    for _ in range(1000):
        counter.inc()


threads = [threading.Thread(target=count) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counter.value())

# prints:
# 4000
