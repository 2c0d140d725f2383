"""Contexts as libzmq's own tests know them: ends, options, limits, capabilities."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

import zraw
from conftest import endpoint, wait_until
from drafts import drafts
from programs import BLOCKING, check, lines

INT_MAX = 2**31 - 1
DRAFT = zraw.has("draft")

# name: (default, values that are taken, what get() then returns, refused values)
OPTIONS = {
    "IO_THREADS": (1, [0, 1, 64, 1000], None, [-1, -(2**31), 1001, INT_MAX]),
    "MAX_SOCKETS": (1023, [1, 65535], None, [0, -1]),
    "THREAD_SCHED_POLICY": (-1, [0, 1], None, [-1, -2, 99]),
    "MAX_MSGSZ": (INT_MAX, [0, 1, INT_MAX], None, [-1]),
    "THREAD_NAME_PREFIX": (0, [1234, 0, INT_MAX, -5], None, []),
    "ZERO_COPY_RECV": (1, [0, 1, 7], [0, 1, 1], [-1]),
    "IPV6": (0, [1, 0, 7], [1, 0, 1], [-1]),
    "BLOCKY": (1, [0, 1, 7], [0, 1, 1], [-1]),
}
READ_ONLY = {"SOCKET_LIMIT", "MSG_T_SIZE"}
WRITE_ONLY = {
    "THREAD_PRIORITY",
    "THREAD_AFFINITY_CPU_ADD",
    "THREAD_AFFINITY_CPU_REMOVE",
}


def number(name):
    return getattr(zraw, f"ZMQ_{name}")


def refused(call, *args):
    with pytest.raises(zraw.InvalidArgument) as caught:
        call(*args)
    assert caught.value.errno == errno.EINVAL == zraw.errno()


# ------------------------------------------------------------------ how they end


@pytest.mark.parametrize("call", BLOCKING.values(), ids=BLOCKING)
def test_ctx_shutdown__ends_a_call_that_waits(call):
    check(
        lines(f"""
    def wait():
        try:
            {call}
        except zraw.ContextTerminated as error:
            assert error.errno == zraw.ETERM
            ended.append(True)
    ended = []
    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: inside(push) or inside(pull))
    assert not ended
    context.shutdown()
    thread.join(10)
    assert ended
    for socket in (push, pull):
        socket.close()
    context.term()
    """)
    )


@pytest.mark.parametrize("before", [0, 1, 3])
def test_ctx_shutdown__no_socket_can_be_opened_afterwards(before):
    context = zraw.Context()
    for _ in range(before):
        context.socket(zraw.ZMQ_PULL).close()
    context.shutdown()
    for _ in range(3):
        with pytest.raises(zraw.ContextTerminated) as caught:
            context.socket(zraw.ZMQ_PULL)
        assert caught.value.errno == zraw.ETERM == zraw.errno()
    assert context.sockets == []
    context.term()
    assert context.closed


# ---------------------------------------------------------------------- options


def test_ctx_get__every_option_is_in_the_tables():
    """What the header declares between IO_THREADS and ZERO_COPY_RECV."""
    names = {*OPTIONS, *READ_ONLY, *WRITE_ONLY}
    assert len(names) == 13
    assert {number(name) for name in names} == {*range(1, 11), 42, 70}
    assert number("SOCKET_LIMIT") == number("THREAD_PRIORITY") == 3


@pytest.mark.parametrize("name", OPTIONS)
def test_ctx_get__default(ctx, name):
    assert ctx.get(number(name)) == OPTIONS[name][0]


def test_ctx_get__defaults_have_constants(ctx):
    for name in ("IO_THREADS", "MAX_SOCKETS", "THREAD_SCHED_POLICY"):
        assert ctx.get(number(name)) == number(f"{name}_DFLT")


def test_ctx_get__socket_limit_depends_on_how_libzmq_polls(ctx):
    assert ctx.get(zraw.ZMQ_SOCKET_LIMIT) in (1023, 65535)  # select, all others


@pytest.mark.parametrize("name", OPTIONS)
def test_ctx_set__values_and_limits(ctx, name):
    option = number(name)
    _, values, found, wrong = OPTIONS[name]
    for value, back in zip(values, found or values, strict=True):
        ctx.set(option, value)
        assert ctx.get(option) == back
    for value in wrong:
        refused(ctx.set, option, value)
    assert ctx.get(option) == back


def test_ctx_set__thread_priority_cannot_be_read(ctx):
    """Its number is that of SOCKET_LIMIT when read."""
    before = ctx.get(zraw.ZMQ_SOCKET_LIMIT)
    refused(ctx.set, zraw.ZMQ_THREAD_PRIORITY, zraw.ZMQ_THREAD_PRIORITY_DFLT)
    ctx.set(zraw.ZMQ_THREAD_PRIORITY, 1)
    assert ctx.get(zraw.ZMQ_THREAD_PRIORITY) == before


def test_ctx_set__affinity_removes_what_was_added(ctx):
    add, remove = zraw.ZMQ_THREAD_AFFINITY_CPU_ADD, zraw.ZMQ_THREAD_AFFINITY_CPU_REMOVE
    refused(ctx.set, remove, 1)
    for cpu in (0, 1, 1):
        ctx.set(add, cpu)
    ctx.set(remove, 1)
    refused(ctx.set, remove, 1)
    for option in (add, remove):
        refused(ctx.set, option, -1)
        refused(ctx.get, option)


def threads_of(context):
    """Names and ids of the threads that libzmq starts for a first socket."""
    folder = Path("/proc/self/task")
    before = {task.name for task in folder.iterdir()}
    context.socket(zraw.ZMQ_PAIR).close()
    found = {}

    def both_are_named():
        for task in folder.iterdir():
            if task.name not in before:
                name = (task / "comm").read_text().strip()
                if "ZMQbg" in name or "/" in name:
                    found[name] = int(task.name)
        return len(found) == 2

    wait_until(both_are_named)
    return found


@drafts
def test_ctx_set_ext__thread_name_prefix_takes_effect(ctx):
    ctx.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "named")
    assert set(threads_of(ctx)) == {"named/ZMQbg/Rea", "named/ZMQbg/IO/"}


@pytest.mark.parametrize("prefix", [None, 1234])
def test_ctx_set__thread_name_prefix_takes_effect(ctx, prefix):
    if prefix is not None:
        ctx.set(zraw.ZMQ_THREAD_NAME_PREFIX, prefix)
    start = "" if prefix is None else f"{prefix}/"
    wanted = {f"{start}ZMQbg/{name}"[:15] for name in ("Reaper", "IO/0")}
    assert set(threads_of(ctx)) == wanted


def test_ctx_set__affinity_takes_effect(ctx):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("only one processor")
    for cpu in cpus[:2]:
        ctx.set(zraw.ZMQ_THREAD_AFFINITY_CPU_ADD, cpu)
    ctx.set(zraw.ZMQ_THREAD_AFFINITY_CPU_REMOVE, cpus[0])
    ctx.set(zraw.ZMQ_THREAD_SCHED_POLICY, os.SCHED_OTHER)
    for name, thread in threads_of(ctx).items():
        assert os.sched_getaffinity(thread) == {cpus[1]}, name


def test_ctx_set__is_the_default_of_later_sockets_only(ctx, sock):
    first = ctx.socket(zraw.ZMQ_ROUTER)
    ctx.set(zraw.ZMQ_IPV6, 1)
    second = ctx.socket(zraw.ZMQ_ROUTER)
    ctx.set(zraw.ZMQ_BLOCKY, 0)
    third = ctx.socket(zraw.ZMQ_ROUTER)
    found = [
        (socket.getsockopt(zraw.ZMQ_IPV6), socket.getsockopt(zraw.ZMQ_LINGER))
        for socket in (first, second, third)
    ]
    for socket in (first, second, third):
        socket.close()
    assert found == [(0, -1), (1, -1), (1, 0)]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("zero_copy", [0, 1])
def test_ctx_set__zero_copy_recv_changes_no_message(ctx, pair, transport, zero_copy):
    ctx.set(zraw.ZMQ_ZERO_COPY_RECV, zero_copy)
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    for body in (b"abcd", b"0123456789" * 5, b"z" * 7000, b"y" * 100_000):
        push.send(body)
        assert pull.recv() == body


@drafts
def test_ctx_set_ext__takes_every_option(ctx):
    for name, (default, values, found, wrong) in OPTIONS.items():
        if name == "THREAD_NAME_PREFIX":
            continue
        assert ctx.get_ext(number(name)) == default
        for value, back in zip(values, found or values, strict=True):
            ctx.set_ext(number(name), value)
            assert ctx.get_ext(number(name)) == back == ctx.get(number(name))
        for value in wrong:
            refused(ctx.set_ext, number(name), value)
    for name in READ_ONLY:
        assert ctx.get_ext(number(name)) == ctx.get(number(name))
    refused(ctx.set_ext, zraw.ZMQ_MSG_T_SIZE, 64)
    refused(ctx.get_ext, zraw.ZMQ_THREAD_AFFINITY_CPU_ADD)


@pytest.mark.parametrize("prefix", ["x", "MyPrefix9012345", "p" * 16, b"bytes"])
@drafts
def test_ctx_set_ext__thread_name_prefix_is_read_back(ctx, prefix):
    option = zraw.ZMQ_THREAD_NAME_PREFIX
    ctx.set_ext(option, prefix)
    wanted = prefix if isinstance(prefix, str) else prefix.decode()
    assert ctx.get_ext(option) == wanted
    refused(ctx.set_ext, option, "")
    assert ctx.get_ext(option) == wanted
    ctx.set_ext(option, 1234)
    assert (ctx.get_ext(option), ctx.get(option)) == ("1234", 1234)


# ----------------------------------------------------------------- many sockets


def open_all(context):
    """Open sockets until libzmq has no more."""
    made = []
    while True:
        try:
            made.append(context.socket(zraw.ZMQ_PAIR))
        except zraw.TooManySockets as error:
            assert error.errno == errno.EMFILE
            return made


@pytest.mark.parametrize("most", [1, 20])
def test_socket__max_sockets_and_not_one_more(ctx, most):
    ctx.set(zraw.ZMQ_MAX_SOCKETS, most)
    made = open_all(ctx)
    assert len(made) == most
    for _ in range(10):
        with pytest.raises(zraw.TooManySockets) as caught:
            ctx.socket(zraw.ZMQ_PAIR)
        assert caught.value.errno == errno.EMFILE == zraw.errno()
    made.pop().close()
    wait_until(lambda: made.extend(open_all(ctx)) or len(made) == most)
    for socket in made:
        socket.close()


LIMITED = """
    import resource
    files, most = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    other = zraw.Context()
    if most:
        other.set(zraw.ZMQ_MAX_SOCKETS, most)
    made = []
    def more():
        try:
            made.append(other.socket(zraw.ZMQ_PAIR))
        except zraw.TooManySockets as error:
            return error.errno
    while more() is None:
        pass
    count = len(made)
    assert [more() for _ in range(10)] == [24] * 10  # EMFILE
    for socket in made:
        socket.close()
    other.term()
    print(count)
    end()
