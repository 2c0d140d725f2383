"""Sockets as a command line describes them: type, options, keys, endpoints."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterator

import zraw
from zraw import cli_security
from zraw.cli_errors import (
    CommandError,
    RefusedError,
    TimeOverError,
    UsageError,
    guess,
    reason,
)
from zraw.cli_options import Option

TYPES = (
    *("PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH"),
    *("XPUB", "XSUB", "STREAM", "SERVER", "CLIENT", "RADIO", "DISH", "GATHER"),
    *("SCATTER", "DGRAM", "PEER", "CHANNEL"),
)
# Which types a command takes; the usual ones come first.
TAKES = {
    "send": (
        *("PUSH", "PUB", "XPUB", "XSUB", "PAIR", "DEALER", "ROUTER", "STREAM"),
        *("CLIENT", "RADIO", "SCATTER", "DGRAM", "CHANNEL"),
    ),
    "recv": (
        *("PULL", "SUB", "XSUB", "XPUB", "PAIR", "DEALER", "ROUTER", "STREAM"),
        *("SERVER", "CLIENT", "DISH", "GATHER", "DGRAM", "PEER", "CHANNEL"),
    ),
    "request": ("REQ", "DEALER", "CLIENT"),
    "reply": ("REP", "ROUTER", "SERVER", "PEER"),
    "proxy": TYPES,
    "monitor": TYPES,
}
EXPECTED = {
    errno.ENODEV: "an address or an interface of this machine, or *",
    errno.EADDRNOTAVAIL: "an address or an interface of this machine, or *",
    errno.ENOENT: "a path in a folder that exists",
    errno.EACCES: "a port or a folder that this user has a right to",
    errno.EINVAL: "transport://address, as tcp://127.0.0.1:5555",
    errno.EPROTONOSUPPORT: "a transport that this libzmq has: see zraw info",
    zraw.ENOCOMPATPROTO: "a transport that this type can use",
}
SLICE = 500  # milliseconds
WILDCARD = re.compile(r":[*!0](/.*)?$|^ipc://[*]$")


def socket_type(command: str, word: str) -> str:
    """Return the name of a type that a command can use, without ZMQ_."""
    name = word.upper().removeprefix("ZMQ_")
    if name not in TYPES:
        if "://" in word:
            hint = "; the type comes first, and --bind or --connect before an endpoint"
        else:
            hint = guess(name, TYPES) or f"; it is one of {', '.join(TAKES[command])}"
        raise UsageError(f"{word!r} is no type of socket{hint}")
    if name not in TAKES[command]:
        elsewhere = [
            c for c in ("request", "reply", "recv", "send") if name in TAKES[c]
        ]
        raise UsageError(
            f"{command} cannot use {name}, but {', '.join(TAKES[command])}; "
            f"for {name} there is: {', '.join(elsewhere)}"
        )
    return name


def number_of(name: str) -> int:
    number = getattr(zraw, f"ZMQ_{name}", None)
    if not isinstance(number, int):
        raise CommandError(f"zraw was built with a zmq.h that has no ZMQ_{name}")
    return number


class Side:
    """What the command line says of one socket, and how it becomes one.

    prefix: of the names of its options, as `frontend_`.
    """

    def __init__(
        self, options: argparse.Namespace, name: str, prefix: str = ""
    ) -> None:
        def given(what: str) -> list[str]:
            return list(getattr(options, prefix + what, None) or ())

        dashes = "--" + prefix.replace("_", "-")
        self.name = name
        self.bind_to, self.connect_to = given("bind"), given("connect")
        self.options = [Option(text) for text in given("option")]
        self.topics = given("subscribe")
        self.groups = given("group") if name == "DISH" else []
        receives = name == "SUB" or (name == "XSUB" and options.command == "recv")
        if receives and not self.topics:
            self.topics = [""]
        if self.topics and name not in ("SUB", "XSUB"):
            raise UsageError(f"--subscribe is for SUB and XSUB, not {name}")
        self.security = cli_security.Security(options, prefix)
        for endpoint in (*self.bind_to, *self.connect_to):
            if endpoint.startswith("inproc:"):
                raise UsageError(
                    f"{endpoint}: inproc is within one process; use tcp:// or ipc://"
                )
        if not self.bind_to and not self.connect_to:
            raise UsageError(f"{dashes}bind or {dashes}connect, at least one endpoint")
        if self.security.asks_handler and self.connect_to:
            raise UsageError(f"a server that chooses its clients has to {dashes}bind")
        self.bound: dict[str, str] = {}  # as given, as bound first

    def make(self, context: zraw.Context, defaults: dict[str, int]) -> zraw.Socket:
        """Return a socket with its options, without endpoints.

        The context closes it: what is unsent is its affair.
        """
        socket = context.socket(number_of(self.name))
        for option, value in defaults.items():
            socket.setsockopt(number_of(option), value)
        for chosen in self.options:
            if not chosen.of_context:
                chosen.apply(socket)
        self.security.apply(socket)
        if self.name == "SUB":
            for topic in self.topics:
                socket.setsockopt(zraw.ZMQ_SUBSCRIBE, os.fsencode(topic))
        if self.name == "DISH":
            for group in self.groups:
                socket.join(group)
        return socket

    def attach(self, socket: zraw.Socket) -> None:
        """Bind and connect."""
        for endpoint in self.bind_to:
            again = endpoint in self.bound
            actual = attached(
                socket.bind, "bind", self.bound.get(endpoint, endpoint), again
            )
            if actual is not None and not again:
                self.bound[endpoint] = actual
                if WILDCARD.search(endpoint):
                    say(f"bound {actual}")
        for endpoint in self.connect_to:
            attached(socket.connect, "connect", endpoint)
        if self.name == "XSUB":
            for topic in self.topics:
                socket.send(b"\1" + os.fsencode(topic))


def attached(
    call: Callable[[str], str | None], verb: str, endpoint: str, again: bool = False
) -> str | None:
    """Bind or connect; what is wrong becomes a line.

    again: a socket that was bound there has been closed, which takes libzmq a moment.
    """
    deadline = time.monotonic() + (5 if again else 0)
    while True:
        try:
            return call(endpoint)
        except zraw.AddressInUse:
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            raise CommandError(f"--{verb} {endpoint}: address already in use") from None
        except zraw.ZMQError as error:
            said = zraw.strerror(error.errno or 0)
            expected = EXPECTED.get(error.errno or 0)
            more = f"; expected: {expected}" if expected else ""
            raise CommandError(f"--{verb} {endpoint}: {said}{more}") from None
        except ValueError as error:
            said = reason(error).removeprefix(f"{verb}(): endpoint: ")
            raise UsageError(f"--{verb} {endpoint}: {said}") from None


def say(text: str) -> None:
    """Tell the caller something that is no data."""
    if sys.stderr is not None:
        print(f"zraw: {text}", file=sys.stderr, flush=True)


# ---- from the first to the last


def milliseconds(seconds: float | None) -> int:
    """Return a limit as libzmq takes it: whole, and -1 for none."""
    return -1 if seconds is None else max(round(seconds * 1000), 1 if seconds else 0)


@contextlib.contextmanager
def opened(options: argparse.Namespace, *sides: Side) -> Iterator[zraw.Context]:
    """A context for these sides; at the end what is unsent has --linger seconds."""
    context = zraw.Context()
    context.exit_linger = 0  # all the waiting is done here
    try:
        for side in sides:  # before the first socket: most do not count later
            for chosen in side.options:
                if chosen.of_context:
                    chosen.apply(context)
        cli_security.start_handler(context, [side.security for side in sides])
        yield context
    except (KeyboardInterrupt, RefusedError):
        # Not the context: it would wait for what was closed with time to linger.
        for socket in context.sockets:
            socket.close(linger=0)
        raise
    except TimeOverError:
        context.close(linger=0)
        raise
    except BaseException:
        # What was taken before something went wrong was taken in good faith.
        context.close(linger=milliseconds(getattr(options, "linger", 0.0)))
        raise
    else:
        close_in_time(context, getattr(options, "linger", 0.0))


def close_in_time(context: zraw.Context, linger: float) -> None:
    start = time.monotonic()
    context.close(linger=milliseconds(linger))
    if linger and time.monotonic() - start >= linger:
        raise linger_is_over(linger)


def linger_is_over(linger: float) -> TimeOverError:
    return TimeOverError(
        f"--linger: {linger:g} s are over, and what was not sent is dropped"
    )


class Deadline:
    """A moment, or never."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> int:
        """Return the milliseconds until then, -1 for ever."""
        if self.end is None:
            return -1
        return milliseconds(max(self.end - time.monotonic(), 0))

    def slice(self) -> int:
        """Return the milliseconds of one wait.

        A Ctrl-C in the very moment when a wait begins is only seen when it ends.
        """
        left = self.left()
        return SLICE if left < 0 else min(left, SLICE)

    def over(self, what: str) -> TimeOverError:
        return TimeOverError(f"--timeout: {what} in {self.seconds or 0:g} s")
