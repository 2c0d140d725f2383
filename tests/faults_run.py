"""Runs scenarios in a child: each call that they make fails in turn; see faults.py."""

from __future__ import annotations

import _testcapi
import contextlib
import ctypes
import errno
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import zraw
import zraw.release
from faults import FUNCTIONS, Call, attach, libzmq, number_of

DEPTH = 3  # faults in one run, where the ones before are survived
WORKS = None  # what is expected in place of an exception's class
SKIP = object()  # in place of it: do not try
FREED = frozenset(
    # What they are given is gone whatever they return; the objects that it belonged
    # to are closed, as they were asked to be.
    {"zmq_close", "zmq_msg_close", "zmq_timers_destroy", "zmq_poller_destroy"}
)
INTERNAL = frozenset(
    # Asked by zraw for itself, and with an answer for the case that there is none.
    {"zmq_getsockopt", "zmq_setsockopt", "zmq_ctx_shutdown"}
)
CLASSES = {
    number_of(name): cls
    for cls, names in {
        zraw.Again: "EAGAIN",
        zraw.ContextTerminated: "ETERM",
        zraw.InvalidState: "EFSM",
        zraw.NotASocket: "ENOTSOCK",
        zraw.NotSupported: "ENOTSUP",
        zraw.HostUnreachable: "EHOSTUNREACH",
        zraw.InvalidArgument: "EINVAL",
        zraw.InvalidHandle: "EFAULT",
        zraw.TooManySockets: "EMFILE",
        zraw.AddressInUse: "EADDRINUSE",
        zraw.AddressNotAvailable: "EADDRNOTAVAIL",
        zraw.NotFound: "ENOENT",
        zraw.NoIOThread: "EMTHREAD",
        zraw.IncompatibleProtocol: "ENOCOMPATPROTO",
        zraw.ProtocolNotSupported: "EPROTONOSUPPORT",
        MemoryError: "ENOMEM",
        zraw.ZMQError: "EBADF EINTR ENAMETOOLONG ENODEV",
    }.items()
    for name in names.split()
}

faults = attach()


class AnotherWay(Exception):
    """The calls were others than before, for time had passed."""


class Fault(NamedTuple):
    """One that was made up: of which call, counted from 1, and which errno."""

    number: int
    function: str
    err: int
    flags: int
    nth: int  # among the calls of the function

    def __str__(self) -> str:
        name = errno.errorcode.get(self.err) or next(
            name for name in dir(zraw) if getattr(zraw, name) == self.err
        )
        return f"{name} from {self.function} {self.nth}"


class Outcome(NamedTuple):
    """How a call ended."""

    value: Any
    error: BaseException | None
    torn: bool  # libzmq was left in the middle of a message, as it never does
    last: str | None  # function that failed
    starved: bool  # it was an allocation that failed

    @property
    def ok(self) -> bool:
        return self.error is None


