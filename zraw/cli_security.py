"""PLAIN and CURVE from files, and the handler that chooses a server's clients."""

from __future__ import annotations

import argparse
import contextlib
import hmac
import os
import threading
from collections.abc import Callable

import zraw
from zraw import cli_certificates as certificates
from zraw.cli_errors import CommandError, UsageError

HANDLER = "inproc://zeromq.zap.01"
# How a context that is closed gets at who uses its sockets.
ENDED = (zraw.ContextTerminated, zraw.NotASocket, zraw.SocketInUse)


def passwords(file: str) -> dict[bytes, bytes]:
    """Read lines of USER:PASSWORD; those that begin with # say nothing."""
    with open(file, "rb") as stream:
        lines = stream.read().splitlines()
    found: dict[bytes, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        user, colon, word = line.partition(b":")
        if not colon or not user or b"\0" in line or max(len(user), len(word)) > 255:
            raise CommandError(
                f"{file}: line {number}: USER:PASSWORD, each to 255 bytes"
            )
        found[user] = word
    if not found:
        raise CommandError(f"{file}: no line with USER:PASSWORD")
    return found


def own_password(file: str) -> tuple[bytes, bytes]:
    found = list(passwords(file).items())
    if len(found) > 1:
        raise CommandError(f"{file}: one line with USER:PASSWORD, not {len(found)}")
    return found[0]


class Security:
    """What the command line says of a socket's keys and passwords."""

    def __init__(self, options: argparse.Namespace, prefix: str) -> None:
        def given(name: str) -> str | None:
            return getattr(options, prefix + name, None)

        dashes = "--" + prefix.replace("_", "-")
        own, server = given("certificate"), given("server_key")
        plain, users = given("plain"), given("plain_server")
        allowed: list[str] = getattr(options, f"{prefix}allow", None) or []
        if (own or server) and (plain or users):
            raise UsageError("CURVE or PLAIN for a socket, not both")
        if plain and users:
            raise UsageError(
                f"{dashes}plain for a client, {dashes}plain-server for a "
                "server, not both"
            )
        if allowed and (server or not own):
            raise UsageError(
                f"{dashes}allow is for a server of CURVE: with "
                f"{dashes}certificate, without {dashes}server-key"
            )
        if (own or server) and not zraw.has("curve"):
            raise CommandError("this libzmq is built without CURVE")
        self.pair = certificates.load_pair(own) if own else None
        self.server_key = certificates.load_public(server) if server else None
        self.plain = own_password(plain) if plain else None
        self.users = passwords(users) if users else None
        self.keys = (
            {
                zraw.z85_decode(k)
                for path in allowed
                for k in certificates.load_all(path)
            }
            if allowed
            else None
        )
        self.domain = f"zraw-{prefix}"

    @property
    def asks_handler(self) -> bool:
        return self.users is not None or self.keys is not None

    def lets_in(self, mechanism: bytes, said: list[bytes]) -> bool:
        """Whether a client may connect, after what it has said of itself."""
        if mechanism == b"CURVE" and self.keys is not None and len(said) == 1:
            return said[0] in self.keys
        if mechanism == b"PLAIN" and self.users is not None and len(said) == 2:
            word = self.users.get(said[0])
            return word is not None and hmac.compare_digest(word, said[1])
        return False

    def apply(self, socket: zraw.Socket) -> None:
        """Set what the socket needs; a handler is already there."""
        if self.server_key is not None:
            public, secret = self.pair or zraw.curve_keypair()
            socket.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, self.server_key)
            socket.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, public)
            socket.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, secret)
        elif self.pair is not None:
            socket.setsockopt(zraw.ZMQ_CURVE_SERVER, True)
            socket.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, self.pair[1])
        if self.plain is not None:
            user, word = (os.fsdecode(part) for part in self.plain)
            socket.setsockopt(zraw.ZMQ_PLAIN_USERNAME, user)
            socket.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, word)
        if self.asks_handler:
            socket.setsockopt(zraw.ZMQ_ZAP_DOMAIN, self.domain)
            socket.setsockopt(zraw.ZMQ_ZAP_ENFORCE_DOMAIN, True)
        if self.users is not None:
            socket.setsockopt(zraw.ZMQ_PLAIN_SERVER, True)


def start_handler(context: zraw.Context, all_of: list[Security]) -> None:
    """Answer libzmq's questions about clients, until the context is closed."""
    rules = {each.domain.encode(): each.lets_in for each in all_of if each.asks_handler}
    if not rules:
        return
    socket = context.socket(zraw.ZMQ_ROUTER)  # unlike REP, it may leave one unanswered
    socket.setsockopt(zraw.ZMQ_LINGER, 0)
    socket.bind(HANDLER)
    threading.Thread(target=handle, args=(socket, rules), daemon=True).start()


def handle(
    socket: zraw.Socket, rules: dict[bytes, Callable[[bytes, list[bytes]], bool]]
) -> None:
    with contextlib.suppress(*ENDED), socket:
        while True:
            frames = socket.recv_multipart()
            start = frames.index(b"", 1) + 1
            _, request, domain, _, _, mechanism, *said = frames[start:]
            judge = rules.get(domain)
            # A server without rules is asked about, too, if another one has some.
            fine = judge is None or judge(mechanism, said)
            verdict = [b"200", b"OK"] if fine else [b"400", b"unknown"]
            # User id and metadata: nobody here asks who a client is.
            socket.send_multipart(
                [*frames[:start], b"1.0", request, *verdict, b"", b""]
            )
