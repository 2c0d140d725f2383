"""zmq_ctx_term() is Context.term(): it waits until every socket is closed.

Context.close() and `with` close the sockets first, and so do not wait for them.
"""

import threading

import zraw

ctx = zraw.Context()
push = ctx.socket(zraw.ZMQ_PUSH)
ended = []


def terminate():
    ctx.term()
    ended.append("terminated")


thread = threading.Thread(target=terminate)
thread.start()
try:
    push.send(b"for nobody")  # would wait for a peer
except zraw.ContextTerminated as error:
    assert error.errno == zraw.ETERM
    ended.append("push was told")
push.close(linger=0)  # only now term() can end
thread.join()
print(*ended, sep="\n")

# prints:
# push was told
# terminated
