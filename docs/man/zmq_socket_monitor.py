"""zmq_socket_monitor() is Socket.monitor(): it returns the connected reader.

recv_event() reads the two frames of an event; closing the reader ends the monitor.
"""

import zraw

with zraw.Context() as ctx:
    server, client = ctx.socket(zraw.ZMQ_REP), ctx.socket(zraw.ZMQ_REQ)
    with server.monitor() as reader:
        endpoint = server.bind("tcp://127.0.0.1:*")
        client.connect(endpoint)
        while True:
            event = zraw.recv_event(reader)
            print(event.name, event.address == endpoint)
            if event.event == zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                client.close()
            if event.event == zraw.ZMQ_EVENT_DISCONNECTED:
                break

# prints:
# ZMQ_EVENT_LISTENING True
# ZMQ_EVENT_ACCEPTED True
# ZMQ_EVENT_HANDSHAKE_SUCCEEDED True
# ZMQ_EVENT_DISCONNECTED True
