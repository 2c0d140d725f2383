"""zmq_sleep() is zraw.sleep(): whole seconds, but Ctrl-C and other signals get in."""

import signal

import zraw


def on_alarm(number, frame):
    raise TimeoutError


signal.signal(signal.SIGALRM, on_alarm)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    zraw.sleep(60)
except TimeoutError:
    print("woken up")

# prints:
# woken up
