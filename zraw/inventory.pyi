from typing import NamedTuple

from zraw.socket import Socket

class LiveSocket(NamedTuple):
    type: str
    in_use: bool
    fd: int | None
    endpoint: str | None

class LiveContext(NamedTuple):
    handle: int | None
    sockets: tuple[LiveSocket, ...]

class Live(NamedTuple):
    contexts: tuple[LiveContext, ...]
    pins: int

def look_at(socket: Socket) -> LiveSocket: ...
def live() -> Live: ...
