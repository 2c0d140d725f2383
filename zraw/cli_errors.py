"""What a command can end with, but success: a line, and an exit code."""

from __future__ import annotations

from collections.abc import Iterable

import zraw


class CommandError(Exception):
    """Something went wrong, and the message says what was expected."""

    code = 1


class UsageError(CommandError):
    """The command line makes no sense."""

    code = 2


class RefusedError(CommandError):
    """A server does not want this client."""


class TimeOverError(CommandError):
    """A limit that the caller had set was reached; the code is timeout(1)'s."""

    code = 124


def guess(word: str, known: Iterable[str]) -> str:
    """Return what to add to a complaint about a word that is not known."""
    from difflib import get_close_matches  # slow to import, and rarely needed

    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def reason(error: BaseException) -> str:
    """Say in one line what an exception is about."""
    if isinstance(error, zraw.ZMQError):
        return " ".join(str(error.strerror).split())
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory"
    return " ".join(str(error).split()) or type(error).__name__
