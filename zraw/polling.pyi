from collections.abc import Iterable
from typing import Protocol, TypeVar, final

from zraw.guard import GuardedSocket, Watcher

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_Item = TypeVar("_Item", bound=GuardedSocket | _HasFileno | int)

class Waiter(Watcher): ...

@final
class Items(Waiter): ...

def poll(
    items: Iterable[tuple[_Item, int]], timeout: int = -1
) -> list[tuple[_Item, int]]: ...
def ppoll(
    items: Iterable[tuple[_Item, int]],
    timeout: int = -1,
    sigmask: Iterable[int] | None = None,
) -> list[tuple[_Item, int]]: ...
