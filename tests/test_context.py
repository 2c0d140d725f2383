"""Context: what zmq_ctx_new(), zmq_ctx_term() and their kin promise."""

from __future__ import annotations

import copy
import errno
import gc
import pickle
import threading
import time
import weakref

import pytest

import zraw
from conftest import is_inside, wait_until
from programs import check


@pytest.fixture
def background():
    """Run calls in threads; the test fails if one is not over in the end."""
    threads = []

    def start(call):
        thread = threading.Thread(target=call)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_ctx_new__io_threads():
    with zraw.Context() as one, zraw.Context(io_threads=3) as three:
        assert one.get(zraw.ZMQ_IO_THREADS) == 1
        assert three.get(zraw.ZMQ_IO_THREADS) == 3


def test_ctx_new__without_io_threads_only_inproc_works():
    with zraw.Context(0) as context:
        a, b = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
        b.connect(a.bind("inproc://x"))
        a.send(b"fine")
        assert b.recv() == b"fine"
        for call in (a.bind, a.connect):
            with pytest.raises(zraw.NoIOThread) as caught:
                call("tcp://127.0.0.1:9")
            assert caught.value.errno == zraw.EMTHREAD


@pytest.mark.parametrize(
    ("io_threads", "error"),
    [
        (-1, ValueError),
        (2**31, OverflowError),
        ("1", TypeError),
        (1.0, TypeError),
        (None, TypeError),
    ],
)
def test_ctx_new__bad_arguments(io_threads, error):
    with pytest.raises(error, match="io_threads"):
        zraw.Context(io_threads)


def test_ctx_new__init_twice_is_refused(ctx):
    handle = ctx.handle
    with pytest.raises(RuntimeError, match="called before"):
        ctx.__init__()
    assert ctx.handle == handle
    ctx.close()
    with pytest.raises(RuntimeError, match="called before"):
        ctx.__init__()
    assert ctx.closed


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("IO_THREADS", 2),
        ("MAX_SOCKETS", 7),
        ("IPV6", 1),
        ("BLOCKY", 0),
        ("MAX_MSGSZ", 12345),
        ("THREAD_SCHED_POLICY", 0),
    ],
)
def test_ctx_set__is_what_get_returns(ctx, option, value):
    number = getattr(zraw, f"ZMQ_{option}")
    assert ctx.get(number) != value
    ctx.set(number, value)
    assert ctx.get(number) == value


def test_ctx_set__takes_effect(ctx):
    ctx.set(zraw.ZMQ_MAX_SOCKETS, 1)
    ctx.set(zraw.ZMQ_BLOCKY, False)
    ctx.set(zraw.ZMQ_IPV6, True)
    with ctx.socket(zraw.ZMQ_PUSH) as socket:
        assert socket.getsockopt(zraw.ZMQ_LINGER) == 0
        assert socket.getsockopt(zraw.ZMQ_IPV6) == 1
        with pytest.raises(zraw.TooManySockets) as caught:
            ctx.socket(zraw.ZMQ_PUSH)
        assert caught.value.errno == errno.EMFILE
        assert ctx.sockets == [socket]


def test_ctx_get__read_only_options(ctx):
    assert ctx.get(zraw.ZMQ_SOCKET_LIMIT) >= 1023
    assert ctx.get(zraw.ZMQ_MSG_T_SIZE) == 64
    with pytest.raises(zraw.InvalidArgument):
        ctx.set(zraw.ZMQ_MSG_T_SIZE, 64)


def test_ctx_get__minus_one_is_a_value_too(ctx):
    assert ctx.get(zraw.ZMQ_THREAD_SCHED_POLICY) == -1


def test_ctx_get__and_set_refuse_what_libzmq_refuses(ctx):
    for call in (
        lambda: ctx.get(9999),
        lambda: ctx.get(-1),
        lambda: ctx.set(9999, 1),
        lambda: ctx.set(zraw.ZMQ_IO_THREADS, -1),
        lambda: ctx.set(zraw.ZMQ_MAX_SOCKETS, 0),
    ):
        with pytest.raises(zraw.InvalidArgument) as caught:
            call()
        assert caught.value.errno == errno.EINVAL == zraw.errno()
    assert ctx.get(zraw.ZMQ_IO_THREADS) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("1", TypeError),
        (b"1", TypeError),
        (1.5, TypeError),
        (None, TypeError),
        (2**31, OverflowError),
        (-(2**31) - 1, OverflowError),
    ],
)
def test_ctx_set__refuses_what_is_no_c_int(ctx, wrong, error):
    for call in (
        lambda: ctx.get(wrong),
        lambda: ctx.get_ext(wrong),
        lambda: ctx.set(wrong, 1),
        lambda: ctx.set(zraw.ZMQ_IO_THREADS, wrong),
        lambda: ctx.set_ext(wrong, 1),
    ):
        with pytest.raises(error, match=r"option|value"):
            call()
    assert ctx.get(zraw.ZMQ_IO_THREADS) == 1


