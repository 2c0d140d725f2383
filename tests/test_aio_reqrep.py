"""zraw.aio: Request, and whom an answer is for."""

from __future__ import annotations

import random
import threading

import anyio
import pytest

import zraw
from aio_tools import (
    Errors,
    beside,
    last_endpoint,
    nothing_logged,  # noqa: F401 - a fixture
    settle,
)
from zraw import aio


@pytest.fixture
def office(ctx):
    """A Request, and a ROUTER that answers as each test wants; both to be closed."""
    made = []

    def make(**options):
        router = aio.Router(ctx, bind="tcp://127.0.0.1:*")
        request = aio.Request(ctx, connect=last_endpoint(router), **options)
        made.extend((router, request))
        return request, router

    yield make
    for handle in made:
        handle.close(0)


async def echo(router, prefix=b"re: "):
    async for *envelope, question in router:
        await router.send_multipart([*envelope, prefix + question])


async def hear(router):
    """The next question that a ROUTER gets, without its envelope."""
    return (await router.recv_multipart())[-1]


# ---- one question


def test_request__every_kind_of_data(on_loop, office):
    async def main():
        request, router = office()
        async with beside() as start:
            start(echo, router)
            for data in (b"x", bytearray(b"x"), memoryview(b"x"), zraw.Message(b"x")):
                assert await request.request(data) == b"re: x"
            assert await request.request([b"x"]) == b"re: x"

    on_loop(main)


def test_request__several_frames(on_loop, ctx):
    async def main():
        async with aio.Reply(ctx, bind="inproc://x") as reply:
            reply.on_request = lambda _, message: [*message, b"end"]
            async with aio.Request(ctx, connect="inproc://x") as request:
                for question in ([b"a", b""], (b"a", b"")):
                    assert await request.request(question) == [b"a", b"", b"end"]

    on_loop(main)


def test_request__arguments_that_are_wrong(on_loop, office):
    async def main():
        request, router = office()
        for arguments, error, name in (
            ({"timeout": "1"}, TypeError, "timeout"),
            ({"timeout": True}, TypeError, "timeout"),
            ({"timeout": 0}, ValueError, "timeout"),
            ({"timeout": -1}, ValueError, "timeout"),
            ({"timeout": float("nan")}, ValueError, "timeout"),
            ({"timeout": float("inf")}, ValueError, "timeout"),
            ({"retries": 1.0}, TypeError, "retries"),
            ({"retries": None}, TypeError, "retries"),
            ({"retries": True}, TypeError, "retries"),
            ({"retries": -1}, ValueError, "retries"),
            ({"backoff": "x"}, TypeError, "backoff"),
            ({"backoff": 0.5}, ValueError, "backoff"),
            ({"backoff": float("inf")}, ValueError, "backoff"),
        ):
            with pytest.raises(error, match=rf"request\(\): {name}"):
                await request.request(b"x", **arguments)
        for data, error in (
            ("text", TypeError),
            (7, TypeError),
            (None, TypeError),
            ([], ValueError),
            ([[b"x"]], TypeError),
            (lambda _: b"x", TypeError),
        ):
            with pytest.raises(error, match=r"request\(\): data"):
                await request.request(data)
        with pytest.raises(TypeError):
            await request.request(b"x", 1)
        assert not aio.probe(router.socket, zraw.ZMQ_POLLIN)

    on_loop(main)


def test_request__has_nothing_else(ctx):
    request = aio.Request(ctx)
    for name in ("recv", "send", "push_write", "push_read", "on_read", "drain"):
        assert not hasattr(request, name)
    request.close()


# ---- time


def test_request__timeout_and_the_next_question(on_loop, office):
    async def main():
        request, router = office()
        start = anyio.current_time()
        with pytest.raises(TimeoutError, match="1 tries"):
            await request.request(b"unheard", timeout=0.05)
        assert 0.045 < anyio.current_time() - start < 5
        assert await hear(router) == b"unheard"
        async with beside() as start:
            start(echo, router)
            assert await request.request(b"x", timeout=10) == b"re: x"

    on_loop(main)


def test_request__asks_again(on_loop, office):
    async def main():
        request, router = office()

        async def answer_the_third():
            for number in range(3):
                *envelope, question = await router.recv_multipart()
                assert question == b"question"
                if number == 2:
                    await router.send_multipart([*envelope, b"answer"])

        async with beside() as start:
            answering = start(answer_the_third)
            answer = await request.request(b"question", timeout=0.05, retries=200)
            assert answer == b"answer"
            await answering.result()

    on_loop(main)


