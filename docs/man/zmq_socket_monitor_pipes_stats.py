"""zmq_socket_monitor_pipes_stats() is Socket.monitor_pipes_stats(): what is queued.

A draft.
"""

import zraw

with zraw.Context() as ctx:
    try:
        push, pull = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
        with push.monitor_versioned(events=zraw.ZMQ_EVENT_PIPES_STATS) as reader:
            push.connect(pull.bind("inproc://example"))
            push.send_many([b"x"] * 10)
            push.monitor_pipes_stats()
            while not reader.poll(1):
                pull.getsockopt(zraw.ZMQ_EVENTS)  # libzmq answers during calls
                push.getsockopt(zraw.ZMQ_EVENTS)
            event = zraw.recv_event_v2(reader)
            print(event.name, event.values)
            pull.recv_many()
    except zraw.NotSupported as error:
        print(error)

# prints:
# ZMQ_EVENT_PIPES_STATS (10, 0)
# prints without drafts:
# [Errno 95] Operation not supported: monitor_versioned(): …
