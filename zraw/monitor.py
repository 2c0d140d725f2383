"""What the reader of a monitor receives: the events of zmq_socket_monitor()."""

import struct
from collections import namedtuple  # typing would take longer to import than zraw

from zraw import constants
from zraw.socket import Socket

NAMES = {
    value: name
    for name, value in vars(constants).items()
    if name.startswith("ZMQ_EVENT_") and value.bit_count() == 1
}


class MonitorEvent(namedtuple("MonitorEvent", "event name value address")):
    """An event of version 1: what happened, a number about it, and the endpoint.

    value: a descriptor, an errno, milliseconds, a ZMQ_PROTOCOL_ERROR_... or a ZAP
        status code, by the event.
    """

    __slots__ = ()


class MonitorEventV2(
    namedtuple("MonitorEventV2", "event name values local_address remote_address")
):
    """An event of version 2: what happened, numbers about it, and both endpoints.

    values: one, as in version 1; two for ZMQ_EVENT_PIPES_STATS, the lengths of the
        queues of what goes out and of what comes in.
    """

    __slots__ = ()


def name_of(event):
    return NAMES.get(event, f"event {event:#x}")


def _check(reader, call):
    if not isinstance(reader, Socket):
        raise TypeError(f"{call}: reader: Socket, not {type(reader).__name__}")


def text(frame):
    return frame.decode("utf-8", "surrogateescape")


def recv_event(reader, flags=0):
    """Receive an event from the reader that Socket.monitor() returned.

    C call: zmq_msg_recv(), zmq_msg_more()

    flags: ZMQ_DONTWAIT.

    Waits: until an event comes, or ZMQ_RCVTIMEO (ms) of the reader is over.
    Raises: as Socket.recv(); ValueError if the message is no event of version 1.
    """
    _check(reader, "recv_event()")
    frames = reader.recv_multipart(flags)
    if len(frames) != 2 or len(frames[0]) != 6:
        raise ValueError(
            "recv_event(): reader: received no event of version 1, but "
            f"{len(frames)} frame(s)"
        )
    event, value = struct.unpack("=HI", frames[0])
    return MonitorEvent(event, name_of(event), value, text(frames[1]))


def recv_event_v2(reader, flags=0):
    """Receive an event from the reader that Socket.monitor_versioned() returned.

    C call: zmq_msg_recv(), zmq_msg_more()

    flags: ZMQ_DONTWAIT.

    Waits: until an event comes, or ZMQ_RCVTIMEO (ms) of the reader is over.
    Raises: as Socket.recv(); ValueError if the message is no event of version 2.
    """
    _check(reader, "recv_event_v2()")
    frames = reader.recv_multipart(flags)
    if len(frames) < 4 or {len(frame) for frame in frames[:-2]} != {8}:
        raise ValueError(
            "recv_event_v2(): reader: received no event of version 2, but "
            f"{len(frames)} frame(s)"
        )
    event, _, *values = struct.unpack(f"={len(frames) - 2}Q", b"".join(frames[:-2]))
    return MonitorEventV2(
        event, name_of(event), tuple(values), text(frames[-2]), text(frames[-1])
    )
