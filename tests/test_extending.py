"""The extensions of docs/extending.md, built and run against the installed package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import api_map
import zraw
from conftest import Finished, run_child
from programs import WAITING
from zmq_h import compiler_flags

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
FLAGS = "-Wall -Wextra -Werror"
CHECKOUT = Path(zraw.__file__).parent.parent == ROOT


def has_cppzmq() -> bool:
    """Whether the C++ program can be built."""
    if not shutil.which("c++"):
        return False
    command = ["c++", *compiler_flags(), "-x", "c++", "-E", "-"]
    wanted = b"#include <zmq_addon.hpp>"
    return not subprocess.run(
        command, input=wanted, capture_output=True, check=False, timeout=60
    ).returncode


CPP = has_cppzmq()
needs_cpp = pytest.mark.skipif(not CPP, reason="no C++ compiler, or no cppzmq")
pytestmark = pytest.mark.timeout(300)

START = """
import os, signal, sys, threading, time
import zraw

context = zraw.Context()

def pair(one=zraw.ZMQ_PUSH, other=zraw.ZMQ_PULL):
    sockets = context.socket(one), context.socket(other)
    for socket in sockets:
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, 10_000)
    sockets[0].connect(sockets[1].bind("tcp://127.0.0.1:*"))
    return sockets
"""
START += WAITING


def run(command: list[str], folder: Path, **changes: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | changes,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(folder: Path) -> Path:
    """Make a wheel of the checkout, install it, and return where.

    What is compiled already is not compiled again: setup.py finds it in build/.
    """
    tree = folder / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "__pycache__")
    )
    platform = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    built = tree / "build" / f"lib.{platform}" / "zraw"
    built.mkdir(parents=True)
    for path in (tree / "zraw").glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
        path.rename(built / path.name)
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(folder)]
    run(command, tree)
    (wheel,) = folder.glob("zraw-*.whl")
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run([*pip, "--target", str(target), str(wheel)], folder)
    shutil.rmtree(tree)
    return target


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of a zraw that is installed, and not the checkout."""
    if CHECKOUT:
        return install(tmp_path_factory.mktemp("wheel"))
    return Path(zraw.__file__).parent.parent


@pytest.fixture(scope="module")
def users(tmp_path_factory, installed) -> Path:
    """The extensions, built as the page says."""
    folder = tmp_path_factory.mktemp("users")
    for block in re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        name = re.match(r"(?:#|//|/\*) (\S+)", block)
        assert name is not None, block
        (folder / name[1]).write_text(block)
    if not CPP:
        setup = folder / "setup.py"
        lines = setup.read_text().splitlines()
        setup.write_text("\n".join(line for line in lines if "wrapped" not in line))
    build(folder, installed)
    return folder


def build(folder: Path, installed: Path, flags: str = FLAGS) -> str:
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    return run(command, folder, PYTHONPATH=str(installed), CFLAGS=flags)


def child(program: str, users: Path, installed: Path, **options: float) -> Finished:
    """Run a program that must end well, with the extensions at hand."""
    path = os.pathsep.join([str(users), str(installed)])
    first = f"import zraw\nassert zraw.__file__.startswith({str(installed)!r})\n"
    return run_child(first + START + program, env={"PYTHONPATH": path}, **options)


def printed(program: str, users: Path, installed: Path) -> list[str]:
    done = child(program, users, installed)
    assert (done.code, done.err) == (0, ""), done
    return done.out.split("\n")[:-1]


@pytest.fixture
def outputs(users, installed):
    """What a program prints, in lines."""
    return lambda program: printed(program, users, installed)


def one_module(
    folder: Path, installed: Path, code: str, flags: str, *more: str
) -> None:
    """Build the extension module `one`."""
    (folder / "one.c").write_text(code)
    arguments = ", ".join(
        [repr("one"), "['one.c']", f"[{zraw.get_include()!r}]", *more]
    )
    (folder / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        f"setup(ext_modules=[Extension({arguments})])\n"
    )
    build(folder, installed, flags)


