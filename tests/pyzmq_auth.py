"""zmq.auth and zmq.utils.monitor, on a backend of pyzmq's."""

from __future__ import annotations

import asyncio
import threading

import zmq
import zmq.asyncio
import zmq.auth
from zmq.auth.asyncio import AsyncioAuthenticator
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message, recv_monitor_message

from pyzmq_case import limited, main, raises, until

SECONDS = 20
END = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH


def certificates(*names: str) -> dict[str, tuple[bytes, bytes]]:
    """Write certificates, and return what is read from them."""
    made = {}
    for name in names:
        public, secret = zmq.auth.create_certificates(".", name)
        assert zmq.auth.load_certificate(public)[1] is None
        keys = made[name] = zmq.auth.load_certificate(secret)
        assert zmq.curve_public(keys[1]) == keys[0]
    return made


def curve_server(socket: zmq.Socket, keys: tuple[bytes, bytes]) -> str:
    socket.curve_publickey, socket.curve_secretkey = keys
    socket.curve_server = True
    socket.bind("tcp://127.0.0.1:*")
    return socket.last_endpoint.decode()


def curve_client(
    socket: zmq.Socket, keys: tuple[bytes, bytes], server: bytes, where: str
) -> None:
    socket.curve_publickey, socket.curve_secretkey = keys
    socket.curve_serverkey = server
    socket.connect(where)


def handshake(monitor: zmq.Socket) -> int:
    """Wait for the end of a handshake, and return how it went."""
    return recv_monitor_message(monitor)["event"]


def curve_in_thread() -> None:
    """One client is known, another is not until it is."""
    keys = certificates("server", "alice", "mallory")
    context = zmq.Context()
    auth = ThreadAuthenticator(context)
    auth.start()
    assert auth.is_alive()
    auth.allow("127.0.0.1")
    known = {keys["alice"][0]}

    class Provider:
        def callback(self, domain: str, key: bytes) -> bool:
            return key in known

    auth.configure_curve_callback(domain="*", credentials_provider=Provider())
    server = limited(context.socket(zmq.PULL))
    where = curve_server(server, keys["server"])

    def attempt(name: str) -> int:
        client = limited(context.socket(zmq.PUSH))
        monitor = limited(client.get_monitor_socket(END))
        client.linger = 1000
        curve_client(client, keys[name], keys["server"][0], where)
        event = handshake(monitor)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            client.send(name.encode() * 100000, copy=False)
            assert server.recv() == name.encode() * 100000
        client.disable_monitor()
        monitor.close()
        client.close(0)
        return event

    assert attempt("alice") == zmq.EVENT_HANDSHAKE_SUCCEEDED
    assert attempt("mallory") == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    known.add(keys["mallory"][0])
    assert attempt("mallory") == zmq.EVENT_HANDSHAKE_SUCCEEDED
    raises(zmq.Again, server.recv, zmq.DONTWAIT)
    auth.stop()
    assert not auth.is_alive()
    server.close()
    context.term()


def plain_in_thread() -> None:
    """A password; what the server learns of the client."""
    context = zmq.Context()
    auth = ThreadAuthenticator(context)
    auth.start()
    plain = limited(context.socket(zmq.PULL))
    plain.plain_server = True
    auth.configure_plain(passwords={"alice": "secret"})
    plain.bind("tcp://127.0.0.1:*")
    for password in ("secret", "guess"):
        client = limited(context.socket(zmq.PUSH))
        monitor = limited(client.get_monitor_socket(END))
        client.plain_username, client.plain_password = b"alice", password.encode()
        client.connect(plain.last_endpoint.decode())
        passed = handshake(monitor) == zmq.EVENT_HANDSHAKE_SUCCEEDED
        assert passed == (password == "secret")
        if passed:
            client.send(b"hello")
            frame = plain.recv(copy=False)
            assert frame.bytes == b"hello"
            assert frame.get("User-Id") == "alice"
            assert frame.get("Peer-Address") == "127.0.0.1"
        client.disable_monitor()
        monitor.close()
        client.close()
    auth.stop()
    plain.close()
    context.term()


def in_asyncio() -> None:
    """CURVE with a folder of certificates, and a server in the same loop."""

    async def run() -> None:
        keys = certificates("server", "alice")
        stranger = zmq.curve_keypair()
        auth = AsyncioAuthenticator(context)
        auth.configure_curve(domain="*", location=".")
        auth.start()
        server = context.socket(zmq.REP)
        where = curve_server(server, keys["server"])
        seen = []
        for name, own in (("alice", keys["alice"]), ("stranger", stranger)):
            client = context.socket(zmq.REQ)
            client.linger = 0
            monitor = client.get_monitor_socket(END)
            curve_client(client, own, keys["server"][0], where)
            event = parse_monitor_message(await monitor.recv_multipart())["event"]
            seen.append((name, event))
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                await client.send(b"question")
                assert await server.recv() == b"question"
                await server.send_multipart([b"an", b"answer"])
                assert await client.recv_multipart() == [b"an", b"answer"]
            client.disable_monitor()
            monitor.close()
            client.close()
        assert seen == [
            ("alice", zmq.EVENT_HANDSHAKE_SUCCEEDED),
            ("stranger", zmq.EVENT_HANDSHAKE_FAILED_AUTH),
        ], seen
        auth.stop()
        server.close()

    context = zmq.asyncio.Context()
    asyncio.run(asyncio.wait_for(run(), SECONDS))
    context.term()


def monitored() -> None:
    """A thread reads what happens to a socket, until monitoring stops."""
    context = zmq.Context()
    server, client = limited(context.socket(zmq.REP)), limited(context.socket(zmq.REQ))
    monitor = limited(client.get_monitor_socket())
    events = []

    def watch() -> None:
        while True:
            event = recv_monitor_message(monitor)
            events.append((zmq.Event(event["event"]).name, event["endpoint"]))
            if event["event"] == zmq.EVENT_MONITOR_STOPPED:
                return monitor.close()

    watching = threading.Thread(target=watch)
    watching.start()
    server.bind("tcp://127.0.0.1:*")
    where = server.last_endpoint
    client.connect(where.decode())
    client.send(b"a")
    assert server.recv() == b"a"
    until(lambda: len(events) == 3)
    client.disconnect(where.decode())
    client.disable_monitor()
    watching.join(10)
    names = [name for name, _ in events]
    assert names[:3] == ["CONNECT_DELAYED", "CONNECTED", "HANDSHAKE_SUCCEEDED"], names
    assert names[-1] == "MONITOR_STOPPED", names
    assert {each for _, each in events[:3]} == {where}, events
    server.close()
    client.close()
    context.term()


if __name__ == "__main__":
    main(globals())