class Stage:
    """What a scenario is played with: sockets, buffers, and what is kept of them."""

    def __init__(self) -> None:
        self.pinned = zraw.release.pinned()
        self.context = zraw.Context()
        self.sockets: list[zraw.Socket] = []
        self.buffers: list[bytearray] = []
        self.kept: list[object] = []
        self.files: list[int] = []
        self.threaded = False  # the call goes on in another thread
        self.timers: list[threading.Timer] = []

    def socket(self, kind: int, **options: object) -> zraw.Socket:
        socket = zraw.Socket(self.context, kind)
        self.sockets.append(socket)
        options = {"LINGER": 0, "RCVTIMEO": 300, "SNDTIMEO": 300, **options}
        for name, value in options.items():
            socket.setsockopt(getattr(zraw, f"ZMQ_{name}"), value)
        return socket

    def pair(
        self, first: int = zraw.ZMQ_PUSH, second: int = zraw.ZMQ_PULL, **options: object
    ) -> tuple[zraw.Socket, zraw.Socket]:
        """Two connected sockets; the first one sends."""
        sender, receiver = self.socket(first, **options), self.socket(second, **options)
        if second == zraw.ZMQ_SUB:
            receiver.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        sender.connect(receiver.bind("inproc://faults"))
        return sender, receiver

    def pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        self.files += reader, writer
        return reader, writer

    def buffer(self, size: int, fill: bytes = b"b") -> bytearray:
        """A buffer; at the end nobody holds it."""
        self.buffers.append(bytearray(fill * size))
        return self.buffers[-1]

    def keep(self, thing: Any) -> Any:
        """An object; at the end nobody holds it."""
        self.kept.append(thing)
        return thing

    def arrived(self, sender: zraw.Socket, receiver: zraw.Socket) -> list[list[bytes]]:
        """Send one more message; return those that come before it."""
        sender.send(b"after")
        messages = []
        while (message := receiver.recv_multipart()) != [b"after"]:
            assert message[-1] != b"after", f"torn: {message}"
            messages.append(message)
        return messages

    def shut_down(self, seconds: float) -> None:
        """Shut the context down while a call is on its way; nobody counts that."""
        shutdown = libzmq().zmq_ctx_shutdown
        context = ctypes.c_void_p(self.context.handle)
        self.timers.append(threading.Timer(seconds, shutdown, args=[context]))
        self.timers[-1].start()

    def settle(self) -> None:
        """Wait for what was begun."""
        for timer in self.timers:
            timer.cancel()
            timer.join()

    def end(self) -> None:
        """Nothing is in use, nothing is held, everything closes."""
        for socket in self.sockets:
            if not socket.closed:
                assert socket.handle, "still in use"
                assert socket.getsockopt(zraw.ZMQ_LINGER) == 0
        self.context.close(linger=0)
        assert not self.context.sockets
        end = time.monotonic() + 1
        while zraw.release.pinned() > self.pinned:
            assert time.monotonic() < end, "memory is still lent"
            zraw.Tracker().done  # noqa: B018  it releases what is finished
        for fd in self.files:
            os.close(fd)
        for buffer in self.buffers:
            buffer.append(0)
        while self.kept:
            thing = self.kept.pop()
            assert sys.getrefcount(thing) == 2, "a reference is left"


