from typing_extensions import Buffer

from zraw.pyzmq_socket import BaseSocket

def monitored_queue(
    in_socket: BaseSocket,
    out_socket: BaseSocket,
    mon_socket: BaseSocket,
    in_prefix: Buffer = b"in",
    out_prefix: Buffer = b"out",
) -> None: ...
def proxy(
    frontend: BaseSocket, backend: BaseSocket, capture: BaseSocket | None = None
) -> None: ...
def proxy_steerable(
    frontend: BaseSocket,
    backend: BaseSocket,
    capture: BaseSocket | None = None,
    control: BaseSocket | None = None,
) -> int: ...
def device(
    device_type: int, frontend: BaseSocket, backend: BaseSocket | None = None
) -> None: ...
