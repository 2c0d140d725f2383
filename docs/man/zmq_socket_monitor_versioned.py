"""zmq_socket_monitor_versioned() is Socket.monitor_versioned(): both addresses.

A draft.
"""

import zraw

with zraw.Context() as ctx:
    try:
        server, client = ctx.socket(zraw.ZMQ_REP), ctx.socket(zraw.ZMQ_REQ)
        endpoint = server.bind("tcp://127.0.0.1:*")
        wanted = zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
        with client.monitor_versioned(events=wanted, type=zraw.ZMQ_PUSH) as reader:
            client.connect(endpoint)
            event = zraw.recv_event_v2(reader)
            print(event.name, event.remote_address == endpoint)
            assert event.local_address.startswith("tcp://127.0.0.1:")
    except zraw.NotSupported as error:
        print(error)

# prints:
# ZMQ_EVENT_HANDSHAKE_SUCCEEDED True
# prints without drafts:
# [Errno 95] Operation not supported: monitor_versioned(): …
