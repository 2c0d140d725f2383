"""What every handle has: a socket, endpoints, an end."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import zraw
from zraw import Socket
from zraw.aio.edge import Edge, edge_of, is_awaitable

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self
else:
    Buffer = Any

T = TypeVar("T")

# A message as callbacks and iterators get it: its only frame, or all of several.
Received: TypeAlias = bytes | list[bytes]
# A message as push_write() takes it.
Data: TypeAlias = Buffer | list[Any] | tuple[Any, ...]
Endpoints: TypeAlias = str | bytes | Iterable[str | bytes]
# Every callback is called with the handle first.
OnRead: TypeAlias = Callable[[Any, Any], object]
OnDrain: TypeAlias = Callable[[Any], object]
OnError: TypeAlias = Callable[[Any, BaseException], object]


def each(endpoints: Endpoints) -> list[str | bytes]:
    """Return one or many endpoints as a list."""
    if isinstance(endpoints, (str, bytes)):
        return [endpoints]
    if not isinstance(endpoints, Iterable):
        raise TypeError(
            f"bind, connect: str, bytes or a list of them, not "
            f"{type(endpoints).__name__}"
        )
    return list(endpoints)


def only_frame(frames: list[T]) -> T | list[T]:
    """Return a message as callbacks get it."""
    return frames[0] if len(frames) == 1 else frames


def check_callback(callback: Any, name: str, optional: bool = True) -> None:
    if not (callable(callback) or (optional and callback is None)):
        raise TypeError(f"{name}: a callable, not {type(callback).__name__}")


class Base:
    """What every handle has: a socket, endpoints, an end."""

    _on_error: OnError | None = None

    def __init__(self, socket: Socket) -> None:
        if not isinstance(socket, Socket):
            raise TypeError(f"socket: a zraw.Socket, not {type(socket).__name__}")
        self._edge: Edge = edge_of(socket)
        self._socket = socket

    @property
    def socket(self) -> Socket:
        """The zraw.Socket, for options and whatever else C has."""
        return self._socket

    @property
    def closed(self) -> bool:
        """True once the socket is closed."""
        return self._socket.closed

    @property
    def identity(self) -> bytes:
        """ZMQ_ROUTING_ID; what is set counts for connections made afterwards."""
        return self._socket.getsockopt(zraw.ZMQ_ROUTING_ID)

    @identity.setter
    def identity(self, identity: Buffer) -> None:
        self._socket.setsockopt(zraw.ZMQ_ROUTING_ID, identity)

    @property
    def on_error(self) -> OnError | None:
        """Called with (handle, error) for what no other caller can be told.

        That is: what callbacks raise, what becomes of pushed messages, and the end
        of the context while `on_read` waits.  None leaves errors to the loop:
        asyncio's exception handler; on trio, the logger "zraw.aio".
        """
        return self._on_error

    @on_error.setter
    def on_error(self, callback: OnError | None) -> None:
        check_callback(callback, "on_error")
        self._on_error = callback

    def bind(self, endpoint: str | bytes) -> str:
        """Accept connections on an endpoint; return the one really bound.

        As Socket.bind().
        """
        return self._socket.bind(endpoint)

    def connect(self, endpoint: str | bytes) -> None:
        """Connect to an endpoint, as Socket.connect()."""
        self._socket.connect(endpoint)

    def unbind(self, endpoint: str | bytes) -> None:
        """Stop accepting connections on an endpoint, as Socket.unbind()."""
        self._socket.unbind(endpoint)

    def disconnect(self, endpoint: str | bytes) -> None:
        """Disconnect from an endpoint, as Socket.disconnect()."""
        self._socket.disconnect(endpoint)

    def close(self, linger: int | None = None) -> None:
        """Close the socket now; tasks that wait for it get NotASocket.

        linger: milliseconds, as for Socket.close().

        Pushed messages that libzmq has not taken yet are dropped: `on_error` gets
        an Unsent with their number.
        """
        self._socket.close(linger)
        self._drop()

    def _set_up(
        self,
        bind: Endpoints,
        connect: Endpoints,
        identity: Buffer | None,
        on_error: OnError | None,
    ) -> None:
        self.on_error = on_error
        if identity is not None:
            self.identity = identity
        for endpoint in each(bind):
            self.bind(endpoint)
        for endpoint in each(connect):
            self.connect(endpoint)

    def _report(self, what: str, error: BaseException) -> None:
        """Tell on_error, or else the loop, of an error."""
        rest = self._tell(what, error)
        if rest is not None:
            self._edge.loop.spawn(rest)

    def _tell(
        self, what: str, error: BaseException
    ) -> Coroutine[Any, Any, None] | None:
        """_report(), but for what is left to be awaited, which is returned."""
        if self._on_error is None:
            self._tell_loop(what, error)
            return None
        try:
            result = self._on_error(self, error)
        except Exception as second:
            self._tell_loop("on_error", second)
            return None
        return self._end_of_on_error(result) if is_awaitable(result) else None

    async def _end_of_on_error(self, awaitable: Awaitable[object]) -> None:
        try:
            await awaitable
        except Exception as error:
            self._tell_loop("on_error", error)

    def _tell_loop(self, what: str, error: BaseException) -> None:
        self._edge.loop.report(f"{type(self).__name__}: {what}", error, self)

    async def _finish(self, awaitable: Awaitable[object], what: str) -> None:
        """Await what a callback returned."""
        try:
            await awaitable
        except Exception as error:
            self._report(what, error)

    def _check_open(self) -> None:
        if self.closed:
            self._socket.fileno()  # raises NotASocket, with its text

    def _drop(self, cause: BaseException | None = None) -> None:
        """Drop what was pushed and waits; nothing, where there is nothing to push."""

    async def aclose(self) -> None:
        """Wait until libzmq has taken everything that was pushed, then close.

        As Writable.drain() and close(); cancelled, or failed, it closes at once.
        """
        try:
            await self._drain_before_close()
        finally:
            self.close()

    async def _drain_before_close(self) -> None:
        """Do nothing, where there is nothing to push."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            self.close()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        edge = getattr(self, "_edge", None)
        # At exit every socket is closed, and modules may be empty already.
        if edge is not None and not is_finalizing():
            edge.forget(self)

    def __repr__(self) -> str:
        return f"<zraw.aio.{type(self).__name__} on {self._socket!r}>"