ONE = """
#include <zraw.h>
static PyObject *call(PyObject *module, PyObject *unused)
{
    (void) module, (void) unused;
    return PyLong_FromLong(zmq_errno());
}
static PyMethodDef methods[] = {
    {"call", call, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}
};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "one", NULL, -1, methods,
                             NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_one(void)
{
    IMPORT
    return PyModule_Create(&module);
}
"""
IMPORT = "if (import_zraw() < 0) return NULL;"


def test_cython__relay(outputs):
    assert outputs("""
from relay import relay
first, source = pair()
target, last = pair()
first.send_many([b"1", [b"2", b"", b"3"], b"4"])
relay(source, target, 3)
print(last.recv_many(2, multipart=True) + last.recv_many(2, multipart=True))
relay(source, target, 0)
source.close(); target.close(); first.close(); last.close(); context.close()
""") in (["[[b'1'], [b'2', b'', b'3'], [b'4']]"],)


def test_cython__guard_and_shutdown(outputs):
    """What it waits in is not free for others, and shutdown() gets it out."""
    assert outputs("""
from relay import relay
first, source = pair()
target, last = pair()
ended = []
def wait():
    try:
        relay(source, target, 10)
    except zraw.ContextTerminated as error:
        ended.append(str(error))
thread = threading.Thread(target=wait)
source.setsockopt(zraw.ZMQ_RCVTIMEO, -1)
thread.start()
until(lambda: inside(source) and inside(target))
first.send(b"through")
print(last.recv())
for call in (source.recv, target.close, context.close):
    try:
        call()
    except zraw.SocketInUse as error:
        print(str(error).partition(": ")[2].replace("PUSH", "PULL"))
context.shutdown()
thread.join(10)
print(*ended)
context.close(linger=0)
""") == [
        "b'through'",
        "recv() on ZMQ_PULL: an extension holds it",
        "close() on ZMQ_PULL: an extension holds it",
        "Context.close() on ZMQ_PULL: an extension holds it",
        "[Errno 156384765] Context was terminated: relay()",
    ]


def test_cython__ctrl_c(outputs):
    assert outputs("""
from relay import relay
first, source = pair()
target, last = pair()
source.setsockopt(zraw.ZMQ_RCVTIMEO, -1)
def interrupt():
    until(lambda: inside(source))
    while not done:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
done = []
threading.Thread(target=interrupt).start()
try:
    try:
        relay(source, target, 10)
    finally:
        done.append(True)
except KeyboardInterrupt:
    print("interrupted")
first.send(b"x")
print(source.recv())
context.close(linger=0)
""") == ["interrupted", "b'x'"]


def test_cython__wrong_types(outputs):
    assert outputs("""
from relay import relay
first, source = pair()
for arguments in ((1, first, 1), (source, None, 1), (source, source, 1)):
    try:
        relay(*arguments)
    except (TypeError, zraw.SocketInUse) as error:
        print(type(error).__name__)
first.send(b"x")
print(source.recv())
""") == ["TypeError", "TypeError", "SocketInUse", "b'x'"]


def test_c__produce(outputs):
    assert outputs("""
from numbers_in_c import produce
push, pull = pair()
print(produce(push, 3), [int.from_bytes(pull.recv(), "little") for _ in range(3)])
for wrong in (pull, 5):
    try:
        produce(wrong, 3)
    except (zraw.NotSupported, TypeError) as error:
        print(error)
alone = context.socket(zraw.ZMQ_PUSH)
alone.setsockopt(zraw.ZMQ_SNDTIMEO, 1)
try:
    produce(alone, 1)
except zraw.Again as error:
    print(error)
""") == [
        "3 [0, 1, 2]",
        "[Errno 95] Operation not supported: produce()",
        "zraw_socket_acquire(): a zraw.Socket, not int",
        "[Errno 11] Resource temporarily unavailable: produce()",
    ]


