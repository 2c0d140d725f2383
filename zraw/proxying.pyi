from zraw.guard import GuardedSocket

def proxy(
    frontend: GuardedSocket,
    backend: GuardedSocket,
    capture: GuardedSocket | None = None,
) -> None: ...
def forget_waker() -> None: ...
def proxy_steerable(
    frontend: GuardedSocket,
    backend: GuardedSocket,
    capture: GuardedSocket | None = None,
    control: GuardedSocket | None = None,
) -> None: ...
