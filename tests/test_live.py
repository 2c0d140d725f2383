"""live(): what is open, seen without touching it."""

from __future__ import annotations

import select
import threading

import pytest

import zraw
from conftest import wait_until
from programs import check


def found(context):
    """What live() says of one context."""
    (mine,) = [each for each in zraw.live().contexts if each.handle == context.handle]
    return mine


def test_live__lists_contexts(ctx):
    before = {each.handle for each in zraw.live().contexts}
    assert ctx.handle in before
    with zraw.Context() as other:
        handle = other.handle
        assert {each.handle for each in zraw.live().contexts} == before | {handle}
        assert found(other).sockets == ()
    assert {each.handle for each in zraw.live().contexts} == before


def test_live__lists_sockets(ctx, sock):
    push, pull, idle = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_SUB)
    endpoint = pull.bind("tcp://127.0.0.1:*")
    push.connect(endpoint)
    assert found(ctx).sockets == (
        ("ZMQ_PULL", False, pull.fileno(), endpoint),
        ("ZMQ_PUSH", False, push.fileno(), endpoint),
        ("ZMQ_SUB", False, idle.fileno(), ""),
    )
    assert found(ctx).sockets[0].type == "ZMQ_PULL"
    assert found(ctx).sockets[0].in_use is False
    assert found(ctx).sockets[0].fd == pull.fileno()
    assert found(ctx).sockets[0].endpoint == endpoint
    push.close()
    assert [each.type for each in found(ctx).sockets] == ["ZMQ_PULL", "ZMQ_SUB"]


def test_live__endpoint_is_the_last_one(ctx, sock, tmp_path):
    pull = sock(zraw.ZMQ_PULL)
    for endpoint in ("inproc://a", f"ipc://{tmp_path}/s", "tcp://127.0.0.1:*"):
        bound = pull.bind(endpoint)
        assert found(ctx).sockets[0].endpoint == bound


def test_live__print_shows_a_table(ctx, sock):
    pull = sock(zraw.ZMQ_PULL)
    pull.bind("inproc://table")
    lines = str(zraw.live()).splitlines()
    at = lines.index(f"context {ctx.handle:#x}")
    assert lines[at + 1].split() == [
        *("ZMQ_PULL", "idle", "fd", str(pull.fileno()), "inproc://table")
    ]
    assert lines[-1].endswith(" pinned")


def test_live__socket_that_another_thread_is_in(ctx, sock):
    busy, idle = sock(zraw.ZMQ_PULL, RCVTIMEO=-1), sock(zraw.ZMQ_PULL)
    endpoint = busy.bind("inproc://busy")
    got = []
    thread = threading.Thread(target=lambda: got.append(busy.recv()))
    thread.start()
    wait_until(lambda: any(each.in_use for each in found(ctx).sockets))
    assert sorted(found(ctx).sockets, key=lambda each: each.in_use) == [
        ("ZMQ_PULL", False, idle.fileno(), ""),
        ("ZMQ_PULL", True, None, None),
    ]
    assert "in use" in str(zraw.live())
    with sock(zraw.ZMQ_PUSH) as push:
        push.connect(endpoint)
        push.send(b"x")
        thread.join(10)
    assert got == [b"x"]
    wait_until(lambda: not any(each.in_use for each in found(ctx).sockets))


def test_live__thread_safe_types_have_no_descriptor(ctx, sock):
    if not zraw.has("draft"):
        with pytest.raises(zraw.NotSupported):
            sock(zraw.ZMQ_SERVER)
        assert found(ctx).sockets == ()
        return
    server = sock(zraw.ZMQ_SERVER)
    endpoint = server.bind("inproc://server")
    assert found(ctx).sockets == (("ZMQ_SERVER", False, None, endpoint),)


def test_live__thread_safe_socket_that_a_thread_is_in():
    if not zraw.has("draft"):
        with zraw.Context() as context, pytest.raises(zraw.NotSupported):
            context.socket(zraw.ZMQ_CLIENT)
        return
    check("""
sys.setswitchinterval(100)  # the thread gives up the GIL inside the call only
client, going = context.socket(zraw.ZMQ_CLIENT), threading.Event()
def wait():
    going.set()
    refused(zraw.ContextTerminated, [client.recv])
thread = threading.Thread(target=wait)
thread.start()
assert going.wait(10)
(mine,) = zraw.live().contexts
(seen,) = [each for each in mine.sockets if each.type == "ZMQ_CLIENT"]
try:
    assert seen.in_use
finally:
    context.shutdown()
    thread.join(10)
context.close()
""")


def test_live__counts_pins(sock, tmp_path):
    before = zraw.live().pins
    push = sock(zraw.ZMQ_PUSH)
    push.connect(f"ipc://{tmp_path}/nobody")
    for _ in range(5):
        push.send(bytes(100_000))
    push.send(zraw.Message.init_data(bytearray(10)))
    push.send(b"small")
    assert zraw.live().pins == before + 6
    assert str(zraw.live()).endswith(f"{before + 6} pinned")
    push.close(linger=0)
    wait_until(lambda: zraw.live().pins == before)