def test_ctx_set_ext__strings(ctx):
    prefix, other = zraw.ZMQ_THREAD_NAME_PREFIX, zraw.ZMQ_IO_THREADS
    with pytest.raises(ValueError, match="4 bytes"):
        ctx.set_ext(prefix, "four")
    with pytest.raises(ValueError, match="value"):
        ctx.set_ext(prefix, "a\0b")
    try:
        ctx.set_ext(prefix, "zraw-test")
    except zraw.NotSupported as error:
        assert error.errno == errno.ENOTSUP == zraw.errno()
        for call in (
            lambda: ctx.get_ext(prefix),
            lambda: ctx.get_ext(other),
            lambda: ctx.set_ext(other, 2),
        ):
            with pytest.raises(zraw.NotSupported):
                call()
        return
    assert ctx.get_ext(prefix) == "zraw-test"
    ctx.set_ext(other, 2)
    assert ctx.get_ext(other) == 2 == ctx.get(other)
    with pytest.raises(zraw.InvalidArgument):
        ctx.set_ext(prefix, "x" * 17)
    with pytest.raises(zraw.InvalidArgument):
        ctx.get_ext(9999)


def test_ctx_shutdown__ends_every_use_but_closing(ctx):
    socket = ctx.socket(zraw.ZMQ_PAIR)
    ctx.shutdown()
    ctx.shutdown()
    for call in (
        socket.recv,
        socket.poll,
        lambda: socket.send(b"x"),
        lambda: socket.getsockopt(zraw.ZMQ_LINGER),
        lambda: socket.bind("inproc://x"),
        lambda: ctx.socket(zraw.ZMQ_PAIR),
    ):
        with pytest.raises(zraw.ContextTerminated) as caught:
            call()
        assert caught.value.errno == zraw.ETERM
    assert ctx.sockets == [socket] and not ctx.closed
    socket.close()
    ctx.term()
    ctx.shutdown()
    assert ctx.closed


def test_ctx_term__waits_until_every_socket_is_closed(ctx, background):
    first, second = ctx.socket(zraw.ZMQ_PUSH), ctx.socket(zraw.ZMQ_PULL)
    thread = background(ctx.term)
    wait_until(lambda: ctx.closed)
    for call in terminated_calls(ctx):
        with pytest.raises(zraw.ContextTerminated) as caught:
            call()
        assert caught.value.errno == zraw.ETERM
    ctx.shutdown()
    with pytest.raises(zraw.ContextTerminated):
        second.recv()
    first.close()
    thread.join(0.1)
    assert thread.is_alive()
    second.close()
    thread.join(5)
    assert not thread.is_alive()


def terminated_calls(context):
    """Every call that needs an open context."""
    return [
        lambda: context.socket(zraw.ZMQ_PUSH),
        lambda: zraw.Socket(context, zraw.ZMQ_PUSH),
        lambda: zraw.Socket.from_handle(context, 1),
        lambda: context.get(zraw.ZMQ_IO_THREADS),
        lambda: context.set(zraw.ZMQ_IO_THREADS, 1),
        lambda: context.get_ext(zraw.ZMQ_IO_THREADS),
        lambda: context.set_ext(zraw.ZMQ_IO_THREADS, 1),
        lambda: context.handle,
    ]


def test_ctx_term__waits_for_messages_that_linger(ctx, background, tmp_path, sock):
    with zraw.Context() as other:
        with other.socket(zraw.ZMQ_PUSH) as push:
            push.connect(f"ipc://{tmp_path}/s")
            push.send(b"late")
        thread = background(other.term)
        wait_until(lambda: other.closed)
        thread.join(0.1)
        assert thread.is_alive()
        pull = sock(zraw.ZMQ_PULL)
        pull.bind(f"ipc://{tmp_path}/s")
        assert pull.recv() == b"late"
        thread.join(5)
        assert not thread.is_alive()


def test_ctx_shutdown__close_drops_what_a_waiting_thread_has_sent(sock):
    """Once its thread has come out, libzmq takes no ZMQ_LINGER any more."""
    context = zraw.Context()
    dealer = sock(zraw.ZMQ_DEALER, context, LINGER=-1, RCVTIMEO=-1)
    dealer.connect("tcp://127.0.0.1:9")
    dealer.send(b"for nobody")
    ended = []

    def wait():
        with pytest.raises(zraw.ContextTerminated):
            dealer.recv()
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: is_inside(dealer))
    context.close(linger=0)
    thread.join(10)
    assert ended


