"""The mistakes that everybody makes once, and that the text says what to do."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zraw
from conftest import is_inside, run_child, wait_until
from zraw import cli


@pytest.fixture
def of_type(sock):
    """A socket by the name of its type, without a peer and without a wait."""
    return lambda name: sock(getattr(zraw, f"ZMQ_{name}"), RCVTIMEO=0, SNDTIMEO=0)


@pytest.mark.parametrize(
    "name, call, said",
    [
        ("SUB", lambda s: s.send(b"x"), "send() on ZMQ_SUB: it only receives"),
        ("PULL", lambda s: s.send_multipart([b"x"]), "on ZMQ_PULL: it only receives"),
        ("PULL", lambda s: s.try_send(b"x"), "on ZMQ_PULL: it only receives"),
        ("SUB", lambda s: zraw.Message().send(s), "on ZMQ_SUB: it only receives"),
        ("PUB", lambda s: s.recv(), "recv() on ZMQ_PUB: it only sends"),
        ("PUSH", lambda s: s.recv_msg(), "recv_msg() on ZMQ_PUSH: it only sends"),
        ("PUSH", lambda s: s.recv_many(), "on ZMQ_PUSH: it only sends"),
    ],
)
def test_mistake__the_wrong_end(of_type, name, call, said):
    with pytest.raises(zraw.NotSupported, match=re.escape(said)):
        call(of_type(name))


def test_mistake__out_of_turn(pair):
    req, rep = pair(zraw.ZMQ_REQ, zraw.ZMQ_REP)
    turn = zraw.InvalidState
    with pytest.raises(turn, match=r"recv\(\) on ZMQ_REQ: send\(\) a request first$"):
        req.recv()
    with pytest.raises(turn, match=r"on ZMQ_REP: recv\(\) a whole request first$"):
        rep.send(b"x")
    req.send(b"question")
    with pytest.raises(turn, match=r"on ZMQ_REQ: recv\(\) the reply first$"):
        req.send(b"x")
    assert rep.recv() == b"question"
    with pytest.raises(turn, match=r"on ZMQ_REP: send\(\) the whole reply first$"):
        rep.recv()
    rep.send(b"answer")
    assert req.recv() == b"answer"


@pytest.mark.parametrize(
    "call, endpoint, error, said",
    [
        ("bind", "tcp://127.0.0.1", zraw.InvalidArgument, "a port is missing, as in"),
        ("connect", "tcp://localhost", zraw.InvalidArgument, "a port is missing"),
        ("connect", "tcp://*:5555", zraw.InvalidArgument, "* is for bind()"),
        ("bind", "tcp://192.0.2.1:80", zraw.AddressNotAvailable, "not an address of"),
        (
            "bind",
            "http://*:80",
            zraw.ProtocolNotSupported,
            "this libzmq has tcp, inpro",
        ),
        ("unbind", "tcp://127.0.0.1:1", zraw.NotFound, "it is not bound to that"),
        ("disconnect", "tcp://127.0.0.1:1", zraw.NotFound, "it is not connected to"),
        ("bind", "127.0.0.1:5555", ValueError, "transport://address, not '127.0.0.1"),
        ("connect", "tcp://localhost:http", ValueError, "a port from 0 to 65535, or *"),
        ("bind", 5555, TypeError, "bind(): endpoint: str or bytes, not int"),
        ("bind", "tcp://localhost:80", zraw.ZMQError, "and no host name"),
        ("bind", "tcp://[::1]:80", zraw.ZMQError, "IPv6 needs ZMQ_IPV6 and brackets"),
        ("bind", "ipc:///no/such/folder/s", zraw.NotFound, "the folder has to exist"),
        ("bind", "ipc://", zraw.InvalidArgument, "'): a path is missing"),
        ("connect", "inproc://", zraw.InvalidArgument, "'): a name is missing"),
        (
            "connect",
            "udp://127.0.0.1:80",
            zraw.IncompatibleProtocol,
            "udp is for ZMQ_RADIO, ZMQ_DISH and ZMQ_DGRAM",
        ),
    ],
)
def test_mistake__endpoint(of_type, call, endpoint, error, said):
    with pytest.raises(error, match=re.escape(said)) as caught:
        getattr(of_type("PULL"), call)(endpoint)
    assert f"{call}(" in str(caught.value)


def test_mistake__bind_twice(of_type):
    one, two = of_type("PULL"), of_type("PULL")
    endpoint = one.bind("tcp://127.0.0.1:*")
    for one_of_both in (one, two):
        said = (
            f"bind({endpoint!r}): a socket is bound there already; a * takes any port"
        )
        with pytest.raises(zraw.AddressInUse, match=re.escape(said)):
            one_of_both.bind(endpoint)


def test_mistake__bind_without_the_right():
    done = run_child("""
        import os, tempfile, zraw
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o555)
            if os.geteuid() == 0:
                os.seteuid(65534)
            context = zraw.Context()
            try:
                context.socket(zraw.ZMQ_PULL).bind(f"ipc://{folder}/s")
            except zraw.PermissionDenied as error:
                print(error.strerror.replace(folder, "FOLDER"))
            context.close()
            if os.getuid() == 0:
                os.seteuid(0)
    """)
    said = "Permission denied: bind('ipc://FOLDER/s'): the folder has to be writable\n"
    assert (done.code, done.out, done.err) == (0, said, "")


def test_mistake__no_endpoint(of_type):
    for name, call in (
        ("PULL", lambda s: s.recv()),
        ("PUSH", lambda s: s.send(b"x")),
        ("SUB", lambda s: s.recv_multipart()),
    ):
        with pytest.raises(zraw.Again) as caught:
            call(of_type(name))
        said = f"on ZMQ_{name}: it has no endpoint; bind() or connect() first"
        assert str(caught.value).endswith(said)


def test_mistake__no_subscription(of_type):
    sub = of_type("SUB")
    sub.connect("tcp://127.0.0.1:9")
    said = 'recv() on ZMQ_SUB: nothing is subscribed; setsockopt(ZMQ_SUBSCRIBE, b"")'
    with pytest.raises(zraw.Again, match=re.escape(said)):
        sub.recv()
    sub.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
    with pytest.raises(zraw.Again, match=r"recv\(\) on ZMQ_SUB$"):
        sub.recv()


def test_mistake__nothing_is_said_of_a_socket_that_others_set_up(ctx, of_type):
    """zraw does not know what is connected to a reader, nor to a socket by address."""
    sub = of_type("SUB")
    with sub.monitor() as reader, pytest.raises(zraw.Again, match=r"on ZMQ_PAIR$"):
        reader.recv(zraw.ZMQ_DONTWAIT)
    other = zraw.Socket.from_handle(ctx, sub.handle)
    with pytest.raises(zraw.Again, match=r"recv\(\) on ZMQ_SUB$"):
        other.recv(zraw.ZMQ_DONTWAIT)
    other.close()


def test_mistake__nobody_of_that_name(of_type):
    router = of_type("ROUTER")
    router.setsockopt(zraw.ZMQ_ROUTER_MANDATORY, 1)
    said = "no peer has the routing id in the first frame"
    with pytest.raises(zraw.HostUnreachable, match=said):
        router.send_multipart([b"nobody", b"x"])


@pytest.mark.parametrize(
    "call, error, said",
    [
        (
            lambda s: s.setsockopt(zraw.ZMQ_SUBSCRIBE, b""),
            zraw.InvalidArgument,
            "on ZMQ_DEALER: it is for ZMQ_SUB",
        ),
        (
            lambda s: s.setsockopt(zraw.ZMQ_ROUTING_ID, b""),
            zraw.InvalidArgument,
            "setsockopt(ZMQ_ROUTING_ID) = b'' on ZMQ_DEALER: 1 to 255 bytes",
        ),
        (
            lambda s: s.setsockopt(zraw.ZMQ_IO_THREADS, 2),
            ValueError,
            "1 is ZMQ_IO_THREADS, of contexts: Context.set() and get()",
        ),
        (
            lambda s: s.context.set(zraw.ZMQ_LINGER, 0),
            zraw.InvalidArgument,
            "Context.set(17, 0): ZMQ_LINGER is of sockets, each by setsockopt()",
        ),
        (
            lambda s: s.context.get(zraw.ZMQ_LINGER),
            zraw.InvalidArgument,
            "Context.get(17): ZMQ_LINGER is of sockets, each by setsockopt()",
        ),
        (
            lambda s: s.recv(1000),
            ValueError,
            "flags: ZMQ_DONTWAIT, not 1000; the limit of a wait is ZMQ_RCVTIMEO",
        ),
        (
            lambda s: s.send(b"x", 1000),
            ValueError,
            "ZMQ_SNDMORE, not 1000; the limit of a wait is ZMQ_SNDTIMEO",
        ),
    ],
)
def test_mistake__option_or_flag(of_type, call, error, said):
    with pytest.raises(error, match=re.escape(said)):
        call(of_type("DEALER"))


@pytest.mark.parametrize(
    "call, said",
    [
        (
            lambda s: s.send("text"),
            "send(): data: bytes or another buffer, not str: enc",
        ),
        (lambda s: s.send_multipart("text"), "parts: a sequence of frames, not str"),
        (lambda s: s.send_multipart([b"a", "b"]), "send_multipart(): item 1: bytes or"),
        (lambda s: s.send_many([b"a", 5]), "send_many(): item 1"),
        (
            lambda s: zraw.Message("text"),
            "Message(): data: bytes or another buffer, not",
        ),
        (
            lambda s: s.setsockopt(zraw.ZMQ_ROUTING_ID, "name"),
            "setsockopt(ZMQ_ROUTING_ID): value: bytes or another buffer, not str",
        ),
        (
            lambda s: s.setsockopt("LINGER", 0),
            "setsockopt(): option: int, not str; it is zraw.ZMQ_LINGER",
        ),
        (
            lambda s: s.context.socket("ZMQ_PUSH"),
            "Socket(): type: int, not str; it is zraw.ZMQ_PUSH",
        ),
        (
            lambda s: s.poll(0.5),
            "poll(): timeout: int, not float: milliseconds, or -1 for ever",
        ),
        (lambda s: s.poll(None), "int, not NoneType: milliseconds, or -1 for ever"),
        (
            lambda s: zraw.Poller().add(0),
            "Poller.add(): socket: Socket, not int; for a descriptor there is add_fd()",
        ),
        (lambda s: zraw.poll([s], 0), "poll(): items[0]: (socket or fd, events), not"),
    ],
)
def test_mistake__wrong_type(of_type, call, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        call(of_type("DEALER"))


@pytest.mark.parametrize("name", ["PUSH", "LINGER", "ETERM_", "ZMQ_PSH", "Soket"])
def test_mistake__name_of_a_constant(name):
    with pytest.raises(AttributeError) as caught:
        getattr(zraw, name)
    known = f"; it is zraw.ZMQ_{name}" if name in ("PUSH", "LINGER") else ""
    assert str(caught.value) == f"module 'zraw' has no attribute {name!r}{known}"
    assert (caught.value.name, caught.value.obj) == (name, zraw)


@pytest.mark.parametrize(
    "name, hint",
    [("zmq_version", "it is zraw.version"), ("zmq_nope", ""), ("Aio", "")],
)
def test_mistake__name_of_a_function(name, hint):
    with pytest.raises(AttributeError) as caught:
        getattr(zraw, name)
    said = f"module 'zraw' has no attribute {name!r}"
    assert str(caught.value) == said + (f"; {hint}" if hint else "")


def test_mistake__module_that_is_not_imported():
    done = run_child("import zraw; zraw.aio")
    assert done.code == 1
    assert "has no attribute 'aio'; import zraw.aio" in done.err


def import_from(folder):
    """Import zraw from a folder, without the finder of an editable installation."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import zraw"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "without", [("*.so", "*.pyd", "constants.py"), ("*.so", "*.pyd")]
)
def test_mistake__not_built(tmp_path, without):
    """Python started in a checkout, before it or where another one was built."""
    package = Path(zraw.__file__).parent
    copy = tmp_path / "zraw"
    shutil.copytree(
        package, copy, ignore=shutil.ignore_patterns(*without, "__pycache__")
    )
    done = import_from(tmp_path)
    said = f"ImportError: zraw is not built in {copy}: run 'pip install -e .' there, or"
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the text is the loader's")
def test_mistake__built_and_broken(tmp_path):
    """What the loader says is not hidden by another complaint."""
    package, copy = Path(zraw.__file__).parent, tmp_path / "zraw"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("*.c", "__pycache__"))
    for extension in copy.glob("process.*.so"):
        extension.write_bytes(b"")
    done = import_from(tmp_path)
    assert done.returncode == 1
    assert "process." in done.stderr and "file too short" in done.stderr
    assert "not built" not in done.stderr