class Scenario(NamedTuple):
    """A generator function over a Stage; it yields the call, and gets the Outcome.

    Where allocations fail the call is one of C: a frame of Python's could crash.
    """

    play: Callable[[Stage], Any]
    about: frozenset[str]
    expects: dict[str, Any]
    natural: type[BaseException] | None
    waits: bool
    memory: bool
    depth: int
    judge: Callable[[Fault, list[Call]], Any]

    @property
    def name(self) -> str:
        return self.play.__name__

    def expected(self, fault: Fault, before: list[Call]) -> Any:
        """Return the class of the exception that a fault leads to, or WORKS."""
        judged = self.judge(fault, before)
        if judged is not NotImplemented:
            return judged
        for key in (str(fault), f"{fault.function} {fault.nth}"):
            if key in self.expects:
                return self.expects[key]
        if fault.err == errno.EINTR:
            return WORKS
        if fault.function in self.expects:
            return self.expects[fault.function]
        if fault.function in FREED:
            return WORKS
        if fault.function in INTERNAL and fault.function not in self.about:
            return WORKS
        if fault.err == errno.EAGAIN and fault.flags & zraw.ZMQ_DONTWAIT and self.waits:
            return WORKS
        return CLASSES[fault.err]


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *,
    about: str = "",
    natural: type[BaseException] | None = None,
    waits: bool = True,
    memory: bool = True,
    depth: int = DEPTH,
    judge: Callable[[Fault, list[Call]], Any] = lambda *_: NotImplemented,
    **expects: Any,
) -> Callable[[Callable[[Stage], Any]], Callable[[Stage], Any]]:
    """Register a scenario.

    about: functions that it calls for the user, of those that zraw also calls for
        itself.
    natural: what it raises without a fault.
    waits: False if EAGAIN is to be reported at once.
    memory: whether to let allocations fail, too.  Not where Python code runs below
        zraw, as in a WeakSet: CPython and Cython's list comprehensions crash there.
    depth: how many faults to make in one run.
    judge: what is not by the rules, by the fault and the calls before it.
    expects: the same, by function, function and number, or fault.
    """

    def register(play: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
        rules = {key.replace("__", " "): value for key, value in expects.items()}
        SCENARIOS[play.__name__] = Scenario(
            play, frozenset(about.split()), rules, natural, waits, memory, depth, judge
        )
        return play

    return register


@contextlib.contextmanager
def quiet() -> Iterator[list[Any]]:
    """Collect what Python cannot raise."""
    seen: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, seen.append
    try:
        yield seen
    finally:
        sys.unraisablehook = before


def is_torn(calls: list[Call]) -> bool:
    """Whether a frame was refused after others of its message went through."""
    under_way = False
    for call in calls:
        if call.function in ("zmq_msg_copy", "zmq_msg_move") and call.err and under_way:
            return True
        if call.function in ("zmq_send", "zmq_msg_send", "zmq_msg_recv"):
            if call.err == errno.EINTR:
                continue
            if call.err and under_way:
                return True
            under_way = not call.err and (
                call.function == "zmq_msg_recv" or bool(call.flags & zraw.ZMQ_SNDMORE)
            )
    return False


def play(
    scene: Scenario, chain: tuple[Fault, ...] = (), fails: int = -1
) -> tuple[list[Call], Outcome]:
    """Play a scenario once, with faults, or with the nth allocation failing."""
    stage = Stage()
    try:
        return play_on(stage, scene, chain, fails)
    finally:
        stage.settle()


def play_on(
    stage: Stage, scene: Scenario, chain: tuple[Fault, ...], fails: int
) -> tuple[list[Call], Outcome]:
    player = scene.play(stage)
    call = next(player)
    value = error = None
    sys._getframe()  # made now: without memory for it CPython crashes
    with quiet() as unraisable:
        pairs = tuple((fault.number, fault.err) for fault in chain)
        faults.arm(pairs, stage.threaded)
        if fails >= 0:
            _testcapi.set_nomemory(fails, fails + 1)
        try:
            value = call()
        except BaseException as caught:
            error = caught
        finally:
            if fails >= 0:
                _testcapi.remove_mem_hooks()
            calls = faults.disarm()
    for fault in chain:
        names = [call.function for call in calls[fault.number - 1 :]]
        if names[:1] != [fault.function]:
            raise AnotherWay
    assert fails >= 0 or not unraisable, unraisable
    last = zraw.errno()
    if fails >= 0:
        assert error is None or type(error) in (MemoryError, scene.natural), repr(error)
    else:
        earlier = calls[: chain[-1].number - 1] if chain else []
        expected = scene.expected(chain[-1], earlier) if chain else WORKS
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if is_torn(earlier):
            allowed += (WORKS,)  # what is left of a message whose peer died
        allowed = tuple(scene.natural if x is WORKS else x for x in allowed)
        got = None if error is None else type(error)
        assert got in allowed, f"{error!r} in place of {allowed}"
        if isinstance(error, zraw.ZMQError):
            assert error.errno == last or stage.threaded
            if chain and got is CLASSES[chain[-1].err]:
                assert error.errno == chain[-1].err
    if error is not None:
        error = error.with_traceback(None)
    outcome = Outcome(
        value,
        error,
        is_torn(calls),
        chain[-1].function if chain else None,
        fails >= 0,
    )
    with contextlib.suppress(StopIteration):
        player.send(outcome)
        raise RuntimeError("a scenario yields once")
    ended = outcome._replace(value=None)
    del player, call, value, error, outcome
    stage.end()
    return calls, ended


def in_use() -> tuple[int, int]:
    gc.collect()
    return sys.getallocatedblocks(), faults.blocks


def check(scene: Scenario, *args: Any) -> tuple[list[Call], Outcome]:
    """Play a scenario until it takes no more memory than before."""
    calls, outcome = play(scene, *args)
    least = most = in_use()
    steady = [False, False]
    for _ in range(200):  # who else lives in the process may take some, too
        play(scene, *args)
        now = in_use()
        steady = [steady[i] or now[i] <= most[i] for i in (0, 1)]
        if all(steady):
            return calls, outcome
        most = max(most[0], now[0]), max(most[1], now[1])
    raise AssertionError(f"memory grows from {least} to {most} objects and blocks")


class Result(NamedTuple):
    """What became of one chain of faults."""

    chain: tuple[Fault, ...]
    call: Call | None  # the one that failed last
    problem: str | None


def explore(scene: Scenario, depth: int = DEPTH, repeats: int = 2) -> Iterator[Result]:
    """Let every call that the scenario makes fail with each of its errnos.

    Where it goes on after a fault, so do we, with the calls that come after; a place
    in the code that is reached again and again fails `repeats` times.
    """
    for _ in range(5):
        play(scene)  # Python and libzmq fill their caches
    pending: list[tuple[tuple[Fault, ...], Call | None]] = [((), None)]
    seen: set[tuple[Any, ...]] = set()
    while pending:
        chain, failing = pending.pop(0)
        problem: str | None = "AnotherWay"
        for _ in range(5):
            if problem != "AnotherWay":
                break
            try:
                calls, outcome = check(scene, chain)
                problem = None
            except AnotherWay:
                gc.collect()  # what the scenario left open
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
        if problem:
            gc.collect()
        if problem == "AnotherWay":
            continue
        if chain or problem:
            yield Result(chain, failing, problem)
        if problem or len(chain) >= min(depth, scene.depth):
            continue
        if not outcome.ok and type(outcome.error) is not scene.natural:
            continue
        start = chain[-1].number if chain else 0
        path = tuple((calls[fault.number - 1].offset, fault.err) for fault in chain)
        places: dict[tuple[str, int], int] = {}
        for number, call in enumerate(calls[start:], start + 1):
            if scene.expects.get(call.function) is SKIP:
                continue
            place = call.function, call.offset
            places[place] = places.get(place, 0) + 1
            if places[place] > (1 if chain else repeats):
                continue
            nth = sum(c.function == call.function for c in calls[:number])
            for name in FUNCTIONS[call.function].split():
                err = number_of(name)
                key = (*path, *place, places[place], err)
                if key not in seen:
                    seen.add(key)
                    fault = Fault(number, call.function, err, call.flags, nth)
                    pending.append(((*chain, fault), call))


def starve(scene: Scenario, limit: int = 400) -> Iterator[tuple[int, str | None]]:
    """Let each allocation that the scenario makes fail once."""
    for _ in range(5):
        play(scene)
    fine = 0
    for fails in range(limit):
        problem = None
        try:
            _, outcome = check(scene, (), fails)
            fine = 0 if isinstance(outcome.error, MemoryError) else fine + 1
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            fine = 0
        if problem:
            gc.collect()
        yield fails, problem
        if fine == 12:
            return
    raise AssertionError("so many allocations")


def main(
    names: str, depth: int = DEPTH, repeats: int = 2, memory: bool = False
) -> None:
    """Run scenarios; print what was reached and what went wrong as lines of JSON."""
    gc.collect()
    gc.freeze()
    for name in names.split():
        scene = SCENARIOS[name]
        problems: dict[str, str] = {}
        if memory:
            tried = 0
            for tried, problem in starve(scene):
                if problem:
                    problems.setdefault(problem, f"allocation {tried}")
            print(json.dumps({"name": name, "runs": tried, "problems": problems}))
            continue
        runs, sites = 0, set()
        for result in explore(scene, depth, repeats):
            runs += 1
            if result.problem:
                problems.setdefault(result.problem, " + ".join(map(str, result.chain)))
            if call := result.call:
                site = (
                    call.module.decode(),
                    call.offset,
                    call.function,
                    result.chain[-1].err,
                )
                sites.add(site)
        report = {"name": name, "runs": runs, "problems": problems}
        print(json.dumps({**report, "sites": sorted(sites)}), flush=True)
