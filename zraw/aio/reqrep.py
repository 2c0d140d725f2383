"""Request and Reply."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import zraw
from zraw import Context, Message, Socket
from zraw.aio.base import (
    Data,
    Endpoints,
    OnError,
    Received,
    check_callback,
    only_frame,
)
from zraw.aio.edge import is_awaitable
from zraw.aio.patterns import Options, Typed
from zraw.aio.readable import Readable
from zraw.aio.watcher import probe
from zraw.aio.writable import Writable, checked, offer
from zraw.constants import ZMQ_POLLOUT

if TYPE_CHECKING:
    from typing_extensions import Buffer


def check_number(
    number: Any,
    what: str,
    expected: str,
    above: float = -math.inf,
    least: float = -math.inf,
) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{what}: {expected}, not {type(number).__name__}")
    if not (above < number < math.inf and number >= least):
        raise ValueError(f"{what}: {expected}, not {number!r}")


def again(message: Any) -> Any:
    """Return a message to be sent: a Message would be empty the next time."""
    if isinstance(message, tuple):
        return tuple(again(part) for part in message)
    if not isinstance(message, Message):
        return message
    copy = Message()
    copy.copy(message)
    return copy


class Request(Typed):
    """Request(context, bind=, connect=, identity=, options={}): a ZMQ_REQ.

    ZMQ_REQ_RELAXED and ZMQ_REQ_CORRELATE are set: a question can be asked again, and
    a late answer never answers a later one.  ZMQ_LINGER is 0, unless `options` has it.
    A ROUTER sees a frame more than of a plain ZMQ_REQ: everything before the empty
    frame is the envelope.
    """

    TYPE = zraw.ZMQ_REQ

    def __init__(
        self,
        context: Context,
        *,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._open(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_error=on_error,
        )
        self._lock: AbstractAsyncContextManager[Any] | None = None
        self._lock_loop: object = None

    def _prepare(self, socket: Socket) -> None:
        socket.setsockopt(zraw.ZMQ_REQ_RELAXED, 1)
        socket.setsockopt(zraw.ZMQ_REQ_CORRELATE, 1)
        # Who closes it waits for no answer, and then for no server either.
        socket.setsockopt(zraw.ZMQ_LINGER, 0)

    async def request(
        self,
        data: Data,
        *,
        timeout: float | None = None,
        retries: int = 0,
        backoff: float = 1.0,
    ) -> Received:
        """Ask, and return the answer: bytes, or a list if it has several frames.

        data: what send() takes, or a list or tuple of it.
        timeout: seconds to wait for the answer to each try; None waits for ever.
        retries: how often to ask again when there was none.
        backoff: each try waits so many times as long as the one before.

        Requests of several tasks are asked one after another.  A question may be
        delivered twice; after a failure, or a cancellation, the next can be asked.

        Raises: TimeoutError if there was no answer; ContextTerminated (ETERM),
            NotASocket (ENOTSOCK).
        """
        if timeout is not None:
            check_number(timeout, "request(): timeout", "seconds above 0", above=0)
        check_number(backoff, "request(): backoff", "1 or more", least=1)
        if type(retries) is not int:
            raise TypeError(f"request(): retries: int, not {type(retries).__name__}")
        check_number(retries, "request(): retries", "0 or more", least=0)
        message = checked(data, "request()")
        async with self._in_order():
            wait = timeout
            for _ in range(1 + retries):
                try:
                    return await self._ask(message, wait)
                except TimeoutError:
                    wait = wait and wait * backoff
        raise TimeoutError(
            f"request(): no answer in {1 + retries} tries, the first of {timeout} s"
        )

    def _in_order(self) -> AbstractAsyncContextManager[Any]:
        edge = self._edge
        edge.bind()
        if self._lock is None or self._lock_loop is not edge.loop:
            self._lock, self._lock_loop = edge.loop.lock(), edge.loop
        return self._lock

    async def _ask(self, message: Any, timeout: float | None) -> Received:
        """Ask once; TimeoutError if there is no answer in time."""
        edge = self._edge
        end = None if timeout is None else time.monotonic() + timeout
        await edge.loop.checkpoint()
        edge.loop.spare -= 1
        send: Callable[[], bool | None] = partial(offer, self._socket, again(message))
        if edge.writers or not send():
            await edge.turn_to_write(None, send, timeout=timeout)
        left = None if end is None else max(0.0, end - time.monotonic())
        receive = self._socket.try_recv_multipart
        return only_frame(await edge.turn_to_read(receive, timeout=left))


class Reply(Typed, Readable, Writable):
    """Reply(context, on_request=, bind=, connect=, options={}): a ZMQ_REP.

    Either `on_request` answers, or `async for`, with a send() for each message.
    """

    TYPE = zraw.ZMQ_REP

    _on_request: Callable[[Any, Any], Any] | None = None

    def __init__(
        self,
        context: Context,
        *,
        on_request: Callable[[Any, Any], Any] | None = None,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._open(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_error=on_error,
            on_request=on_request,
        )

    @property
    def on_request(self) -> Callable[[Any, Any], Any] | None:
        """Called with (handle, message) for a request; returns the answer.

        message: bytes; a list of bytes if there are several frames.

        The answer is what push_write() takes.  A coroutine function runs as a task.
        If it raises, `on_error` is told and may answer with push_write(); if it does
        not, the answer is an empty frame, for a ZMQ_REP has to answer before it can
        receive the next request.  None clears it.
        """
        return self._on_request

    @on_request.setter
    def on_request(self, callback: Callable[[Any, Any], Any] | None) -> None:
        check_callback(callback, "on_request")
        self._on_request = callback
        self.on_read = None if callback is None else Reply._serve

    def _serve(self, message: Received) -> Awaitable[None] | None:
        """Answer a request; return what is left to be awaited."""
        assert self._on_request is not None
        try:
            answer = self._on_request(self, message)
            if is_awaitable(answer):
                return self._serve_later(answer)
            self._answer(answer)
        except Exception as error:
            return self._apologize(error)
        return None

    async def _serve_later(self, awaitable: Awaitable[Any]) -> None:
        try:
            self._answer(await awaitable)
        except Exception as error:
            await self._apologize(error)

    def _answer(self, answer: Any) -> None:
        self._check_open()
        self._push(checked(answer, "on_request"))

    async def _apologize(self, error: Exception) -> None:
        """There is no answer: have an empty one sent, if on_error sends none."""
        rest = self._tell("on_request", error)
        if rest is not None:
            await rest
        if not self.closed and probe(self._socket, ZMQ_POLLOUT):
            self._answer(b"")