def test_mistake__misspelt_constant_in_a_program():
    """Python finds the name that was meant."""
    done = run_child("import zraw; zraw.ZMQ_SUBSRIBE")
    assert done.code == 1
    assert "Did you mean: 'ZMQ_SUBSCRIBE'?" in done.err


def test_mistake__the_parents_socket():
    done = run_child("""
        import os, warnings, zraw
        warnings.simplefilter("ignore", DeprecationWarning)
        context = zraw.Context()
        push = context.socket(zraw.ZMQ_PUSH)
        if os.fork() == 0:
            try:
                push.send(b"x")
            except zraw.ForkError as error:
                print(error.strerror, flush=True)
            os._exit(0)
        os.wait()
        context.close()
    """)
    said = "by the parent; the child needs a context and sockets of its own: send() on"
    assert (done.code, done.err) == (0, "")
    assert said in done.out


def test_mistake__two_threads(of_type):
    pull = of_type("PULL")
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    pull.bind("inproc://two")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pull.recv)
        wait_until(lambda: is_inside(pull))
        said = "another thread is using it; let each have a socket of its own"
        with pytest.raises(zraw.SocketInUse, match=said):
            pull.recv()
        with of_type("PUSH") as push:
            push.connect("inproc://two")
            push.send(b"end")
        assert waiting.result() == b"end"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (
            ("recv", "tcp://127.0.0.1:9"),
            "'tcp://127.0.0.1:9' is no type of socket; the type comes first, and "
            "--bind or --connect before an endpoint",
        ),
        (
            ("request", "nonsense", "x"),
            "'nonsense' is no type of socket; it is one of REQ, DEALER, CLIENT",
        ),
        (
            ("recv", "PULL", "--bind", "ipc:///no/such/folder/s"),
            "--bind ipc:///no/such/folder/s: No such file or directory; expected: a "
            "path in a folder that exists",
        ),
        (
            ("recv", "PULL", "--bind", "tcp://192.0.2.1:80"),
            "--bind tcp://192.0.2.1:80: Cannot assign requested address; expected: "
            "an address or an interface of this machine, or *",
        ),
    ],
)
def test_mistake__on_the_command_line(capfd, arguments, said):
    assert cli.main(list(arguments)) in (1, 2)
    assert capfd.readouterr() == ("", f"zraw: error: {said}\n")