@pytest.mark.parametrize("second", ["term", "close"])
def test_ctx_term__second_call_waits_for_the_first(background, second):
    context = zraw.Context()
    context.set(zraw.ZMQ_BLOCKY, 0)
    with zraw.Context.from_handle(context.handle) as borrowed:
        # Not a socket of `context`: its close() may not end the wait.
        socket = borrowed.socket(zraw.ZMQ_PUSH)
        first = background(context.term)
        wait_until(lambda: context.closed)
        others = [background(getattr(context, second)) for _ in range(3)]
        others[0].join(0.1)
        assert all(thread.is_alive() for thread in [first, *others])
        socket.close()
        for thread in [first, *others]:
            thread.join(5)
            assert not thread.is_alive()
    context.term()


def test_ctx_term__after_term_does_nothing_and_calls_raise(ctx):
    ctx.term()
    ctx.term()
    ctx.close()
    ctx.shutdown()
    assert ctx.closed and ctx.sockets == []
    assert repr(ctx) == "<zraw.Context closed>"
    for call in terminated_calls(ctx):
        with pytest.raises(zraw.ContextTerminated) as caught:
            call()
        assert caught.value.errno == zraw.ETERM == zraw.errno()


def test_ctx_close__closes_its_sockets(ctx):
    sockets = [ctx.socket(zraw.ZMQ_PUSH) for _ in range(5)]
    sockets[3].close()
    ctx.close()
    ctx.close()
    assert ctx.closed and ctx.sockets == []
    assert all(socket.closed for socket in sockets)
    for socket in sockets:
        socket.close()
        with pytest.raises(zraw.NotASocket):
            socket.recv()


def test_ctx_close__with_closes_even_after_an_exception():
    with pytest.raises(KeyError), zraw.Context() as context:
        socket = context.socket(zraw.ZMQ_PUSH)
        raise KeyError
    assert context.closed and socket.closed


@pytest.mark.parametrize(
    ("linger", "own", "least", "most"),
    [(0, -1, 0, 2), (400, -1, 0.39, 3), (400, 60000, 0.39, 3), (None, 400, 0.39, 3)],
)
def test_ctx_close__linger(tmp_path, linger, own, least, most):
    context = zraw.Context()
    socket = context.socket(zraw.ZMQ_PUSH)
    socket.setsockopt(zraw.ZMQ_LINGER, own)
    socket.connect(f"ipc://{tmp_path}/s")
    socket.send(b"nobody takes it")
    start = time.monotonic()
    context.close(linger)
    assert least <= time.monotonic() - start < most


@pytest.mark.parametrize(
    ("linger", "error"),
    [(-2, ValueError), ("0", TypeError), (0.5, TypeError), (2**31, OverflowError)],
)
def test_ctx_close__bad_linger_closes_nothing(ctx, linger, error):
    with ctx.socket(zraw.ZMQ_PUSH) as socket:
        with pytest.raises(error, match="linger"):
            ctx.close(linger)
        assert not ctx.closed and not socket.closed


def test_from_handle__shares_the_context_and_leaves_it_alone(ctx, sock):
    borrowed = zraw.Context.from_handle(ctx.handle)
    assert borrowed.handle == ctx.handle
    own, other = sock(zraw.ZMQ_PAIR), borrowed.socket(zraw.ZMQ_PAIR)
    other.connect(own.bind("inproc://only-within-one-context"))
    other.send(b"x")
    assert own.recv() == b"x"
    assert borrowed.sockets == [other] and ctx.sockets == [own]
    for call in (borrowed.term, borrowed.shutdown):
        with pytest.raises(zraw.NotSupported) as caught:
            call()
        assert caught.value.errno == errno.ENOTSUP
    borrowed.close()
    borrowed.close()
    assert borrowed.closed and other.closed and not ctx.closed
    for call in terminated_calls(borrowed):
        with pytest.raises(zraw.ContextTerminated):
            call()
    assert ctx.get(zraw.ZMQ_IO_THREADS) == 1
    assert own.try_recv() is None


def test_from_handle__collected_leaves_the_context_alone(ctx):
    borrowed = zraw.Context.from_handle(ctx.handle)
    del borrowed
    gc.collect()
    with ctx.socket(zraw.ZMQ_PUSH) as socket:
        assert socket.type == zraw.ZMQ_PUSH


@pytest.mark.parametrize("address", [0, -1, 2**64, "1", None, 1.0])
def test_from_handle__refuses_what_is_no_address(address):
    with pytest.raises((TypeError, OverflowError), match="address"):
        zraw.Context.from_handle(address)


