"""A handler of Mongrel2, the web server that hands its requests out over ZeroMQ.

    python examples/mongrel2_handler.py \\
        --requests tcp://127.0.0.1:9999 --responses tcp://127.0.0.1:9998

The server binds; handlers pull requests from it, and publish responses that name the
connections they are for.  Any number of handlers share the load, and each may be killed
and started at any time: a request waits in the server until somebody pulls it.

In mongrel2.conf, for these endpoints:

    handler = Handler(send_spec="tcp://127.0.0.1:9999", send_ident="my-server",
                      recv_spec="tcp://127.0.0.1:9998", recv_ident="")

Who serves several servers gives each its own send_ident, and the same as recv_ident:
otherwise each response would go to all of them.

What there is to know, and what is done about it here:

- A response published before the subscription of the server has arrived is lost: an
  XPublish waits for it, and only then the Pull connects, so that there is nothing to be
  answered earlier.
- A request that was pulled by a handler that is killed is lost: its client waits.
- A notice ("the client is gone") looks like a request, but is never answered: an
  answer would bring the next notice.
- The server closes a connection for which it holds more than 16 messages.  A large
  response is one message, not many; a stream is for what comes bit by bit.
- A server that starts again numbers its connections from 1 again: a late response to
  somebody of the time before may reach somebody else.  A send_ident and recv_ident of
  its own for every start of the server keeps it away.

The classes need zraw alone.  The program below them has a task for each request, and
takes anyio for it, to run on asyncio, uvloop and trio.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from types import TracebackType
from typing import Any

import anyio
import anyio.abc

import zraw
from zraw.aio import Pull, XPublish

logger = logging.getLogger("mongrel2")

Client = tuple[bytes, bytes]
Headers = dict[str, str | list[str]]
Answer = Callable[["Mongrel2", "Request"], Awaitable[object]]

MAX_TARGETS = 128  # limits.handler_targets of the server
LINGER = 1000  # milliseconds that a server that is gone may hold up the end
# Mongrel2 escapes quotes and backslashes, and leaves tabs as they are.
JSON = json.JSONDecoder(strict=False)
JSON_TYPE = "application/json"
FORBIDDEN = re.compile(r"[\r\n\0]")  # would end a header, and begin another one


class Malformed(ValueError):
    """A message that is no request."""


class Disconnected(Exception):
    """The client of a stream is gone."""


@dataclass(frozen=True, eq=False)
class Request:
    """A request, or a notice of the server."""

    sender: bytes  # the send_ident of the server
    connection: bytes  # the number that the server gave to the client's connection
    path: str
    headers: Headers  # the client's in lower case, those of Mongrel2 in upper case
    body: bytes

    @classmethod
    def parse(cls, message: bytes) -> Request:
        """Take SENDER CONNECTION PATH LENGTH:HEADERS,LENGTH:BODY, apart.

        Raises: Malformed.
        """
        try:
            parts = message.split(b" ", 3)
            if len(parts) != 4 or not parts[0] or not parts[1].isdigit():
                raise ValueError("it does not say whom to answer")
            sender, connection, path, rest = parts
            headers, at = take_headers(rest)
            body, kind, end = take(rest, at)
            if kind != b"," or end != len(rest):
                raise ValueError("it does not end with its body")
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{error}: {message[:100]!r}") from None
        return cls(sender, connection, text(path), headers, body)

    @property
    def client(self) -> Client:
        """What tells connections of all servers apart."""
        return self.sender, self.connection

    @property
    def method(self) -> str:
        return self.header("METHOD")

    @property
    def is_notice(self) -> bool:
        """Whether it comes from the server itself, and nobody waits for an answer."""
        return self.path == "@*" and self.method == "JSON"

    @property
    def is_disconnect(self) -> bool:
        """Whether it is the notice that the client is gone."""
        return self.is_notice and b'"disconnect"' in self.body

    @property
    def wants_close(self) -> bool:
        """Whether the client waits for the end of the connection, or asks for it."""
        is_old = self.header("VERSION") == "HTTP/1.0"
        return is_old or self.header("connection").lower() == "close"

    def header(self, name: str) -> str:
        """Return a header, the first of several, or "" if there is none."""
        value = self.headers.get(name, "")
        return value if isinstance(value, str) else value[0]


Requests = Request | Iterable[Request]


def text(data: bytes) -> str:
    """Decode UTF-8, and keep the bytes that are none: a client sends what it likes."""
    return data.decode("utf-8", "surrogateescape")


def take(data: bytes, start: int) -> tuple[bytes, bytes, int]:
    """Return the content and the type of a tnetstring, and where it ends.

    A netstring, LENGTH:CONTENT and a comma, is a tnetstring of the type "string".
    """
    colon = data.find(b":", start, start + 10)
    length = data[start:colon]
    if colon < 0 or not length.isdigit():
        raise ValueError("it has no length where one is expected")
    end = colon + 1 + int(length)
    if end >= len(data):
        raise ValueError("it is shorter than it says")
    return data[colon + 1 : end], data[end : end + 1], end + 1


def take_value(data: bytes, start: int) -> tuple[Any, int]:
    """Return a tnetstring as what it stands for, and where it ends."""
    content, kind, end = take(data, start)
    if kind not in (b",", b"]", b"}"):
        raise ValueError(f"it has something of an unknown type, {kind!r}")
    if kind == b",":
        return text(content), end
    values: list[Any] = []
    at = 0
    while at < len(content):
        value, at = take_value(content, at)
        values.append(value)
    if kind == b"]":
        return values, end
    names = values[::2]
    if len(values) % 2 or not all(isinstance(name, str) for name in names):
        raise ValueError("it has a dictionary that is no names and values")
    return dict(zip(names, values[1::2], strict=True)), end


def take_headers(data: bytes) -> tuple[Headers, int]:
    """Return headers, which are a tnetstring, or JSON in one; and where they end."""
    headers, end = take_value(data, 0)
    if isinstance(headers, str):
        headers = JSON.decode(headers)
    if not isinstance(headers, dict) or not isinstance(headers.get("METHOD"), str):
        raise ValueError("it has no METHOD")
    for value in headers.values():
        several = value if isinstance(value, list) and value else [value]
        if not all(isinstance(item, str) for item in several):
            raise ValueError("it has a header that is no text")
    return headers, end


def head(status: int, headers: Mapping[str, object]) -> bytes:
    """Return the head of a response."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    for name, value in headers.items():
        line = f"{name}: {value}"
        if FORBIDDEN.search(line):
            raise ValueError(f"a header is one line, not {line!r}")
        lines.append(line)
    return "\r\n".join([*lines, "\r\n"]).encode("utf-8", "surrogateescape")


