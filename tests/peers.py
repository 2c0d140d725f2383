"""Peers that are no sockets of zraw's: a ZAP handler, raw TCP, proxies in between."""

from __future__ import annotations

import ctypes
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zraw
import zraw.sending

Request = list[bytes]
Reply = list[bytes] | None


def accept(
    request: Request, metadata: bytes = b"", user: bytes = b"anonymous"
) -> Reply:
    """The reply that lets a peer in."""
    return [request[0], request[1], b"200", b"OK", user, metadata]


def refuse(request: Request, status: bytes = b"400") -> Reply:
    """The reply that keeps a peer out."""
    return [request[0], request[1], status, b"no", b"", b""]


class ZapHandler:
    """Answer libzmq's questions about peers, from a thread.

    answer: takes a request, [version, id, domain, address, routing id, mechanism,
    credentials...], and returns the frames of the reply, or None for none.
    """

    ENDPOINT = "inproc://zeromq.zap.01"

    def __init__(
        self, context: zraw.Context, answer: Callable[[Request], Reply]
    ) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self.over = threading.Event()
        # A ROUTER may leave a request unanswered, and still gets the next one.
        self.socket = context.socket(zraw.ZMQ_ROUTER)
        self.socket.setsockopt(zraw.ZMQ_LINGER, 0)
        self.socket.bind(self.ENDPOINT)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set():
            if not self.socket.poll(10):
                continue
            frames = self.socket.recv_multipart()
            start = frames.index(b"") + 1
            self.requests.append(frames[start:])
            reply = self.answer(frames[start:])
            if reply is not None:
                self.socket.send_multipart(frames[:start] + reply)

    def close(self) -> None:
        self.over.set()
        self.thread.join(10)
        self.socket.close()
        assert not self.thread.is_alive()


@contextmanager
def zap_handler(
    context: zraw.Context, answer: Callable[[Request], Reply] = accept
) -> Iterator[ZapHandler]:
    """A ZapHandler, closed afterwards."""
    handler = ZapHandler(context, answer)
    try:
        yield handler
    finally:
        handler.close()


def curve_keypair() -> tuple[str, str]:
    """A new public and secret key, in Z85."""
    libzmq = ctypes.CDLL(zraw.sending.__file__)
    public, secret = (ctypes.create_string_buffer(41) for _ in range(2))
    assert libzmq.zmq_curve_keypair(public, secret) == 0
    return public.value.decode(), secret.value.decode()


def address_of(endpoint: str) -> tuple[str, int]:
    """Host and port of a tcp endpoint."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host, int(port)


@contextmanager
def raw_peer(endpoint: str) -> Iterator[socket.socket]:
    """A plain TCP connection to a bound socket."""
    with socket.create_connection(address_of(endpoint), timeout=5) as peer:
        yield peer


def read(peer: socket.socket, size: int) -> bytes:
    """Read so many bytes; fewer only at the end of the stream."""
    data = b""
    while len(data) < size and (more := peer.recv(size - len(data))):
        data += more
    return data


def is_hung_up_on(peer: socket.socket) -> bool:
    """Whether the other side closes the connection, whatever it says before."""
    try:
        while peer.recv(4096):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def frames_of(peer: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    """The header and body of each ZMTP frame that arrives after the greeting."""
    while flags := read(peer, 1):
        header = flags + read(peer, 8 if flags[0] & 2 else 1)
        body = read(peer, int.from_bytes(header[1:], "big"))
        yield header, body


class Relay:
    """A TCP server that serves one connection after the other from a thread.

    serve: gets a connection, and may return another one to join it with.  Before
    `with`, connections are refused.
    """

    def __init__(self, serve: Callable[[socket.socket], socket.socket | None]) -> None:
        self.serve = serve
        self.ended = self.carried = 0  # connections, and bytes
        self.over = threading.Event()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            client.settimeout(5)
            with client:
                try:
                    other = self.serve(client)
                    if other is not None:
                        with other:
                            self.join(client, other)
                except OSError:  # one side has gone
                    pass
            self.ended += 1

    def join(self, client: socket.socket, other: socket.socket) -> None:
        """Carry bytes both ways until one side is at its end."""
        pairs = {client: other, other: client}
        while not self.over.is_set():
            for ready in select.select(pairs, [], [], 0.02)[0]:
                data = ready.recv(4096)
                if not data:
                    return
                pairs[ready].sendall(data)
                self.carried += len(data)

    def __enter__(self) -> Relay:
        self.listener.listen()
        self.listener.settimeout(0.02)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join(10)
        self.listener.close()
        assert not self.thread.is_alive()
