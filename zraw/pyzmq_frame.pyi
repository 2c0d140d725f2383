import builtins
from threading import Event
from typing import Any, final

from typing_extensions import Buffer, Self

from zraw.release import Tracker

class Released(Event):
    def __init__(self, tracker: Tracker) -> None: ...

@final
class Flat:
    def __init__(
        self, data: Buffer, writable: bool = False, size: int = -1
    ) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class BaseFrame:
    more: bool
    tracker: Any
    tracker_event: Event | None
    def __init__(
        self,
        data: Buffer | None = None,
        track: bool = False,
        copy: bool | None = None,
        copy_threshold: int | None = None,
        **unused: object,
    ) -> None: ...
    @property
    def buffer(self) -> memoryview: ...
    @property
    def bytes(self) -> builtins.bytes: ...
    def get(self, option: int | str | builtins.bytes) -> int | str: ...
    def set(self, option: int | str, value: int | str | builtins.bytes) -> None: ...
    def __copy__(self) -> Self: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Frame(BaseFrame): ...
