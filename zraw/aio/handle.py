"""Handle: a socket of any type on an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zraw import Socket
from zraw.aio.base import Endpoints, OnDrain, OnError, OnRead
from zraw.aio.readable import Readable
from zraw.aio.writable import Writable

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Handle(Readable, Writable):
    """Handle(socket): a zraw.Socket on the event loop that runs.

    bind, connect: endpoints, one or many.
    identity: ZMQ_ROUTING_ID, set before them.
    on_read, on_drain, on_error: see the properties of these names.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        on_read: OnRead | None = None,
        on_drain: OnDrain | None = None,
        on_error: OnError | None = None,
    ) -> None:
        super().__init__(socket)
        self._set_up(bind, connect, identity, on_error)
        self.on_drain = on_drain
        self.on_read = on_read
