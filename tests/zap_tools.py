"""What the tests of examples/zap.py share: rules, users, servers and clients."""

from __future__ import annotations

import errno
import importlib
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import zraw

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))
zap = importlib.import_module("zap")

CURVE = zraw.has("curve")
MECHANISMS = ["NULL", "PLAIN", *["CURVE"] * CURVE]
needs_curve = pytest.mark.skipif(not CURVE, reason="this libzmq has no CURVE")
SERVER, ALICE, BOB, STRANGER = (
    zraw.curve_keypair() if CURVE else ("", "") for _ in range(4)
)
HANDSHAKES = (
    zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
)
SUCCEEDED = ("SUCCEEDED", 0)
DENIED = ("FAILED_AUTH", 400)
NO_HANDLER = ("FAILED_NO_DETAIL", errno.EFAULT)
RULES = {
    "anonymous": True,
    "users": {"alice": "her password", "bob": "his"},
    "keys": {ALICE[0]: "alice", BOB[0]: "bob"} if CURVE else {},
    "metadata": {"alice": {"Role": "admin", "Köchin": "ja"}, "bob": {"Desk": "9"}},
}


def curve(keys):
    return {
        "CURVE_SERVERKEY": SERVER[0],
        "CURVE_PUBLICKEY": keys[0],
        "CURVE_SECRETKEY": keys[1],
    }


def plain(name, password):
    return {"PLAIN_USERNAME": name, "PLAIN_PASSWORD": password}


AS_SERVER = {
    "NULL": {},
    "PLAIN": {"PLAIN_SERVER": 1},
    "CURVE": {"CURVE_SERVER": 1, "CURVE_SECRETKEY": SERVER[1]},
}
AS_ALICE = {"NULL": {}, "PLAIN": plain("alice", "her password"), "CURVE": curve(ALICE)}


class Gate:
    """The handlers, servers and clients of a test; `with` ends what sock() does not."""

    def __init__(self, ctx, sock):
        self.ctx, self.sock = ctx, sock
        self.ends = ExitStack()

    def handler(self, rules=None, path=None, kind=zap.ZapHandler):
        """Start a handler."""
        made = kind(self.ctx, rules, path)
        self.ends.callback(made.stop)
        return made

    def watch(self, socket):
        """Return a reader of what becomes of a socket's handshakes."""
        reader = self.ends.enter_context(socket.monitor(events=HANDSHAKES))
        reader.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        return reader

    def place(
        self,
        mechanism="NULL",
        domain="test",
        endpoint="tcp://127.0.0.1:*",
        kind=zraw.ZMQ_PULL,
        **options,
    ):
        """Bind a server; return it, where it is, and the reader of its handshakes."""
        server = self.sock(kind, **AS_SERVER[mechanism], **options)
        if domain:
            server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, domain)
        reader = self.watch(server)
        return server, server.bind(endpoint), reader

    def says(self, where, what, options):
        """Connect a PUSH, and let it say something; return it."""
        return self.says_and_hears(where, what, options)[0]

    def says_and_hears(self, where, what, options):
        """Return a reader of its handshakes, too."""
        client = self.sock(zraw.ZMQ_PUSH, **options)
        reader = self.watch(client)
        client.connect(where)
        client.send(what)
        return client, reader

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ends.close()


def event_of(reader):
    event = zraw.recv_event(reader)
    return event.name.removeprefix("ZMQ_EVENT_HANDSHAKE_"), event.value


def received(server):
    """What has come, and what libzmq knows of who sent it."""
    message = server.recv_msg()
    return bytes(message), message.gets("User-Id"), message.gets("Role")
