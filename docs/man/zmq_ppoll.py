"""zmq_ppoll() is zraw.ppoll(): a signal is let in only while it waits.

A draft, of libzmq 4.3.5 and newer.
"""

import signal

import zraw


def on_signal(number, frame):
    raise InterruptedError(signal.Signals(number).name)


signal.signal(signal.SIGUSR1, on_signal)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.raise_signal(signal.SIGUSR1)  # blocked: nothing happens yet
with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PULL) as pull:
    try:
        zraw.ppoll([(pull, zraw.ZMQ_POLLIN)], 5000, sigmask=[])
    except InterruptedError as error:
        print("during the wait:", error)
    except zraw.NotSupported as error:
        print(error)

# prints:
# during the wait: SIGUSR1
# prints without drafts:
# [Errno 95] Operation not supported: ppoll(): …