class Mongrel2:
    """The servers, as their handler sees them.

        async with Mongrel2(context, requests=..., responses=...) as server:
            async for request in server:
                await server.reply(request, b"hello\\n")

    requests, responses: endpoints, the send_spec and recv_spec of each server.
    on_disconnect: called with the notice when a client is gone; its `client` is that
        of the requests before.  With several handlers it is any of them that is told.

    Entering waits for the servers.
    """

    def __init__(
        self,
        context: zraw.Context,
        *,
        requests: str | Iterable[str],
        responses: str | Iterable[str],
        on_disconnect: Callable[[Request], object] | None = None,
    ) -> None:
        self._context = context
        self._from = [requests] if isinstance(requests, str) else list(requests)
        self._to = [responses] if isinstance(responses, str) else list(responses)
        self._on_disconnect = on_disconnect
        self._streams: dict[Client, Stream] = {}

    async def __aenter__(self) -> Mongrel2:
        # With ZMQ_XPUB_NODROP it waits when there is no room, and drops nothing.
        options = {zraw.ZMQ_XPUB_NODROP: 1, zraw.ZMQ_LINGER: LINGER}
        self._responses = XPublish(self._context, connect=self._to, options=options)
        try:
            await self._responses.wait_for_subscribers(len(self._to))
            self._requests = Pull(self._context, connect=self._from)
        except BaseException:
            self._responses.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._requests.close()
        await self._responses.__aexit__(kind, error, traceback)

    def __aiter__(self) -> Mongrel2:
        return self

    async def __anext__(self) -> Request:
        """Return the next request; what is none is reported, and left out."""
        while True:
            try:
                frames = await self._requests.recv_multipart()
            except zraw.NotASocket:
                raise StopAsyncIteration from None
            try:
                if len(frames) != 1:
                    raise Malformed(f"it has {len(frames)} frames: {frames[0][:100]!r}")
                request = Request.parse(frames[0])
            except Malformed as error:
                logger.warning("request dropped: %s", error)
                continue
            if not request.is_notice:
                return request
            if request.is_disconnect:
                self._note_disconnect(request)

    def _note_disconnect(self, notice: Request) -> None:
        stream = self._streams.pop(notice.client, None)
        if stream is not None:
            stream.closed = True
        if self._on_disconnect is not None:
            self._on_disconnect(notice)

    async def reply(
        self,
        requests: Requests,
        body: bytes = b"",
        status: int = 200,
        headers: Mapping[str, object] | None = None,
    ) -> None:
        """Answer a request, or several with the same answer."""
        requests = [requests] if isinstance(requests, Request) else list(requests)
        if status in (204, 304):
            start = head(status, headers or {})  # they have no body
        else:
            start = head(status, {"Content-Length": len(body), **(headers or {})})
        whole = [request for request in requests if request.method != "HEAD"]
        await self.send(whole, start + body)
        if len(whole) != len(requests):
            await self.send((each for each in requests if each.method == "HEAD"), start)
        await self.close(request for request in requests if request.wants_close)

    @asynccontextmanager
    async def stream(
        self,
        request: Request,
        status: int = 200,
        headers: Mapping[str, object] | None = None,
    ) -> AsyncIterator[Stream]:
        """Answer in chunks, as they come.

            async with server.stream(request) as stream:
                await stream.write(b"a chunk")

        Only while `async for` goes on in another task a stream learns of the end of
        its client.  An exception closes the connection: the client sees that it has
        not got everything.
        """
        stream = Stream(self, request)
        self._streams[request.client] = stream
        try:
            how = {"Transfer-Encoding": "chunked"} if stream.is_chunked else {}
            await self.send(request, head(status, {**how, **(headers or {})}))
            yield stream
            await stream.finish()
        except BaseException:
            if not stream.closed:
                # No await: the task may be cancelled.
                self._responses.publish(message_for([request], b""))
            raise
        finally:
            self._streams.pop(request.client, None)

    async def send(self, requests: Requests, data: bytes) -> None:
        """Send bytes as they are to the clients of one request, or of several."""
        if isinstance(requests, Request):
            requests = [requests]
        for _, group in groupby(requests, key=lambda request: request.sender):
            targets = list(group)
            for at in range(0, len(targets), MAX_TARGETS):
                some = targets[at : at + MAX_TARGETS]
                await self._responses.send(message_for(some, data))

    async def close(self, requests: Requests) -> None:
        """Close connections, when what was sent before has been delivered."""
        await self.send(requests, b"")


