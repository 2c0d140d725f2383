"""zmq_threadclose() is left out: Python has Thread.join(). A message can say when."""

import threading

import zraw


def sum_up(ctx, results):
    with ctx.socket(zraw.ZMQ_PULL) as pull:
        pull.connect("inproc://numbers")
        results.append(sum(int(number) for number in iter(pull.recv, b"")))


with zraw.Context() as ctx, ctx.socket(zraw.ZMQ_PUSH) as push:
    push.bind("inproc://numbers")
    results = []
    thread = threading.Thread(target=sum_up, args=(ctx, results))
    thread.start()
    push.send_many([b"1", b"2", b"39", b""])  # the empty one: no more
    thread.join()
print(results)

# prints:
# [42]
