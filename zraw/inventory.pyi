from typing import NamedTuple

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

def live() -> Live: ...