def test_ctx_sockets__are_the_open_ones(ctx):
    assert ctx.sockets == []
    first, second = ctx.socket(zraw.ZMQ_PUSH), zraw.Socket(ctx, zraw.ZMQ_PULL)
    assert set(ctx.sockets) == {first, second}
    assert "2" in repr(ctx)
    ctx.sockets.clear()
    first.close()
    assert ctx.sockets == [second]
    with pytest.warns(ResourceWarning, match="ZMQ_PULL"):
        del second
        gc.collect()
    assert ctx.sockets == []


def test_ctx_handle__is_an_address(ctx):
    with zraw.Context() as other:
        assert ctx.handle == ctx.handle > 0
        assert other.handle != ctx.handle


def test_context__never_initialised():
    context = zraw.Context.__new__(zraw.Context)
    for call in [*terminated_calls(context), context.shutdown]:
        with pytest.raises(zraw.ContextTerminated, match="__init__"):
            call()
    assert context.closed and context.sockets == []
    context.term()
    context.close()
    repr(context)
    del context
    gc.collect()
    late = zraw.Context.__new__(zraw.Context)
    late.__init__(2)
    assert late.get(zraw.ZMQ_IO_THREADS) == 2
    late.close()


def test_context__protocols(ctx):
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="Context"):
            function(ctx)
    assert weakref.ref(ctx)() is ctx
    with zraw.Context() as other:
        assert {ctx: 1, other: 2}[ctx] == 1
        assert ctx != other


def test_context__can_be_subclassed():
    class Mine(zraw.Context):
        def __init__(self, name):
            super().__init__(2)
            self.name = name

    with Mine("n") as context, context.socket(zraw.ZMQ_PUSH) as socket:
        assert (context.name, context.get(zraw.ZMQ_IO_THREADS)) == ("n", 2)
        assert socket.context is context


def test_exit_linger__is_milliseconds(ctx):
    assert ctx.exit_linger == 1000
    for value in (0, 5, 2**31 - 1):
        ctx.exit_linger = value
        assert ctx.exit_linger == value
    for wrong, error in (
        (-1, ValueError),
        ("1", TypeError),
        (1.5, TypeError),
        (None, TypeError),
        (2**31, OverflowError),
    ):
        with pytest.raises(error, match="exit_linger"):
            ctx.exit_linger = wrong
    assert ctx.exit_linger == 2**31 - 1


@pytest.mark.parametrize(
    "drop",
    [
        "del other, socket",
        "socket.close(); del other, socket",
        "del other; del socket",
        "other.socket_kept = other; del other, socket",
        "loop = [other, socket]; loop.append(loop); del other, socket, loop",
    ],
)
def test_context__collection_does_not_wait_for_unsent_messages(drop):
    """A helper thread waits; the exit gives it exit_linger and 200 ms."""
    done = check(f"""
warnings.simplefilter("ignore", ResourceWarning)
class Mine(zraw.Context):
    pass
other = Mine()
other.exit_linger = 200
socket = other.socket(zraw.ZMQ_PUSH)
socket.setsockopt(zraw.ZMQ_LINGER, -1)
socket.connect("ipc:///nonexistent/s")
socket.send(b"x")
start = time.monotonic()
{drop}
gc.collect()
assert time.monotonic() - start < 1
assert [thing for thing in gc.get_objects() if isinstance(thing, Mine)] == []
end()
""")
    assert done.seconds < 5


def test_context__collection_still_sends(sock, tmp_path):
    check(
        """
other = zraw.Context()
socket = other.socket(zraw.ZMQ_PUSH)
socket.connect("inproc://nobody")
socket.close()
socket = other.socket(zraw.ZMQ_PUSH)
socket.connect(sys.argv[1])
socket.send(b"x" * 1000000)
socket.close()
del other, socket
pull.bind(sys.argv[1])
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
assert pull.recv() == b"x" * 1000000
pull.unbind(sys.argv[1])
end()
""",
        f"ipc://{tmp_path}/s",
    )


def test_context__threads_may_share_it(ctx, background):
    def work(name):
        for number in range(30):
            with ctx.socket(zraw.ZMQ_PULL) as pull, ctx.socket(zraw.ZMQ_PUSH) as push:
                push.connect(pull.bind(f"inproc://{name}.{number}"))
                push.send(b"%d" % number)
                done.append(pull.recv() == b"%d" % number)

    done = []
    threads = [background(lambda name=name: work(name)) for name in range(4)]
    for thread in threads:
        thread.join(10)
    assert done == [True] * 120
