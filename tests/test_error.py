"""Errors: one class per errno, read before anything else can change it."""

from __future__ import annotations

import builtins
import copy
import errno
import os
import pickle
import subprocess
import sys
import threading

import pytest

import zraw
from conftest import run_child, wait_until

CLASSES = {
    errno.EAGAIN: zraw.Again,
    zraw.ETERM: zraw.ContextTerminated,
    zraw.EFSM: zraw.InvalidState,
    zraw.ENOTSOCK: zraw.NotASocket,
    zraw.ENOTSUP: zraw.NotSupported,
    errno.EBUSY: zraw.SocketInUse,
    errno.EPERM: zraw.PermissionDenied,
    zraw.EADDRINUSE: zraw.AddressInUse,
    zraw.EADDRNOTAVAIL: zraw.AddressNotAvailable,
    zraw.EHOSTUNREACH: zraw.HostUnreachable,
    errno.EINVAL: zraw.InvalidArgument,
    errno.EFAULT: zraw.InvalidHandle,
    errno.ENOENT: zraw.NotFound,
    errno.EACCES: zraw.PermissionDenied,
    errno.EMFILE: zraw.TooManySockets,
    zraw.EPROTONOSUPPORT: zraw.ProtocolNotSupported,
    zraw.ENOCOMPATPROTO: zraw.IncompatibleProtocol,
    zraw.EMTHREAD: zraw.NoIOThread,
    zraw.ECONNREFUSED: zraw.ConnectionRefused,
    zraw.ETIMEDOUT: zraw.TimedOut,
}
# zmq_unbind() that fails with the errno named in the endpoint.
FAILING = """
    #include <errno.h>
    #include <stdlib.h>
    int zmq_unbind(void *socket, const char *endpoint)
    { errno = atoi(endpoint + sizeof "errno://" - 1); return -1; }
"""
# Prints what each errno given raises: class, errno and the builtins it is also.
RAISE = """
    import sys, zraw
    with zraw.Context() as context, context.socket(zraw.ZMQ_PUSH) as socket:
        for number in sys.argv[1:]:
            try:
                socket.unbind("errno://" + number)
            except (zraw.ZMQError, MemoryError) as error:
                kinds = [kind.__name__ for kind in type(error).__mro__]
                assert isinstance(error, MemoryError) or error.errno == int(number)
                assert zraw.errno() == int(number)
                print(number, *kinds)
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that, loaded before libzmq, makes unbind() fail as wished."""
    target = str(tmp_path_factory.mktemp("failing") / "failing.so")
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", target, "-"]
    subprocess.run(command, input=FAILING, text=True, check=True, timeout=60)
    return target


def raised(failing: str, numbers: list[int]) -> dict[int, list[str]]:
    """Return the names of the classes that a failure with each errno has."""
    done = run_child(RAISE, *map(str, numbers), env={"LD_PRELOAD": failing})
    assert (done.code, done.err) == (0, ""), done
    rows = [line.split() for line in done.out.splitlines()]
    assert [int(row[0]) for row in rows] == numbers
    return {int(row[0]): row[1:] for row in rows}


def builtin_of(number: int) -> str:
    """Return the name of the class that Python itself gives an errno."""
    return type(OSError(number, "")).__name__


@pytest.mark.skipif(sys.platform != "linux", reason="replaces a function by LD_PRELOAD")
def test_errno__gives_the_class(failing):
    found = raised(failing, [*CLASSES])
    assert {number: kinds[0] for number, kinds in found.items()} == {
        number: kind.__name__ for number, kind in CLASSES.items()
    }
    for kinds in found.values():
        assert "ZMQError" in kinds and "OSError" in kinds
    for number, kinds in raised(failing, [errno.EIO, errno.EDOM, 4242]).items():
        assert kinds[0] == "ZMQError", number
    assert raised(failing, [errno.ENOMEM])[errno.ENOMEM][0] == "MemoryError"


@pytest.mark.skipif(sys.platform != "linux", reason="replaces a function by LD_PRELOAD")
def test_errno__gives_the_builtin_too(failing):
    # After EINTR the call goes on: no InterruptedError leaves zraw.
    numbers = [
        number
        for number in sorted(errno.errorcode)
        if builtin_of(number) != "OSError" and number != errno.EINTR
    ]
    assert len(numbers) > 10
    wrong = {
        errno.errorcode[number]: builtin_of(number)
        for number, kinds in raised(failing, numbers).items()
        if not {"ZMQError", builtin_of(number)} <= set(kinds)
    }
    assert wrong == {}


