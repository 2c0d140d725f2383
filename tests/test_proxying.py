"""zmq_proxy(): messages go both ways until the context ends."""

from __future__ import annotations

import errno
import threading
import time

import pytest

import zraw
from conftest import wait_until
from programs import check
from test_signals import INTERRUPT

PAIRS = {
    "router-dealer": (zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER),
    "xsub-xpub": (zraw.ZMQ_XSUB, zraw.ZMQ_XPUB),
    "pull-push": (zraw.ZMQ_PULL, zraw.ZMQ_PUSH),
}


def is_inside(socket):
    try:
        socket.getsockopt(zraw.ZMQ_LINGER)
    except zraw.SocketInUse:
        return True
    except zraw.ContextTerminated:
        pass
    return False


class Proxy:
    """A proxy in a thread, over bound sockets of a context of their own."""

    def __init__(self, *kinds, call=zraw.proxy, once=False, hwm=1000):
        self.context = zraw.Context()
        made = [self.context.socket(kind) for kind in kinds]
        for socket in made:
            socket.setsockopt(zraw.ZMQ_SNDHWM, hwm)
            socket.setsockopt(zraw.ZMQ_RCVHWM, hwm)
        self.where = [socket.bind("tcp://127.0.0.1:*") for socket in made]
        self.sockets = [*made, *made] if once else made
        self.call, self.result = call, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        wait_until(lambda: is_inside(made[0]))

    def run(self):
        try:
            self.result = self.call(*self.sockets)
        except zraw.ZMQError as error:
            self.result = error

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        start = time.monotonic()
        self.context.shutdown()
        self.thread.join(10)
        assert not self.thread.is_alive() and time.monotonic() - start < 2
        assert not any(is_inside(socket) for socket in self.sockets)
        self.context.close(linger=0)
        if exc == (None,) * 3:
            assert type(self.result) is zraw.ContextTerminated
            assert self.result.errno == zraw.ETERM
            assert "proxy()" in str(self.result)


def test_proxy__requests_and_replies_of_many(sock):
    """Clients share the workers; envelopes and frames arrive as they were sent."""
    with Proxy(*PAIRS["router-dealer"]) as proxy:
        clients = [sock(zraw.ZMQ_REQ) for _ in range(5)]
        workers = [sock(zraw.ZMQ_REP) for _ in range(3)]
        for client in clients:
            client.connect(proxy.where[0])
        for worker in workers:
            worker.connect(proxy.where[1])
        done, stop = [], threading.Event()

        def work(worker):
            while not stop.is_set():
                if worker.poll(10):
                    parts = worker.recv_multipart()
                    done.append(parts)
                    worker.send_multipart([*parts, b"done"])

        threads = [threading.Thread(target=work, args=[worker]) for worker in workers]
        for thread in threads:
            thread.start()
        for number in range(20):
            for name, client in enumerate(clients):
                client.send_multipart([b"%d" % name, b"", b"x" * number * 1000])
            for name, client in enumerate(clients):
                assert client.recv_multipart() == [
                    b"%d" % name,
                    b"",
                    b"x" * number * 1000,
                    b"done",
                ]
        stop.set()
        for thread in threads:
            thread.join(10)
        assert len(done) == 100


def test_proxy__subscriptions_go_up_and_messages_down(sock):
    with Proxy(*PAIRS["xsub-xpub"]) as proxy:
        publisher, subscriber = sock(zraw.ZMQ_XPUB), sock(zraw.ZMQ_SUB)
        publisher.connect(proxy.where[0])
        subscriber.connect(proxy.where[1])
        subscriber.setsockopt(zraw.ZMQ_SUBSCRIBE, b"a")
        assert publisher.recv() == b"\1a"
        for message in ([b"b", b"1"], [b"a", b"2"], [b"ab"]):
            publisher.send_multipart(message)
        assert subscriber.recv_multipart() == [b"a", b"2"]
        assert subscriber.recv_multipart() == [b"ab"]
        subscriber.setsockopt(zraw.ZMQ_UNSUBSCRIBE, b"a")
        assert publisher.recv() == b"\0a"


