"""ZAP: who may connect, by address, password or key, decided by a handler in a thread.

    python examples/zap.py

A server with CURVE lets in those whose public keys are in a file.  The program writes
one with Alice's key, and asks as Alice, as Bob, and as Bob again when the file has his
key, too.  The server knows who asked: libzmq has put it into each message.

    python examples/zap.py server tcp://127.0.0.1:5555 --rules rules.json

serves until Ctrl-C, and reads the file again at SIGHUP.  It is JSON, by domains: the
ZMQ_ZAP_DOMAIN of a server, "" for one without.  All is optional:

    {"example": {"allow": ["127.0.0.1", "10.0.0.0/8"],
                 "deny": ["10.6.6.6"],
                 "anonymous": false,
                 "users": {"alice": "her password"},
                 "keys": {"the 40 characters of a public key": "alice"},
                 "metadata": {"alice": {"Role": "admin"}}}}

An address has to be in `allow` if there is one, and not in `deny`.  Then NULL needs
`anonymous`, PLAIN one of the `users`, and CURVE one of the `keys`.  ZapHandler is there
to be imported, serve() does the same on an event loop.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import ipaddress
import json
import logging
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import zraw
from zraw import aio

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"
# What a handler can say: come in; not now; not you; I am broken.
SUCCESS, TEMPORARY, DENIED, FAILURE = 200, 300, 400, 500
Verdict = tuple[int, str, str]  # status, text, user id

# How a context that is closed gets at who uses its sockets.
ENDED = (zraw.ContextTerminated, zraw.NotASocket, zraw.SocketInUse)

log = logging.getLogger("zap")


class Domain:
    """Who may connect to the servers of one domain."""

    def __init__(self, rules: dict[str, Any]) -> None:
        known = {"allow", "deny", "anonymous", "users", "keys", "metadata"}
        if unknown := set(rules) - known:
            raise ValueError(f"unknown rules: {', '.join(sorted(unknown))}")
        self.allow, self.deny = (
            [ipaddress.ip_network(text) for text in rules.get(name, ())]
            for name in ("allow", "deny")
        )
        self.addresses_matter = "allow" in rules or "deny" in rules
        self.allow_is_given = "allow" in rules
        self.anonymous = rules.get("anonymous", False) is True
        users, keys = dict(rules.get("users", {})), dict(rules.get("keys", {}))
        if any("\0" in user for user in (*users, *keys.values())):
            raise ValueError("a user id has no NUL: it would end there")
        self.users = {name.encode(): word.encode() for name, word in users.items()}
        self.keys = {zraw.z85_decode(key): str(user) for key, user in keys.items()}
        if any(len(key) != 32 for key in self.keys):
            raise ValueError("a key has 40 characters")
        given = dict(rules.get("metadata", {}))
        # Every name goes to everybody, if need be with nothing: what the handler does
        # not say, the peer can say of itself.
        names = {name for properties in given.values() for name in properties}
        self.nothing = dict.fromkeys(sorted(names), "")
        self.metadata = {user: self.nothing | given[user] for user in given}
        for properties in self.metadata.values():
            encode(properties)  # whatever is wrong is found now

    def judge(self, address: bytes, mechanism: bytes, said: list[bytes]) -> Verdict:
        """Say who this is, and whether to let it in."""
        if self.addresses_matter and not self.may_come_from(address):
            return DENIED, "not from there", ""
        if mechanism == b"NULL" and not said and self.anonymous:
            return SUCCESS, "OK", ""
        if mechanism == b"PLAIN" and len(said) == 2:
            word = self.users.get(said[0])
            if word is not None and hmac.compare_digest(word, said[1]):
                return SUCCESS, "OK", said[0].decode()
        if mechanism == b"CURVE" and len(said) == 1 and said[0] in self.keys:
            return SUCCESS, "OK", self.keys[said[0]]
        return DENIED, "unknown", ""

    def may_come_from(self, text: bytes) -> bool:
        try:
            address = ipaddress.ip_address(text.decode())
        except ValueError:  # of ipc, or not known
            return False
        # As a server with ZMQ_IPV6 sees those that come by IPv4.
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in self.deny):
            return False
        return not self.allow_is_given or any(address in net for net in self.allow)


def encode(properties: dict[str, str]) -> bytes:
    """Metadata as it stands in a reply."""
    encoded = b""
    for name, value in properties.items():
        key, data = name.encode(), value.encode()
        if not 1 <= len(key) <= 255:
            raise ValueError(f"metadata: a name of 1 to 255 bytes, not {name!r}")
        encoded += bytes([len(key)]) + key + len(data).to_bytes(4, "big") + data
    return encoded


class Rules:
    """What ZapHandler and serve() decide by.

    rules: a dictionary by domains, as above; without any, everybody is told to come
        again later.
    path: the file that reload() reads, instead.
    """

    def __init__(
        self, rules: dict[str, Any] | None = None, path: str | Path | None = None
    ) -> None:
        self.path = path
        self.domains: dict[bytes, Domain] | None = None
        if path is not None:
            self.reload()
        elif rules is not None:
            self.load(rules)

    def load(self, rules: dict[str, Any]) -> None:
        """Take other rules, all or none: ValueError leaves the old ones.

        They are for connections to come; those that are open stay open.
        """
        if not isinstance(rules, dict):
            raise ValueError(f"rules: by domains, not {rules!r}")
        try:
            # One assignment, so any thread and a signal handler may do this.
            self.domains = {name.encode(): Domain(rules[name]) for name in rules}
        except (AttributeError, TypeError, ValueError, zraw.ZMQError) as error:
            raise ValueError(f"rules: {error}") from error

    def reload(self) -> None:
        """Read the file again; ValueError or OSError leaves the old rules."""
        assert self.path is not None
        self.load(json.loads(Path(self.path).read_text(encoding="utf-8")))

    def authorize(
        self, domain: bytes, address: bytes, mechanism: bytes, said: list[bytes]
    ) -> tuple[int, str, str, dict[str, str]]:
        """Return status, text, user id, metadata.  To be overridden, if need be."""
        domains = self.domains
        if domains is None:
            return TEMPORARY, "no rules yet", "", {}
        if domain not in domains:
            return DENIED, "unknown domain", "", {}
        rules = domains[domain]
        status, text, user = rules.judge(address, mechanism, said)
        if status != SUCCESS:
            return status, text, "", {}
        return status, text, user, rules.metadata.get(user, rules.nothing)

    def answer(self, frames: list[bytes]) -> list[bytes] | None:
        """Return the reply to what a ROUTER has received, or None if it is no request.

        Whatever goes wrong is an answer, too: a handler that dies lets in everybody,
        where ZMQ_ZAP_ENFORCE_DOMAIN is not set.
        """
        try:
            start = frames.index(b"", 1) + 1
        except ValueError:
            return None
        request = frames[start:]
        if len(request) < 2:
            return None
        status, text, user, encoded = FAILURE, "malformed request", b"", b""
        if request[0] == VERSION and len(request) >= 6:
            try:
                domain, address, _, mechanism, *said = request[2:]
                status, text, name, metadata = self.authorize(
                    domain, address, mechanism, said
                )
                user, encoded = name.encode(), encode(metadata)
            except Exception:
                log.exception("a request that could not be judged")
                status, text, user, encoded = FAILURE, "internal error", b"", b""
        reply = [VERSION, request[1], b"%d" % status, text.encode(), user, encoded]
        return frames[:start] + reply


class ZapHandler(Rules):
    """ZapHandler(context, rules): answers for all servers of a context, from a thread.

    It begins before the first server binds, and ends after the last one is closed; or
    with the context, which never waits for it.
    """

    def __init__(
        self,
        context: zraw.Context,
        rules: dict[str, Any] | None = None,
        path: str | Path | None = None,
    ) -> None:
        super().__init__(rules, path)
        self.context = context
        self._over = False
        self._socket = bound(context)  # AddressInUse: there is one already
        # A daemon, so that who forgets it can exit.
        self._thread = threading.Thread(target=self._run, name="zap", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(*ENDED), self._socket as socket:
            try:
                while not self._over:
                    reply = self.answer(socket.recv_multipart())
                    if reply is not None:
                        socket.send_multipart(reply)
            finally:
                # At once: close() does it in the background, and who asks meanwhile
                # waits for an answer until ZMQ_HANDSHAKE_IVL is over.
                socket.unbind(ENDPOINT)

    def stop(self) -> None:
        """End the thread, and wait for that; any number of times."""
        self._over = True
        if not self._thread.is_alive():
            return
        # A socket only now: one that was forgotten would keep term() waiting.
        with (
            contextlib.suppress(*ENDED),
            self.context.socket(zraw.ZMQ_DEALER) as bell,
        ):
            bell.setsockopt(zraw.ZMQ_LINGER, 0)
            bell.connect(ENDPOINT)
            bell.try_send(b"")  # it may end for itself just now
            self._thread.join()
        self._thread.join()

    def __enter__(self) -> ZapHandler:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def bound(context: zraw.Context) -> zraw.Socket:
    """The socket of a handler."""
    socket = context.socket(zraw.ZMQ_ROUTER)  # unlike REP, it may leave one unanswered
    try:
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        socket.bind(ENDPOINT)
    except BaseException:
        socket.close()
        raise
    return socket


async def serve(socket: zraw.Socket, rules: Rules) -> None:
    """Be the handler on an event loop, with a socket that bound() returned."""
    async with aio.Handle(socket) as handle:
        try:
            while True:
                reply = rules.answer(await handle.recv_multipart())
                if reply is not None:
                    await handle.send_multipart(reply)
        finally:
            with contextlib.suppress(*ENDED):
                handle.unbind(ENDPOINT)


# ---- the program


def server_socket(context: zraw.Context, secret: str) -> zraw.Socket:
    server = context.socket(zraw.ZMQ_REP)
    server.setsockopt(zraw.ZMQ_CURVE_SERVER, True)
    server.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, secret)
    server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "example")
    server.setsockopt(zraw.ZMQ_ZAP_ENFORCE_DOMAIN, True)  # nobody without a handler
    return server


def answer(server: zraw.Socket) -> None:
    question = server.recv_msg()
    user, address = question.gets("User-Id"), question.gets("Peer-Address")
    try:
        role = question.gets("Role")
    except zraw.InvalidArgument:  # there is none in the rules
        role = ""
    server.send(f"{user} ({role}) from {address}".encode())


def ask(
    context: zraw.Context, server: zraw.Socket, server_key: str, keys: tuple[str, str]
) -> str:
    with context.socket(zraw.ZMQ_REQ) as client:
        client.setsockopt(zraw.ZMQ_LINGER, 0)
        client.setsockopt(zraw.ZMQ_CURVE_SERVERKEY, server_key)
        client.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, keys[0])
        client.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, keys[1])
        with client.monitor(events=zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) as reader:
            client.connect(server.getsockopt(zraw.ZMQ_LAST_ENDPOINT))
            client.send(b"who am I?")
            items = ((server, zraw.ZMQ_POLLIN), (reader, zraw.ZMQ_POLLIN))
            for ready, _ in zraw.poll(items, 10000):
                if ready is server:
                    answer(server)
                    return client.recv().decode()
                return f"refused with {zraw.recv_event(reader).value}"
    return "nothing"


def run_demo(context: zraw.Context, path: Path) -> None:
    public, secret = zraw.curve_keypair()
    alice, bob = zraw.curve_keypair(), zraw.curve_keypair()
    domain: dict[str, Any] = {
        "allow": ["127.0.0.0/8"],
        "keys": {alice[0]: "alice"},
        "metadata": {"alice": {"Role": "admin"}, "bob": {"Role": "guest"}},
    }
    path.write_text(json.dumps({"example": domain}))
    with (
        ZapHandler(context, path=path) as handler,
        server_socket(context, secret) as server,
    ):
        server.bind("tcp://127.0.0.1:*")
        print("alice:", ask(context, server, public, alice))
        print("bob:", ask(context, server, public, bob))
        domain["keys"][bob[0]] = "bob"
        path.write_text(json.dumps({"example": domain}))
        handler.reload()
        print("bob:", ask(context, server, public, bob))


def run_server(context: zraw.Context, endpoint: str, path: str) -> None:
    public, secret = zraw.curve_keypair()  # in earnest: from a file, as the rules
    with (
        ZapHandler(context, path=path) as handler,
        server_socket(context, secret) as server,
    ):

        def read_again(*_: object) -> None:
            try:
                handler.reload()
                print("rules read again", flush=True)
            except (OSError, ValueError) as error:
                print(f"the old rules stay: {error}", flush=True)

        signal.signal(signal.SIGHUP, read_again)
        print(f"for clients: {server.bind(endpoint)} --key='{public}'", flush=True)
        while True:
            answer(server)


def main() -> None:
    parser = argparse.ArgumentParser(description="Let in whom the rules know.")
    parser.add_argument("role", nargs="?", default="demo", choices=["demo", "server"])
    parser.add_argument("endpoint", nargs="?", default="tcp://127.0.0.1:5555")
    parser.add_argument("--rules", metavar="FILE", help="JSON; see above")
    args = parser.parse_args()
    if not zraw.has("curve"):
        sys.exit("libzmq is built without CURVE")
    if args.role == "server" and args.rules is None:
        parser.error("a server needs --rules")
    with zraw.Context() as context:
        if args.role == "server":
            run_server(context, args.endpoint, args.rules)
        else:
            with tempfile.TemporaryDirectory() as folder:
                run_demo(context, Path(folder) / "rules.json")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
