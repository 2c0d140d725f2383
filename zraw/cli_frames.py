"""Messages as text: what `send` reads is what `recv` prints."""

from __future__ import annotations

import argparse
import binascii
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import BinaryIO

from zraw.cli_errors import CommandError, UsageError

JOINED_BY = b"\t"  # where nothing else was asked for; nothing is split by it unasked
ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", "0": b"\0", "\\": b"\\"}


class Format:
    """How a message is written: as `lines`, `hex`, `json` or `raw` bytes."""

    def __init__(self, kind: str, separator: bytes | None) -> None:
        self.kind = kind
        self.separator = separator

    def record(self, frames: list[bytes]) -> bytes:
        """Return a message as it is printed."""
        if self.kind == "raw":
            return b"".join(frames)
        if self.kind == "json":
            return json.dumps([os.fsdecode(frame) for frame in frames]).encode() + b"\n"
        if self.kind == "hex":
            joined_by = b" " if self.separator is None else self.separator
            return joined_by.join(map(binascii.hexlify, frames)) + b"\n"
        joined_by = JOINED_BY if self.separator is None else self.separator
        return joined_by.join(frames) + b"\n"

    def frames(self, record: bytes, where: str) -> list[bytes]:
        """Return the message that is written in a record without its line's end.

        where: what a complaint begins with.
        """
        if self.kind == "json":
            return from_json(record, where)
        if self.kind == "hex":
            return [
                from_hex(word, where) for word in record.split(self.separator or b" ")
            ]
        return [record] if self.separator is None else record.split(self.separator)


def from_hex(word: bytes, where: str) -> bytes:
    try:
        return binascii.unhexlify(word)
    except ValueError:
        shown = os.fsdecode(word[:40])
        raise CommandError(
            f"{where}: pairs of hexadecimal digits, not {shown!r}"
        ) from None


def from_json(record: bytes, where: str) -> list[bytes]:
    try:
        parts = json.loads(os.fsdecode(record))
        if isinstance(parts, str):
            parts = [parts]
        if isinstance(parts, list) and parts:
            return [os.fsencode(part) for part in parts]
    except (ValueError, TypeError, RecursionError):
        pass  # no JSON, no text in it, or a lone surrogate that is no byte
    shown = os.fsdecode(record[:40])
    raise CommandError(f"{where}: a JSON array of strings, not {shown!r}")


def separator(text: str) -> bytes:
    r"""Return the bytes of a separator; \t, \n, \0 and \x1f are understood."""

    def escaped(match: re.Match[str]) -> str:
        word = match[1]
        data = ESCAPES.get(word) or bytes.fromhex(word[1:])
        return os.fsdecode(data)

    data = os.fsencode(re.sub(r"\\(x[0-9a-fA-F]{2}|[tnr0\\])", escaped, text))
    if not data:
        raise argparse.ArgumentTypeError("at least one character")
    return data


def chosen_format(options: argparse.Namespace) -> Format:
    kind = options.format or "lines"
    if kind in ("json", "raw") and options.separator is not None:
        raise UsageError(f"--separator has no meaning with --{kind}")
    return Format(kind, options.separator)


# ---- in


def inputs(options: argparse.Namespace, form: Format) -> Iterator[list[bytes]]:
    """Return the messages to be sent: arguments, or lines, or a whole file."""
    if options.message:
        if options.file is not None or options.whole:
            raise UsageError("messages as arguments, or --file and --whole, not both")
        given = [
            form.frames(os.fsencode(text), f"message {number}")
            for number, text in enumerate(options.message, 1)
        ]
        return repeated(given, options.count)
    if options.whole:
        with source(options.file) as stream:
            data = stream.read()
        if form.kind in ("hex", "json"):
            data = data.strip()
        return repeated([form.frames(data, options.file or "input")], options.count)
    return itertools.islice(lines(options.file, form), options.count)


def repeated(given: list[list[bytes]], count: int | None) -> Iterator[list[bytes]]:
    """Each once, or over and over until there were `count`."""
    return (
        iter(given)
        if count is None
        else itertools.islice(itertools.cycle(given), count)
    )


def lines(file: str | None, form: Format) -> Iterator[list[bytes]]:
    with source(file) as stream:
        for number, line in enumerate(stream, 1):
            yield form.frames(line.removesuffix(b"\n"), f"line {number}")


def source(file: str | None) -> BinaryIO:
    """Open the file, or standard input."""
    if file is not None and file != "-":
        return open(file, "rb")
    if sys.stdin is None:
        raise CommandError("standard input is closed; give messages, or --file")
    # Another object, so that the end of `with` leaves standard input open.
    return open(sys.stdin.fileno(), "rb", closefd=False)


# ---- out


class Output:
    """Standard output, in bytes."""

    def __init__(self, form: Format) -> None:
        if sys.stdout is None:
            raise CommandError("standard output is closed")
        self.form = form
        self.stream = sys.stdout.buffer
        self.fd = self.stream.fileno()
        self.flush = self.stream.flush

    def write(self, frames: list[bytes]) -> None:
        self.stream.write(self.form.record(frames))
