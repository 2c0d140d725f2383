"""The example handler of Mongrel2, against the real server."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from conftest import wait_until
from mongrel2 import (
    LIBZMQ_NOTICES,
    SECONDS,
    Client,
    Forks,
    Route,
    Server,
    handler,
    handling,
    start_program,
)

RESTARTS = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of the file; each has its own route."""
    server = Server(tmp_path_factory.mktemp("m2"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.close()


async def echo(server: Any, request: Any) -> None:
    await server.reply(request, request.body)


async def show(server: Any, request: Any) -> None:
    shown = {"method": request.method, "path": request.path, **request.headers}
    await server.reply(request, json.dumps(shown).encode())


def handler_of(answer: tuple[int, bytes]) -> int:
    """The process that has answered with the page of the program."""
    status, body = answer
    assert status == 200, body
    pid = json.loads(body)["handler"]
    assert isinstance(pid, int)
    return pid


def wait_for_death(server: Server, route: Route, left: int = 0) -> None:
    """Wait until the server knows that a handler is gone."""
    wait_until(lambda: server.handlers_of(route) == left)
    time.sleep(LIBZMQ_NOTICES)


# ---- Requests and responses


@pytest.mark.parametrize("protocol", ["json", "tnetstring"])
def test_mongrel2__answers(server, client, protocol):
    route = server.route(protocol)
    with handling(route, echo):
        assert client.ask(route.path) == (200, b"")
        assert client.ask(route.path, b"a body", method="POST") == (200, b"a body")
        big = bytes(range(256)) * 12_000
        assert client.ask(route.path, big, method="PUT") == (200, big)


@pytest.mark.parametrize("protocol", ["json", "tnetstring"])
def test_mongrel2__headers_as_the_client_sent_them(server, client, protocol):
    route = server.route(protocol)
    headers = b'X-Odd: a\tb "c" \\ \xff \xc3\xa4\r\nX-Two: 1\r\nX-Two: 2\r\n'
    with handling(route, show):
        client.send(f"{route.path}page?q=1", headers=headers, method="DELETE")
        shown = json.loads(client.answer()[1])
    assert shown["method"] == "DELETE"
    assert shown["path"] == f"{route.path}page"
    assert shown["QUERY"] == "q=1"
    assert shown["x-odd"] == 'a\tb "c" \\ \udcff ä'
    assert shown["x-two"] == ["1", "2"]


def test_mongrel2__head_has_no_body(server, client):
    async def answer(server, request):
        await server.reply(request, b"four", headers={"X-Method": request.method})

    route = server.route()
    with handling(route, answer):
        client.send(route.path, method="HEAD")
        response = client.response()
        assert response.getheader("Content-Length") == "4"
        assert response.read() == b""
        # A body would be taken for the start of this one.
        assert client.ask(route.path) == (200, b"four")


@pytest.mark.parametrize(
    ("version", "headers"), [("1.0", b""), ("1.1", b"Connection: Close\r\n")]
)
def test_mongrel2__closes_when_the_client_wants_it(server, client, version, headers):
    route = server.route()
    body = bytes(1_000_000)  # closed only after the last byte
    with handling(route, lambda server, request: server.reply(request, body)):
        client.send(route.path, version=version, headers=headers)
        assert client.answer() == (200, body)
        assert client.is_closed()


def test_mongrel2__error_of_the_answer_costs_one_request(server, client, caplog):
    async def answer(server, request):
        if request.body == b"bad":
            raise KeyError("a bug")
        await echo(server, request)

    route = server.route()
    with handling(route, answer):
        assert client.ask(route.path, b"bad") == (500, b"the handler failed\n")
        assert client.ask(route.path, b"good") == (200, b"good")
    assert "KeyError: 'a bug'" in caplog.text


# ---- Streams


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_mongrel2__chunks_arrive_one_by_one(server, client, version):
    arrived = [threading.Event() for _ in range(5)]
    chunks = [b"chunk %d" % number for number in range(5)]

    async def answer(server, request):
        async with server.stream(request) as stream:
            for chunk, event in zip(chunks, arrived, strict=True):
                await stream.write(chunk)
                await stream.write(b"")  # which is not the end
                while not event.is_set():
                    await anyio.sleep(0.001)

    route = server.route()
    with handling(route, answer):
        client.send(route.path, version=version)
        response = client.response()
        for chunk, event in zip(chunks, arrived, strict=True):
            # The next one is not written before this one has been read.
            assert response.read1() == chunk
            event.set()
        assert response.read() == b""
        if version == "1.0":
            assert client.is_closed()
        else:
            assert client.ask(route.path) == (200, b"".join(chunks))


def test_mongrel2__stream_that_fails_is_cut(server, client, caplog):
    async def answer(server, request):
        async with server.stream(request) as stream:
            await stream.write(b"some")
            raise KeyError("a bug")

    route = server.route()
    with handling(route, answer):
        client.send(route.path)
        response = client.response()
        with pytest.raises(Exception, match="IncompleteRead"):
            response.read()
    assert "KeyError: 'a bug'" in caplog.text


def test_mongrel2__stream_ends_when_the_client_leaves(server, client):
    ends = []

    async def answer(server, request):
        try:
            async with server.stream(request) as stream:
                while True:
                    await stream.write(b"tick")
                    await anyio.sleep(0.01)
        except handler.Disconnected as error:
            ends.append(error)
            raise

    route = server.route()
    with handling(route, answer):
        client.send(route.path)
        assert client.response().read1() == b"tick"
        client.close()
        wait_until(lambda: ends)


# ---- Notices, and several connections


def test_mongrel2__notices_are_not_answered(server):
    requests = []

    async def answer(server, request):
        requests.append(request)
        await echo(server, request)

    route = server.route()
    with handling(route, answer) as notices:
        for number in range(1, 6):
            with Client(server) as client:
                assert client.ask(route.path, b"%d" % number) == (200, b"%d" % number)
            wait_until(lambda number=number: len(notices) >= number)
        # The answer to a notice would have brought another one.
        assert [notice.client for notice in notices] == [
            request.client for request in requests
        ]
        assert len({request.client for request in requests}) == 5


def test_mongrel2__one_response_for_many_connections(server):
    waiting = []

    async def answer(server, request):
        waiting.append(request)
        if request.body:
            await server.reply(waiting, request.body)

    route = server.route()
    clients = [Client(server) for _ in range(130)]  # a message is for 128
    try:
        with handling(route, answer):
            for client in clients[:-1]:
                client.send(route.path)
            wait_until(lambda: len(waiting) == len(clients) - 1)
            clients[-1].send(route.path, b"news")
            for client in clients:
                assert client.answer() == (200, b"news")
    finally:
        for client in clients:
            client.close()


def test_mongrel2__close(server, client):
    route = server.route()
    with handling(route, lambda server, request: server.close(request)):
        client.send(route.path)
        assert client.is_closed()


# ---- Handlers come and go


@pytest.mark.parametrize("loop", ["", "--uvloop", "--trio"])
def test_mongrel2__request_waits_for_the_next_handler(server, client, loop):
    route = server.route()
    loops = [loop] if loop else []
    programs = [start_program(route, *loops)]
    try:
        assert handler_of(client.ask(route.path)) == programs[0].pid
        programs[0].kill()
        programs[0].wait(SECONDS)
        wait_for_death(server, route)
        client.send(route.path)
        assert client.waits()
        programs.append(start_program(route, *loops))
        assert handler_of(client.answer()) == programs[1].pid
        programs[1].terminate()
        output, _ = programs[1].communicate(timeout=SECONDS)
        assert (programs[1].returncode, output) == (0, "ready\n")
    finally:
        for program in programs:
            program.kill()
            program.communicate(timeout=SECONDS)


@pytest.mark.parametrize("asked", ["before_the_start", "after_the_start"])
def test_mongrel2__no_answer_is_lost_by_restarts(server, client, forks, asked):
    route = server.route()
    for _ in range(RESTARTS):
        if asked == "before_the_start":
            client.send(route.path)
        pid = forks.start(route)
        if asked == "after_the_start":
            wait_until(lambda: server.handlers_of(route))
            client.send(route.path)
        assert handler_of(client.answer()) == pid
        forks.kill(pid)
        wait_for_death(server, route)


def test_mongrel2__handlers_share_the_load(server, client, forks):
    route = server.route()
    pids = {forks.start(route), forks.start(route)}
    seen: set[int] = set()

    def both_are_seen() -> bool:
        seen.add(handler_of(client.ask(route.path)))
        return seen == pids

    wait_until(both_are_seen)
    counts = Counter(handler_of(client.ask(route.path)) for _ in range(20))
    assert counts == dict.fromkeys(pids, 10)
    last = pids.pop()
    forks.kill(pids.pop())
    wait_for_death(server, route, left=1)
    for _ in range(5):
        assert handler_of(client.ask(route.path)) == last


def test_mongrel2__server_that_was_killed_is_found_again(tmp_path, forks):
    server = Server(tmp_path)
    try:
        server.start()
        route = server.route()
        pid = forks.start(route)
        for _ in range(3):
            with Client(server) as client:
                assert handler_of(client.ask(route.path)) == pid
                client.send(route.path + "wait")
                server.kill()
                assert client.is_closed()
            server.start()
        with Client(server) as client:
            assert handler_of(client.ask(route.path)) == pid
    finally:
        server.close()


def test_mongrel2__program_tells_who_waits(server, client, forks):
    route = server.route()
    forks.start(route)
    handler_of(client.ask(route.path))
    waiting = Client(server), Client(server), Client(server)
    for other in waiting:
        other.send(route.path + "wait")
    told = 0

    def all_are_told() -> bool:
        nonlocal told
        status, body = client.ask(route.path + "tell", b"news", method="POST")
        assert status == 200
        told += int(body.split()[0])
        return told == len(waiting)

    wait_until(all_are_told)
    for other in waiting:
        assert other.answer() == (200, b"news")
        other.close()
    lines = b"".join(b"%d\n" % number for number in range(10))
    assert client.ask(route.path + "stream") == (200, lines)