CAPTURES = {
    "push": (zraw.ZMQ_PUSH, zraw.ZMQ_PULL),
    "pair": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR),
    "dealer": (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER),
    "pub": (zraw.ZMQ_PUB, zraw.ZMQ_SUB),
}


@pytest.mark.parametrize("capture", CAPTURES)
def test_proxy__capture_gets_a_copy_of_every_message(sock, capture):
    ours, theirs = CAPTURES[capture]
    with Proxy(*PAIRS["pull-push"], ours) as proxy:
        push, pull, copies = sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL), sock(theirs)
        for peer, where in zip((push, pull, copies), proxy.where, strict=True):
            peer.connect(where)
        if capture == "pub":
            copies.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
            copies.setsockopt(zraw.ZMQ_RCVTIMEO, 20)
            settled = False
            while not settled:
                push.send(b"settle")
                assert pull.recv() == b"settle"
                settled = copies.poll(20) and copies.recv_many()
            assert copies.poll(0) == 0
            copies.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        messages = [[b"%d" % n, b"x" * n * 50, b""] for n in range(100)]
        assert push.send_many(messages) == 100
        assert [pull.recv_multipart() for _ in messages] == messages
        assert [copies.recv_multipart() for _ in messages] == messages
        assert pull.try_recv() is copies.try_recv() is None


def test_proxy__capture_of_both_ways(sock):
    with Proxy(*PAIRS["router-dealer"], zraw.ZMQ_PUSH) as proxy:
        client, worker, copies = (
            sock(kind) for kind in (zraw.ZMQ_REQ, zraw.ZMQ_REP, zraw.ZMQ_PULL)
        )
        for peer, where in zip((client, worker, copies), proxy.where, strict=True):
            peer.connect(where)
        client.send(b"question")
        assert worker.recv() == b"question"
        worker.send(b"answer")
        assert client.recv() == b"answer"
        question, answer = copies.recv_multipart(), copies.recv_multipart()
        assert question[1:] == [b"", b"question"]
        assert answer == [question[0], b"", b"answer"]


def test_proxy__one_socket_twice_is_an_echo(sock):
    with Proxy(zraw.ZMQ_ROUTER, once=True) as proxy:
        clients = [sock(zraw.ZMQ_REQ) for _ in range(3)]
        for client in clients:
            client.connect(proxy.where[0])
        for number in range(10):
            for client in clients:
                client.send_multipart([b"%d" % number, b"x"])
            for client in clients:
                assert client.recv_multipart() == [b"%d" % number, b"x"]


def test_proxy__stuck_back_end_holds_the_front_up(sock):
    with Proxy(*PAIRS["pull-push"], hwm=1) as proxy:
        push, sent = sock(zraw.ZMQ_PUSH, SNDHWM=1), 0
        push.connect(proxy.where[0])
        body = b"x" * 1000000
        while push.poll(300, zraw.ZMQ_POLLOUT):
            sent += push.send(body) > 0
        assert 0 < sent < 100
        # A worker comes, and it goes on with what was waiting.
        with sock(zraw.ZMQ_PULL) as pull:
            pull.connect(proxy.where[1])
            for _ in range(sent):
                assert pull.recv() == body
        while push.poll(100, zraw.ZMQ_POLLOUT):
            push.send(body)
    # And it ends though it is stuck.


def test_proxy__other_threads_are_refused_meanwhile():
    with Proxy(*PAIRS["pull-push"], zraw.ZMQ_PUB) as proxy:
        for socket in proxy.sockets:
            for call in (
                socket.close,
                socket.poll,
                lambda socket=socket: zraw.poll([(socket, 1)], 0),
                lambda socket=socket: zraw.proxy(socket, socket),
                lambda socket=socket: zraw.proxy_steerable(socket, socket),
                lambda socket=socket: zraw.Poller().add(socket),
            ):
                with pytest.raises(zraw.SocketInUse) as caught:
                    call()
                assert caught.value.errno == errno.EBUSY