"""


def test_socket__default_limit_is_reached():
    if os.sysconf("SC_OPEN_MAX") < 1100:
        pytest.skip("the system does not allow as many files")
    done = check(lines(LIMITED), "1100", "0")
    assert done.out == "1023\n"


def test_socket__too_few_files_is_the_same_error():
    done = check(lines(LIMITED), "100", "10000")
    assert 50 < int(done.out) < 100


# ----------------------------------------------------------------- capabilities


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("ipc", "ipc://@"),
        ("tipc", "tipc://x"),
        ("vmci", "vmci://x"),
        ("vsock", "vsock://x"),
        ("WS", "ws://x"),
        ("WSS", "wss://x"),
        ("pgm", "pgm://127.0.0.1;239.192.1.1:9"),
        ("norm", "norm://127.0.0.1;239.192.1.1:9"),
    ],
)
def test_has__agrees_with_the_transports(sock, name, where):
    """A known one fails later or never: for its address or the socket type."""
    known = True
    try:
        sock(zraw.ZMQ_PUSH).connect(where)
    except zraw.ProtocolNotSupported as error:
        assert error.errno == errno.EPROTONOSUPPORT
        known = False
    except zraw.ZMQError as error:
        # EAGAIN is for TIPC, whose parser leaves errno as it was.
        assert error.errno in (errno.EINVAL, errno.EAGAIN, zraw.ENOCOMPATPROTO)
    assert known is zraw.has(name)


@pytest.mark.parametrize(
    ("name", "option"), [("curve", "CURVE_SERVER"), ("gssapi", "GSSAPI_SERVER")]
)
def test_has__agrees_with_the_mechanisms(sock, name, option):
    socket = sock(zraw.ZMQ_PUSH)
    if zraw.has(name):
        socket.setsockopt(number(option), 1)
        assert socket.getsockopt(zraw.ZMQ_MECHANISM) == number(name.upper())
    else:
        refused(socket.setsockopt, number(option), 1)


def test_has__agrees_with_the_draft_calls(ctx):
    if DRAFT:
        assert ctx.get_ext(zraw.ZMQ_IO_THREADS) == 1
        zraw.Socket(ctx, zraw.ZMQ_CLIENT).close()
    else:
        with pytest.raises(zraw.NotSupported):
            ctx.get_ext(zraw.ZMQ_IO_THREADS)
        with pytest.raises(zraw.NotSupported):
            zraw.Socket(ctx, zraw.ZMQ_CLIENT)


# ------------------------------------------------------------- stress, fork


@pytest.mark.parametrize("transport", ["tcp", "ipc", "inproc"])
def test_ctx_term__while_many_connections_are_being_made(tmp_path, transport):
    """Every socket is closed in the middle of its handshake."""
    check(
        lines("""
    for _ in range(4):
        other = zraw.Context(7)
        pub = other.socket(zraw.ZMQ_PUB)
        where = pub.bind(sys.argv[1])
        ready = threading.Barrier(40)
        def work():
            ready.wait(10)
            with other.socket(zraw.ZMQ_SUB) as sub:
                sub.connect(where)
        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        pub.close()
        other.term()
        assert other.closed
    end()
    """),
        endpoint(transport, tmp_path),
    )


def test_ctx_close__of_an_inherited_context_and_then_one_of_its_own():
    """C has zmq_ctx_term() here, which zraw keeps for the process that began."""
    check(
        lines("""
    where = pull.bind("tcp://127.0.0.1:*")
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
    pid = os.fork()
    if pid == 0:
        push.close()
        pull.close()
        context.close()
        mine = zraw.Context()
        hello = mine.socket(zraw.ZMQ_PUSH)
        hello.connect(where)
        for _ in range(5):
            hello.send(b"Hello")
        hello.close()
        mine.term()
        os._exit(0)
    assert [pull.recv() for _ in range(5)] == [b"Hello"] * 5
    assert os.waitpid(pid, 0)[1] == 0
    pull.unbind(where)
    end()
    """)
    )


def test_socket__thousand_are_made_and_closed_by_threads(ctx):
    # Every name once: libzmq frees a closed socket's names in the background,
    # and a thread that starts late may get the identity of one that ended.
    def work(name):
        for number in range(250):
            with ctx.socket(zraw.ZMQ_DEALER) as socket:
                socket.bind(f"inproc://{name}.{number}")
            done.append(True)

    done = []
    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(done) == 1000
