"""What docs/from-pyzmq.md says of pyzmq and of zraw, with both of them."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import time
from pathlib import Path

import pytest

import zraw
from conftest import run_child
from zraw import aio

zmq = pytest.importorskip("zmq")

PAGE = (Path(__file__).parents[1] / "docs" / "from-pyzmq.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| pyzmq |", "| | pyzmq"))
]
EQUIVALENTS = [row for row in ROWS if len(row) == 2]
DIFFERENCES = [row for row in ROWS if len(row) == 3]
LARGE = 100_000


@pytest.fixture
def theirs():
    """A context of pyzmq's, with two connected sockets."""
    with zmq.Context() as context:
        a, b = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for socket in (a, b):
            socket.linger, socket.rcvtimeo, socket.sndtimeo = 0, 5000, 5000
        a.bind("inproc://theirs")
        b.connect("inproc://theirs")
        yield a, b
        context.destroy(linger=0)


@pytest.fixture
def ours(pair):
    return pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)


# ---- the page


def code(cell: str) -> str:
    return " ".join(re.findall(r"`([^`]*)`", cell))


def names(text: str) -> list[tuple[str, str]]:
    """What is looked up in something: ("ctx", "socket"), ("zmq.utils", "z85")."""
    return re.findall(
        r"\b(zmq|zraw|ctx|s|frame|message|poller|tracker)\.([\w.]+)", text
    )


def found(holder: object, dotted: str) -> bool:
    for name in dotted.rstrip(".").split("."):
        if not hasattr(holder, name):
            try:
                importlib.import_module(f"{holder.__name__}.{name}")
            except (AttributeError, ImportError):
                return False
        holder = getattr(holder, name)
    return True


@pytest.mark.filterwarnings("ignore:.*socket_type:DeprecationWarning")
def test_from_pyzmq__names_of_pyzmq_are_there(theirs):
    holders = {
        "zmq": zmq,
        "ctx": theirs[0].context,
        "s": theirs[0],
        "frame": zmq.Frame,
        "poller": zmq.Poller(),
        "tracker": zmq.MessageTracker(),
    }
    skipped = {"zmq.backend.cffi", "zmq.green", "zmq.eventloop"}  # need others
    if zmq.pyzmq_version_info() < (26, 4):
        skipped |= {"s.recv_into", "zmq.DraftFDWarning"}
    looked = 0
    for cell, *_ in EQUIVALENTS:
        for holder, name in names(code(cell)):
            if f"{holder}.{name}" not in skipped:
                assert found(holders[holder], name), f"{holder}.{name}"
                looked += 1
    assert looked > 130


def test_from_pyzmq__names_of_zraw_are_there(ours):
    assert zraw.aio is aio
    holders = {
        "zraw": zraw,
        "ctx": ours[0].context,
        "s": ours[0],
        "message": zraw.Message(),
        "poller": zraw.Poller(),
        "tracker": zraw.Tracker(),
    }
    looked = 0
    for _, cell in EQUIVALENTS:
        for holder, name in names(code(cell)):
            assert found(holders[holder], name), f"{holder}.{name}"
            looked += 1
    assert looked > 100


def test_from_pyzmq__nothing_public_is_forgotten():
    if int(zmq.__version__.partition(".")[0]) > 27:
        pytest.skip("the page is about pyzmq 26 and 27")
    text = " ".join(code(cell) for cell, *_ in EQUIVALENTS)
    mentioned = {part for _, name in names(text) for part in name.split(".")}
    public = {
        name
        for kind in (zmq.Context, zmq.Socket, zmq.Frame, zmq.Poller, zmq.MessageTracker)
        for name in dir(kind)
        if not name.startswith("_") and not name.isupper()
    }
    public |= {n for n in zmq.__all__ if not n.startswith("_") and not n.isupper()}
    public |= {module.name for module in pkgutil.iter_modules(zmq.__path__)} - {
        *("_future", "_typing", "constants", "error", "sugar", "tests", "curve_keygen")
    }
    public -= {"utils", "Enum", "IntEnum", "IntFlag"}  # by its modules; not pyzmq's
    assert len(public) > 100
    assert public <= mentioned, public - mentioned


