"""What the tests of zraw.aio share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

import zraw
from zraw import aio

LOGGERS = ("asyncio", "zraw.aio")


class Running:
    """A coroutine function that runs beside the test; what comes of it is kept."""

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._end = anyio.Event()
        self._value: Any = None
        self._error: Exception | None = None

    async def _run(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        try:
            with self._scope:
                self._value = await function(*args)
        except Exception as error:
            self._error = error
        finally:
            self._end.set()

    @property
    def ended(self) -> bool:
        return self._end.is_set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def result(self, seconds: float = 10) -> Any:
        """What it returned, or raised; None if it was cancelled."""
        with anyio.fail_after(seconds):
            await self._end.wait()
        if self._error is not None:
            raise self._error
        return self._value


@contextlib.asynccontextmanager
async def beside() -> AsyncIterator[Callable[..., Running]]:
    """Give start(function, *args) -> Running; what still runs at the end is cancelled.

    A test that fails inside fails with its own exception, not with a group.
    """
    failure = None
    async with anyio.create_task_group() as group:

        def start(function: Callable[..., Awaitable[Any]], *args: Any) -> Running:
            running = Running()
            group.start_soon(running._run, function, *args)
            return running

        try:
            yield start
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def settle(turns: int = 10) -> None:
    """Let every task that can go on come to where it has to wait."""
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something that happens on its own."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.001)


def handles(
    pair: Callable[..., tuple[zraw.Socket, zraw.Socket]], *args: Any, **options: Any
) -> tuple[aio.Handle, aio.Handle]:
    """The handles of two connected sockets, as the fixture `pair` makes them."""
    first, second = pair(*args, **options)
    return aio.Handle(first), aio.Handle(second)


def fill(socket: zraw.Socket, data: bytes = b"x") -> int:
    """Send until nothing more can be sent; return how many it were."""
    count = 0
    while socket.try_send(data):
        count += 1
    return count


def last_endpoint(handle: aio.Handle) -> str:
    return handle.socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT)


class Errors:
    """An on_error that remembers."""

    def __init__(self) -> None:
        self.all: list[tuple[object, BaseException]] = []

    def __call__(self, handle: object, error: BaseException) -> None:
        self.all.append((handle, error))

    @property
    def types(self) -> list[type[BaseException]]:
        return [type(error) for _, error in self.all]


class _Collect(logging.Handler):
    def __init__(self, found: list[BaseException]) -> None:
        super().__init__()
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        assert record.exc_info is not None
        assert record.exc_info[1] is not None
        self._found.append(record.exc_info[1])


@contextlib.contextmanager
def reported() -> Iterator[list[BaseException]]:
    """What the loop is told of errors that nobody else wants."""
    found: list[BaseException] = []
    if sniffio.current_async_library() == "trio":
        logger = logging.getLogger("zraw.aio")
        collect = _Collect(found)
        logger.addHandler(collect)
        logger.propagate = False
        try:
            yield found
        finally:
            logger.propagate = True
            logger.removeHandler(collect)
    else:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _, context: found.append(context["exception"])
        )
        try:
            yield found
        finally:
            loop.set_exception_handler(None)


@pytest.fixture(autouse=True)
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test fails whose loop had something to complain about."""
    yield
    for record in caplog.get_records("call"):
        assert record.name not in LOGGERS, record.getMessage()


def flow(
    pair: Callable[..., tuple[zraw.Socket, zraw.Socket]],
    transport: str = "inproc",
    **options: Any,
) -> tuple[zraw.Socket, aio.Handle]:
    """A ZMQ_PUSH, and the handle of the ZMQ_PULL that receives from it."""
    sender, receiver = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport, **options)
    return sender, aio.Handle(receiver)


def numbers(*those: int) -> list[bytes]:
    """As range(), but the numbers are messages."""
    return [b"%d" % number for number in range(*those)]


def full(
    pair: Callable[..., tuple[zraw.Socket, zraw.Socket]],
    **callbacks: Callable[..., object],
) -> tuple[aio.Handle, aio.Handle, Callable[[], None]]:
    """The handle of a PUSH that can send no more, and the handle of its PULL.

    What comes third makes room for a message at least, when it is called.
    """
    pusher, puller = handles(pair, zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=1, RCVHWM=1)
    for name, callback in callbacks.items():
        setattr(pusher, name, callback)
    left = fill(pusher.socket)

    def room() -> None:
        for _ in range(left):
            assert puller.socket.recv() == b"x"

    return pusher, puller, room


class Boom(Exception):
    """What callbacks raise."""
