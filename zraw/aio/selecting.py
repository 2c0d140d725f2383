"""A thread that selects, for a loop that cannot watch descriptors itself."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import signal
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable

from zraw.aio.loops import Descriptor


def nobody() -> None:
    """Return who is to be called, as a weak reference to none."""


class Watch:
    """A descriptor that the thread watches, for as long as there is who wants to know.

    It is asked for once, and again when the loop has heard of it: a descriptor that
    stays readable while the loop is busy does not keep the thread busy.

    callback: a method, whose object is not kept alive.
    """

    def __init__(
        self,
        selecting: Selecting,
        loop: asyncio.AbstractEventLoop,
        descriptor: Descriptor,
        callback: Callable[[], object],
    ) -> None:
        self._selecting = selecting
        self._loop = loop
        # Kept until the thread has let go of it: so long its number is no other's.
        self._descriptor = descriptor
        self._is_wanted = True
        self._callback: Callable[[], Callable[[], object] | None] = weakref.WeakMethod(
            callback, self.cancel
        )
        selecting.ask(self._begin)

    def cancel(self, _: object = None) -> None:
        self._is_wanted = False
        self._callback = nobody  # else this would be a cycle
        self._selecting.ask(self._end)

    # ---- in the thread

    def _begin(self, selector: selectors.BaseSelector) -> None:
        if self._is_wanted:
            selector.register(self._descriptor.fd, selectors.EVENT_READ, self._tell)

    def _end(self, selector: selectors.BaseSelector) -> bool:
        """Return whether it was watched; another one may watch the same descriptor."""
        key = selector.get_map().get(self._descriptor.fd)
        if key is None or key.data != self._tell:
            return False
        selector.unregister(self._descriptor.fd)
        return True

    def _tell(self, selector: selectors.BaseSelector) -> None:
        """Have the loop call back; the descriptor is readable."""
        if self._end(selector):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._call)

    # ---- in the loop

    def _call(self) -> None:
        callback = self._callback()
        if callback is None or not self._is_wanted:
            return
        try:
            callback()
        finally:
            if self._is_wanted:
                self._selecting.ask(self._begin)


class Selecting:
    """The thread, and what it is asked to do.

    Nothing but the thread touches the selector, and asking takes no lock: it may be
    done by a finalizer, wherever that runs.
    """

    def __init__(self) -> None:
        self._asked: deque[Callable[[selectors.BaseSelector], object]] = deque()
        self._bell, self._waker = socket.socketpair()
        for end in (self._bell, self._waker):
            end.setblocking(False)
        self._stopped = False
        threading.Thread(target=self._run, name="zraw.aio", daemon=True).start()

    def ask(self, request: Callable[[selectors.BaseSelector], object]) -> None:
        """Have the thread do something with its selector, in the order of asking."""
        self._asked.append(request)
        if self._stopped:
            self._asked.clear()  # it would keep who asks
        with contextlib.suppress(OSError):  # it is awake, or has stopped
            self._waker.send(b"\0")

    def stop(self) -> None:
        """Have the thread end."""
        self.ask(self._stop)

    def _stop(self, selector: selectors.BaseSelector) -> None:
        self._stopped = True

    def _run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # A call that a signal is to interrupt is in another thread.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with self._bell, self._waker, selectors.DefaultSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ, self._answer)
            while not self._stopped:
                self._serve(selector)
        self._asked.clear()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select():
            key.data(selector)

    def _answer(self, selector: selectors.BaseSelector) -> None:
        """Do what was asked for."""
        with contextlib.suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass
        while self._asked:
            self._asked.popleft()(selector)