def test_from_pyzmq__programs_print_the_same():
    """pyzmq's and zraw's; the others, of zraw alone, are among test_docs.py's."""
    old, new, *_ = (run_child(block) for block in BLOCKS[:2])
    assert (old.code, old.err, new.code, new.err) == (0, "", 0, "")
    assert old.out == new.out != ""
    assert "import zmq" in BLOCKS[0] and "import zmq" not in BLOCKS[1]


def test_from_pyzmq__every_difference_has_a_test():
    made = {
        name.partition("__")[2] for name in globals() if name.startswith("test_diff")
    }
    assert made == {first.replace(" ", "_") for first, *_ in DIFFERENCES}
    assert len(DIFFERENCES) > 15


def test_from_pyzmq__what_is_the_same():
    """Collection warns, term() waits for sockets, signals interrupt no call."""
    done = run_child("""
        import signal, threading, warnings
        import zmq, zraw
        warnings.simplefilter("always", ResourceWarning)
        warnings.showwarning = lambda text, kind, *_: print(kind.__name__)
        for module, PULL, again in (
            (zmq, zmq.PULL, zmq.Again), (zraw, zraw.ZMQ_PULL, zraw.Again)
        ):
            ctx = module.Context()
            pull = ctx.socket(PULL)
            del pull
            pull = ctx.socket(PULL)
            signal.signal(signal.SIGALRM, lambda *_: print("a signal"))
            if module is zmq:
                pull.rcvtimeo = 400
            else:
                pull.setsockopt(zraw.ZMQ_RCVTIMEO, 400)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                pull.recv()
            except again:
                print("nothing came")
            thread = threading.Thread(target=ctx.term)
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
            pull.close()
            thread.join(10)
            assert not thread.is_alive()
    """)
    expected = "ResourceWarning\na signal\nnothing came\n" * 2
    assert (done.code, done.out, done.err) == (0, expected, "")


# ---- the differences, in the order of the page


def test_difference__errors(theirs, ours):
    assert not issubclass(zmq.ZMQError, OSError)
    with pytest.raises(zmq.Again) as caught:
        theirs[0].recv(zmq.NOBLOCK)
    assert not isinstance(caught.value, OSError)
    assert issubclass(zraw.ZMQError, OSError)
    with pytest.raises(BlockingIOError) as ours_caught:
        ours[0].recv(zraw.ZMQ_DONTWAIT)
    assert type(ours_caught.value) is zraw.Again


def test_difference__the_option_as_an_attribute(theirs, ours):
    theirs[0].linger = 17
    assert theirs[0].getsockopt(zmq.LINGER) == 17
    for name in ("linger", "LINGER", "lingr"):
        with pytest.raises(AttributeError):
            setattr(ours[0], name, 17)


def test_difference__text_in_options(theirs, ours):
    assert theirs[0].getsockopt(zmq.LAST_ENDPOINT) == b"inproc://theirs"
    endpoint = ours[0].getsockopt(zraw.ZMQ_LAST_ENDPOINT)
    assert type(endpoint) is str and endpoint.startswith("inproc://")


def test_difference__topics(theirs, sock):
    with theirs[0].context.socket(zmq.SUB) as sub:
        sub.subscribe("a")
        sub.subscribe(b"b")
    ours = sock(zraw.ZMQ_SUB)
    ours.setsockopt(zraw.ZMQ_SUBSCRIBE, b"a")
    with pytest.raises(TypeError):
        ours.setsockopt(zraw.ZMQ_SUBSCRIBE, "a")


@pytest.mark.skipif(
    not (zmq.has("curve") and zraw.has("curve")), reason="a libzmq without CURVE"
)
def test_difference__keys(sock):
    assert {type(key) for key in zmq.curve_keypair()} == {bytes}
    public, secret = zraw.curve_keypair()
    assert {type(public), type(secret)} == {str}
    for form in (secret, secret.encode()):
        assert zraw.curve_public(form) == public
        sock(zraw.ZMQ_PULL).setsockopt(zraw.ZMQ_CURVE_SECRETKEY, form)


def test_difference__what_send_returns(theirs, ours):
    assert theirs[0].send(b"four") is None
    tracker = theirs[0].send(b"four", copy=False, track=True)
    assert isinstance(tracker, zmq.MessageTracker)
    assert ours[0].send(b"four") == 4


