"""live(): what this process has open, for whoever looks for a leak or a hang."""

import _tracemalloc
from collections import namedtuple  # typing would take longer to import than zraw

from zraw.context import open_contexts
from zraw.guard import look_at
from zraw.release import pinned


class LiveSocket(
    namedtuple("LiveSocket", "type in_use fd bound connected thread made")
):
    """An open socket.

    in_use: a thread is inside a call.
    fd: ZMQ_FD; None on thread-safe types.
    bound, connected: tuples of endpoints.
    thread: the identity of the thread that used it last, as threading.get_ident().
    made: where it was made, as tracemalloc.Traceback; None unless tracemalloc ran.
    """

    __slots__ = ()


class LiveContext(namedtuple("LiveContext", "handle sockets made")):
    """An open context.

    handle: its address; None while it is being terminated.
    made: where it was made, as for sockets.
    """

    __slots__ = ()


class Live(namedtuple("Live", "contexts pins")):
    """What live() found; print() shows it as a table.

    pins: pieces of Python's memory that libzmq still reads.
    """

    __slots__ = ()

    def __str__(self):
        names = _thread_names()
        lines = []
        for context in self.contexts:
            handle = "terminating" if context.handle is None else f"{context.handle:#x}"
            lines.append(f"context {handle}{_place(context.made)}")
            for socket in context.sockets:
                state = "in use" if socket.in_use else "idle"
                fd = "-" if socket.fd is None else socket.fd
                thread = names.get(socket.thread, "a thread that is gone")
                ends = [f"bound to {end}" for end in socket.bound]
                ends += [f"connected to {end}" for end in socket.connected]
                lines.append(
                    f"  {socket.type:<12} {state:<6}  fd {fd:<5} {thread:<14} "
                    f"{', '.join(ends) or '-'}{_place(socket.made)}"
                )
        lines.append(f"{self.pins} pinned")
        return "\n".join(lines)


def _thread_names():
    """Return the names of the threads alive, by identity."""
    import threading

    return {thread.ident: thread.name for thread in threading.enumerate()}


def _place(made):
    """Return the last line of a traceback as text."""
    return f"  made at {made[-1].filename}:{made[-1].lineno}" if made else ""


def _made_at(item):
    """Return where tracemalloc has seen something be made, or None."""
    if not _tracemalloc.is_tracing():
        return None
    import tracemalloc

    return tracemalloc.get_object_traceback(item)


def live():
    """Return the open contexts and sockets of this process, and a count of pins.

    Nothing is changed by looking: no event is consumed, and ZMQ_EVENTS is not read.
    """
    contexts = []
    for context, handle in open_contexts():
        rows = [(look_at(socket), _made_at(socket)) for socket in context.sockets]
        sockets = [LiveSocket(*row, made) for row, made in rows if row]
        sockets.sort(key=str)
        contexts.append(LiveContext(handle, tuple(sockets), _made_at(context)))
    return Live(tuple(contexts), pinned())
