"""The example handler of Mongrel2: what it reads and writes, without the server."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

import zraw
from mongrel2 import handler
from zraw import aio

Malformed, Mongrel2, Request = handler.Malformed, handler.Mongrel2, handler.Request

SEEDS = range(20)
HEADERS = {"METHOD": "GET", "VERSION": "HTTP/1.1", "x-two": ["1", "2"]}
NOTICE = b'server 7 @* 17:{"METHOD":"JSON"},21:{"type":"disconnect"},'
CREDITS = b'server 7 @* 17:{"METHOD":"JSON"},18:{"type":"credits"},'


def tnetstring(value: Any) -> bytes:
    if isinstance(value, str):
        content, kind = value.encode("utf-8", "surrogateescape"), b","
    elif isinstance(value, list):
        content, kind = b"".join(map(tnetstring, value)), b"]"
    else:
        items = [item for pair in value.items() for item in pair]
        content, kind = b"".join(map(tnetstring, items)), b"}"
    return b"%d:%b%b" % (len(content), content, kind)


def as_json(headers: dict[str, Any]) -> bytes:
    content = json.dumps(headers, ensure_ascii=False)
    # Mongrel2 does not escape them.
    return tnetstring(content.replace("\\t", "\t"))


def request(
    headers: bytes,
    body: bytes = b"",
    connection: bytes = b"7",
    path: bytes = b"/page",
    sender: bytes = b"server",
) -> bytes:
    start = b"%b %b %b " % (sender, connection, path)
    return b"%b%b%d:%b," % (start, headers, len(body), body)


def get(to: int, body: bytes = b"", sender: bytes = b"s", **more: Any) -> bytes:
    headers = as_json({**HEADERS, **more})
    return request(headers, body, b"%d" % to, sender=sender)


# ---- What is read


@pytest.mark.parametrize("headers_as", [as_json, tnetstring])
@pytest.mark.parametrize("seed", SEEDS)
def test_mongrel2_parse__takes_apart_what_was_put_together(headers_as, seed):
    chance = random.Random(seed)

    def word() -> str:
        return "".join(
            chance.choices('aZ09-_ :,"\\\t{}[]ä€\udcff', k=chance.randrange(20))
        )

    for _ in range(50):
        headers: dict[str, Any] = {word(): word() for _ in range(chance.randrange(8))}
        headers["METHOD"] = chance.choice(["GET", "POST"])
        headers["x-several"] = [word() for _ in range(chance.randint(1, 5))]
        body = chance.randbytes(chance.randrange(300))
        parsed = Request.parse(request(headers_as(headers), body, path=b"/a%ff\xff"))
        assert parsed.client == (b"server", b"7")
        assert parsed.path == "/a%ff\udcff"
        assert parsed.headers == headers
        assert parsed.body == body
        assert parsed.header("x-several") == headers["x-several"][0]


@pytest.mark.parametrize("headers_as", [as_json, tnetstring])
@pytest.mark.parametrize("seed", SEEDS)
def test_mongrel2_parse__any_damage_is_malformed_or_another_request(headers_as, seed):
    chance = random.Random(seed)
    whole = request(headers_as(HEADERS), b"a body with 3:1:a,}")
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data) + 1)
            some = bytes(chance.choices(b'0199:,}]{["# \xff\\', k=chance.randrange(4)))
            data[at : at + chance.randrange(4)] = some
        with contextlib.suppress(Malformed):
            parsed = Request.parse(bytes(data))
            assert parsed.connection.isdigit()
            assert isinstance(parsed.method, str)
            assert isinstance(parsed.wants_close, bool)


@pytest.mark.parametrize("headers_as", [as_json, tnetstring])
def test_mongrel2_parse__every_shortened_request_is_malformed(headers_as):
    whole = request(headers_as(HEADERS), b"a body")
    for length in range(len(whole)):
        with pytest.raises(Malformed):
            Request.parse(whole[:length])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "whom to answer"),
        (b"server 7 /page", "whom to answer"),
        (request(b'16:{"METHOD":"GET"},', sender=b""), "whom to answer"),
        (request(b'16:{"METHOD":"GET"},', connection=b"-7"), "whom to answer"),
        (request(b'16:{"METHOD":"GET"},', connection=b"7,8"), "whom to answer"),
        (request(b'16:{"METHOD":"GET"},') + b"x", "end with its body"),
        (request(b'16:{"METHOD":"GET"},')[:-1] + b"#", "end with its body"),
        (request(b'-16:{"METHOD":"GET"},'), "no length"),
        (request(b"9" * 5000 + b":{},"), "no length"),
        (request(b'99999:{"METHOD":"GET"},'), "shorter than it says"),
        (request(tnetstring("not JSON")), "Expecting value"),
        (request(tnetstring("[]")), "no METHOD"),
        (request(tnetstring("{}")), "no METHOD"),
        (request(tnetstring('{"METHOD":7}')), "no METHOD"),
        (request(tnetstring('{"METHOD":"GET","a":{}}')), "no text"),
        (request(tnetstring('{"METHOD":"GET","a":[]}')), "no text"),
        (request(tnetstring('{"METHOD":"GET","a":["b",null]}')), "no text"),
        (request(tnetstring("[" * 100_000)), "recursion"),
        (request(tnetstring(["METHOD", "GET"])), "no METHOD"),
        (request(b"0:}"), "no METHOD"),
        (request(b"0:#"), "unknown type, b'#'"),
        (request(b"7:4:name,}"), "no names and values"),
        (request(b"8:0:]2:ab,}"), "no names and values"),
    ],
)
def test_mongrel2_parse__says_what_is_wrong(data, reason):
    with pytest.raises(Malformed, match=reason) as caught:
        Request.parse(data)
    assert len(str(caught.value)) < 500


def test_mongrel2_parse__deep_lists_are_malformed():
    content = b""
    for _ in range(5000):
        content = b"%d:%b]" % (len(content), content)
    with pytest.raises(Malformed):
        Request.parse(request(b"%d:%b}" % (len(content), content)))


@pytest.mark.parametrize(
    ("data", "is_notice", "is_disconnect"),
    [
        (NOTICE, True, True),
        (CREDITS, True, False),
        (b'server 7 @* 16:6:METHOD,4:JSON,}21:{"type":"disconnect"},', True, True),
        # What a client can send is none.
        (NOTICE.replace(b"@*", b"@chat"), False, False),
        (NOTICE.replace(b"@*", b"/"), False, False),
        (NOTICE.replace(b"17:", b"16:").replace(b"JSON", b"GET"), False, False),
    ],
)
def test_mongrel2_parse__notices(data, is_notice, is_disconnect):
    parsed = Request.parse(data)
    assert (parsed.is_notice, parsed.is_disconnect) == (is_notice, is_disconnect)


# ---- What is written


class Peer:
    """The two sockets of a server, and a handler that is connected to them."""

    server: Mongrel2
    push: aio.Push
    subscribe: aio.Subscribe

    def __init__(self) -> None:
        self.responses: list[bytes] = []
        self.notices: list[Request] = []

    def read(self, _: object, message: bytes) -> None:
        self.responses.append(message)

    async def give(self, *messages: bytes) -> None:
        for message in messages:
            await self.push.send(message)

    async def until(self, count: int) -> list[bytes]:
        """Wait for so many responses."""
        while len(self.responses) < count:
            await anyio.sleep(0.001)
        return self.responses


@contextlib.asynccontextmanager
async def peer(ctx: zraw.Context) -> AsyncIterator[Peer]:
    peer = Peer()
    where = "tcp://127.0.0.1:*"
    peer.push = aio.Push(ctx, bind=where, options={zraw.ZMQ_LINGER: 0})
    peer.subscribe = aio.Subscribe(
        ctx, bind=where, topics=[b""], on_read=peer.read, options={zraw.ZMQ_RCVHWM: 1}
    )
    requests, responses = (
        handle.socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
        for handle in (peer.push, peer.subscribe)
    )
    async with (
        peer.push,
        peer.subscribe,
        Mongrel2(
            ctx,
            requests=requests,
            responses=responses,
            on_disconnect=peer.notices.append,
        ) as peer.server,
    ):
        yield peer


def test_mongrel2_start__pulls_when_its_answers_have_a_reader(ctx, on_loop, tmp_path):
    requests, responses = (f"ipc://{tmp_path}/{name}" for name in ("out", "in"))

    async def main():
        entered = anyio.Event()

        async def handle():
            async with Mongrel2(ctx, requests=requests, responses=responses) as server:
                entered.set()
                await server.reply(await server.__anext__(), b"answer")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle)
            async with aio.Push(ctx, bind=requests) as push:
                with anyio.move_on_after(0.1):
                    await push.send(b"to nobody")
                    pytest.fail("it pulled")
                assert not entered.is_set()
                answers = []
                async with aio.Subscribe(
                    ctx,
                    bind=responses,
                    topics=[b""],
                    on_read=lambda _, message: answers.append(message),
                ):
                    await push.send(get(1))
                    while not answers:
                        await anyio.sleep(0.001)
                assert answers[0].endswith(b"\r\n\r\nanswer")

    on_loop(main)


def test_mongrel2_start__cancelled_leaves_nothing_open(ctx, on_loop):
    async def main():
        with anyio.move_on_after(0.05):
            async with Mongrel2(
                ctx, requests="ipc:///nowhere/a", responses="ipc:///nowhere/b"
            ):
                pytest.fail("there is no server")

    on_loop(main)
    assert not ctx.sockets


def test_mongrel2_requests__malformed_ones_are_reported_and_left_out(
    ctx, on_loop, caplog
):
    bad = [b"", b"\xff" * 1000, b"server 1 / 3:abc,0:,", get(1)[:-1]]

    async def main():
        async with peer(ctx) as it:
            for message in bad:
                await it.give(message, get(1, b"good"))
                assert (await it.server.__anext__()).body == b"good"
            await it.push.send_multipart([b"two", b"frames"])
            await it.give(get(1, b"last"))
            assert (await it.server.__anext__()).body == b"last"
            it.server._requests.close()
            with pytest.raises(StopAsyncIteration):
                await it.server.__anext__()

    with caplog.at_level(logging.WARNING, "mongrel2"):
        on_loop(main)
    assert len(caplog.records) == len(bad) + 1
    assert "it has 2 frames: b'two'" in caplog.text


def test_mongrel2_requests__notices_are_for_the_callback(ctx, on_loop):
    async def answer(server, request):
        await server.reply(request, b"answer")

    async def main():
        async with peer(ctx) as it, anyio.create_task_group() as tasks:
            tasks.start_soon(handler.serve, it.server, answer)
            await it.give(NOTICE, CREDITS, get(1), NOTICE, get(2))
            responses = await it.until(2)
            assert {message[:6] for message in responses} == {b"s 1:1,", b"s 1:2,"}
            assert [notice.client for notice in it.notices] == [(b"server", b"7")] * 2
            for call in (it.server.reply, it.server.close):
                with pytest.raises(ValueError, match="a notice is not answered"):
                    await call(it.notices[0])
            tasks.cancel_scope.cancel()

    on_loop(main)


def test_mongrel2_reply__what_goes_to_the_server(ctx, on_loop):
    async def main():
        async with peer(ctx) as it:
            one = Request.parse(get(1))
            await it.server.reply(one, b"body", 404, {"X-A": 1, "X-B": "ä\udcff"})
            await it.server.reply(one, status=204)
            await it.server.reply(one, b"moved", headers={"Content-Length": 9})
            old = Request.parse(get(2, VERSION="HTTP/1.0"))
            head = Request.parse(get(3, METHOD="HEAD", connection="close"))
            await it.server.reply([one, old, head], b"all")
            await it.server.reply([], b"nobody")
            await it.server.close(one)
            assert await it.until(7) == [
                b"s 1:1, HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n"
                b"X-A: 1\r\nX-B: \xc3\xa4\xff\r\n\r\nbody",
                b"s 1:1, HTTP/1.1 204 No Content\r\n\r\n",
                b"s 1:1, HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmoved",
                b"s 3:1 2, HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall",
                b"s 1:3, HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                b"s 3:2 3, ",
                b"s 1:1, ",
            ]

    on_loop(main)


def test_mongrel2_reply__many_connections_of_several_servers(ctx, on_loop):
    async def main():
        async with peer(ctx) as it:
            requests = [Request.parse(get(id)) for id in range(300)]
            requests += [Request.parse(get(id, sender=b"t")) for id in range(3)]
            await it.server.send(requests, b"news")
            sizes, clients = [], []
            for message in await it.until(4):
                assert message.endswith(b", news")
                sender, targets = message[:-6].split(b" ", 1)
                length, _, ids = targets.partition(b":")
                assert int(length) == len(ids)
                sizes.append(len(ids.split()))
                clients += [(sender, id) for id in ids.split()]
            assert sizes == [128, 128, 44, 3]
            assert clients == [request.client for request in requests]

    on_loop(main)


def test_mongrel2_reply__waits_for_a_slow_server_and_drops_nothing(ctx, on_loop):
    count = 3000
    sent = 0

    async def reply(server):
        nonlocal sent
        one = Request.parse(get(1))
        for sent in range(count):  # noqa: B007
            await server.reply(one, bytes(10_000))

    async def main():
        async with peer(ctx) as it, anyio.create_task_group() as tasks:
            it.subscribe.on_read = None
            tasks.start_soon(reply, it.server)
            before = -1
            while before < sent < count - 1:
                before = sent
                await anyio.sleep(0.05)
            assert sent < count - 1, "there is room for all of them"
            it.subscribe.on_read = it.read
            await it.until(count)

    on_loop(main)


def test_mongrel2_reply__server_that_is_gone_does_not_hold_up_the_end(ctx):
    async def main():
        async with peer(ctx) as it:
            it.push.close()
            it.subscribe.close()
            with anyio.move_on_after(0.1):  # until no more can be sent
                while True:
                    await it.server.reply(Request.parse(get(1)), b"answer")

    anyio.run(main)
    before = time.monotonic()
    ctx.term()
    assert time.monotonic() - before < handler.LINGER / 1000 + 5


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0"])
def test_mongrel2_reply__header_that_would_be_two_is_refused(ctx, on_loop, value):
    async def main():
        async with peer(ctx) as it:
            one = Request.parse(get(1))
            for headers in ({"X": value}, {value: "X"}):
                with pytest.raises(ValueError, match="a header is one line"):
                    await it.server.reply(one, b"", headers=headers)
            await it.server.reply(one, b"after")
            assert len(await it.until(1)) == 1

    on_loop(main)


STREAM = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [*STREAM, b"0\r\n\r\n"]),
        ({"connection": "close"}, [*STREAM, b"0\r\n\r\n", b""]),
        ({"VERSION": "HTTP/1.0"}, [b"HTTP/1.1 200 OK\r\n\r\n", b"abc", b""]),
        ({"METHOD": "HEAD"}, STREAM[:1]),
    ],
)
def test_mongrel2_stream__what_goes_to_the_server(ctx, on_loop, changes, expected):
    async def main():
        async with peer(ctx) as it:
            async with it.server.stream(Request.parse(get(1, **changes))) as stream:
                await stream.write(b"")
                await stream.write(b"abc")
            responses = await it.until(len(expected))
            assert responses == [b"s 1:1, " + data for data in expected]

    on_loop(main)


def test_mongrel2_stream__cancelled_closes_the_connection(ctx, on_loop):
    async def main():
        async with peer(ctx) as it:
            with anyio.CancelScope() as scope:
                async with it.server.stream(Request.parse(get(1))) as stream:
                    await stream.write(b"abc")
                    scope.cancel()
                    await anyio.sleep(5)
            assert await it.until(3) == [b"s 1:1, " + data for data in (*STREAM, b"")]

    on_loop(main)


def test_mongrel2_stream__disconnect_ends_it(ctx, on_loop):
    async def answer(server, request):
        with pytest.raises(handler.Disconnected, match="the client is gone"):
            async with server.stream(request) as stream:
                while True:
                    await stream.write(b"abc")
                    await anyio.sleep(0.001)
        await server.reply(request, b"over")

    async def main():
        async with peer(ctx) as it, anyio.create_task_group() as tasks:
            tasks.start_soon(handler.serve, it.server, answer)
            await it.give(request(as_json(HEADERS)))
            await it.until(3)
            await it.give(NOTICE)
            while not it.responses[-1].endswith(b"\r\n\r\nover"):
                await anyio.sleep(0.001)
            # The end that was not sent, neither the regular one nor that of a failure.
            ends = (b"server 1:7, ", b"server 1:7, 0\r\n\r\n")
            assert not set(ends) & set(it.responses)
            tasks.cancel_scope.cancel()

    on_loop(main)


# ---- The program


def test_mongrel2_pages__who_waits_and_has_left_is_not_told(ctx, on_loop):
    async def main():
        pages = handler.Pages()
        async with peer(ctx) as it, anyio.create_task_group() as tasks:
            it.server._on_disconnect = pages.forget
            tasks.start_soon(handler.serve, it.server, pages.answer)
            headers = as_json(HEADERS)
            for id in (b"5", b"6", b"7"):
                await it.give(request(headers, path=b"/wait", connection=id))
                while (b"server", id) not in pages.waiting:
                    await anyio.sleep(0.001)
            await it.give(NOTICE, request(headers, b"news", b"8", b"/tell"))
            heads = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            assert await it.until(2) == [
                b"server 3:5 6, " + heads % 4 + b"news",
                b"server 1:8, " + heads % 7 + b"2 told\n",
            ]
            tasks.cancel_scope.cancel()

    on_loop(main)
