"""zraw.aio: Reply, which answers, and apologizes."""

from __future__ import annotations

import anyio
import pytest

import zraw
from aio_tools import (
    Boom,
    Errors,
    beside,
    nothing_logged,  # noqa: F401 - a fixture
    reported,
    settle,
    until,
)
from zraw import aio


@pytest.fixture
def talk(ctx):
    """A Reply and a Request; both to be closed."""
    made = []

    def make(**arguments):
        reply = aio.Reply(ctx, bind=f"inproc://{len(made)}", **arguments)
        request = aio.Request(ctx, connect=f"inproc://{len(made)}")
        made.extend((reply, request))
        return reply, request

    yield make
    for handle in made:
        handle.close(0)


def test_on_request__answers_of_each_kind(on_loop, talk):
    async def main():
        answers = {
            b"bytes": (b"x", b"x"),
            b"empty": (b"", b""),
            b"array": (bytearray(b"x"), b"x"),
            b"view": (memoryview(b"x"), b"x"),
            b"list": ([b"a", bytearray(b"b")], [b"a", b"b"]),
            b"tuple": ((b"a", b""), [b"a", b""]),
        }

        def answer(_, question):
            return (
                zraw.Message(b"m") if question == b"message" else answers[question][0]
            )

        reply, request = talk(on_request=answer)
        assert reply.on_request is answer
        for question, (_, expected) in answers.items():
            assert await request.request(question, timeout=10) == expected
        assert await request.request(b"message", timeout=10) == b"m"

    on_loop(main)


def test_on_request__gets_the_handle_and_all_frames(on_loop, talk):
    async def main():
        seen = []
        reply, request = talk(on_request=lambda *args: seen.append(args) or b"ok")
        await request.request(b"single", timeout=10)
        await request.request([b"a", b"b"], timeout=10)
        assert seen == [(reply, b"single"), (reply, [b"a", b"b"])]

    on_loop(main)


def test_on_request__coroutines_one_after_another(on_loop, ctx):
    async def main():
        running = 0

        async def answer(_, question):
            nonlocal running
            running += 1
            assert running == 1
            await anyio.sleep(0.001)
            running -= 1
            return question.upper()

        async with aio.Reply(ctx, bind="inproc://x", on_request=answer):
            requests = [aio.Request(ctx, connect="inproc://x") for _ in range(5)]

            async def ask(request, number):
                for _ in range(5):
                    assert await request.request(b"q%d" % number) == b"Q%d" % number
                request.close()

            async with beside() as start:
                asking = [start(ask, *pair[::-1]) for pair in enumerate(requests)]
                for one in asking:
                    await one.result()

    on_loop(main)


def test_on_request__set_cleared_and_replaced(on_loop, talk):
    async def main():
        reply, request = talk()
        assert reply.on_request is None
        reply.on_request = lambda *_: b"1"
        assert await request.request(b"x", timeout=10) == b"1"
        reply.on_request = lambda *_: b"2"
        assert await request.request(b"x", timeout=10) == b"2"
        reply.on_request = None
        assert reply.on_request is None
        async with beside() as start:
            asking = start(request.request, b"by hand")
            assert await reply.recv() == b"by hand"
            await reply.send(b"3")
            assert await asking.result() == b"3"
        for wrong in (42, "name"):
            with pytest.raises(TypeError, match="on_request"):
                reply.on_request = wrong

    on_loop(main)


def test_on_request__is_none_by_the_time_it_is_called(on_loop, talk):
    """A question that came with the last turn of the loop."""

    async def main():
        reply, request = talk(on_request=lambda *_: b"never")
        async with beside() as start:
            asking = start(request.request, b"x")
            await until(
                lambda: aio.probe(reply.socket, zraw.ZMQ_POLLIN) or asking.ended
            )
            reply.on_request = None
            await settle()
            if not asking.ended:
                assert await reply.recv() == b"x"
                await reply.send(b"by hand")
                assert await asking.result() == b"by hand"

    on_loop(main)