def test_difference__what_bind_returns(theirs, ours):
    with theirs[1].context.socket(zmq.PAIR) as other:
        with theirs[0].bind("inproc://more"), pytest.raises(zmq.ZMQError):
            other.bind("inproc://more")
        other.bind("inproc://more")
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", ours[0].bind("tcp://127.0.0.1:*"))


def test_difference__a_message_sent(theirs, ours):
    frame, message = zmq.Frame(b"twice"), zraw.Message(b"twice")
    for _ in range(2):
        theirs[0].send(frame)
        ours[0].send(message)
    assert [theirs[1].recv(), theirs[1].recv()] == [b"twice", b"twice"]
    assert [ours[1].recv(), ours[1].recv()] == [b"twice", b""]


def test_difference__comparing_a_message():
    frame = zmq.Frame(b"same")
    assert frame == frame  # noqa: PLR0124
    assert frame != b"same"
    assert frame != zmq.Frame(b"same")
    assert zraw.Message(b"same") == b"same"
    assert zraw.Message(b"same") == zraw.Message(bytearray(b"same"))


def test_difference__views_of_bytes():
    data = b"x" * LARGE
    view = memoryview(zmq.Frame(data, copy=False))
    assert not view.readonly
    assert memoryview(zraw.Message.init_data(data)).readonly
    view[0] = ord("y")
    assert data[:2] == b"yx"


def test_difference__small_messages(theirs, ours):
    small, large = bytearray(b"x" * 1000), bytearray(b"x" * LARGE)
    assert theirs[0].send(small, copy=False, track=True).done
    assert not theirs[0].send(large, copy=False, track=True).done
    small[0] = large[0] = ord("y")
    assert [theirs[1].recv()[:2], theirs[1].recv()[:2]] == [b"xx", b"yx"]
    tracker, ours_small = zraw.Tracker(), bytearray(b"x" * 1000)
    ours[0].send(zraw.Message.init_data(ours_small, tracker=tracker))
    assert not tracker.done
    ours_small[0] = ord("y")
    assert ours[1].recv()[:2] == b"yx"
    assert tracker.wait(5000)


def test_difference__the_tracker_of_a_multipart_message(theirs, ours):
    parts = [bytearray(LARGE), b"small"]
    assert theirs[0].send_multipart(parts, copy=False, track=True).done
    assert theirs[1].recv(copy=False).buffer.nbytes == LARGE
    tracker = zraw.Tracker()
    ours[0].send_multipart(
        [zraw.Message.init_data(part, tracker=tracker) for part in parts]
    )
    assert tracker.pending == 2
    ours[1].recv_multipart()
    assert tracker.wait(5000)


def test_difference__waiting_for_a_tracker(theirs, ours):
    tracker = theirs[0].send(bytes(LARGE), copy=False, track=True)
    start = time.monotonic()
    with pytest.raises(zmq.NotDone):
        tracker.wait(0.05)
    assert time.monotonic() - start >= 0.04
    mine = zraw.Tracker()
    ours[0].send(zraw.Message.init_data(bytes(LARGE), tracker=mine))
    start = time.monotonic()
    assert mine.wait(50) is False
    assert time.monotonic() - start >= 0.04


def test_difference__select(theirs, ours):
    start = time.monotonic()
    assert zmq.select([theirs[0]], [], [], 0.05) == ([], [], [])
    assert time.monotonic() - start >= 0.04
    start = time.monotonic()
    assert zraw.poll([(ours[0], zraw.ZMQ_POLLIN)], 50) == []
    assert time.monotonic() - start >= 0.04


def test_difference__constants():
    assert repr(zmq.PUSH) == "<SocketType.PUSH: 8>"
    assert type(zraw.ZMQ_PUSH) is int and zraw.ZMQ_PUSH == zmq.PUSH


def test_difference__options_of_a_context(ctx):
    with zmq.Context() as context:
        context.setsockopt(zmq.LINGER, 17)
        with context.socket(zmq.PUSH) as push:
            assert push.getsockopt(zmq.LINGER) == 17
    with pytest.raises(zraw.InvalidArgument):
        ctx.set(zraw.ZMQ_LINGER, 17)
    with ctx.socket(zraw.ZMQ_PUSH) as push:
        assert push.getsockopt(zraw.ZMQ_LINGER) == -1  # the default, as in pyzmq
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        assert push.getsockopt(zmq.LINGER) == -1


