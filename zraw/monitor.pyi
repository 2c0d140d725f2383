from typing import NamedTuple

from zraw.socket import Socket

NAMES: dict[int, str]

class MonitorEvent(NamedTuple):
    event: int
    name: str
    value: int
    address: str

class MonitorEventV2(NamedTuple):
    event: int
    name: str
    values: tuple[int, ...]
    local_address: str
    remote_address: str

def name_of(event: int) -> str: ...
def text(frame: bytes) -> str: ...
def recv_event(reader: Socket, flags: int = 0) -> MonitorEvent: ...
def recv_event_v2(reader: Socket, flags: int = 0) -> MonitorEventV2: ...