def test_c__message(outputs):
    assert outputs("""
import struct
from numbers_in_c import squares
message = squares(4)
print(type(message).__name__, struct.unpack("4d", message))
push, pull = pair()
push.send(message)
print(struct.unpack("4d", pull.recv()), len(message))
for wrong in (-1, 1 << 62, 1 << 55):
    try:
        squares(wrong)
    except (ValueError, MemoryError) as error:
        print(type(error).__name__)
""") == [
        "Message (0.0, 1.0, 4.0, 9.0)",
        "(0.0, 1.0, 4.0, 9.0) 0",
        "ValueError",
        "ValueError",
        "MemoryError",
    ]


@needs_cpp
def test_cpp__shout(outputs):
    assert outputs("""
from wrapped import shout
dealer, rep = pair(zraw.ZMQ_DEALER, zraw.ZMQ_REP)
dealer.send_multipart([b"", b"hello", b"You"])
print(shout(rep), dealer.recv_multipart())
rep.setsockopt(zraw.ZMQ_RCVTIMEO, 1)
for wrong in (rep, None):
    try:
        shout(wrong)
    except (zraw.Again, TypeError) as error:
        print(error)
dealer.send_multipart([b"", b"still works"])
rep.setsockopt(zraw.ZMQ_RCVTIMEO, 10_000)
print(rep.recv())
""") == [
        "2 [b'', b'HELLO', b'YOU']",
        "[Errno 11] Resource temporarily unavailable: shout()",
        "zraw_socket_acquire(): a zraw.Socket, not NoneType",
        "b'still works'",
    ]


def test_ctypes_and_cffi__calling(outputs):
    assert outputs("""
from calling import send_by_ctypes, sum_by_cffi
push, pull = pair()
print(send_by_ctypes(push, bytes(range(10))))
message = zraw.Message()
print(sum_by_cffi(pull, message), bytes(message) == bytes(range(10)))
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 1)
for call in (lambda: send_by_ctypes(pull, b"x"), lambda: sum_by_cffi(pull, message)):
    try:
        call()
    except OSError as error:
        print(type(error).__name__, error.errno)
push.send(b"x")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10_000)
print(pull.recv())
""") == ["10", "45 True", "OSError 95", "BlockingIOError 11", "b'x'"]


def test_extension__is_not_linked_to_libzmq(users):
    built = [path.name.partition(".")[0] for path in users.glob("*.so")]
    assert sorted(built) == ["numbers_in_c", "relay", *(["wrapped"] if CPP else [])]
    for path in users.glob("*.so"):
        assert "libzmq" not in run(["readelf", "-d", str(path)], users)
        assert " zmq_" not in run(["nm", "-D", "--undefined-only", str(path)], users)


def test_import_zraw__forgotten(tmp_path, installed):
    one_module(tmp_path, installed, ONE.replace("IMPORT", ""), FLAGS)
    done = child("import one\none.call()", tmp_path, installed)
    assert done.code == -6, done
    assert "Fatal Python error" in done.err
    assert "import_zraw() was not called in this file" in done.err


@pytest.mark.parametrize(
    "field, value, said",
    [
        ("version", 2, "built with version 1 of zraw.h, and zraw has version 2"),
        ("size", 8, "built with the zraw.h of a newer zraw: upgrade zraw"),
        ("libzmq_size", 8, "built with the zraw.h of a newer zraw: upgrade zraw"),
        ("size", 10**6, None),
        ("libzmq_size", 10**6, None),
    ],
)
def test_import_zraw__capsule_of_another_version(users, installed, field, value, said):
    """One that is larger is one of a newer zraw, and works."""
    done = child(
        f"""
import ctypes
from zraw import capi

class Api(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("size", ctypes.c_size_t),
                ("libzmq_size", ctypes.c_size_t)]

python = ctypes.pythonapi
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
address = python.PyCapsule_GetPointer(capi.API, b"zraw.capi.API")
Api.from_address(address).{field} = {value}
try:
    import numbers_in_c
except ImportError as error:
    print(error)
else:
    push, pull = pair()
    numbers_in_c.produce(push, 1)
    print("works", pull.recv())
""",
        users,
        installed,
    )
    assert (done.code, done.err) == (0, ""), done
    assert (said or r"works b'\x00\x00\x00\x00\x00\x00\x00\x00'") in done.out


