"""zmq_msg_gets() is Message.gets(): what the connection's handshake told, as str."""

import zraw

with zraw.Context() as ctx:
    dealer, router = ctx.socket(zraw.ZMQ_DEALER), ctx.socket(zraw.ZMQ_ROUTER)
    dealer.setsockopt(zraw.ZMQ_ROUTING_ID, b"worker 7")
    dealer.connect(router.bind("tcp://127.0.0.1:*"))
    dealer.send(b"hello")
    message = router.recv_multipart(copy=False)[-1]
    print(message.gets("Socket-Type"), message.gets("Peer-Address"))
    try:
        message.gets("User-Id")  # only after ZAP, or PLAIN
    except zraw.InvalidArgument:
        print("nobody knows who that is")

# prints:
# DEALER 127.0.0.1
# nobody knows who that is