def test_request__message_is_asked_again_with_the_same_data(on_loop, office):
    async def main():
        request, router = office()
        message, part = zraw.Message(b"question"), zraw.Message(b"part")
        with pytest.raises(TimeoutError):
            await request.request(message, timeout=0.02, retries=2)
        assert [await hear(router) for _ in range(3)] == [b"question"] * 3
        with pytest.raises(TimeoutError):
            await request.request([b"a", part], timeout=0.02, retries=1)
        for _ in range(2):
            assert (await router.recv_multipart())[-2:] == [b"a", b"part"]

    on_loop(main)


def test_request__changed_while_it_is_asked(on_loop, office):
    async def main():
        request, router = office()
        data = bytearray(b"question")
        async with beside() as start:
            asking = start(lambda: request.request(data, timeout=0.03, retries=1))
            assert await hear(router) == b"question"
            data[:] = b"other"
            with pytest.raises(TimeoutError):
                await asking.result()
        assert await hear(router) == b"question"

    on_loop(main)


def test_request__backoff(on_loop, office):
    async def main():
        request, router = office()
        begin = anyio.current_time()
        with pytest.raises(TimeoutError, match="4 tries"):
            await request.request(b"x", timeout=0.03, retries=3, backoff=2)
        took = anyio.current_time() - begin
        assert [await hear(router) for _ in range(4)] == [b"x"] * 4
        # 0.03 + 0.06 + 0.12 + 0.24; a busy machine makes it longer, not shorter
        assert took > 0.44

    on_loop(main)


def test_request__nobody_there(on_loop, ctx):
    """It cannot even be sent; the time counts all the same."""

    async def main():
        async with aio.Request(ctx, bind="tcp://127.0.0.1:*") as request:
            with pytest.raises(TimeoutError, match="3 tries"):
                await request.request(b"x", timeout=0.02, retries=2)
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.02):
                    await request.request(b"x")
            # What was given up is not asked when somebody comes.
            where = last_endpoint(request)
            async with aio.Reply(ctx, connect=where) as reply, beside() as start:
                asking = start(lambda: request.request(b"real", timeout=10))
                assert await reply.recv() == b"real"
                await reply.send(b"answer")
                assert await asking.result() == b"answer"

    on_loop(main)


# ---- many who ask


def test_request__in_order_of_asking(on_loop, office):
    async def main():
        request, router = office()
        called = []  # trio starts tasks in any order

        async def ask(question):
            called.append(question)
            return await request.request(question)

        async with beside() as start:
            asking = {b"%d" % n: start(ask, b"%d" % n) for n in range(50)}
            await settle()
            heard = []
            for _ in range(50):
                *envelope, question = await router.recv_multipart()
                heard.append(question)
                assert not aio.probe(router.socket, zraw.ZMQ_POLLIN)
                await router.send_multipart([*envelope, b"re: " + question])
            for question, running in asking.items():
                assert await running.result() == b"re: " + question
        assert heard == called

    on_loop(main)


def test_request__cancelled_wherever_it_is(on_loop, office):
    async def main():
        request, router = office()
        async with beside() as start:
            first, second, third = [
                start(request.request, question) for question in (b"1", b"2", b"3")
            ]
            envelopes = {}
            *envelope, question = await router.recv_multipart()
            envelopes[question] = envelope
            running = {b"1": first, b"2": second, b"3": third}
            asked = running.pop(question)
            waiting, other = running.values()
            waiting.cancel()
            await settle()
            assert waiting.ended
            asked.cancel()
            *envelope, next_question = await router.recv_multipart()
            assert {b"1": first, b"2": second, b"3": third}[next_question] is other
            # The answer to the one that was given up helps nobody.
            await router.send_multipart([*envelopes[question], b"late"])
            await settle()
            assert not other.ended
            await router.send_multipart([*envelope, b"answer"])
            assert await other.result() == b"answer"

    on_loop(main)


