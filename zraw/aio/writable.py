"""Writable: the half of a handle that sends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import zraw
from zraw import Message, Socket
from zraw.aio.base import Base, Data, OnDrain, check_callback
from zraw.aio.edge import is_awaitable
from zraw.aio.entries import Entry, Push
from zraw.aio.loops import Wakeup
from zraw.constants import ZMQ_DONTWAIT

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Unsent(Exception):
    """Messages given to push_write() that were dropped; `count` says how many."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} message(s) dropped unsent")
        self.count = count


class PushedWrite(Push):
    """Data of a push_write() in the queue of writers."""

    __slots__ = ("data", "queue")

    handle: Writable

    def __init__(self, handle: Writable, queue: deque[Entry], data: Any) -> None:
        super().__init__()
        self.handle = handle
        self.queue = queue
        self.data = data

    def serve(self) -> bool:
        handle = self.handle
        try:
            if handle._offer(self.data) is None:
                return False
        except zraw.SocketInUse:
            return False  # its thread will come out, and the hook be called
        except (zraw.ContextTerminated, zraw.NotASocket) as error:
            handle._drop(error)
            return False
        except Exception as error:
            handle._report("push_write", error)
        self.queue.remove(self)
        handle._note_pushed(-1)
        return True


class PushedCall(Push):
    """A callable of a push_write(): it is asked for data when its turn has come."""

    __slots__ = ("callback", "queue")

    handle: Writable

    def __init__(
        self, handle: Writable, queue: deque[Entry], callback: OnDrain
    ) -> None:
        super().__init__()
        self.handle = handle
        self.queue = queue
        self.callback = callback

    def serve(self) -> bool:
        handle = self.handle
        self.queue.remove(self)
        data: Any = None
        try:
            data = self.callback(handle)
            if is_awaitable(data):
                close = getattr(data, "close", None)
                data = close() if close else None
                raise TypeError(
                    "push_write(): the callable returns data, not a coroutine"
                )
            data = None if data is None else checked(data)
        except Exception as error:
            data = None
            handle._report("push_write", error)
        if data is not None:
            handle._push(data, self.number)
        handle._note_pushed(-1)
        return True


def checked(data: Any, call: str = "push_write()") -> Any:
    """Return what is to be sent later, if it can be; nobody can change it then."""
    if not isinstance(data, (list, tuple)):
        return checked_frame(data, call)
    if not data:
        raise ValueError(f"{call}: data: a message has at least one frame")
    messages = [id(part) for part in data if isinstance(part, Message)]
    if len(set(messages)) < len(messages):
        raise ValueError(f"{call}: data: the same Message twice")
    return tuple(checked_frame(part, call) for part in data)


def checked_frame(data: Any, call: str) -> Any:
    if isinstance(data, (bytes, Message)):
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(
            f"{call}: data: bytes, a buffer, a Message or a list of them, not "
            f"{type(data).__name__}" + (": encode it" if isinstance(data, str) else "")
        ) from None


def offer(socket: Socket, message: Any) -> bool | None:
    """Send a frame, or a tuple of frames, if that needs no waiting; None if not."""
    if type(message) is not tuple:
        return socket.try_send(message) or None
    try:
        socket.send_multipart(message, ZMQ_DONTWAIT)
    except zraw.Again:
        return None
    return True