def test_live__borrowed_ones(ctx, sock):
    pull = sock(zraw.ZMQ_PULL)
    other = zraw.Context.from_handle(ctx.handle)
    borrowed = zraw.Socket.from_handle(other, pull.handle)
    handles = [each.handle for each in zraw.live().contexts]
    assert handles.count(ctx.handle) == 2
    described = [
        each.sockets for each in zraw.live().contexts if each.handle == ctx.handle
    ]
    assert described == [(("ZMQ_PULL", False, pull.fileno(), ""),)] * 2
    borrowed.close()
    other.close()
    assert [each.handle for each in zraw.live().contexts].count(ctx.handle) == 1
    assert len(found(ctx).sockets) == 1


def test_live__context_that_is_terminating():
    context = zraw.Context()
    pull = context.socket(zraw.ZMQ_PULL)
    pull.bind("inproc://x")
    known = {each.handle for each in zraw.live().contexts}
    thread = threading.Thread(target=context.term)
    thread.start()
    wait_until(lambda: context.closed)
    seen = zraw.live()
    assert {each.handle for each in seen.contexts} - known == {None}
    (mine,) = [each for each in seen.contexts if each.handle is None]
    (socket,) = mine.sockets
    assert (socket.type, socket.in_use) == ("ZMQ_PULL", False)
    assert "context terminating" in str(seen)
    pull.close()
    thread.join(10)
    assert not thread.is_alive()
    assert None not in {each.handle for each in zraw.live().contexts}


def test_live__context_that_was_shut_down(ctx, sock):
    pull = sock(zraw.ZMQ_PULL)
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        pull.recv()
    (socket,) = found(ctx).sockets
    assert socket == ("ZMQ_PULL", False, None, None)


def test_live__consumes_no_event(ctx, sock):
    """The descriptor is readable once per event, and looking at events ends that."""
    push, pull = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    push.connect(pull.bind("inproc://edge"))
    wait_until(lambda: not pull.getsockopt(zraw.ZMQ_EVENTS))
    assert select.select([pull.fileno()], [], [], 0)[0] == []
    push.send(b"x")
    for _ in range(3):
        assert select.select([pull.fileno()], [], [], 5)[0]
        zraw.live()
        str(zraw.live())
    assert select.select([pull.fileno()], [], [], 0)[0]
    assert pull.getsockopt(zraw.ZMQ_EVENTS) == zraw.ZMQ_POLLIN
    assert pull.recv() == b"x"


def test_live__leaves_errno_alone(ctx, sock):
    """Also where it finds a socket that it cannot ask."""
    pull = sock(zraw.ZMQ_PULL)
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        pull.recv()
    with pytest.raises(zraw.InvalidArgument):
        zraw.z85_encode(b"x")
    before = zraw.errno()
    zraw.live()
    assert zraw.errno() == before


def test_live__shows_no_secrets(ctx, sock):
    secrets = ["correct horse", "battery staple"]
    plain = sock(zraw.ZMQ_PUSH)
    plain.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "somebody")
    plain.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, secrets[0])
    plain.connect("tcp://127.0.0.1:1")
    proxied = sock(zraw.ZMQ_PUSH)
    proxied.setsockopt(zraw.ZMQ_SOCKS_PASSWORD, secrets[1])
    if zraw.has("curve"):
        public, secret = zraw.curve_keypair()
        secrets += [secret, zraw.z85_decode(secret).hex()]
        secrets.append(repr(zraw.z85_decode(secret)))
        curve = sock(zraw.ZMQ_PULL)
        curve.setsockopt(zraw.ZMQ_CURVE_SERVER, 1)
        curve.setsockopt(zraw.ZMQ_CURVE_PUBLICKEY, public)
        curve.setsockopt(zraw.ZMQ_CURVE_SECRETKEY, secret)
        curve.bind("tcp://127.0.0.1:*")
    assert len(found(ctx).sockets) == 3 if zraw.has("curve") else 2
    shown = f"{zraw.live()} {zraw.live()!r} {zraw.live()._asdict()} {ctx.sockets!r}"
    for secret in secrets:
        assert secret not in shown


def test_live__in_a_forked_child():
    """What the parent has open is not the child's, and of no interest there."""
    check("""
push.connect("ipc:///nonexistent/s")
push.send(bytes(100000))
assert zraw.live().pins == 1
pid = os.fork()
if pid == 0:
    assert zraw.live().contexts == ()
    with zraw.Context() as mine:
        pull = mine.socket(zraw.ZMQ_PULL)
        (only,) = zraw.live().contexts
        assert only.handle == mine.handle
        assert [each.type for each in only.sockets] == ["ZMQ_PULL"]
        assert only.sockets[0].fd == pull.fileno()
    assert zraw.live().contexts == ()
    assert str(zraw.live()).endswith("pinned")
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
(only,) = zraw.live().contexts
assert [each.type for each in only.sockets] == ["ZMQ_PULL", "ZMQ_PUSH"]
push.disconnect("ipc:///nonexistent/s")
end()
""")


def test_live__while_sockets_come_and_go():
    check("""
sys.setswitchinterval(1e-5)
stop = threading.Event()
def churn():
    while not stop.is_set():
        with zraw.Context() as mine:
            sockets = [mine.socket(zraw.ZMQ_PULL) for _ in range(3)]
            sockets[0].bind("inproc://churn")
            for socket in sockets:
                socket.close()
threads = [threading.Thread(target=churn) for _ in range(2)]
for thread in threads:
    thread.start()
over = time.monotonic() + 1
try:
    while time.monotonic() < over:
        str(zraw.live())
finally:
    stop.set()
for thread in threads:
    thread.join(10)
assert len(zraw.live().contexts) == 1
end()
""")