def test_error__classes_are_public_and_derived():
    public = {
        kind
        for kind in map(zraw.__dict__.get, zraw.__all__)
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert set(CLASSES.values()) | {zraw.ZMQError} <= public
    for kind in public:
        assert issubclass(kind, zraw.ZMQError)
        assert kind.__module__ == "zraw"
        assert issubclass(zraw.ZMQError, OSError)


@pytest.mark.parametrize("kind", [*CLASSES.values(), zraw.ZMQError])
def test_error__pickles_and_copies(kind):
    number = {kind: number for number, kind in CLASSES.items()}.get(kind, errno.EIO)
    error = kind(number, f"{zraw.strerror(number)}: send() on ZMQ_PUSH")
    error.sent = 5
    for again in (
        *(pickle.loads(pickle.dumps(error, level)) for level in range(6)),
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(again) is kind
        assert (again.errno, again.strerror) == (error.errno, error.strerror)
        assert (str(again), again.args) == (str(error), error.args)
        assert again.sent == 5


def test_error__caught_one_pickles(sock):
    with pytest.raises(zraw.NotFound) as caught:
        sock(zraw.ZMQ_PUSH).unbind("inproc://nowhere")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is zraw.NotFound
    assert str(again) == str(caught.value)


def test_error__text_names_the_call_and_its_object(sock):
    where = sock(zraw.ZMQ_PUSH).bind("tcp://127.0.0.1:*")
    text = (
        f"[Errno {errno.EADDRINUSE}] Address already in use: bind({where!r}): "
        "a socket is bound there already; a * takes any port that is free"
    )
    with pytest.raises(zraw.AddressInUse) as caught:
        sock(zraw.ZMQ_PULL).bind(where)
    assert str(caught.value) == text
    assert caught.value.args == (errno.EADDRINUSE, text.partition("] ")[2])
    assert caught.value.strerror == text.partition("] ")[2]
    assert caught.value.filename is None


def test_error__text_is_libzmqs(sock):
    cases = [
        (
            zraw.EFSM,
            lambda: sock(zraw.ZMQ_REP).send(b"x"),
            "send() on ZMQ_REP: recv() a whole request first",
        ),
        (
            errno.EAGAIN,
            lambda: sock(zraw.ZMQ_PULL).recv(1),
            "recv() on ZMQ_PULL: it has no endpoint; bind() or connect() first",
        ),
        (
            errno.ENOENT,
            lambda: sock(zraw.ZMQ_PULL).disconnect("inproc://x"),
            "disconnect('inproc://x'): it is not connected to that",
        ),
        (
            errno.EINVAL,
            lambda: sock(zraw.ZMQ_PULL).setsockopt(zraw.ZMQ_SNDHWM, -5),
            "setsockopt(ZMQ_SNDHWM) = -5 on ZMQ_PULL",
        ),
    ]
    for number, call, name in cases:
        with pytest.raises(zraw.ZMQError) as caught:
            call()
        assert caught.value.errno == number
        assert str(caught.value) == f"[Errno {number}] {zraw.strerror(number)}: {name}"


@pytest.mark.parametrize("builtin", ["OSError", "BlockingIOError", "IOError"])
def test_error__except_builtin_catches_again(sock, builtin):
    try:
        sock(zraw.ZMQ_PULL).recv(zraw.ZMQ_DONTWAIT)
    except getattr(builtins, builtin) as error:
        assert type(error) is zraw.Again
        assert error.errno == errno.EAGAIN
    else:
        pytest.fail("nothing was raised")


def test_error__real_failures_have_their_class(sock, ctx, tmp_path):
    """Without any replaced function: libzmq's own errno arrives."""
    router = sock(zraw.ZMQ_ROUTER, ROUTER_MANDATORY=1)
    closed = zraw.Message()
    closed.close()
    dead = zraw.Context()
    left = zraw.Socket(dead, zraw.ZMQ_PULL)
    dead.shutdown()
    few = zraw.Context(io_threads=0)
    few.set(zraw.ZMQ_MAX_SOCKETS, 1)
    only = zraw.Socket(few, zraw.ZMQ_PUSH)
    push = sock(zraw.ZMQ_PUSH)
    calls = {
        zraw.HostUnreachable: lambda: router.send_multipart([b"nobody", b"x"]),
        zraw.InvalidHandle: closed.size,
        zraw.ContextTerminated: left.recv,
        zraw.TooManySockets: lambda: zraw.Socket(few, zraw.ZMQ_PULL),
        zraw.NoIOThread: lambda: only.connect("tcp://127.0.0.1:9"),
        zraw.NotSupported: push.recv,
        zraw.InvalidState: sock(zraw.ZMQ_REQ).recv,
        zraw.ProtocolNotSupported: lambda: push.bind("nosuch://x"),
        zraw.IncompatibleProtocol: lambda: push.bind("udp://127.0.0.1:9"),
        zraw.NotFound: lambda: push.unbind("inproc://x"),
        zraw.InvalidArgument: lambda: push.getsockopt(zraw.ZMQ_SUBSCRIBE),
    }
    for kind, call in calls.items():
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert CLASSES[caught.value.errno] is kind
    left.close()
    dead.close()
    only.close()
    few.close()


def test_error__path_below_a_file_is_not_a_directory(sock, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(zraw.ZMQError) as caught:
        sock(zraw.ZMQ_PUSH).bind(f"ipc://{tmp_path}/file/s")
    assert caught.value.errno == errno.ENOTDIR
    assert isinstance(caught.value, NotADirectoryError)


def test_error__second_thread_is_told_that_the_socket_is_busy(sock):
    pull = sock(zraw.ZMQ_PULL, RCVTIMEO=20000)
    push = sock(zraw.ZMQ_PUSH)
    pull.connect(push.bind("inproc://busy"))
    thread = threading.Thread(target=pull.recv)
    thread.start()
    errors: list[zraw.ZMQError] = []

    def refused() -> bool:
        try:
            pull.getsockopt(zraw.ZMQ_LINGER)
        except zraw.ZMQError as error:
            errors.append(error)
        return bool(errors)

    wait_until(refused)
    push.send(b"x")
    thread.join(20)
    assert type(errors[0]) is zraw.SocketInUse
    assert errors[0].errno == errno.EBUSY


class Memory(bytearray):
    """Memory whose end does what changes the C errno."""

    ended = 0

    def __del__(self):
        Memory.ended += 1
        with pytest.raises(FileNotFoundError):
            os.stat("/nosuchfile")


def test_errno__is_read_before_memory_is_released(pair):
    """A failed receive drops the old body, and with it the last reference."""
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    for call in (
        lambda m: pull.recv_msg(m, zraw.ZMQ_DONTWAIT),
        lambda m: m.recv(pull, zraw.ZMQ_DONTWAIT),
    ):
        Memory.ended = 0
        message = zraw.Message.init_data(Memory(b"x" * 1000))
        with pytest.raises(zraw.Again) as caught:
            call(message)
        assert caught.value.errno == zraw.errno() == errno.EAGAIN
        wait_until(lambda: Memory.ended)
        assert zraw.errno() == errno.EAGAIN


if sys.version_info >= (3, 12):

    class Exporter:
        """A buffer whose release does what changes the C errno."""

        def __init__(self):
            self.memory = bytearray(b"x" * 100)
            self.released = 0

        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(self.memory)

        def __release_buffer__(self, view: memoryview) -> None:
            view.release()
            self.released += 1
            with pytest.raises(FileNotFoundError):
                os.stat("/nosuchfile")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("send", zraw.NotSupported),
            ("send_multipart", zraw.NotSupported),
            ("send_many", zraw.NotSupported),
            ("recv_into", zraw.Again),
            ("setsockopt", zraw.InvalidArgument),
        ],
    )
    def test_errno__is_read_before_a_buffer_is_released(sock, name, kind):
        pull = sock(zraw.ZMQ_PULL)
        buffer = Exporter()
        calls = {
            "send": lambda: pull.send(buffer),
            "send_multipart": lambda: pull.send_multipart([b"", buffer]),
            "send_many": lambda: pull.send_many([buffer]),
            "recv_into": lambda: pull.recv_into(buffer, zraw.ZMQ_DONTWAIT),
            "setsockopt": lambda: pull.setsockopt(zraw.ZMQ_SUBSCRIBE, buffer),
        }
        with pytest.raises(zraw.ZMQError) as caught:
            calls[name]()
        assert buffer.released == 1
        assert type(caught.value) is kind
        assert CLASSES[caught.value.errno] is kind
        assert zraw.errno() == caught.value.errno
