"""zraw.aio and forks: the child has a loop of its own, and its parent's goes on."""

from __future__ import annotations

import pytest

from programs import check

START = """
import asyncio
from loops import FACTORIES
from zraw import aio

def run(main, kind):
    "asyncio.run() with a loop of that kind, and a limit."
    loop = FACTORIES[kind]()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, 15))
    finally:
        loop.close()

async def roundtrip():
    with zraw.Context() as mine:
        async with aio.Reply(mine, on_request=lambda handle, body: body[::-1]) as reply:
            where = reply.bind("tcp://127.0.0.1:*")
            async with aio.Request(mine, connect=where) as request:
                assert await request.request(b"abc") == b"cba"

async def refused_here(handle, push, error=zraw.ForkError):
    for call in (handle.recv, lambda: push.send(b"x"), handle.recv_multipart):
        try:
            await call()
        except error:
            pass
        else:
            raise AssertionError

def ends(pid):
    end = time.monotonic() + 10
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            assert status == 0, status
            return
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.0005)
"""
KINDS = ["epoll", "select", "thread", "uvloop"]


@pytest.mark.parametrize(
    ("kind", "ending"),
    # What a forked child leaves of uvloop's own state is not ours.
    [*((kind, "os._exit(0)") for kind in KINDS)]
    + [(kind, "sys.exit(0)") for kind in KINDS if kind != "uvloop"],
)
def test_handle__fork_after_its_loop(kind, ending):
    """Loop and handle are left as they were; the child makes its own."""
    check(
        START
        + f"""
where = pull.bind("inproc://x")
push.connect(where)
handle, sender = aio.Handle(pull), aio.Handle(push)
async def main():
    await sender.send(b"before")
    assert await handle.recv() == b"before"
run(main(), {kind!r})
pid = os.fork()
if pid == 0:
    run(roundtrip(), {kind!r})
    run(refused_here(handle, sender), {kind!r})
    handle.close()
    del handle, sender
    gc.collect()
    {ending}
ends(pid)
run(main(), {kind!r})
assert not pull.closed
context.close()
"""
    )


@pytest.mark.parametrize("kind", ["epoll", "select", "thread"])
def test_handle__fork_inside_a_running_loop(kind):
    """A task waits, another forks: the parent's waits on, the child runs its own."""
    check(
        START
        + f"""
where = pull.bind("inproc://x")
push.connect(where)
handle, sender = aio.Handle(pull), aio.Handle(push)

async def fork():
    pid = os.fork()
    if pid == 0:
        try:
            run(roundtrip(), {kind!r})
            # RuntimeError where it waits: of a loop that is not over.
            both = RuntimeError, zraw.ForkError
            run(refused_here(handle, sender, both), {kind!r})
            assert not waiting.done()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return pid

async def main():
    global waiting
    waiting = asyncio.ensure_future(handle.recv())
    for number in range(3):
        await asyncio.sleep(0.01)
        ends(await fork())
        await sender.send(b"%d" % number)
        assert await waiting == b"%d" % number
        waiting = asyncio.ensure_future(handle.recv())
    waiting.cancel()

run(main(), {kind!r})
context.close()
"""
    )


def test_io__fork_with_a_watcher_and_pushes():
    """Neither is called nor sent in the child."""
    check(
        START
        + """
push.connect(pull.bind("inproc://x"))
parent, calls = os.getpid(), []

async def main():
    watcher = aio.io(pull, zraw.ZMQ_POLLIN, lambda *_: calls.append(pull.recv()))
    sender = aio.Handle(push)
    sender.push_write(b"once")
    pid = os.fork()
    if pid == 0:
        try:
            run(roundtrip(), "epoll")
            assert calls == []
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    ends(pid)
    await sender.send(b"twice")
    while len(calls) < 2:
        await asyncio.sleep(0.001)
    watcher.cancel()

run(main(), "epoll")
assert calls == [b"once", b"twice"], calls
context.close()
"""
    )


def test_request__of_forked_children_are_answered_by_the_parents_loop(tmp_path):
    """They block, or have loops of their own; the parent only serves."""
    check(
        START
        + f"""
push.close(); pull.close()
children = []

def ask(where, number):
    async def main():
        with zraw.Context() as mine:
            async with aio.Request(mine, connect=where) as request:
                for _ in range(5):
                    assert await request.request(b"%d" % number) == b"%d!" % number
    run(main(), "epoll")

async def main():
    async with aio.Reply(context, on_request=lambda handle, body: body + b"!") as reply:
        where = reply.bind("ipc://{tmp_path}/s")
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                try:
                    ask(where, number)
                except BaseException as error:
                    os.write(2, repr(error).encode())
                    os._exit(1)
                os._exit(0)
            children.append(pid)
        for pid in children:
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                await asyncio.sleep(0.002)

run(main(), "epoll")
context.close()
"""
    )
