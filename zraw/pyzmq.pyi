from collections.abc import Iterable
from typing import Any

from zraw.polling import Waiter
from zraw.pyzmq_context import Context as Context
from zraw.pyzmq_frame import Frame as Frame
from zraw.pyzmq_queue import device as device
from zraw.pyzmq_queue import monitored_queue as monitored_queue
from zraw.pyzmq_queue import proxy as proxy
from zraw.pyzmq_queue import proxy_steerable as proxy_steerable
from zraw.pyzmq_socket import Socket as Socket

__all__ = [
    "Context",
    "Frame",
    "IPC_PATH_MAX_LEN",
    "Message",
    "PYZMQ_DRAFT_API",
    "Socket",
    "curve_keypair",
    "curve_public",
    "device",
    "has",
    "monitored_queue",
    "proxy",
    "proxy_steerable",
    "strerror",
    "zmq_errno",
    "zmq_poll",
    "zmq_version_info",
]

Message = Frame
IPC_PATH_MAX_LEN: int
PYZMQ_DRAFT_API: bool

class Items(Waiter): ...

def zmq_poll(
    sockets: Iterable[tuple[Any, int]], timeout: int = -1
) -> list[tuple[Any, int]]: ...
def zmq_errno() -> int: ...
def strerror(errno: int) -> str: ...
def zmq_version_info() -> tuple[int, int, int]: ...
def has(capability: str) -> bool: ...
def curve_keypair() -> tuple[bytes, bytes]: ...
def curve_public(secret_key: str | bytes) -> bytes: ...
