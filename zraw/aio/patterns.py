"""A class for each socket type, which makes its socket and can what the type can."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

import zraw
from zraw import Context, Socket
from zraw.aio.base import Base, Endpoints, OnDrain, OnError, OnRead
from zraw.aio.readable import Readable
from zraw.aio.writable import Writable

if TYPE_CHECKING:
    from typing_extensions import Buffer

Options = Mapping[int, Any]


class Typed(Base):
    """A handle that makes its socket."""

    TYPE: ClassVar[int]

    def _open(
        self,
        context: Context,
        *,
        bind: Endpoints,
        connect: Endpoints,
        identity: Buffer | None,
        options: Options | None,
        on_error: OnError | None,
        **callbacks: object,
    ) -> None:
        """Make the socket: options first, then endpoints, callbacks last."""
        if not isinstance(context, Context):
            raise TypeError(f"context: a zraw.Context, not {type(context).__name__}")
        if not isinstance(options, (Mapping, NoneType)):
            raise TypeError(
                "options: a dict of options and values, not " + type(options).__name__
            )
        socket = context.socket(self.TYPE)
        try:
            super().__init__(socket)
            self._prepare(socket)
            for option, value in (options or {}).items():
                socket.setsockopt(option, value)
            self._set_up(bind, connect, identity, on_error)
            for name, callback in callbacks.items():
                setattr(self, name, callback)
        except BaseException:
            socket.close(0)
            raise

    def _prepare(self, socket: Socket) -> None:
        """Set what the class itself needs, before the user's options."""


class Source(Typed, Readable):
    """A type that only receives."""

    def __init__(
        self,
        context: Context,
        *,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_read: OnRead | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._open(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_error=on_error,
            on_read=on_read,
        )


class Sink(Typed, Writable):
    """A type that only sends."""

    def __init__(
        self,
        context: Context,
        *,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_drain: OnDrain | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._open(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_error=on_error,
            on_drain=on_drain,
        )


class TwoWay(Typed, Readable, Writable):
    """A type that sends and receives."""

    def __init__(
        self,
        context: Context,
        *,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_read: OnRead | None = None,
        on_drain: OnDrain | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._open(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_error=on_error,
            on_drain=on_drain,
            on_read=on_read,
        )


class Push(Sink):
    """Push(context, bind=, connect=, identity=, options={}): a ZMQ_PUSH."""

    TYPE = zraw.ZMQ_PUSH


class Pull(Source):
    """Pull(context, bind=, connect=, identity=, options={}): a ZMQ_PULL."""

    TYPE = zraw.ZMQ_PULL


class Pair(TwoWay):
    """Pair(context, bind=, connect=, identity=, options={}): a ZMQ_PAIR."""

    TYPE = zraw.ZMQ_PAIR


class Dealer(TwoWay):
    """Dealer(context, bind=, connect=, identity=, options={}): a ZMQ_DEALER."""

    TYPE = zraw.ZMQ_DEALER


class Router(TwoWay):
    """Router(context, bind=, connect=, identity=, options={}): a ZMQ_ROUTER.

    Messages begin with the identity of the peer.  With ZMQ_ROUTER_MANDATORY a peer
    that cannot take any more makes those wait who send to it, and nobody else.
    """

    TYPE = zraw.ZMQ_ROUTER
