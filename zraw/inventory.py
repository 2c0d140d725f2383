"""live(): what this process has open, for whoever looks for a leak or a hang."""

from collections import namedtuple  # typing would take longer to import than zraw

from zraw.context import open_contexts
from zraw.guard import look_at
from zraw.release import pinned


class LiveSocket(namedtuple("LiveSocket", "type in_use fd endpoint")):
    """An open socket.

    in_use: a thread is inside a call; `fd` and `endpoint` are None then.
    fd: ZMQ_FD; None on thread-safe types, too.
    endpoint: ZMQ_LAST_ENDPOINT, what it was last bound or connected to, or "".
    """

    __slots__ = ()


class LiveContext(namedtuple("LiveContext", "handle sockets")):
    """An open context.

    handle: its address; None while it is being terminated.
    """

    __slots__ = ()


class Live(namedtuple("Live", "contexts pins")):
    """What live() found; print() shows it as a table.

    pins: pieces of Python's memory that libzmq still reads.
    """

    __slots__ = ()

    def __str__(self):
        lines = []
        for context in self.contexts:
            handle = "terminating" if context.handle is None else f"{context.handle:#x}"
            lines.append(f"context {handle}")
            for socket in context.sockets:
                state = "in use" if socket.in_use else "idle"
                fd = "-" if socket.fd is None else socket.fd
                endpoint = socket.endpoint or "-"
                lines.append(f"  {socket.type:<12} {state:<6}  fd {fd:<5} {endpoint}")
        lines.append(f"{self.pins} pinned")
        return "\n".join(lines)


def live():
    """Return the open contexts and sockets of this process, and a count of pins.

    Nothing is changed by looking: no event is consumed, and ZMQ_EVENTS is not read.
    A socket that another thread is using is only said to be in use.
    """
    contexts = []
    for context, handle in open_contexts():
        found = map(look_at, context.sockets)
        sockets = sorted((LiveSocket(*row) for row in found if row), key=str)
        contexts.append(LiveContext(handle, tuple(sockets)))
    return Live(tuple(contexts), pinned())
