"""Greenlets and zmq.green, on a backend of pyzmq's."""

from __future__ import annotations

import sys

if sys.argv[1].startswith("patched"):
    from gevent import monkey

    monkey.patch_all()

import threading
import time

import gevent
import zmq.green as zmq

from pyzmq_case import main, raises

COUNT = 200


def green(socket: zmq.Socket) -> zmq.Socket:
    socket.linger = 0
    return socket


def served(context: zmq.Context) -> tuple[zmq.Socket, str]:
    """Return a ROUTER and where it is."""
    router = green(context.socket(zmq.ROUTER))
    router.bind("tcp://127.0.0.1:*")
    return router, router.last_endpoint.decode()


def requests() -> None:
    """Many greenlets ask one server, and others run meanwhile."""
    context = zmq.Context()
    router, where = served(context)
    ticks = []

    def serve() -> None:
        for _ in range(COUNT * 3):
            client, empty, body = router.recv_multipart()
            router.send_multipart([client, empty, body.upper()])

    def ask(number: int) -> list[bytes]:
        with green(context.socket(zmq.REQ)) as request:
            request.connect(where)
            answers = []
            for i in range(3):
                request.send(b"from %d: %d" % (number, i))
                answers.append(request.recv())
            return answers

    def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            gevent.sleep(0.01)

    ticking = gevent.spawn(tick)
    server = gevent.spawn(serve)
    asking = [gevent.spawn(ask, number) for number in range(COUNT)]
    gevent.joinall([server, *asking], timeout=20, raise_error=True)
    assert [each.value for each in asking] == [
        [b"FROM %d: %d" % (number, i) for i in range(3)] for number in range(COUNT)
    ]
    ticking.kill()
    assert len(ticks) > 1
    router.close()
    context.term()


def timeouts() -> None:
    """A greenlet gives up; the socket can still be used, and so can its loop."""
    context = zmq.Context()
    pull, push = green(context.socket(zmq.PULL)), green(context.socket(zmq.PUSH))
    pull.bind("inproc://timeouts")
    push.connect("inproc://timeouts")
    try:
        with gevent.Timeout(0.05):
            pull.recv()
            raise AssertionError("received")
    except gevent.Timeout:
        pass
    raises(zmq.Again, pull.recv, zmq.DONTWAIT)
    assert pull.poll(50) == 0
    poller = zmq.Poller()
    poller.register(pull, zmq.POLLIN)
    assert poller.poll(50) == []
    gevent.spawn_later(0.05, push.send_multipart, [b"late", b"x" * 1000000])
    assert poller.poll(10000) == [(pull, zmq.POLLIN)]
    assert pull.recv_multipart() == [b"late", b"x" * 1000000]
    waiting = gevent.spawn(pull.recv)
    gevent.sleep(0)
    waiting.kill()
    push.send(b"for the next one")
    with gevent.Timeout(10):
        assert pull.recv() == b"for the next one"
    push.close()
    pull.close()
    context.term()


def full() -> None:
    """A sender waits for room, and the receiver runs meanwhile; nothing is lost."""
    context = zmq.Context()
    pull, push = green(context.socket(zmq.PULL)), green(context.socket(zmq.PUSH))
    pull.rcvhwm = push.sndhwm = 3
    pull.bind("inproc://full")
    push.connect("inproc://full")
    bodies = [b"%d" % i * (1 + i % 3 * 50000) for i in range(300)]

    def send() -> None:
        for body in bodies:
            push.send(body, copy=False)

    sender = gevent.spawn(send)
    with gevent.Timeout(20):
        assert [pull.recv() for _ in bodies] == bodies
    sender.get(timeout=10)
    push.close()
    pull.close()
    context.term()


def device() -> None:
    """zmq.green.device() between greenlets."""
    context = zmq.Context()
    router, where = served(context)
    dealer = green(context.socket(zmq.DEALER))
    dealer.bind("inproc://workers")
    forwarding = gevent.spawn(zmq.device, zmq.QUEUE, router, dealer)

    def work() -> None:
        with green(context.socket(zmq.REP)) as reply:
            reply.connect("inproc://workers")
            for _ in range(10):
                reply.send(reply.recv()[::-1])

    workers = [gevent.spawn(work) for _ in range(3)]
    with green(context.socket(zmq.REQ)) as request, gevent.Timeout(20):
        request.connect(where)
        for i in range(30):
            request.send(b"%d!" % i)
            assert request.recv() == b"!" + (b"%d" % i)[::-1]
    gevent.joinall(workers, timeout=10, raise_error=True)
    forwarding.kill()
    router.close()
    dealer.close()
    context.term()


def patched_threads() -> None:
    """With everything patched, threads are greenlets, and what is large is shared."""
    context = zmq.Context()
    router, where = served(context)
    got = []

    def ask(number: int) -> None:
        with green(context.socket(zmq.DEALER)) as dealer:
            dealer.connect(where)
            tracker = dealer.send(b"%d" % number * 200000, copy=False, track=True)
            assert dealer.recv() == b"%d" % number
            tracker.wait(10)
            assert tracker.done
            got.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    with gevent.Timeout(20):
        for _ in threads:
            client, body = router.recv_multipart()
            assert len(set(body)) == 1
            assert len(body) == 200000
            router.send_multipart([client, body[:1]])
        for thread in threads:
            thread.join()
    assert sorted(got) == list(range(10))
    router.close()
    context.term()


if __name__ == "__main__":
    main(globals())