@pytest.mark.parametrize("seed", range(3))
def test_request__late_answers_answer_nothing_else(on_loop, office, seed):
    """A server that takes its time, and askers that give up in all kinds of ways."""

    async def main():
        request, router = office()
        chance = random.Random(seed)
        answered = 0

        async def answer(message, seconds):
            await anyio.sleep(seconds)
            await router.send_multipart(message)

        async def serve(start):
            async for *envelope, question in router:
                seconds = chance.choice((0, 0, 0.001, 0.004, 0.02))
                start(answer, [*envelope, b"re: " + question], seconds)

        async def ask(number):
            nonlocal answered
            for step in range(20):
                question = b"%d-%d" % (number, step)
                limit = chance.choice((0.001, 0.003, 0.01, 1))
                with anyio.move_on_after(limit):
                    try:
                        reply = await request.request(
                            question, timeout=chance.choice((0.002, 0.01)), retries=2
                        )
                    except TimeoutError:
                        continue
                    assert reply == b"re: " + question
                    answered += 1

        async with beside() as start:
            start(serve, start)
            asking = [start(ask, number) for number in range(3)]
            for running in asking:
                await running.result()
            answer_to_all = await request.request(b"last", timeout=1, retries=10)
            assert answer_to_all == b"re: last"
        assert answered

    on_loop(main)


def test_request__server_that_is_always_late_is_never_heard(on_loop, office):
    async def main():
        request, router = office()

        async def serve():
            previous = None
            async for *envelope, question in router:
                if previous is not None:
                    await router.send_multipart(previous)
                previous = [*envelope, question]

        async with beside() as start:
            start(serve)
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await request.request(b"x", timeout=0.01, retries=3)

    on_loop(main)


def test_request__server_that_comes_back(on_loop, ctx):
    async def main():
        first = aio.Reply(ctx, bind="tcp://127.0.0.1:*", on_request=lambda *_: b"1")
        where = last_endpoint(first)
        options = {zraw.ZMQ_RECONNECT_IVL: 5}
        async with aio.Request(ctx, connect=where, options=options) as request:
            assert await request.request(b"x") == b"1"
            first.close(0)
            async with beside() as start:
                asking = start(lambda: request.request(b"x", timeout=0.1, retries=1000))
                await settle()
                second = None
                while second is None:  # the port is freed in the background
                    try:
                        second = aio.Reply(ctx, bind=where)
                    except zraw.AddressInUse:
                        await anyio.sleep(0.005)
                async with second:
                    second.on_request = lambda *_: b"2"
                    assert await asking.result() == b"2"

    on_loop(main)


def test_request__in_one_run_after_another(on_loop, office):
    request, router = office()
    for number in range(3):

        async def main(number=number):
            async with beside() as start:
                start(echo, router)
                asking = [start(request.request, b"%d" % number) for _ in range(5)]
                for running in asking:
                    assert await running.result() == b"re: %d" % number
                # Left behind: one that asks, and those behind it in the queue.
                left = [start(request.request, b"left") for _ in range(3)]
                await settle(2)
                assert len(left) == 3

        on_loop(main)


def test_request__on_another_loop_that_runs(on_loop, office):
    request, router = office()

    async def main():
        async with beside() as start:
            start(echo, router)
            assert await request.request(b"x") == b"re: x"
            caught = []

            def other():
                async def inner():
                    with pytest.raises(RuntimeError, match="event loop"):
                        await request.request(b"y")
                    caught.append(True)

                anyio.run(inner)

            thread = threading.Thread(target=other)
            thread.start()
            await anyio.to_thread.run_sync(thread.join)
            assert caught == [True]
            assert await request.request(b"z") == b"re: z"

    on_loop(main)


def test_request__errors_go_to_who_asks(on_loop, ctx):
    async def main():
        request = aio.Request(ctx, connect="inproc://x", on_error=Errors())
        request.close()
        with pytest.raises(zraw.NotASocket):
            await request.request(b"x", timeout=1, retries=3)
        assert not request.on_error.all

    on_loop(main)


@pytest.mark.parametrize("linger", [None, 50])
def test_request__no_server_keeps_nobody_waiting(on_loop, linger):
    options = {} if linger is None else {zraw.ZMQ_LINGER: linger}

    async def main():
        with zraw.Context() as context:
            connect = "tcp://127.0.0.1:9"
            async with aio.Request(
                context, connect=connect, options=options
            ) as request:
                assert request.socket.getsockopt(zraw.ZMQ_LINGER) == (linger or 0)
                with pytest.raises(TimeoutError):
                    await request.request(b"x", timeout=0.05)
        return "ended"

    assert on_loop(main, 10) == "ended"
