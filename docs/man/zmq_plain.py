"""PLAIN: name and password, in the clear; a ZAP handler says who may come in.

The handler is a ZMQ_REP of the same context, bound to inproc://zeromq.zap.01.
"""

import contextlib
import threading

import zraw

ctx = zraw.Context()
handler = ctx.socket(zraw.ZMQ_REP)
handler.bind("inproc://zeromq.zap.01")


def decide():
    with handler, contextlib.suppress(zraw.ContextTerminated):
        while True:
            version, request, *_, name, password = handler.recv_multipart()
            good = (name, password) == (b"admin", b"open sesame")
            status, text = (b"200", b"OK") if good else (b"400", b"No")
            handler.send_multipart([version, request, status, text, name, b""])


thread = threading.Thread(target=decide)
thread.start()
with ctx:
    pull = ctx.socket(zraw.ZMQ_PULL)
    pull.setsockopt(zraw.ZMQ_PLAIN_SERVER, True)
    endpoint = pull.bind("tcp://127.0.0.1:*")
    for password in ("guess", "open sesame"):
        push = ctx.socket(zraw.ZMQ_PUSH)
        push.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "admin")
        push.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, password)
        with push.monitor() as reader:
            push.connect(endpoint)
            names = iter(lambda: zraw.recv_event(reader).name, None)
            print(password, next(name for name in names if "HANDSHAKE" in name))
        push.close()
    ctx.shutdown()
    thread.join()

# prints:
# guess ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
# open sesame ZMQ_EVENT_HANDSHAKE_SUCCEEDED