def test_proxy__refused_sockets_are_given_back(sock):
    front, back, busy = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH), sock(zraw.ZMQ_PULL)
    closed = sock(zraw.ZMQ_PUSH)
    closed.close()
    where, results = busy.bind("inproc://x"), []
    thread = threading.Thread(target=lambda: results.append(busy.recv()))
    thread.start()
    wait_until(lambda: is_inside(busy))
    for call in (zraw.proxy, zraw.proxy_steerable):
        for bad, error, number in (
            (closed, zraw.NotASocket, errno.ENOTSOCK),
            (zraw.Socket.__new__(zraw.Socket), zraw.NotASocket, errno.ENOTSOCK),
            (busy, zraw.SocketInUse, errno.EBUSY),
        ):
            for sockets in ((front, bad), (bad, back), (front, back, bad)):
                with pytest.raises(error, match=call.__name__) as caught:
                    call(*sockets)
                assert caught.value.errno == zraw.errno() == number
                assert not is_inside(front) and not is_inside(back)
    with pytest.raises(zraw.SocketInUse):
        zraw.proxy_steerable(front, back, None, busy)
    assert not is_inside(front) and not is_inside(back)
    back.connect(where)
    back.send(b"x")
    thread.join(10)
    assert results == [b"x"]


def test_proxy__wrong_arguments(sock):
    front, back = sock(zraw.ZMQ_PULL), sock(zraw.ZMQ_PUSH)
    for call in (zraw.proxy, zraw.proxy_steerable):
        for arguments, name in (
            ((None, back), "frontend"),
            ((front, None), "backend"),
            ((1, back), "frontend"),
            ((front, "x"), "backend"),
            ((front, back, 0), "capture"),
        ):
            with pytest.raises(TypeError, match=name):
                call(*arguments)
        with pytest.raises(TypeError):
            call(front)
    with pytest.raises(TypeError, match="control"):
        zraw.proxy_steerable(front, back, None, b"TERMINATE")
    assert not is_inside(front) and not is_inside(back)


def test_proxy__sockets_that_cannot_do_it():
    """The capture cannot send, or what is received cannot go back."""
    check("""
where = pull.bind("inproc://x")
push.connect(where)
sink, deaf = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
end_of_it = context.socket(zraw.ZMQ_PULL)
end_of_it.connect(sink.bind("inproc://sink"))
for call in (
    lambda: zraw.proxy(pull, sink, deaf),
    lambda: zraw.proxy(pull, pull),
    lambda: zraw.proxy_steerable(pull, sink, deaf, None),
    lambda: zraw.proxy_steerable(pull, pull),
):
    push.send(b"x")
    refused(zraw.NotSupported, [call])
    for one in (pull, sink, deaf):
        assert not inside(one)
push.send(b"y")
assert pull.recv() == b"y"
context.close()
""")


def test_proxy__after_shutdown_does_not_abort():
    """With its own poller libzmq would."""
    check("""
front, back = context.socket(zraw.ZMQ_ROUTER), context.socket(zraw.ZMQ_DEALER)
capture = context.socket(zraw.ZMQ_PUB)
every = [lambda: zraw.proxy(front, back), lambda: zraw.proxy(front, front),
         lambda: zraw.proxy(front, back, capture),
         lambda: zraw.proxy_steerable(front, back, capture, pull),
         lambda: zraw.proxy_steerable(front, back)]
thread = threading.Thread(target=lambda: refused(zraw.ContextTerminated, [every[0]]))
thread.start()
until(lambda: inside(front))
context.shutdown()
thread.join(10)
assert not thread.is_alive()
for _ in range(3):
    refused(zraw.ContextTerminated, every)
# Those that had not heard of it yet.
refused(zraw.ContextTerminated, [pull.recv, lambda: capture.send(b"x")])
refused(zraw.ContextTerminated, every)
context.close()
refused(zraw.NotASocket, every)
""")


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
def test_proxy__forked_child_is_refused(fork):
    check(f"""
other = context.socket(zraw.ZMQ_PULL)
pid = {fork}
if pid == 0:
    refused(zraw.ForkError, [
        lambda: zraw.proxy(pull, push), lambda: zraw.proxy_steerable(pull, push),
        lambda: zraw.proxy_steerable(pull, push, None, other)])
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
end()
""")