def test_import_zraw__without_zraw(users, tmp_path):
    """As when it was installed without what it depends on."""
    done = run_child(
        "import sys; sys.modules['zraw'] = None\n"
        "try: import numbers_in_c\n"
        "except ImportError as error: print(error)",
        env={"PYTHONPATH": str(users)},
    )
    assert (done.code, done.err) == (0, ""), done
    assert "zraw" in done.out


def linked(*names: str) -> list[str]:
    """What Extension() is told to link to libzmq."""
    folders = [os.path.dirname(os.path.realpath(str(zraw.get_library())))]
    return [f"library_dirs={folders!r}", f"extra_link_args={list(names)!r}"]


def test_zraw_linked__to_the_same_libzmq(tmp_path, installed):
    code = ONE.replace("IMPORT", IMPORT)
    library = os.path.realpath(str(zraw.get_library()))
    one_module(tmp_path, installed, code, f"{FLAGS} -DZRAW_LINKED", *linked(library))
    out = run(["nm", "-D", "--undefined-only", *map(str, tmp_path.glob("*.so"))], ROOT)
    assert " zmq_errno" in out
    program = "import one\nprint(one.call() >= 0)"
    assert printed(program, tmp_path, installed) == ["True"]


def test_zraw_linked__to_another_libzmq(tmp_path, installed):
    """Of which this one has no more than the symbols that are asked for."""
    (tmp_path / "other.c").write_text("int zmq_errno, zmq_msg_send;")
    other = tmp_path / "libother.so"
    run(["cc", "-shared", "-fPIC", "-o", str(other), "other.c"], tmp_path)
    code = ONE.replace("IMPORT", IMPORT)
    one_module(tmp_path, installed, code, f"{FLAGS} -DZRAW_LINKED", *linked(str(other)))
    program = "try: import one\nexcept ImportError as error: print(error)"
    assert printed(program, tmp_path, installed) == [
        "this extension is linked to another libzmq than zraw's: "
        "build it without ZRAW_LINKED"
    ]


def test_zraw_h__after_zmq_h(tmp_path, installed):
    with pytest.raises(AssertionError, match="before zmq"):
        one_module(tmp_path, installed, "#include <zmq.h>\n" + ONE, FLAGS)


def test_zraw_h__has_every_function():
    text = (ROOT / "include" / "zraw.h").read_text()
    listed = re.findall(r"^    X\([\w ]+\*?, (zmq_\w+),", text, re.M)
    assert listed == api_map.declared()
    defined = re.findall(r"^#define (zmq_\w+) \(zraw_libzmq->(zmq_\w+)\)$", text, re.M)
    assert defined == [(name, name) for name in listed]


@pytest.mark.parametrize("standard", ["c99", "c11", "c17", "c++11", "c++17", "c++20"])
def test_zraw_h__standards(tmp_path, standard):
    if "+" in standard and not shutil.which("c++"):
        pytest.skip("there is no C++ compiler")
    source = tmp_path / ("one.cpp" if "+" in standard else "one.c")
    source.write_text("#include <zraw.h>\n")
    flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-std={standard}"]
    flags += [f"-I{zraw.get_include()}", "-isystem", sysconfig.get_path("include")]
    run(["c++" if "+" in standard else "cc", *flags, str(source)], tmp_path)