class Stream:
    """A response that is sent in chunks."""

    def __init__(self, server: Mongrel2, request: Request) -> None:
        self.closed = False  # by the client
        self.is_chunked = request.header("VERSION") != "HTTP/1.0"
        self._server = server
        self._request = request

    async def write(self, data: bytes) -> None:
        """Send a chunk.

        Raises: Disconnected if the client is gone.
        """
        if self.closed:
            raise Disconnected(f"{self._request.path}: the client is gone")
        # A chunk of no bytes would be the end of the response, and so would be a
        # message of no bytes.
        if data and self._request.method != "HEAD":
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data
            await self._server.send(self._request, chunk)

    async def finish(self) -> None:
        if self.is_chunked and self._request.method != "HEAD":
            await self._server.send(self._request, b"0\r\n\r\n")
        if self._request.wants_close:
            await self._server.close(self._request)


def message_for(requests: list[Request], data: bytes) -> bytes:
    """Return a response as the server expects it; no data closes the connections."""
    if any(request.is_notice for request in requests):
        raise ValueError("a notice is not answered")
    targets = b" ".join(request.connection for request in requests)
    return b"%b %d:%b, %b" % (requests[0].sender, len(targets), targets, data)


# ---- The program: a task for each request, and something to answer.


class Pages:
    """Pages that show what a handler can do.

    /stream comes in chunks; /wait is answered by the next POST to /tell, with what that
    one says; any other page shows the request.
    """

    def __init__(self) -> None:
        self.waiting: dict[Client, Request] = {}

    async def answer(self, server: Mongrel2, request: Request) -> None:
        page = request.path.rpartition("/")[2]
        if page == "stream":
            await self._stream(server, request)
        elif page == "wait":
            self.waiting[request.client] = request  # tell() answers it
        elif page == "tell":
            await self._tell(server, request)
        else:
            seen = {
                "handler": os.getpid(),
                "method": request.method,
                "path": request.path,
                "headers": request.headers,
                "bytes": len(request.body),
            }
            body = json.dumps(seen).encode() + b"\n"
            await server.reply(request, body, headers={"Content-Type": JSON_TYPE})

    async def _stream(self, server: Mongrel2, request: Request) -> None:
        async with server.stream(request, headers={"Content-Type": "text/plain"}) as to:
            for number in range(10):
                await to.write(b"%d\n" % number)
                await anyio.sleep(0.01)

    async def _tell(self, server: Mongrel2, request: Request) -> None:
        """Answer everybody who waits at once, with what this one has posted."""
        waiting, self.waiting = list(self.waiting.values()), {}
        await server.reply(waiting, request.body)
        await server.reply(request, b"%d told\n" % len(waiting))

    def forget(self, notice: Request) -> None:
        self.waiting.pop(notice.client, None)


