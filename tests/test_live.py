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
    me = threading.get_ident()
    assert found(ctx).sockets == (
        ("ZMQ_PULL", False, pull.fileno(), (endpoint,), (), me, None),
        ("ZMQ_PUSH", False, push.fileno(), (), (endpoint,), me, None),
        ("ZMQ_SUB", False, idle.fileno(), (), (), me, None),
    )
    assert found(ctx).sockets[0]._fields == (
        *("type", "in_use", "fd", "bound", "connected", "thread", "made"),
    )
    push.close()
    assert [each.type for each in found(ctx).sockets] == ["ZMQ_PULL", "ZMQ_SUB"]


def test_live__endpoints_come_and_go(ctx, sock, tmp_path):
    pull = sock(zraw.ZMQ_PULL)

    def ends():
        (seen,) = found(ctx).sockets
        return seen.bound, seen.connected

    names = ("inproc://a", f"ipc://{tmp_path}/s", "tcp://127.0.0.1:*", "tcp://lo:*")
    bound = [pull.bind(name) for name in names]
    for _ in range(2):
        pull.connect(b"tcp://127.0.0.1:9")
    with pytest.raises(zraw.ZMQError):
        pull.bind(bound[2])
    with pytest.raises(zraw.ZMQError):
        pull.connect("tcp://")
    assert ends() == (tuple(bound), ("tcp://127.0.0.1:9",) * 2)
    pull.unbind(bound[2])
    pull.unbind(bound[1])
    pull.disconnect("tcp://127.0.0.1:9")
    assert ends() == ((bound[0], bound[3]), ("tcp://127.0.0.1:9",))
    with pytest.raises(zraw.NotFound):
        pull.unbind(bound[2])
    assert ends() == ((bound[0], bound[3]), ("tcp://127.0.0.1:9",))


def test_live__peers_of_a_draft_type(ctx, sock):
    if not zraw.has("draft"):
        with pytest.raises(zraw.NotSupported):
            sock(19)
        assert found(ctx).sockets == ()
        return
    one, other = sock(zraw.ZMQ_PEER), sock(zraw.ZMQ_PEER)
    endpoint = one.bind("inproc://peer")
    peer = other.connect_peer(endpoint)
    assert [each.connected for each in found(ctx).sockets if each.connected] == [
        (endpoint,)
    ]
    if hasattr(zraw, "ZMQ_OUT_BATCH_SIZE") and zraw.version() >= (4, 3, 6):
        other.disconnect_peer(peer)
        assert not [each for each in found(ctx).sockets if each.connected]


def test_live__thread_that_used_a_socket_last(ctx, sock):
    pull = sock(zraw.ZMQ_PULL)
    names = []

    def use():
        pull.getsockopt(zraw.ZMQ_EVENTS)
        names.append(str(zraw.live()))

    thread = threading.Thread(target=use, name="the other one")
    assert found(ctx).sockets[0].thread == threading.get_ident()
    thread.start()
    ident = thread.ident
    thread.join(10)
    assert found(ctx).sockets[0].thread == ident
    assert "the other one" in names[0]
    assert "a thread that is gone" in str(zraw.live())
    assert pull.try_recv() is None
    assert found(ctx).sockets[0].thread == threading.get_ident()


def test_live__where_things_were_made():
    check("""
import tracemalloc
zraw_before = zraw.live()
assert all(each.made is None for each in zraw_before.contexts)
tracemalloc.start()
late = zraw.Context()
one = late.socket(zraw.ZMQ_PULL)
line = sys._getframe().f_lineno
(seen,) = [each for each in zraw.live().contexts if each.handle == late.handle]
assert seen.made[-1].lineno == line - 2
assert seen.sockets[0].made[-1].lineno == line - 1
assert f"made at {seen.made[-1].filename}:{line - 1}" in str(zraw.live())
one.close()
late.close()
context.close()
""")


def test_live__print_shows_a_table(ctx, sock):
    pull, push = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH)
    pull.bind("inproc://table")
    push.connect("inproc://table")
    lines = str(zraw.live()).splitlines()
    at = lines.index(f"context {ctx.handle:#x}")
    assert lines[at + 1].split() == [
        *("ZMQ_PULL", "idle", "fd", str(pull.fileno()), "MainThread"),
        *("bound", "to", "inproc://table"),
    ]
    assert lines[at + 2].split()[-3:] == ["connected", "to", "inproc://table"]
    assert lines[-1].endswith(" pinned")


def test_live__socket_that_another_thread_is_in(ctx, sock):
    busy, idle = sock(zraw.ZMQ_PULL, RCVTIMEO=-1), sock(zraw.ZMQ_PULL)
    endpoint = busy.bind("inproc://busy")
    got = []
    thread = threading.Thread(target=lambda: got.append(busy.recv()))
    thread.start()
    wait_until(lambda: any(each.in_use for each in found(ctx).sockets))
    me = threading.get_ident()
    seen = sorted(found(ctx).sockets, key=lambda each: each.in_use)
    assert seen[0] == ("ZMQ_PULL", False, idle.fileno(), (), (), me, None)
    assert seen[1][:5] == ("ZMQ_PULL", True, seen[1].fd, (endpoint,), ())
    assert seen[1].thread == thread.ident != me
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
    assert found(ctx).sockets[0][:4] == ("ZMQ_SERVER", False, None, (endpoint,))


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
    row = ("ZMQ_PULL", False, pull.fileno(), (), (), threading.get_ident(), None)
    assert described == [(row,)] * 2
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
    assert socket[:5] == ("ZMQ_PULL", False, socket.fd, (), ())


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


def test_repr__says_the_state(sock):
    pull, push = sock(zraw.ZMQ_PULL, RCVTIMEO=-1), sock(zraw.ZMQ_PUSH)
    where = pull.bind("inproc://repr")
    push.connect(where)
    assert repr(pull) == f"<zraw.Socket ZMQ_PULL idle, bound to {where}>"
    assert repr(push) == f"<zraw.Socket ZMQ_PUSH idle, connected to {where}>"
    thread = threading.Thread(target=pull.recv)
    thread.start()
    wait_until(lambda: repr(pull) == f"<zraw.Socket ZMQ_PULL in use, bound to {where}>")
    push.send(b"x")
    thread.join(10)
    push.close()
    assert repr(push) == "<zraw.Socket ZMQ_PUSH closed>"
    assert repr(zraw.Socket.__new__(zraw.Socket)).endswith("__init__ not called>")