class Writable(Base):
    """The half that sends."""

    _on_drain: OnDrain | None = None
    _pushes = 0  # pushed messages that libzmq has not taken yet
    _drops = 0  # how often such were dropped
    _drop_cause: BaseException | None = None  # of the last time

    def __init__(self, socket: Socket) -> None:
        super().__init__(socket)
        self._try_send = socket.try_send
        self._drainers: set[Wakeup] = set()

    async def send(self, data: Buffer) -> None:
        """Send a frame, when it can be sent; what was sent is not cancelled.

        data: bytes, any contiguous buffer, or a Message, which is empty after.

        Raises: ContextTerminated (ETERM), NotASocket (ENOTSOCK), InvalidState
            (EFSM), HostUnreachable (EHOSTUNREACH), SocketInUse (EBUSY); BufferError
            if a Message has views alive.
        """
        edge = self._edge
        if not edge.writers:
            loop = edge.loop
            if loop.spare > 0:
                loop.spare -= 1
                if self._try_send(data):
                    return
                await edge.turn_to_write(
                    self._peer_of((data,)), partial(self._offer_frame, data)
                )
                return
        await self._give((data,), partial(self._offer_frame, data))

    async def send_multipart(self, parts: Iterable[Buffer]) -> None:
        """Send a message of several frames, whole, when it can be sent.

        parts: what send() takes.  On ROUTER and STREAM a peer that cannot take any
            more keeps nobody from sending to others.

        Raises: as send().
        """
        frames = tuple(parts)
        edge = self._edge
        if not edge.writers:
            loop = edge.loop
            if loop.spare > 0:
                loop.spare -= 1
                if self._offer(frames):
                    return
                await edge.turn_to_write(
                    self._peer_of(frames), partial(self._offer, frames)
                )
                return
        await self._give(frames, partial(self._offer, frames))

    async def _give(
        self, frames: tuple[Any, ...], attempt: Callable[[], bool | None]
    ) -> None:
        """Send something without waiting, or in turn."""
        edge = self._edge
        loop = edge.loop
        peer = self._peer_of(frames)
        if loop.spare > 0:
            loop.spare -= 1
        else:
            edge.bind()
            loop = edge.loop
            if loop.is_due():
                await edge.turn_to_write(peer, attempt, pause=True)
                return
            await loop.be_cancelled()
        if edge.must_queue(peer) or not attempt():
            await edge.turn_to_write(peer, attempt)

    def _peer_of(self, frames: tuple[Any, ...]) -> Hashable:
        """Return what the queue of a message is called."""
        if not self._edge.is_addressed or not frames:
            return None
        address = frames[0]
        if isinstance(address, Message):
            return address.routing_id() if len(frames) == 1 else bytes(address)
        try:
            return bytes(memoryview(address))
        except TypeError:
            return None  # the attempt to send it says what is wrong

    def _offer_frame(self, data: Any) -> bool | None:
        return self._try_send(data) or None

    def _offer(self, message: Any) -> bool | None:
        return offer(self._socket, message)

    async def drain(self) -> None:
        """Wait until libzmq has taken everything that was pushed.

        From then on it is libzmq that keeps it until a peer takes it, or ZMQ_LINGER
        is over.

        Raises: NotASocket (ENOTSOCK) if the handle is closed meanwhile, and what was
            pushed dropped; ContextTerminated (ETERM).
        """
        edge = self._edge
        edge.bind()
        drops = self._drops
        await edge.loop.checkpoint()
        while self._pushes:
            wakeup = edge.loop.wakeup()
            self._drainers.add(wakeup)
            try:
                await wakeup
            finally:
                self._drainers.discard(wakeup)
        if self._drops != drops:
            self._check_open()
            if self._drop_cause is not None:
                raise self._drop_cause

    async def _drain_before_close(self) -> None:
        if self._pushes:
            await self.drain()

    # ---- callbacks

    @property
    def on_drain(self) -> OnDrain | None:
        """Called with (handle) when everything that had to wait has been taken.

        None clears it.
        """
        return self._on_drain

    @on_drain.setter
    def on_drain(self, callback: OnDrain | None) -> None:
        check_callback(callback, "on_drain")
        self._on_drain = callback

    def push_write(self, data: Data | Callable[[Any], Data | None]) -> None:
        """Send a message now, or in turn as soon as it can be sent.

        data: what send() takes; a list or tuple of it, for several frames; or a
            callable: it gets (handle) when the socket can take a message, and
            returns one, or None.

        `on_error` is told of what libzmq refuses later.

        Raises: TypeError, ValueError; NotASocket (ENOTSOCK); RuntimeError if the
            message has to wait and no event loop is running.
        """
        self._check_open()
        if callable(data):
            self._edge.bind()
            queue = self._edge.queue_to(None)
            queue.append(PushedCall(self, queue, data))
            self._note_pushed(1)
            self._edge.listen()
        else:
            self._push(checked(data))

    def _push(self, data: Any, number: int | None = None) -> None:
        """Send now, or in turn.

        number: of the callable that was asked for it, whose place it takes.
        """
        edge = self._edge
        peer = self._peer_of(data if type(data) is tuple else (data,))
        if number is None:
            must_queue = edge.must_queue(peer)
        else:
            ahead = edge.writers.get(peer) or None
            must_queue = ahead is not None and ahead[0].number < number
        if not must_queue:
            try:
                if self._offer(data):
                    return
            except zraw.SocketInUse:
                pass  # its thread will come out, and the hook be called
            except Exception as error:
                self._report("push_write", error)
                return
        edge.bind()
        queue = edge.queue_to(peer)
        entry = PushedWrite(self, queue, data)
        place = len(queue)
        if number is not None:
            entry.number = number
            while place and queue[place - 1].number > number:
                place -= 1
        queue.insert(place, entry)
        self._note_pushed(1)
        edge.listen()

    def _note_pushed(self, change: int) -> None:
        self._pushes += change
        if self._pushes == 0 and change < 0:
            self._wake_drainers()
            if self._on_drain is not None and not self.closed:
                try:
                    result = self._on_drain(self)
                except Exception as error:
                    self._report("on_drain", error)
                    return
                if is_awaitable(result):
                    self._edge.loop.spawn(self._finish(result, "on_drain"))

    def _wake_drainers(self) -> None:
        for wakeup in self._drainers:
            if not wakeup.done():
                wakeup.set_result(None)

    def _drop(self, cause: BaseException | None = None) -> None:
        count = self._edge.drop_pushes_of(self)
        if count:
            self._pushes -= count
            self._drops += 1
            self._drop_cause = cause
            self._wake_drainers()
            unsent = Unsent(count)
            unsent.__cause__ = cause
            self._report("push_write", unsent)
