"""CURVE: connections that nobody can read, to a server that nobody can pretend to be.

    python examples/curve.py

The server has a pair of keys, and its public key is known to its clients, as a host key
of SSH.  The program asks it three times: with that key, with a wrong one, and without
any encryption; two of them get nothing.  Server and client apart:

    python examples/curve.py server tcp://127.0.0.1:5555  # prints its public key
    python examples/curve.py client tcp://127.0.0.1:5555 --key='...'

Every client has keys of its own, made anew here.  Whom to let in is another matter: as
it stands, everybody who knows the server's key.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from typing import Any

import zraw
from zraw import aio


def server_options(secret: str) -> dict[int, Any]:
    return {zraw.ZMQ_CURVE_SERVER: True, zraw.ZMQ_CURVE_SECRETKEY: secret}


def client_options(server_key: str) -> dict[int, Any]:
    public, secret = zraw.curve_keypair()
    return {
        zraw.ZMQ_CURVE_SERVERKEY: server_key,
        zraw.ZMQ_CURVE_PUBLICKEY: public,
        zraw.ZMQ_CURVE_SECRETKEY: secret,
        zraw.ZMQ_LINGER: 0,  # do not wait at the end for who does not let us in
    }


def answer(server: aio.Reply, question: bytes) -> bytes:
    return b"the answer to " + question


async def ask(
    context: zraw.Context, endpoint: str, options: dict[int, Any], timeout: float
) -> str:
    async with aio.Request(context, connect=endpoint, options=options) as client:
        try:
            received = await client.request(b"a question", timeout=timeout)
        except TimeoutError:
            return "nothing"
        assert isinstance(received, bytes)
        return received.decode()


async def run_server(context: zraw.Context, endpoint: str) -> None:
    # A server in earnest reads its secret key from a file that nobody else can read.
    public, secret = zraw.curve_keypair()
    options = server_options(secret)
    async with aio.Reply(context, options=options, on_request=answer) as server:
        # Quoted for a shell: keys consist of all sorts of characters, but no quotes.
        print(f"for clients: {server.bind(endpoint)} --key='{public}'", flush=True)
        await asyncio.Event().wait()


async def run_both(context: zraw.Context) -> None:
    public, secret = zraw.curve_keypair()
    wrong, _ = zraw.curve_keypair()
    options = server_options(secret)
    async with aio.Reply(context, options=options, on_request=answer) as server:
        endpoint = server.bind("tcp://127.0.0.1:*")
        for what, options, timeout in (
            ("with the server's key", client_options(public), 10),
            ("with a wrong key", client_options(wrong), 0.5),
            ("without encryption", {zraw.ZMQ_LINGER: 0}, 0.5),
            ("with the server's key", client_options(public), 10),
        ):
            received = await ask(context, endpoint, options, timeout)
            print(f"{what}: {received}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a server, encrypted.")
    roles = ["both", "server", "client"]
    parser.add_argument("role", nargs="?", default="both", choices=roles)
    parser.add_argument("endpoint", nargs="?", default="tcp://127.0.0.1:5555")
    parser.add_argument("--key", help="the server's public key")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=5.0)
    args = parser.parse_args()
    if not zraw.has("curve"):
        sys.exit("libzmq is built without CURVE")
    with zraw.Context() as context:
        if args.role == "server":
            asyncio.run(run_server(context, args.endpoint))
        elif args.role == "client":
            if args.key is None:
                parser.error("a client needs --key, the server's public key")
            options = client_options(args.key)
            print(asyncio.run(ask(context, args.endpoint, options, args.timeout)))
        else:
            asyncio.run(run_both(context))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
