"""io() and probe(): what is below the handles, for who wants to do the rest himself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from zraw import Socket
from zraw.aio.base import check_callback
from zraw.aio.edge import edge_of, is_awaitable
from zraw.constants import ZMQ_EVENTS, ZMQ_POLLIN, ZMQ_POLLOUT


class Watcher:
    """A callback that io() has set up; cancel() ends it."""

    def __init__(
        self, socket: Socket, events: int, callback: Callable[[Socket, int], object]
    ) -> None:
        self._edge = edge_of(socket)
        self._socket = socket
        self._events = events
        self._callback = callback
        self._running = False  # a coroutine of the callback
        self._edge.bind()
        self._edge.levels.append(self)
        self._edge.listen()

    @property
    def active(self) -> bool:
        """False once it is cancelled, or the socket closed."""
        return self in self._edge.levels and not self._socket.closed

    def cancel(self) -> None:
        """Call back no more; a second cancel() does nothing."""
        if self in self._edge.levels:
            self._edge.levels.remove(self)
            self._edge.forget()

    def _call(self, events: int) -> bool:
        """Call back if one of the events is there; return whether it was."""
        ready = events & self._events
        if not ready or self._running:
            return False
        try:
            result = self._callback(self._socket, ready)
        except Exception as error:
            self._edge.loop.report("io() callback", error, self)
            return True
        if is_awaitable(result):
            self._running = True
            self._edge.loop.spawn(self._run(result))
        return True

    async def _run(self, awaitable: Awaitable[object]) -> None:
        try:
            await awaitable
        except Exception as error:
            self._edge.loop.report("io() callback", error, self)
        finally:
            self._running = False
            self._edge.poke()

    def __repr__(self) -> str:
        state = "" if self.active else " cancelled"
        return f"<zraw.aio.Watcher of {self._socket!r}{state}>"


def check_events(events: int, call: str) -> None:
    if type(events) is not int or not 0 < events <= ZMQ_POLLIN | ZMQ_POLLOUT:
        raise ValueError(
            f"{call}: events: ZMQ_POLLIN, ZMQ_POLLOUT or both, not {events!r}"
        )


def check_socket(socket: object, call: str) -> None:
    if not isinstance(socket, Socket):
        raise TypeError(f"{call}: socket: a zraw.Socket, not {type(socket).__name__}")


def io(
    socket: Socket, events: int, callback: Callable[[Socket, int], object]
) -> Watcher:
    """Call back as long as a socket is ready, once in every turn of the loop.

    events: ZMQ_POLLIN, ZMQ_POLLOUT, or both.
    callback: gets (socket, those of the events that are there).  A coroutine
        function runs as a task, and is not called again before it is finished.

    The socket may be used by anybody meanwhile.  ZMQ_POLLOUT is always there on
    ROUTER, STREAM, PUB and XPUB, whether or not a peer can take a message.

    Returns: the Watcher, whose cancel() ends it; Socket.close() does, too.
    """
    check_socket(socket, "io()")
    check_events(events, "io()")
    check_callback(callback, "io(): callback", optional=False)
    return Watcher(socket, events, callback)


def probe(socket: Socket, events: int) -> bool:
    """Return whether any of the events is there now; wait for nothing.

    C call: zmq_getsockopt() with ZMQ_EVENTS

    events: ZMQ_POLLIN, ZMQ_POLLOUT, or both.

    Raises: ContextTerminated (ETERM), NotASocket (ENOTSOCK), SocketInUse (EBUSY).
    """
    check_socket(socket, "probe()")
    check_events(events, "probe()")
    return bool(socket.getsockopt(ZMQ_EVENTS) & events)
