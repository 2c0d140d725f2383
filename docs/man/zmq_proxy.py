"""zmq_proxy() is zraw.proxy(): it forwards until the context is shut down."""

import threading

import zraw

ctx = zraw.Context()


def broker(frontend, backend):
    with frontend, backend:
        try:
            zraw.proxy(frontend, backend)
        except zraw.ContextTerminated:
            print("the broker is done")


frontend, backend = ctx.socket(zraw.ZMQ_ROUTER), ctx.socket(zraw.ZMQ_DEALER)
client, service = ctx.socket(zraw.ZMQ_REQ), ctx.socket(zraw.ZMQ_REP)
client.connect(frontend.bind("inproc://clients"))
service.connect(backend.bind("inproc://services"))
thread = threading.Thread(target=broker, args=(frontend, backend))
thread.start()
client.send(b"question")
service.send(service.recv() + b", answered")
print(client.recv().decode())
ctx.shutdown()
thread.join()
ctx.close()

# prints:
# question, answered
# the broker is done