async def serve(server: Mongrel2, answer: Answer) -> None:
    """Answer each request in a task of its own."""
    async with anyio.create_task_group() as tasks:
        async for request in server:
            tasks.start_soon(serve_one, server, request, answer)


async def serve_one(server: Mongrel2, request: Request, answer: Answer) -> None:
    """Answer a request; a bug in `answer` costs this one request."""
    try:
        await answer(server, request)
    except Disconnected as error:
        logger.info("%s", error)
    except Exception:
        logger.exception("%s %s", request.method, request.path)
        await server.reply(request, b"the handler failed\n", status=500)


async def run(requests: list[str], responses: list[str]) -> None:
    pages = Pages()
    with (
        zraw.Context() as context,
        anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_at, signals, tasks.cancel_scope)
            async with Mongrel2(
                context,
                requests=requests,
                responses=responses,
                on_disconnect=pages.forget,
            ) as server:
                print("ready", flush=True)
                await serve(server, pages.answer)


async def stop_at(signals: AsyncIterator[int], scope: anyio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description="A handler of Mongrel2.")
    parser.add_argument("--requests", nargs="+", default=["tcp://127.0.0.1:9999"])
    parser.add_argument("--responses", nargs="+", default=["tcp://127.0.0.1:9998"])
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument("--trio", action="store_true")
    loop.add_argument("--uvloop", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    anyio.run(
        run,
        args.requests,
        args.responses,
        backend="trio" if args.trio else "asyncio",
        backend_options={"use_uvloop": True} if args.uvloop else {},
    )


if __name__ == "__main__":
    main()
