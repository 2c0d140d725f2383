"""The edge of a socket's descriptor, and all who wait for it.

ZMQ_FD becomes readable when something has happened, once: whatever enters libzmq
takes the news in, and the descriptor falls silent whether or not the one who asked
was the one who waits.  So there is one Edge for a socket.  It reads ZMQ_EVENTS
again after every wake-up of the descriptor and after every call that anybody makes
on the socket while somebody waits (the socket tells it: Socket._hook), and it looks
after all of them each time.

It wakes tasks and calls callbacks.  It never takes a message for a task: the task
does, when it runs, and returns it at once, so that a message is either returned or
still in the queue.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeGuard, TypeVar

import zraw
from zraw import Socket
from zraw.aio.entries import Consumer, Entry, Level, Push, Turn
from zraw.aio.loops import (
    BUDGET,
    Cancellable,
    Descriptor,
    Loop,
    NoLoop,
    running_loop,
)
from zraw.constants import ZMQ_POLLIN, ZMQ_POLLOUT

T = TypeVar("T")

NO_LOOP = NoLoop()
SERVER, PEER = 12, 19  # draft types
# A message is for one peer, which it names: a full one blocks nobody else.
ADDRESSED = frozenset((zraw.ZMQ_ROUTER, zraw.ZMQ_STREAM, SERVER, PEER))
# ZMQ_POLLOUT is always set, also when a send would have to wait.
BLIND = ADDRESSED | {zraw.ZMQ_PUB, zraw.ZMQ_XPUB}
# Seconds until a sender tries again that was refused although ZMQ_POLLOUT is set.
FIRST_PAUSE, LAST_PAUSE = 0.01, 0.05


class Edge:
    """Who waits for a socket, and the descriptor that says when to look."""

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_fresh",
        "_is_blind",
        "_left",
        "_pause",
        "_poller",
        "_scheduled",
        "_socket",
        "_timer",
        "_told",
        "_watching",
        "consumer",
        "is_addressed",
        "kept",
        "levels",
        "loop",
        "readers",
        "writers",
    )

    def __init__(self, socket: Socket) -> None:
        self._socket = weakref.ref(socket)
        self.is_addressed = socket.type in ADDRESSED
        self._is_blind = socket.type in BLIND
        self.loop: Loop = NO_LOOP
        self.readers: deque[Entry] = deque()
        # By peer, where messages are addressed; else all under None.
        self.writers: dict[Hashable, deque[Entry]] = {}
        self.levels: list[Level] = []
        self.consumer: weakref.ref[Consumer] | None = None
        # Messages that were taken by somebody whom they did not concern.
        self.kept: deque[list[bytes]] = deque()
        self._descriptor: Descriptor | None = None
        self._poller: zraw.Poller | None = None
        self._watching: Cancellable | None = None
        self._timer: Cancellable | None = None
        self._pause = FIRST_PAUSE
        self._scheduled = False  # look() will be called by the loop
        self._fresh = False  # something was done since writers were served
        self._told = False  # something was done since the hook was armed
        self._left = 0  # callbacks that this look() may still call

    def bind(self) -> None:
        """Belong to the loop that runs now."""
        loop = running_loop()
        if loop is not self.loop:
            if not self.loop.is_over():
                raise RuntimeError(
                    "a handle belongs to the event loop of its first use, which "
                    "is another one than runs now"
                )
            self._forget_waiters()
            self.loop = loop
            if self.is_waiting():
                self.poke()

    def _forget_waiters(self) -> None:
        """Their loop is over, and so are they; pushes live on."""
        for queue in (self.readers, *self.writers.values()):
            for entry in [entry for entry in queue if isinstance(entry, Turn)]:
                queue.remove(entry)
        self._drop_empty_queues()
        self.unwatch()
        # Not the same descriptor again: who watched it there may still know it.
        self._timer = self._descriptor = None
        self._scheduled = False

    # ---- waiting

    def turn_to_read(
        self,
        attempt: Callable[[], T | None],
        pause: bool = False,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Return the coroutine that waits behind other readers; see _in_turn()."""
        self.bind()
        return self._in_turn(self.readers, attempt, pause, timeout)

    def turn_to_write(
        self,
        peer: Hashable,
        attempt: Callable[[], T | None],
        pause: bool = False,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Return the coroutine that waits behind who writes to the same peer."""
        self.bind()
        return self._in_turn(self.queue_to(peer), attempt, pause, timeout)

    async def _in_turn(
        self,
        queue: deque[Entry],
        attempt: Callable[[], T | None],
        pause: bool,
        timeout: float | None,
    ) -> T:
        """Wait in a queue, and then until an attempt has a result; return it.

        There is no await between the attempt that succeeds and the return.

        pause: let others run before the first attempt, which is made at once.
        timeout: TimeoutError is raised after so many seconds, and says nothing.
        """
        turn = Turn()
        timer = None
        queue.append(turn)
        try:
            if pause:
                await self.loop.pause()
                if queue[0] is turn:
                    result = attempt()
                    if result is not None:
                        return result
            if timeout is not None:
                timer = self.loop.call_later(timeout, turn.expire)
            while True:
                turn.wakeup = self.loop.wakeup()
                if queue[0] is turn:
                    turn.tried = True
                    self.listen()
                await turn.wakeup
                if queue[0] is turn:
                    fresh = self._fresh
                    result = attempt()
                    if result is not None:
                        return result
                    # Nothing came of it: no reason for others to try.
                    self._fresh = fresh
                if turn.expired:
                    raise TimeoutError
        finally:
            if timer is not None:
                timer.cancel()
            self.leave(queue, turn)

    def leave(self, queue: deque[Entry], turn: Turn) -> None:
        """Take a task out of its queue, and see to those behind it."""
        if queue and queue[0] is turn:
            queue.popleft()
        else:
            with contextlib.suppress(ValueError):  # forgotten, with its loop
                queue.remove(turn)
        self._fresh = True
        if not queue:
            self._drop_empty_queues()
        # Those who came behind somebody, and have not tried, need no look().
        for entry in queue:
            if not isinstance(entry, Turn) or entry.tried:
                break
            entry.tried = True
            entry.wake()
            if not self.loop.keeps_order:
                break
        self.poke_if_needed()

    def queue_to(self, peer: Hashable) -> deque[Entry]:
        """Return the queue of writers for a peer."""
        return self.writers.setdefault(peer, deque())

    def must_queue(self, peer: Hashable) -> bool:
        """Whether somebody who writes to this peer, or to any, waits already."""
        return peer in self.writers or None in self.writers

    def _drop_empty_queues(self) -> None:
        for peer in [peer for peer, queue in self.writers.items() if not queue]:
            del self.writers[peer]

    def listen(self) -> None:
        """Have the descriptor watched and the hook called for who came last."""
        events = self._arm()
        if (
            (self._has_input(events) and (self.readers or self._wants_messages()))
            or ((events & ZMQ_POLLOUT or self._is_blind) and self.writers)
            or self.levels
        ):
            self.poke()

    def is_waiting(self) -> bool:
        """Whether anybody is here."""
        return bool(
            self.readers or self.writers or self.levels or self._wants_messages()
        )

    def _has_input(self, events: int) -> bool:
        return bool(events & ZMQ_POLLIN or self.kept)

    def _wants_messages(self) -> bool:
        consumer = self.consumer() if self.consumer is not None else None
        return consumer is not None and consumer._wants_messages()

    def _is_somebody_asleep(self) -> bool:
        """Whether anybody is here who does not look after himself in a moment."""
        if self.readers and self.readers[0].is_asleep():
            return True
        for queue in self.writers.values():
            if queue and queue[0].is_asleep():
                return True
        return bool(self.levels) or self._wants_messages()

    # ---- being told

    def __call__(self, closing: bool) -> None:
        """The hook: somebody has entered libzmq; or the socket is to be closed."""
        if closing:
            if self.loop.is_over():
                self._forget_waiters()
                self._let_go()
            elif self.loop.is_inside():
                self._let_go()
            else:
                self.loop.call_soon(self._let_go)
            return
        self._fresh = self._told = True
        if not self.loop.is_inside():
            # The queues are not this thread's to look at.
            self.poke()
        elif self._left == 0:  # not below look(), which sees to it itself
            self.poke_if_needed()

    def poke_if_needed(self) -> None:
        if not self._scheduled and self._is_somebody_asleep():
            self.poke()

    def poke(self) -> None:
        """Have a look() soon."""
        if not self._scheduled and self.loop is not NO_LOOP:
            try:
                self._scheduled = True
                self.loop.call_soon(self.look)
            except BaseException:  # of the handler of a signal; it is called again
                self._scheduled = False
                raise

    def _on_readable(self) -> None:
        if not self.is_waiting() or self._socket() is None:
            # Nobody to be told: leave the socket to who uses it otherwise.
            self.unwatch()
            return
        if self._poller is not None:
            self._take_signal(self._poller)
        self._pause = FIRST_PAUSE
        self._look_afresh()

    def _look_afresh(self) -> None:
        """Look at once, unless that is about to happen."""
        self._fresh = True
        if not self._scheduled:
            self.look()

    # ---- looking

    def look(self) -> None:
        """Read ZMQ_EVENTS, and look after everybody."""
        self._scheduled = False
        if self._left or not self.is_waiting():
            return
        self._left = BUDGET
        again = True
        try:
            again = self._look_until_quiet()
        finally:
            self._left = 0
            if again:
                self.poke()
            elif self._told:
                self.poke_if_needed()

    def _look_until_quiet(self) -> bool:
        """Return whether there is more to do, when others have had their turn."""
        while True:
            self._told = False
            events = self._arm()
            if self._has_input(events):
                self._serve_readers()
            is_spent = self._left <= 0
            if self.writers and (events & ZMQ_POLLOUT or self._is_blind):
                # However much there is to read, something is written.
                self._left = max(self._left, BUDGET // 4)
                self._serve_writers()
            if self.levels and self._call_levels(events):
                return True
            self._left -= 1
            if is_spent or self._left <= 0:
                return True
            if not (self._told and self.is_waiting()):
                return False

    def _arm(self) -> int:
        """Return ZMQ_EVENTS; the hook is called by the next call on the socket."""
        socket = self._socket()
        if socket is None or socket.closed:
            return 0
        try:
            events = socket._arm()
            if events >= 0 and self._descriptor is None:
                self._descriptor = Descriptor(self._find_descriptor(socket))
                events = socket._arm()  # asking for it was a call on the socket
        except zraw.SocketInUse:
            self.poke()  # another thread has entered in between
            return 0
        except zraw.ZMQError:
            return 0  # closed by another thread just now
        if events < 0:
            # Another thread is inside, and whatever makes the descriptor readable
            # stays there until it comes out; then it calls the hook.
            self.unwatch()
            return 0
        if self._watching is None:
            assert self._descriptor is not None
            self._watching = self.loop.watch(self._descriptor, self._on_readable)
        return events

    def _find_descriptor(self, socket: Socket) -> int:
        if not socket.getsockopt(zraw.ZMQ_THREAD_SAFE):
            return socket.fileno()
        # These types have none of their own; a poller has one for them.
        self._poller = zraw.Poller()
        self._poller.add(socket, ZMQ_POLLIN | ZMQ_POLLOUT)
        return self._poller.fd()

    def _take_signal(self, poller: zraw.Poller) -> None:
        # Nothing may be ready; and what is wrong, the socket says itself.
        with contextlib.suppress(zraw.ZMQError):
            poller.wait(0)

    def unwatch(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()

    def _serve_readers(self) -> None:
        readers = self.readers
        while readers:
            if self._left <= 0 or not readers[0].serve():
                return
            self._left -= 1
        consumer = self.consumer() if self.consumer is not None else None
        if consumer is not None:
            while self._left > 0 and not readers and consumer._consume():
                self._left -= 1

    def _serve_writers(self) -> None:
        if not self._fresh:
            # ZMQ_POLLOUT is set, and yet everybody was refused, with nothing done
            # since.  Nothing but the reading of ZMQ_EVENTS, which may have taken in
            # the news that somebody waits for: do not rely on hearing it again.
            if self._timer is None:
                self._timer = self.loop.call_later(self._pause, self._try_again)
                self._pause = min(self._pause * 2, LAST_PAUSE)
            return
        self._fresh = False
        for queue in list(self.writers.values()):
            while queue and self._left > 0:
                fresh = self._fresh
                if not queue[0].serve():
                    # It may have tried: no reason for others to.
                    self._fresh = fresh
                    break
                self._left -= 1
        if self._left <= 0:
            self._fresh = True  # who is left was not refused, only not reached
        self._drop_empty_queues()

    def _try_again(self) -> None:
        self._timer = None
        self._look_afresh()

    def _call_levels(self, events: int) -> bool:
        ready = False
        for level in list(self.levels):
            if level in self.levels:
                ready |= level._call(events)
        return ready

    # ---- ends

    def _let_go(self) -> None:
        """The socket is being closed: wake everybody, to find out."""
        self.release()
        for queue in (self.readers, *self.writers.values()):
            for entry in queue:
                if isinstance(entry, Turn):
                    entry.wake()
            for entry in [e for e in queue if isinstance(e, Push)]:
                # The handle drops its writes itself, and says so.
                self.loop.call_soon(entry.handle._drop)
                if queue is self.readers:
                    queue.remove(entry)
        self.levels.clear()
        self.consumer = None

    def release(self) -> None:
        """Leave the loop."""
        self.unwatch()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._descriptor = self._poller = None

    def drop_pushes_of(self, handle: object) -> int:
        """Take what a handle has pushed out of all queues; return how much it was."""
        count = 0
        for queue in self.writers.values():
            for entry in [e for e in queue if isinstance(e, Push)]:
                if entry.handle is handle:
                    queue.remove(entry)
                    count += 1
        self._drop_empty_queues()
        return count

    def forget(self, consumer: object = None) -> None:
        """Somebody is gone: leave the loop, if it was the last to be here."""
        if self.consumer is not None and self.consumer() is consumer:
            self.consumer = None
        if not self.is_waiting():
            self.loop.call_soon(self.release_if_idle)

    def release_if_idle(self) -> None:
        if not self.is_waiting():
            self.release()


def edge_of(socket: Socket) -> Edge:
    """Return the Edge of a socket, which has one."""
    edge = socket._hook
    if edge is None:
        if socket.closed:
            socket.fileno()  # raises NotASocket, with its text
        edge = socket._hook = Edge(socket)
    assert isinstance(edge, Edge)
    return edge


def is_awaitable(result: object) -> TypeGuard[Awaitable[Any]]:
    """Whether a callback was a coroutine function, or as good as one."""
    return result is not None and hasattr(result, "__await__")
