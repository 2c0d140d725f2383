"""Certificates: keys of CURVE in files, as czmq and pyzmq read and write them.

    python examples/certificates.py new server --meta "name=the server"
    python examples/certificates.py show server

The first makes two files: `server`, with the public key, is for everybody;
`server_secret`, with both keys, stays where it is, and only its owner can read it.
A certificate is never overwritten.  Without arguments the program makes one for a
server and one for a client in a temporary folder, and has the client ask the server:

    python examples/certificates.py

The files are ZPL: names and values, indented by four spaces below what they belong to.
What can be wrong with one raises a ValueError that says so.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import zraw

NAME = r"[\w$./@+-]+"
VALUE = r"""
    "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s#"'][^#]*?)?
"""
LINE = re.compile(
    rf"(?P<indent>[ ]*) (?P<name>{NAME}) (?:\s*=\s*(?:{VALUE}))? \s* (?:\#.*)?",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Certificate:
    """A public key, the secret key unless it is somebody else's, and what is known."""

    public: str
    secret: str | None = None
    meta: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in (self.public, self.secret):
            if key is not None and not is_key(key):
                raise ValueError("a key has 40 characters of Z85")
        if self.secret is not None and zraw.curve_public(self.secret) != self.public:
            raise ValueError("the public key does not belong to the secret key")
        for name in self.meta:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"no name in ZPL: {name!r}")

    @classmethod
    def new(cls, **meta: str) -> Certificate:
        return cls(*zraw.curve_keypair(), meta)

    def text(self, with_secret: bool) -> str:
        """What the file says: the public one, or the secret one."""
        about = (
            "Secret. For nobody else."
            if with_secret
            else "Public. Who uses it has to be sure whose it is."
        )
        lines = [f"#   ZeroMQ CURVE certificate. {about}", "", "metadata"]
        lines += [f"    {name} = {quoted(text)}" for name, text in self.meta.items()]
        lines += ["curve", f"    public-key = {quoted(self.public)}"]
        if with_secret and self.secret is not None:
            lines += [f"    secret-key = {quoted(self.secret)}"]
        return "\n".join([*lines, ""])


def is_key(text: str) -> bool:
    try:
        return len(zraw.z85_decode(text)) == 32
    except zraw.InvalidArgument:
        return False


def quoted(value: str) -> str:
    """A value as ZPL has it, which has no escapes."""
    for quote in "\"'":
        if quote not in value and value.isprintable():
            return f"{quote}{value}{quote}"
    raise ValueError(f"ZPL cannot have {value!r}: a line, and quotes of one kind")


def parse(text: str) -> dict[str, str]:
    """The values of a ZPL file, by their whole names, as `curve/public-key`."""
    values: dict[str, str] = {}
    path: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        depth, rest = divmod(len(match["indent"]), 4) if match else (0, 1)
        if match is None or rest or depth > len(path):
            raise ValueError(f"line {number} is no ZPL")
        path[depth:] = [match["name"]]
        value = next((match[g] for g in ("double", "single", "bare") if match[g]), "")
        values["/".join(path)] = value
    return values


def secret_of(path: str | os.PathLike[str]) -> Path:
    """Where the secret key is, if it is here."""
    return Path(f"{os.fspath(path)}_secret")


def save(certificate: Certificate, path: str | os.PathLike[str]) -> None:
    """Write the public certificate and, if there is a secret key, the secret one."""
    texts = [(Path(path), certificate.text(False), 0o644)]
    if certificate.secret is not None:
        texts.append((secret_of(path), certificate.text(True), 0o600))
    for file, _, _ in texts:  # all or none
        if file.exists():
            raise FileExistsError(f"{file} is there already")
    for file, text, mode in texts:
        # At no moment can others read it, and no key is lost by writing another.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as out:
            out.write(text)


def load(path: str | os.PathLike[str]) -> Certificate:
    """Read the secret certificate if it is here, and the public one if not."""
    secret = secret_of(path)
    file = secret if secret.exists() else Path(path)
    try:
        values = parse(file.read_text(encoding="utf-8"))
        if "curve/public-key" not in values:
            raise ValueError("there is no public key")
        meta = {
            name.removeprefix("metadata/"): value
            for name, value in values.items()
            if name.startswith("metadata/")
        }
        public, key = values["curve/public-key"], values.get("curve/secret-key")
        return Certificate(public, key, meta)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def ask(folder: Path) -> None:
    """A server and a client, each with the files it would have."""
    for name in ("server", "client"):
        save(Certificate.new(name=f"the {name}"), folder / name)
    for file in sorted(folder.iterdir()):
        print(f"{file.name}: mode {file.stat().st_mode & 0o777:o}")
    mine, other = load(folder / "client"), load(folder / "server")
    with (
        zraw.Context() as context,
        context.socket(zraw.ZMQ_REP) as server,
        context.socket(zraw.ZMQ_REQ) as client,
    ):
        server.setsockopt(zraw.ZMQ_CURVE_SERVER, True)
        server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, other.secret)
        client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, other.public)
        client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, mine.public)
        client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, mine.secret)
        for socket in (server, client):
            socket.setsockopt(zraw.ZMQ_RCVTIMEO, 10_000)
        client.connect(server.bind("tcp://127.0.0.1:*"))
        client.send(b"a question")
        server.send(b"the answer to " + server.recv())
        print(client.recv().decode())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make and show certificates.")
    parser.add_argument("do", nargs="?", default="ask", choices=["ask", "new", "show"])
    parser.add_argument("file", nargs="?", default="certificate")
    parser.add_argument("--meta", metavar="NAME=VALUE", action="append", default=[])
    args = parser.parse_args()
    if not zraw.has("curve"):
        sys.exit("libzmq is built without CURVE")
    try:
        if args.do == "new":
            meta = dict(text.partition("=")[::2] for text in args.meta)
            save(Certificate.new(**meta), args.file)
            print(f"{args.file}, {secret_of(args.file)}")
        elif args.do == "show":
            certificate = load(args.file)
            for name, value in certificate.meta.items():
                print(f"{name}: {value}")
            print(f"public key: {certificate.public}")
            print(f"secret key: {'here' if certificate.secret else 'elsewhere'}")
        else:
            with tempfile.TemporaryDirectory() as folder:
                ask(Path(folder))
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