def test_mistake__forgotten_close():
    done = run_child("""
        import zraw
        context = zraw.Context()
        def forget():
            context.socket(zraw.ZMQ_PUSH).connect("tcp://127.0.0.1:9")
        import warnings
        warnings.simplefilter("always")
        forget()
    """)
    assert done.code == 0
    assert "ResourceWarning: unclosed <zraw.Socket ZMQ_PUSH idle, connected" in done.err


@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_mistake__ipc_path_of_a_file(of_type, tmp_path, kind):
    """libzmq would remove it, whatever it is."""
    path, target = tmp_path / "there", tmp_path / "target"
    target.write_text("dear to somebody")
    if kind == "file":
        path.write_text("dear to somebody")
    elif kind == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    before = os.lstat(path)
    with pytest.raises(zraw.FileExists, match="a file that is no socket is there"):
        of_type("PULL").bind(f"ipc://{path}")
    assert os.lstat(path) == before
    assert target.read_text() == "dear to somebody"


def test_mistake__ipc_path_of_a_socket_that_is_left(of_type, tmp_path):
    """As of a process that was killed: it is taken over, as in C."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    server, client = of_type("PULL"), of_type("PUSH")
    server.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    client.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
    client.connect(server.bind(f"ipc://{tmp_path}/left"))
    client.send(b"x")
    assert server.recv() == b"x"