def test_reply__by_iteration(on_loop, talk):
    async def main():
        reply, request = talk()

        async def serve():
            async for question in reply:
                await reply.send(question[::-1])

        async with beside() as start:
            start(serve)
            for _ in range(100):
                assert await request.request(b"abc", timeout=10) == b"cba"

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_on_request__that_raises_sends_an_empty_frame(on_loop, talk, kind):
    async def main():
        errors = Errors()

        def answer(_, question):
            if question == b"bad":
                raise Boom
            return b"good"

        async def answer_later(handle, question):
            await anyio.sleep(0)
            return answer(handle, question)

        reply, request = talk(
            on_request=answer if kind == "plain" else answer_later, on_error=errors
        )
        for _ in range(3):
            assert await request.request(b"bad", timeout=10) == b""
            assert await request.request(b"fine", timeout=10) == b"good"
        assert errors.types == [Boom] * 3
        assert all(handle is reply for handle, _ in errors.all)

    on_loop(main)


def test_on_request__that_returns_no_answer(on_loop, talk):
    async def main():
        wrong = [None, "text", 7, [], [[b"x"]]]
        left = list(wrong)
        errors = Errors()
        _, request = talk(on_request=lambda *_: left.pop(0), on_error=errors)
        for _ in wrong:
            assert await request.request(b"x", timeout=10) == b""
        assert errors.types == [TypeError] * 3 + [ValueError, TypeError]
        assert all("on_request" in str(error) for _, error in errors.all)

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_on_error__may_answer_instead(on_loop, talk, kind):
    async def main():
        def sorry(handle, error):
            handle.push_write(b"sorry: " + str(error).encode())

        async def sorry_later(handle, error):
            await anyio.sleep(0.001)
            sorry(handle, error)

        def answer(_, question):
            raise Boom(question.decode())

        _, request = talk(
            on_request=answer, on_error=sorry if kind == "plain" else sorry_later
        )
        for question in (b"1", b"2", b"3"):
            assert await request.request(question, timeout=10) == b"sorry: " + question

    on_loop(main)


def test_on_error__that_raises_still_lets_the_reply_answer(on_loop, talk):
    async def main():
        def on_error(*_):
            raise KeyError

        def answer(*_):
            raise Boom

        _, request = talk(on_request=answer, on_error=on_error)
        with reported() as errors:
            for _ in range(2):
                assert await request.request(b"x", timeout=10) == b""
            assert [type(error) for error in errors] == [KeyError] * 2

    on_loop(main)


def test_on_request__without_on_error_the_loop_is_told(on_loop, talk):
    async def main():
        def answer(*_):
            raise Boom

        _, request = talk(on_request=answer)
        with reported() as errors:
            assert await request.request(b"x", timeout=10) == b""
        assert [type(error) for error in errors] == [Boom]

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_on_request__that_closes_its_handle(on_loop, talk, kind):
    async def main():
        errors = Errors()

        def answer(handle, _):
            handle.close()
            return b"never"

        async def answer_later(handle, _):
            await anyio.sleep(0)
            return answer(handle, _)

        reply, request = talk(
            on_request=answer if kind == "plain" else answer_later, on_error=errors
        )
        with pytest.raises(TimeoutError):
            await request.request(b"x", timeout=0.05)
        await until(lambda: errors.all)
        assert errors.types == [zraw.NotASocket]
        assert reply.closed

    on_loop(main)


def test_on_request__asker_that_is_gone_hinders_nobody(on_loop, ctx):
    async def main():
        errors = Errors()
        async with aio.Reply(ctx, bind="inproc://x", on_error=errors) as reply:
            go_on, asked = anyio.Event(), []

            async def answer(_, question):
                asked.append(question)
                if question == b"gone":
                    await go_on.wait()
                return b"answer"

            reply.on_request = answer
            gone = aio.Request(ctx, connect="inproc://x")
            async with beside() as start:
                start(gone.request, b"gone")
                await until(lambda: asked)
            gone.close(0)
            go_on.set()
            async with aio.Request(ctx, connect="inproc://x") as request:
                assert await request.request(b"x", timeout=10) == b"answer"
        assert not errors.all

    on_loop(main)
