"""Keys of CURVE in files: ZPL, as czmq's zcert reads and writes it."""

from __future__ import annotations

import contextlib
import os
import re

import zraw
from zraw.cli_errors import CommandError

NAME = r"[\w$./@+-]+"
VALUE = r"""
    "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s#"'][^#]*?)?
"""
LINE = re.compile(
    rf"(?P<indent>[ ]*) (?P<name>{NAME}) (?:\s*=\s*(?:{VALUE}))? \s* (?:\#.*)?",
    re.VERBOSE,
)


def parse(text: str) -> dict[str, str]:
    """Return the values of a ZPL file by their whole names, as curve/public-key."""
    values: dict[str, str] = {}
    path: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        depth, rest = divmod(len(match["indent"]), 4) if match else (0, 1)
        if match is None or rest or depth > len(path):
            raise ValueError(f"line {number} is no ZPL: 'name = value', by fours")
        path[depth:] = [match["name"]]
        value = next((match[g] for g in ("double", "single", "bare") if match[g]), "")
        values["/".join(path)] = value
    return values


def is_key(text: str) -> bool:
    try:
        return len(zraw.z85_decode(text)) == 32
    except zraw.InvalidArgument:
        return False


def load(file: str) -> tuple[str, str | None]:
    """Return the public key of a certificate, and the secret one if it is there."""
    try:
        with open(file, encoding="utf-8") as stream:
            values = parse(stream.read())
        public = values.get("curve/public-key")
        secret = values.get("curve/secret-key")
        if public is None:
            raise ValueError("no public-key under curve")
        for key in (public, secret):
            if key is not None and not is_key(key):
                raise ValueError("a key has 40 characters of Z85")
        if secret is not None and zraw.curve_public(secret) != public:
            raise ValueError("the public key does not belong to the secret key")
    except ValueError as error:
        raise CommandError(f"{file}: no certificate: {error}") from None
    return public, secret


def load_public(file: str) -> str:
    return load(file)[0]


def load_pair(file: str) -> tuple[str, str]:
    """Return both keys, from NAME_secret if NAME was given."""
    beside = f"{file}_secret"
    public, secret = load(beside if os.path.exists(beside) else file)
    if secret is None:
        raise CommandError(f"{file}: no secret-key in it, and no {beside}")
    return public, secret


def load_all(path: str) -> list[str]:
    """Return the public keys of a certificate, or of all in a folder."""
    if not os.path.isdir(path):
        return [load_public(path)]
    files = sorted(entry.path for entry in os.scandir(path) if entry.is_file())
    found = [load_public(file) for file in files if not file.endswith("_secret")]
    if not found:
        raise CommandError(f"{path}: no certificate in this folder")
    return found


def quoted(value: str) -> str:
    """Return a value as ZPL has it, which has no escapes."""
    for quote in "\"'":
        if quote not in value and value.isprintable():
            return f"{quote}{value}{quote}"
    raise CommandError(f"ZPL cannot have {value!r}: a line, and quotes of one kind")


def text_of(public: str, secret: str | None, meta: dict[str, str]) -> str:
    """Return what the file says: the public one, or the secret one."""
    about = (
        "Public. Who uses it has to be sure whose it is."
        if secret is None
        else "Secret. For nobody else."
    )
    lines = [f"#   ZeroMQ CURVE certificate. {about}", "", "metadata"]
    lines += [f"    {name} = {quoted(value)}" for name, value in meta.items()]
    lines += ["curve", f"    public-key = {quoted(public)}"]
    if secret is not None:
        lines += [f"    secret-key = {quoted(secret)}"]
    return "\n".join([*lines, ""])


def create(name: str, meta: dict[str, str], force: bool) -> str:
    """Write a new pair of certificates; return the public key."""
    for word in meta:
        if not re.fullmatch(NAME, word):
            raise CommandError(f"no name in ZPL: {word!r}")
    public, secret = zraw.curve_keypair()
    texts = {
        f"{name}_secret": (text_of(public, secret, meta), 0o600),
        name: (text_of(public, None, meta), 0o644),
    }
    if not force:  # all or none
        for file in texts:
            if os.path.lexists(file):
                raise CommandError(f"{file} is there already; --force replaces it")
    for file, (text, mode) in texts.items():
        write(file, text, mode, force)
    return public


def write(file: str, text: str, mode: int, force: bool) -> None:
    """Write a file that at no moment others can read."""
    # What is replaced stays whole until the new one is.
    target = f"{file}.new" if force else file
    if force:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
    if force:
        os.replace(target, file)
