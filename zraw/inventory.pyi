from tracemalloc import Traceback
from typing import NamedTuple

class LiveSocket(NamedTuple):
    type: str
    in_use: bool
    fd: int | None
    bound: tuple[str, ...]
    connected: tuple[str, ...]
    thread: int
    made: Traceback | None

class LiveContext(NamedTuple):
    handle: int | None
    sockets: tuple[LiveSocket, ...]
    made: Traceback | None

class Live(NamedTuple):
    contexts: tuple[LiveContext, ...]
    pins: int

def live() -> Live: ...
