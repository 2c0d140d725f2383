"""What libzmq says of itself: version, capabilities, errno and its texts."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import zraw
import zraw.library
from conftest import run_child

# Looks in what the extension was linked with: the libzmq that zraw uses.
LIBZMQ = ctypes.CDLL(zraw.library.__file__)
LIBZMQ.zmq_strerror.restype = ctypes.c_char_p


def test_version__is_that_of_the_running_libzmq():
    numbers = [ctypes.c_int() for _ in range(3)]
    LIBZMQ.zmq_version(*map(ctypes.byref, numbers))
    assert zraw.version() == tuple(number.value for number in numbers)
    assert type(zraw.version()) is tuple
    assert zraw.version() >= (4, 3, 2)


@pytest.mark.parametrize(
    "name",
    ["ipc", "pgm", "tipc", "norm", "curve", "gssapi", "vmci", "draft", "WS", "WSS"],
)
def test_has__says_what_libzmq_says(name):
    assert zraw.has(name) is (LIBZMQ.zmq_has(name.encode()) == 1)
    assert zraw.has(name.encode()) is zraw.has(name)


def test_has__what_it_does_not_know_is_false(sock):
    assert zraw.has("ipc") is True
    for name in ("", "IPC", "ipc ", "nosuch", "\u20ac", b"\xff", "x" * 100000):
        assert zraw.has(name) is False
    # Not only a word: the transport is really there.
    assert sock(zraw.ZMQ_PUSH).bind("ipc://*").startswith("ipc://")


def test_has__refuses_what_is_no_name():
    for wrong in (None, 1, bytearray(b"ipc"), ["ipc"]):
        with pytest.raises(TypeError, match=r"has\(\): capability"):
            zraw.has(wrong)
    for wrong in ("ipc\0", b"\0", "i\0pc"):
        with pytest.raises(ValueError, match=r"has\(\): capability"):
            zraw.has(wrong)
    with pytest.raises(TypeError):
        zraw.has()


def test_errno__is_0_before_anything_failed():
    done = run_child("""
        import os, zraw
        with zraw.Context() as context, context.socket(zraw.ZMQ_PUSH) as push:
            push.bind("tcp://127.0.0.1:*")
            assert push.try_send(b"nobody there") is False
        try:
            os.stat("/nosuchfile")
        except FileNotFoundError:
            print(zraw.errno())
    """)
    assert (done.code, done.out, done.err) == (0, "0\n", ""), done


def test_errno__is_that_of_the_last_failed_call(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(zraw.Again):
        pull.recv(zraw.ZMQ_DONTWAIT)
    assert zraw.errno() == errno.EAGAIN
    with pytest.raises(zraw.NotSupported):
        push.recv(zraw.ZMQ_DONTWAIT)
    assert zraw.errno() == zraw.ENOTSUP
    push.send(b"a success changes nothing")
    assert pull.recv() == b"a success changes nothing"
    with pytest.raises(FileNotFoundError):
        os.stat("/nosuchfile")
    assert zraw.errno() == zraw.ENOTSUP
    push.close()
    with pytest.raises(zraw.NotASocket):
        push.send(b"x")
    assert zraw.errno() == zraw.ENOTSOCK


def test_errno__belongs_to_the_thread(sock):
    pull = sock(zraw.ZMQ_PULL)
    seen: list[int] = []

    def other() -> None:
        seen.append(zraw.errno())
        with pytest.raises(zraw.InvalidArgument):
            zraw.Message().get(12345)
        seen.append(zraw.errno())

    with pytest.raises(zraw.Again):
        pull.recv(zraw.ZMQ_DONTWAIT)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(20)
    assert seen == [0, errno.EINVAL]
    assert zraw.errno() == errno.EAGAIN


def test_errno__takes_no_argument():
    with pytest.raises(TypeError):
        zraw.errno(1)
    with pytest.raises(TypeError):
        zraw.version(1)


@pytest.mark.parametrize(
    "number",
    [zraw.EFSM, zraw.ENOCOMPATPROTO, zraw.ETERM, zraw.EMTHREAD, errno.EAGAIN],
)
def test_strerror__is_libzmqs_text(number):
    text = zraw.strerror(number)
    assert text == LIBZMQ.zmq_strerror(number).decode()
    # Libzmq's own numbers have texts of their own, which the system lacks.
    assert (text == os.strerror(number)) is (number == errno.EAGAIN)


def test_strerror__number_without_a_text_is_a_str():
    for number in (0, -1, 99999, 2**31 - 1, -(2**31), True):
        text = zraw.strerror(number)
        assert type(text) is str and text


def test_strerror__refuses_what_is_no_number():
    for wrong in ("11", 11.0, None, b"11"):
        with pytest.raises(TypeError, match=r"strerror\(\): errnum"):
            zraw.strerror(wrong)
    for wrong in (2**31, -(2**31) - 1, 10**30):
        with pytest.raises(OverflowError, match=r"strerror\(\): errnum"):
            zraw.strerror(wrong)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that, loaded before libzmq, says that libzmq is 4.3.1."""
    target = str(tmp_path_factory.mktemp("older") / "older.so")
    source = """
        void zmq_version(int *major, int *minor, int *patch)
        { *major = 4; *minor = 3; *patch = 1; }
    """
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", target, "-"]
    subprocess.run(command, input=source, text=True, check=True, timeout=60)
    return target


@pytest.mark.skipif(sys.platform != "linux", reason="replaces a function by LD_PRELOAD")
def test_version__older_libzmq_is_refused_by_import(older):
    done = run_child("import zraw", env={"LD_PRELOAD": older})
    assert done.code == 1, done
    assert done.err.splitlines()[-1].startswith("ImportError:"), done
    assert "4.3.2" in done.err and "4.3.1" in done.err, done


def test_get_include__holds_the_header():
    header = Path(zraw.get_include(), "zmq_compat.h")
    assert "#include <zmq.h>" in header.read_text()