@pytest.mark.parametrize("call", ["proxy", "proxy_steerable"])
def test_proxy__of_a_daemon_thread_does_not_delay_exit(call):
    done = check(f"""
front, back = context.socket(zraw.ZMQ_ROUTER), context.socket(zraw.ZMQ_DEALER)
front.bind("tcp://127.0.0.1:*")
for sockets in ((pull, push), (front, back)):
    threading.Thread(target=zraw.{call}, args=sockets, daemon=True).start()
until(lambda: inside(pull) and inside(front))
""")
    assert done.seconds < 3


# ---- signals

RUN = """
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
push.connect(front.bind("inproc://front"))
pull.connect(back.bind("inproc://back"))
"""


@pytest.mark.parametrize("call", ["proxy", "proxy_steerable"])
def test_proxy__handlers_run_and_it_goes_on(call):
    """They may use the sockets; it is idle then, so that no message is lost."""
    check(
        RUN
        + f"""
count = 0
def handler(*_):
    global count
    count += 1
    assert front.getsockopt(zraw.ZMQ_TYPE) == zraw.ZMQ_PULL
    assert not inside(back)
signal.signal(signal.SIGUSR1, handler)
def talk():
    for number in range(10):
        seen = count
        until(lambda: inside(front))
        while count == seen:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.01)
        until(lambda: inside(front))
        push.send_multipart([b"%d" % number, b"x"])
        assert pull.recv_multipart() == [b"%d" % number, b"x"]
    context.shutdown()
thread = threading.Thread(target=talk)
thread.start()
refused(zraw.ContextTerminated, [lambda: zraw.{call}(front, back)])
thread.join()
assert count >= 10
context.close()
"""
    )


def test_proxy__handler_that_raises_ends_it():
    check(
        RUN
        + """
armed = False
def handler(*_):
    global armed
    if armed:
        armed = False
        raise KeyError("mine")
signal.signal(signal.SIGALRM, handler)
# A signal of the moment before the wait does not end it: others follow.
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
for call in (zraw.proxy, zraw.proxy_steerable):
    try:
        armed = True
        call(front, back)
    except KeyError as error:
        assert error.args == ("mine",)
    else:
        raise AssertionError
    assert not inside(front) and not inside(back)
    push.send(b"x")
    assert front.recv() == b"x"
signal.setitimer(signal.ITIMER_REAL, 0)
context.close()
"""
    )


def test_proxy__handler_may_close_a_socket_or_the_context():
    check(
        """
context.close()
for victim in ("front", "back", "capture", "context"):
    context = zraw.Context()
    front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
    capture = context.socket(zraw.ZMQ_PUB)
    signal.signal(signal.SIGALRM, lambda *_: globals()[victim].close())
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    refused(zraw.NotASocket, [lambda: zraw.proxy(front, back, capture)])
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert [one.closed for one in (front, back, capture)].count(False) in (0, 2)
    context.close()
context = zraw.Context()
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
signal.signal(signal.SIGALRM, lambda *_: context.shutdown())
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
refused(zraw.ContextTerminated, [lambda: zraw.proxy(front, back)])
signal.setitimer(signal.ITIMER_REAL, 0)
context.close()
"""
    )


@pytest.mark.parametrize("call", ["proxy", "proxy_steerable"])
def test_proxy__ctrl_c(call):
    check(
        INTERRUPT
        + RUN
        + f"""
for _ in range(2):
    interrupted(lambda: zraw.{call}(front, back), lambda: inside(front))
    assert not inside(front) and not inside(back)
push.send(b"x")
back.send(front.recv())
assert pull.recv() == b"x"
context.close()
"""
    )


def test_proxy__ctrl_c_gets_through_though_the_back_end_is_stuck():
    """Without a worker libzmq may look again and again, and never sleep."""
    check(
        INTERRUPT
        + """
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
push.connect(front.bind("inproc://front"))
push.send(b"x")
for _ in range(2):
    interrupted(lambda: zraw.proxy(front, back), lambda: inside(front))
assert front.recv() == b"x"
context.close()
""",
        timeout=10,
    )
