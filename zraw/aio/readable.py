"""Readable: the half of a handle that receives."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import zraw
from zraw import Message, Socket
from zraw.aio.base import Base, OnRead, Received, check_callback, only_frame
from zraw.aio.edge import is_awaitable
from zraw.aio.entries import Push
from zraw.constants import ZMQ_DONTWAIT

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class PushedRead(Push):
    """A push_read() in the queue of readers."""

    __slots__ = ("callback",)

    handle: Readable

    def __init__(self, handle: Readable, callback: OnRead) -> None:
        super().__init__()
        self.handle = handle
        self.callback = callback

    def serve(self) -> bool:
        handle = self.handle
        try:
            message = handle._take_message()
        except zraw.SocketInUse:
            return False  # its thread will come out, and the hook be called
        except zraw.ZMQError as error:
            handle._edge.readers.popleft()
            handle._report("push_read", error)
            return True
        if message is None:
            return False
        handle._edge.readers.popleft()
        handle._call(self.callback, message)
        return True


class Readable(Base):
    """The half that receives."""

    _on_read: OnRead | None = None
    _running = False  # a coroutine of a callback

    def __init__(self, socket: Socket) -> None:
        super().__init__(socket)
        self._try_recv = socket.try_recv
        self._try_recv_multipart = socket.try_recv_multipart
        self._calls: deque[tuple[OnRead, Received]] = deque()

    async def recv(self) -> bytes:
        """Receive a frame.

        Raises: ContextTerminated (ETERM), NotASocket (ENOTSOCK), InvalidState
            (EFSM), SocketInUse (EBUSY).
        """
        edge = self._edge
        if not edge.readers:
            loop = edge.loop
            if loop.spare > 0:
                loop.spare -= 1
                frame = self._try_recv()
                if frame is not None:
                    return frame
                return await edge.turn_to_read(self._try_recv)
        return await self._take(self._try_recv)

    async def recv_multipart(self) -> list[bytes]:
        """Receive a whole message as a list of its frames.

        Raises: as recv().
        """
        edge = self._edge
        if not edge.readers:
            loop = edge.loop
            if loop.spare > 0:
                loop.spare -= 1
                frames = self._try_recv_multipart()
                if frames is not None:
                    return frames
                return await edge.turn_to_read(self._try_recv_multipart)
        return await self._take(self._try_recv_multipart)

    async def recv_msg(self, message: Message | None = None) -> Message:
        """Receive a frame into a Message, without a copy, and return it.

        message: what it held is released; None makes a new one.

        Raises: as recv(); BufferError if views of `message` are alive.
        """
        target = Message() if message is None else message
        return await self._take(partial(self._try_recv_msg, target))

    @overload
    async def recv_many(
        self, max_messages: int = 1000, *, multipart: Literal[True]
    ) -> list[list[bytes]]: ...
    @overload
    async def recv_many(
        self,
        max_messages: int = 1000,
        copy: bool = True,
        multipart: bool = False,
    ) -> list[Any]: ...
    async def recv_many(
        self, max_messages: int = 1000, copy: bool = True, multipart: bool = False
    ) -> list[Any]:
        """Wait for a message, then take those that are there, as Socket.recv_many().

        max_messages: 1 or more.
        copy: True for bytes, False for Messages.
        multipart: True makes every item a list of frames; False only those of
            messages that have several.

        Raises: as recv().
        """
        return await self._take(
            partial(self._try_recv_many, max_messages, copy, multipart)
        )

    def __aiter__(self) -> Self:
        """Iterate over messages: bytes, or a list if there are several frames.

        It ends when the handle is closed.
        """
        return self

    async def __anext__(self) -> Received:
        try:
            return only_frame(await self.recv_multipart())
        except zraw.NotASocket:
            raise StopAsyncIteration from None

    async def _take(self, attempt: Callable[[], T | None]) -> T:
        """Take something without waiting, or in turn."""
        edge = self._edge
        loop = edge.loop
        if loop.spare > 0:
            loop.spare -= 1
        else:
            edge.bind()
            loop = edge.loop
            if loop.is_due():
                return await edge.turn_to_read(attempt, pause=True)
            await loop.be_cancelled()
        if not edge.readers:
            result = attempt()
            if result is not None:
                return result
        return await edge.turn_to_read(attempt)

    def _try_recv_msg(self, message: Message) -> Message | None:
        return message if self._socket.try_recv_msg(message) else None

    def _try_recv_many(
        self, max_messages: int, copy: bool, multipart: bool
    ) -> list[Any] | None:
        try:
            messages = self._socket.recv_many(
                max_messages, ZMQ_DONTWAIT, copy, multipart
            )
        except zraw.Again:
            return None
        # A large batch takes the time of many operations.
        self._edge.loop.spend(len(messages) // 32)
        return messages

    # ---- callbacks

    @property
    def on_read(self) -> OnRead | None:
        """Called with (handle, message) for every message nobody else waits for.

        message: bytes; a list of bytes if there are several frames.

        A coroutine function runs as a task, and the next message is taken when it
        is finished.  None clears it.
        """
        return self._on_read

    @on_read.setter
    def on_read(self, callback: OnRead | None) -> None:
        check_callback(callback, "on_read")
        if callback is not None:
            self._check_open()
            self._edge.bind()
            self._edge.consumer = weakref.ref(self)
        self._on_read = callback
        if callback is not None:
            self._edge.listen()

    def push_read(self, callback: OnRead) -> None:
        """Call back with (handle, message) for one message, in turn.

        Waiting recv() calls and pushed callbacks are served in the order they came,
        before `on_read`.
        """
        check_callback(callback, "push_read(): callback", optional=False)
        self._check_open()
        self._edge.bind()
        self._edge.readers.append(PushedRead(self, callback))
        self._edge.listen()

    def _wants_messages(self) -> bool:
        """Whether on_read would take a message now."""
        return self._on_read is not None and not self._running and not self.closed

    def _consume(self) -> bool:
        """Take a message for on_read; return False if there is none."""
        callback = self._on_read
        if callback is None or not self._wants_messages():
            return False
        try:
            message = self._take_message()
        except zraw.SocketInUse:
            return False  # its thread will come out, and the hook be called
        except zraw.ZMQError as error:
            if isinstance(error, (zraw.ContextTerminated, zraw.NotASocket)):
                self._on_read = None
            self._report("on_read", error)
            return False
        if message is None:
            return False
        self._call(callback, message)
        return True

    def _take_message(self) -> Received | None:
        frames = self._try_recv_multipart()
        return None if frames is None else only_frame(frames)

    def _call(self, callback: OnRead, message: Received) -> None:
        """Call back; after the coroutines of earlier calls, if there are any."""
        self._calls.append((callback, message))
        self._run_calls()

    def _run_calls(self) -> None:
        while self._calls and not self._running:
            callback, message = self._calls.popleft()
            try:
                result = callback(self, message)
            except Exception as error:
                self._report("callback", error)
                continue
            if is_awaitable(result):
                self._running = True
                self._edge.loop.spawn(self._run(result))

    async def _run(self, awaitable: Awaitable[object]) -> None:
        try:
            await self._finish(awaitable, "callback")
        finally:
            self._running = False
            self._run_calls()
            self._edge.poke()