def test_difference__exit(ctx):
    """From the last line of a program to the end of the process."""
    assert ctx.exit_linger == 1000
    seconds = {}
    for module, push, longer in (
        ("zmq", "zmq.PUSH", ""),
        ("zraw", "zraw.ZMQ_PUSH", "ctx.exit_linger = 2000"),
    ):
        done = run_child(f"""
            import time
            import {module}
            ctx = {module}.Context()
            {longer}
            push = ctx.socket({push})
            push.connect("tcp://127.0.0.1:1")
            push.send(b"for nobody")
            print(time.time(), flush=True)
        """)
        ended = time.time()
        assert done.code == 0, done
        seconds[module] = ended - float(done.out)
    assert seconds["zmq"] < 1.9 < seconds["zraw"] < 10


def test_difference__a_second_thread():
    done = run_child("""
        import threading, time
        import zmq, zraw
        zmq_ctx, ctx = zmq.Context(), zraw.Context()
        theirs, ours = zmq_ctx.socket(zmq.PULL), ctx.socket(zraw.ZMQ_PULL)
        theirs.rcvtimeo = 1000
        ours.setsockopt(zraw.ZMQ_RCVTIMEO, 1000)
        def wait(socket, error):
            try:
                socket.recv()
            except error:
                pass
        threads = [threading.Thread(target=wait, args=(theirs, zmq.Again)),
                   threading.Thread(target=wait, args=(ours, zraw.Again))]
        for thread in threads:
            thread.start()
        print(theirs.getsockopt(zmq.TYPE) == zmq.PULL)
        end = time.monotonic() + 5
        try:
            while time.monotonic() < end:
                ours.getsockopt(zraw.ZMQ_TYPE)
                time.sleep(0.001)
        except zraw.SocketInUse:
            print("in use")
        for thread in threads:
            thread.join()
        zmq_ctx.destroy()
        ctx.close()
    """)
    assert (done.code, done.out, done.err) == (0, "True\nin use\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_difference__fork():
    done = run_child("""
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import zmq, zraw
        zmq_ctx, ctx = zmq.Context(), zraw.Context()
        theirs, ours = zmq_ctx.socket(zmq.PULL), ctx.socket(zraw.ZMQ_PULL)
        if not (child := os.fork()):
            print(theirs.getsockopt(zmq.TYPE) == zmq.PULL)
            try:
                ours.getsockopt(zraw.ZMQ_TYPE)
            except zraw.ForkError:
                print("forked", flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        zmq_ctx.destroy()
        ctx.close()
    """)
    assert (done.code, done.out, done.err) == (0, "True\nforked\n", "")


def test_difference__a_monitor_event(theirs, ours):
    from zmq.utils.monitor import recv_monitor_message

    with theirs[0].get_monitor_socket() as reader:
        reader.rcvtimeo = 5000
        theirs[0].bind("tcp://127.0.0.1:*")
        try:
            event = recv_monitor_message(reader)
        finally:
            theirs[0].disable_monitor()
    assert set(event) == {"event", "value", "endpoint"}
    assert event["endpoint"].startswith(b"tcp://127.0.0.1:")
    with ours[0].monitor() as mine:
        endpoint = ours[0].bind("tcp://127.0.0.1:*")
        ours_event = zraw.recv_event(mine)
    assert isinstance(ours_event, tuple)
    assert (ours_event.name, ours_event.address) == ("ZMQ_EVENT_LISTENING", endpoint)


def test_difference__the_libzmq(sock, where):
    """One process, both of them: joined by ipc and tcp, not by inproc."""
    pull = sock(zraw.ZMQ_PULL)
    endpoint = pull.bind(where())
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.linger, push.sndtimeo = 0, 5000
        push.connect(endpoint)
        if endpoint.startswith("inproc:"):
            push.send(b"into the void")
            assert pull.poll(50) == 0
        else:
            push.send(b"from pyzmq")
            assert pull.recv() == b"from pyzmq"
    maps = Path("/proc/self/maps")
    if "pyzmq.libs" in (maps.read_text() if maps.exists() else ""):
        libraries = set(re.findall(r"\S*libzmq[^\s/]*\.so\S*", maps.read_text()))
        assert len(libraries) == 2
