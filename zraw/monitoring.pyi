from typing import overload

from zraw.context import Context
from zraw.guard import GuardedSocket
from zraw.socket import Socket

class MonitoredSocket(GuardedSocket):
    @property
    def context(self) -> Context: ...
    @overload
    def monitor(self, endpoint: str | bytes = "", events: int = 65535) -> Socket: ...
    @overload
    def monitor(self, endpoint: None, events: int = 65535) -> None: ...
    @overload
    def monitor_versioned(
        self,
        endpoint: str | bytes = "",
        events: int = 131071,
        event_version: int = 2,
        type: int = 0,
    ) -> Socket: ...
    @overload
    def monitor_versioned(
        self,
        endpoint: None,
        events: int = 131071,
        event_version: int = 2,
        type: int = 0,
    ) -> None: ...
    def monitor_pipes_stats(self) -> None: ...
