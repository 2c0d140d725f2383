"""zmq_proxy_steerable(): a proxy that obeys, as three versions of libzmq do it."""

from __future__ import annotations

import errno
import struct
import threading

import pytest

import zraw
from conftest import wait_until
from programs import check
from test_signals import INTERRUPT

VERSION = zraw.version()
BROKEN = VERSION == (4, 3, 5)  # PAUSE and RESUME; every word is answered


def is_inside(socket):
    try:
        socket.getsockopt(zraw.ZMQ_LINGER)
    except zraw.SocketInUse:
        return True
    except zraw.ContextTerminated:
        pass
    return False


class Steered:
    """A proxy in a thread, its peers, and the socket that commands it."""

    def __init__(self, sock, kinds=None, control=None, capture=None):
        front, back = kinds or (zraw.ZMQ_PULL, zraw.ZMQ_PUSH)
        theirs = {
            zraw.ZMQ_PULL: zraw.ZMQ_PUSH,
            zraw.ZMQ_PUSH: zraw.ZMQ_PULL,
            zraw.ZMQ_ROUTER: zraw.ZMQ_REQ,
            zraw.ZMQ_DEALER: zraw.ZMQ_REP,
        }
        control, boss = control or (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR)
        self.sockets = [sock(front), sock(back), None, sock(control)]
        self.source, self.sink = sock(theirs[front]), sock(theirs[back])
        self.boss, self.copies = sock(boss), sock(zraw.ZMQ_PULL)
        if capture is not None:
            self.sockets[2] = sock(capture)
            self.copies.connect(self.sockets[2].bind("inproc://capture"))
        self.source.connect(self.sockets[0].bind("inproc://front"))
        self.sink.connect(self.sockets[1].bind("inproc://back"))
        self.boss.connect(self.sockets[3].bind("inproc://control"))
        if control == zraw.ZMQ_SUB:
            self.sockets[3].setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
            self.sockets[3].poll(0)  # it sees the peer, and subscribes
            assert self.boss.recv() == b"\1"
        self.result = "running"
        self.start()

    def start(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        wait_until(lambda: is_inside(self.sockets[0]) or self.result != "running")

    def run(self):
        try:
            self.result = zraw.proxy_steerable(*self.sockets)
        except zraw.ZMQError as error:
            self.result = error

    def command(self, word):
        """Send a command over ZMQ_PAIR, and see that it was taken."""
        self.boss.send(word)
        if BROKEN:
            assert self.boss.recv_multipart() == [b""]
        elif word != b"TERMINATE":
            self.statistics()

    def statistics(self):
        self.boss.send(b"STATISTICS")
        frames = self.boss.recv_multipart()
        if BROKEN and frames == [b""]:
            frames = self.boss.recv_multipart()
        assert [len(frame) for frame in frames] == [8] * 8
        return list(struct.unpack("=8Q", b"".join(frames)))

    def end(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        assert not any(is_inside(socket) for socket in self.sockets if socket)
        return self.result

    def flows(self, within=5000):
        self.source.send_multipart([b"one", b"two"])
        if not self.sink.poll(within):
            return False
        assert self.sink.recv_multipart() == [b"one", b"two"]
        return True


def test_proxy_steerable__terminate_ends_it_and_gives_the_sockets_back(sock):
    proxy = Steered(sock)
    assert proxy.flows()
    for socket in proxy.sockets:
        if socket is not None:
            with pytest.raises(zraw.SocketInUse) as caught:
                socket.close()
            assert caught.value.errno == errno.EBUSY
    proxy.command(b"TERMINATE")
    assert proxy.end() is None
    # The sockets work without it, and with a second one.
    proxy.source.send(b"x")
    proxy.sockets[1].send(proxy.sockets[0].recv())
    assert proxy.sink.recv() == b"x"
    proxy.result = "running"
    proxy.start()
    assert proxy.flows()
    proxy.command(b"TERMINATE")
    assert proxy.end() is None


CONTROLS = {
    "pair": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR),
    "pull": (zraw.ZMQ_PULL, zraw.ZMQ_PUSH),
    "sub": (zraw.ZMQ_SUB, zraw.ZMQ_XPUB),
    "dealer": (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER),
    "rep": (zraw.ZMQ_REP, zraw.ZMQ_REQ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_proxy_steerable__types_of_the_control_socket(sock, control):
    proxy = Steered(sock, control=CONTROLS[control])
    assert proxy.flows()
    proxy.boss.send(b"TERMINATE")
    result = proxy.end()
    if BROKEN and control in ("pull", "sub"):
        # The answer that nobody wants cannot be sent.
        assert type(result) is zraw.NotSupported and result.errno == errno.ENOTSUP
        return
    assert result is None
    if BROKEN or (control == "rep" and VERSION > (4, 3, 5)):
        assert proxy.boss.recv() == b""
    elif control in ("pair", "dealer", "rep"):
        assert proxy.boss.poll(20) == 0


def test_proxy_steerable__pause_and_resume(sock):
    proxy = Steered(sock)
    assert proxy.flows()
    if BROKEN:
        proxy.command(b"PAUSE")
        assert proxy.flows()
        proxy.command(b"RESUME")
        assert not proxy.flows(200)
        proxy.boss.send(b"TERMINATE")
        assert proxy.end() is None
        return
    for _ in range(2):
        proxy.command(b"PAUSE")
        assert not proxy.flows(200)
        proxy.command(b"PAUSE")
        assert not proxy.flows(20)
        proxy.command(b"RESUME")
        for _ in range(2):
            assert proxy.sink.recv_multipart() == [b"one", b"two"]
        assert proxy.flows()
        assert proxy.sink.try_recv() is None
    proxy.command(b"PAUSE")
    proxy.command(b"TERMINATE")
    assert proxy.end() is None


def test_proxy_steerable__statistics_of_one_way(sock):
    proxy = Steered(sock)
    assert proxy.statistics() == [0] * 8
    for number in range(1, 4):
        assert proxy.flows()
        count = number if VERSION == (4, 3, 4) else 2 * number
        assert proxy.statistics() == [count, 6 * number, 0, 0, 0, 0, count, 6 * number]
    proxy.command(b"TERMINATE")
    proxy.end()


def test_proxy_steerable__statistics_of_both_ways(sock):
    proxy = Steered(sock, (zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER))
    proxy.source.send(b"question")
    assert proxy.sink.recv() == b"question"
    proxy.sink.send(b"answer")
    assert proxy.source.recv() == b"answer"
    # The routing id of five bytes and the empty frame count.
    count = 1 if VERSION == (4, 3, 4) else 3
    there, back = [count, 5 + 8], [count, 5 + 6]
    wait_until(lambda: proxy.statistics() == there + back + back + there)
    proxy.command(b"TERMINATE")
    proxy.end()


def test_proxy_steerable__capture(sock):
    proxy = Steered(sock, capture=zraw.ZMQ_PUSH)
    assert proxy.flows() and proxy.flows()
    for _ in range(2):
        assert proxy.copies.recv_multipart() == [b"one", b"two"]
    proxy.command(b"TERMINATE")
    assert proxy.end() is None


def test_proxy_steerable__answers_on_rep(sock):
    """4.3.4 answers nothing but STATISTICS; after it, ZMQ_REP can go on."""
    proxy = Steered(sock, control=CONTROLS["rep"])
    assert proxy.flows()
    assert proxy.statistics()[1] == 6
    if VERSION > (4, 3, 5):
        for word in (b"PAUSE", b"RESUME"):
            proxy.boss.send(word)
            assert proxy.boss.recv_multipart() == [b""]
        assert proxy.flows()
    proxy.boss.send(b"TERMINATE")
    proxy.end()


def test_proxy_steerable__unknown_words_are_ignored(sock):
    if VERSION <= (4, 3, 5):
        # 4.3.4 aborts the process, 4.3.5 takes words of five bytes for PAUSE.
        assert "4.3.4 aborts" in zraw.proxy_steerable.__doc__
        return
    proxy = Steered(sock)
    for word in (b"", b"pause", b"STOP!", b"RESUME ", b"TERMINATED", b"x" * 100000):
        proxy.boss.send(word)
        assert proxy.flows()
    proxy.boss.send(b"TERMINATE")
    assert proxy.end() is None
    assert proxy.boss.try_recv() is None


@pytest.mark.parametrize("paused", [False, True])
def test_proxy_steerable__ends_by_shutdown(ctx, sock, paused):
    proxy = Steered(sock)
    if paused:
        proxy.command(b"PAUSE")
    ctx.shutdown()
    result = proxy.end()
    assert type(result) is zraw.ContextTerminated and result.errno == zraw.ETERM
    assert "proxy_steerable()" in str(result)


def test_proxy_steerable__without_control_is_a_proxy(ctx, sock):
    proxy = Steered(sock)
    proxy.command(b"TERMINATE")
    proxy.end()
    proxy.sockets, proxy.result = proxy.sockets[:2], "running"
    proxy.start()
    assert proxy.flows()
    ctx.shutdown()
    assert type(proxy.end()) is zraw.ContextTerminated


def test_proxy_steerable__handlers_run_and_commands_still_come():
    check("""
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
control, boss = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
push.connect(front.bind("inproc://front"))
pull.connect(back.bind("inproc://back"))
boss.connect(control.bind("inproc://control"))
seen = []
def handler(*_):
    assert not inside(control) and control.try_recv() is None
    seen.append(1)
signal.signal(signal.SIGUSR1, handler)
def talk():
    until(lambda: inside(front))
    while len(seen) < 5:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.01)
    until(lambda: inside(front))
    push.send(b"x")
    assert pull.recv() == b"x"
    boss.send(b"TERMINATE")
thread = threading.Thread(target=talk)
thread.start()
assert zraw.proxy_steerable(front, back, None, control) is None
thread.join()
context.close()
""")


def test_proxy_steerable__one_socket_twice():
    """It works, or it is refused; some libzmq would crash the process."""
    check("""
echo, client = context.socket(zraw.ZMQ_ROUTER), context.socket(zraw.ZMQ_REQ)
control, boss = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
client.connect(echo.bind("inproc://echo"))
boss.connect(control.bind("inproc://control"))
def talk():
    client.send(b"x")
    assert client.recv() == b"x"
    boss.send(b"TERMINATE")
if zraw.has("draft") and zraw.version() >= (4, 3, 5):
    refused(zraw.NotSupported,
            [lambda: zraw.proxy_steerable(echo, echo, None, control)])
    assert not inside(echo) and not inside(control)
else:
    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    assert zraw.proxy_steerable(echo, echo, None, control) is None
    thread.join(10)
context.close()
""")


@pytest.mark.parametrize("which", ["front", "back"])
def test_proxy_steerable__control_that_is_frontend_or_backend(which):
    """Every message would be a command, and 4.3.4 aborts on one it does not know."""
    check(
        f"""
front, back = context.socket(zraw.ZMQ_DEALER), context.socket(zraw.ZMQ_DEALER)
peer = context.socket(zraw.ZMQ_DEALER)
peer.connect({which}.bind("inproc://x"))
peer.send(b"no command")
try:
    zraw.proxy_steerable(front, back, None, {which})
except (ValueError, zraw.InvalidArgument):
    pass
else:
    raise AssertionError
assert not inside(front) and not inside(back)
assert {which}.recv() == b"no command"
context.close()
""",
        timeout=10,
    )


def test_proxy_steerable__ctrl_c_gets_through_while_it_is_paused():
    check(
        INTERRUPT
        + """
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
control, boss = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
push.connect(front.bind("inproc://front"))
pull.connect(back.bind("inproc://back"))
boss.connect(control.bind("inproc://control"))
boss.send(b"RESUME" if zraw.version() == (4, 3, 5) else b"PAUSE")
boss.send(b"STATISTICS")
def paused():
    return inside(front) and boss.poll(0) and len(boss.recv_multipart()) == 8
interrupted(lambda: zraw.proxy_steerable(front, back, None, control), paused)
push.send(b"x")
assert front.recv() == b"x"
context.close()
""",
        timeout=10,
    )
