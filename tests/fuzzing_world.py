"""A world of zraw's objects, on which calls are made in any order."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import zraw
from fuzzing import Call, table, table_aio
from fuzzing_values import CONSTANTS, Exhausted, Given, Odd, Raised, Seeded, Values


class Enough(BaseException):
    """A call has waited for some milliseconds: a signal handler ends it."""


# Calls that cost much or end much are made less often than the others.
RARE = {
    "Context": 3, "Context.close": 1, "Context.term": 1, "Context.__exit__": 1,
    "Context.shutdown": 1, "Context.socket": 6, "Context.__init__": 2, "proxy": 1,
    "proxy_steerable": 1, "sleep": 1, "curve_keypair": 1, "curve_public": 2, "live": 2,
    "Socket": 8, "Socket.close": 6, "Socket.__exit__": 2, "Socket.monitor": 3,
    "Socket.monitor_versioned": 2, "Context.from_handle": 2, "Socket.from_handle": 2,
    "Message.close": 5, "Poller.destroy": 2, "Poller.__exit__": 2, "Timers.destroy": 2,
    "Timers.__exit__": 2, "AtomicCounter.destroy": 2, "Socket.__init__": 2,
    "Message.init_size": 4, "Tracker.wait": 3, "Socket.__del__": 2,
}  # fmt: skip
OFTEN = 10
# Here a socket goes through its life: more of it than of what stands alone.
MORE = {
    "Socket.send": 40, "Socket.recv": 40, "Socket.send_multipart": 30,
    "Socket.setsockopt": 30, "Socket.connect": 30, "Socket.bind": 20,
}  # fmt: skip
POOL = 7
NOT_INPROC = ("tcp://127.0.0.1:9", "ipc://s1", "tcp://127.0.0.1:*")
OWNED = (
    zraw.Context, zraw.Socket, zraw.Message, zraw.Poller, zraw.Timers, zraw.Tracker,
    zraw.AtomicCounter, zraw.Stopwatch, memoryview,
)  # fmt: skip
KINDS = (*range(12), zraw.ZMQ_PUSH, zraw.ZMQ_PULL, zraw.ZMQ_PAIR, zraw.ZMQ_DEALER)


class SubContext(zraw.Context):
    """A subclass from Python."""


class SubSocket(zraw.Socket):
    """A subclass from Python."""


class World:
    """Objects, and calls on them.

    finding: called with (call, arguments, exception) for what no docstring names.
    note: called with what is about to be called, for who comes after a crash.
    """

    def __init__(
        self,
        choose: Seeded | Given,
        finding: Callable[[str, str, BaseException], None],
        note: Callable[[str], None] | None = None,
        with_aio: bool = False,
    ):
        self.choose, self.finding, self.note = choose, finding, note
        self.pools: dict[type, list[Any]] = {kind: [] for kind in OWNED}
        self.values = Values(choose, self.pools)
        self.values.reenter = self.reenter
        self.calls = self.waited = self.depth = 0
        self.inside = False
        self.seen = -1
        self.refused: dict[str, int] = {}
        found = table() + (table_aio() if with_aio else [])
        self.table = [
            call
            for call in found
            for _ in range(RARE.get(call.name, MORE.get(call.name, OFTEN)))
        ]
        self.made: list[zraw.Context] = []

    # ---- waiting

    def start_clock(self, seconds: float = 0.003) -> None:
        """Let no call wait for longer than a tick or two of a clock."""
        signal.signal(signal.SIGALRM, self.tick)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

    def stop_clock(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def tick(self, number: int, frame: object) -> None:
        if self.inside and self.seen == self.calls:
            self.inside = False  # once, and not in what handles it
            raise Enough
        self.seen = self.calls

    # ---- objects

    def keep(self, value: object) -> None:
        """Put an object into its pool, in the place of another."""
        for kind in OWNED:
            if isinstance(value, kind):
                break
        else:
            return
        if kind is zraw.Socket:
            self.quieten(value)
        elif kind is zraw.Context:
            self.made.append(value)
        pool = self.pools[kind]
        if len(pool) < POOL:
            pool.append(value)
        else:
            pool[self.values.below(POOL)] = value

    def quieten(self, socket: Any) -> None:
        """Let a new socket wait for nothing, but now and then."""
        if self.values.below(30):
            with contextlib.suppress(zraw.ZMQError):
                socket.setsockopt(zraw.ZMQ_LINGER, 0)
                socket.setsockopt(zraw.ZMQ_RCVTIMEO, 0)
                socket.setsockopt(zraw.ZMQ_SNDTIMEO, 0)

    def begin(self) -> None:
        """Fill the pools."""
        one = self.values.of
        for _ in range(2):
            context = one(zraw.Context, SubContext)()
            context.exit_linger = 0
            self.keep(context)
            for _ in range(3):
                self.keep(one(zraw.Socket, SubSocket)(context, one(*KINDS)))
        self.keep(zraw.Message(b"body"))
        self.keep(zraw.Message.init_size(50))
        for kind in (zraw.Poller, zraw.Timers, zraw.Tracker, zraw.AtomicCounter):
            self.keep(kind())
        self.keep(zraw.Stopwatch())
        self.keep(memoryview(bytearray(40)))
        unmade = one(zraw.Socket, zraw.Context)
        self.pools[unmade].append(unmade.__new__(unmade))  # __init__ is not called

    def end(self) -> None:
        """Close everything."""
        for context in self.made:
            for _ in range(100):
                try:
                    self.inside = True
                    for socket in context.sockets:
                        socket.close(0)
                    context.close(0)
                    break
                except (Enough, Raised, zraw.SocketInUse):
                    pass
        self.inside = False
        self.made.clear()
        for pool in self.pools.values():
            pool.clear()
        self.values.endpoints[4:] = []

    # ---- calls

    def run(self, count: int) -> int:
        """Make calls, until there are so many of them; return their number."""
        end = self.calls + count
        while self.calls < end:
            try:
                self.inside = False
                self.begin()
                stop = min(end, self.calls + 1500)
                while self.calls < stop:
                    self.step()
                self.end()
                self.inside = False
            except Enough:
                pass
        return count

    def reenter(self, *args: object) -> None:
        """Make another call in the middle of one."""
        if self.depth < 3:
            self.step()

    def step(self) -> None:
        values = self.values
        call = self.table[values.below(len(self.table))]
        self.depth += 1
        args: list[Any] = []
        keywords: dict[str, Any] = {}
        before = self.calls
        try:
            self.inside = True
            args, keywords = self.arguments(call)
            if self.note is not None:
                self.note(
                    f"{call.name} {show(args)} {show(keywords) if keywords else ''}"
                )
            self.calls += 1
            result = call.function(*args, **keywords)
            self.inside = self.depth > 1
            self.after(call, result)
        except Enough:
            self.waited += 1
            if self.depth > 1:
                raise
        except (Raised, Exhausted):
            if self.depth == 1 and sys.exc_info()[0] is Exhausted:
                raise
        except BaseException as error:
            self.judge(call, args, keywords, error, self.calls == before + 1)
        finally:
            self.depth -= 1
            self.inside = self.depth > 0

    def judge(
        self,
        call: Call,
        args: list[Any],
        keywords: dict[str, Any],
        error: BaseException,
        alone: bool,
    ) -> None:
        """Report an exception that the callable does not name."""
        name = type(error).__name__
        self.refused[name] = self.refused.get(name, 0) + 1
        may = call.may_raise
        if name not in may and not (
            ("ZMQError" in may and isinstance(error, zraw.ZMQError))
            or (
                name == "InvalidHandle"
                and closed_message(args[call.owner is not None :], keywords)
            )
        ):
            self.finding(call.name, f"{show(args)} {show(keywords)}", error)
        elif (
            isinstance(error, zraw.ZMQError)
            and alone
            and (
                zraw.errno() != error.errno
                and type(error).__module__ == "zraw"
                and not any(isinstance(one, Odd) for one in args)
            )
        ):
            # Whoever catches it may look at errno(), as in C.
            wrong = AssertionError(f"zraw.errno() is {zraw.errno()} after {error!r}")
            self.finding(call.name, f"{show(args)} {show(keywords)}", wrong)
        elif isinstance(error, zraw.ZMQError):
            # Made by zraw only: libzmq's text, the errno, and the call.
            assert str(error).startswith(f"[Errno {error.errno}] "), error

    def arguments(self, call: Call) -> tuple[list[Any], dict[str, Any]]:
        """Choose arguments: the right number, or now and then another."""
        values = self.values
        args: list[Any] = []
        if call.owner is not None:
            args.append(values.one(call.owner) if values.below(200) else values.any())
            if args[0] is None and call.name.endswith("__"):
                args[0] = zraw.Message()  # None has protocols of its own
        names = call.names
        if "option" in names:
            return [*args, *values.options(call.name)], {}
        if (
            call.name == "Socket.connect"
            and isinstance(args[0], zraw.Socket)
            and (args[0].type in (zraw.ZMQ_ROUTER, zraw.ZMQ_REP))
        ):
            return [*args, values.of(*NOT_INPROC, 5)], {}
        if call.name == "Socket.send_const":
            return [
                *args,
                values.of(*CONSTANTS, values.memory()),
                values.of(0, 1, 2),
            ], {}
        count = len(names)
        if count > call.least and values.below(2):
            count = call.least + values.below(count - call.least + 1)
        if not values.below(60):
            count = values.below(len(names) + 2)
        kind = values.below(12)
        keywords = {}
        for index in range(count):
            name = names[index] if index < len(names) else "surplus"
            if kind == 0 and (index or call.owner is None):
                keywords[name] = values.argument(name)
            else:
                args.append(values.argument(name))
        if kind == 0 and not values.below(5):
            keywords[values.of("nonsense", "flags", "self")] = values.any()
        return args, keywords

    def after(self, call: Call, result: object) -> None:
        if result is None:
            return
        if isinstance(result, OWNED):
            self.keep(result)
        elif call.name == "Socket.bind":
            self.values.endpoints.append(result)
        elif (
            isinstance(result, list) and result and isinstance(result[0], zraw.Message)
        ):
            self.keep(result[0])


def closed_message(args: Any, keywords: Any) -> bool:
    """Whether a Message was given, which says so itself if it is closed."""
    return any(
        isinstance(one, zraw.Message)
        or (type(one) in (list, tuple) and closed_message(one, {}))
        for one in (*args, *keywords.values())
    )


def show(value: object, depth: int = 0) -> str:
    """A short text that runs nothing of the value's."""
    kind = type(value)
    if kind in (int, bool, float, type(None), type):
        return str(value)
    if kind in (str, bytes):
        text = ascii(value[:24])  # type: ignore[index]
        return text if len(value) <= 24 else f"{text}[{len(value)}]"  # type: ignore[arg-type]
    if kind in (list, tuple) and depth < 3:
        inner = ", ".join(show(one, depth + 1) for one in value)  # type: ignore[attr-defined]
        return f"[{inner}]" if kind is list else f"({inner})"
    if kind is dict:
        return ", ".join(f"{key}={show(one, 1)}" for key, one in value.items())  # type: ignore[attr-defined]
    if isinstance(value, zraw.Socket):
        return f"<{kind.__name__} {value.type}{' closed' if value.closed else ''}>"
    if isinstance(value, Odd):
        return f"<Odd {value.mood} {value.number}>"
    return f"<{kind.__name__}>"


def quiet_hooks(finding: Callable[[str, str, BaseException], None]) -> None:
    """Report what destructors and the release thread have to say."""

    def hook(unraisable: Any) -> None:
        error = unraisable.exc_value
        if not isinstance(error, (Raised, Enough, Exhausted)):
            finding("unraisable", str(unraisable.object)[:80], error)

    sys.unraisablehook = hook


def where(error: BaseException) -> str:
    """The innermost lines of an exception's traceback."""
    lines = traceback.extract_tb(error.__traceback__)[-2:]
    return " < ".join(
        f"{os.path.basename(one.filename)}:{one.lineno}" for one in reversed(lines)
    )


def timed(world: World, calls: int) -> float:
    start = time.monotonic()
    world.run(calls)
    return time.monotonic() - start
