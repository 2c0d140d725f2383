"""zmq_socket_get_peer_state() is Socket.get_peer_state(): is there room for it?

A draft.
"""

import zraw

with zraw.Context() as ctx:
    try:
        router, dealer = ctx.socket(zraw.ZMQ_ROUTER), ctx.socket(zraw.ZMQ_DEALER)
        dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"worker")
        dealer.connect(router.bind("inproc://example"))
        dealer.send(b"hello")
        router.recv_multipart()
        print(router.get_peer_state(b"worker") == zraw.ZMQ_POLLOUT)
        try:
            router.get_peer_state(b"nobody")
        except zraw.HostUnreachable as error:
            print(type(error).__name__)
    except zraw.NotSupported as error:
        print(error)

# prints:
# True
# HostUnreachable
# prints without drafts:
# [Errno 95] Operation not supported: get_peer_state(): …
