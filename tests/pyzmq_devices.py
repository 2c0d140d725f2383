"""zmq.devices and zmq.log, on a backend of pyzmq's."""

from __future__ import annotations

import logging
import logging.config
import sys
import threading

import zmq
from zmq.devices import (
    MonitoredQueue,
    ProcessDevice,
    ProcessProxy,
    ThreadDevice,
    ThreadMonitoredQueue,
    ThreadProxy,
    ThreadProxySteerable,
)
from zmq.log.handlers import PUBHandler

from pyzmq_case import limited, main, raises

HOST = "tcp://127.0.0.1"


def thread_device() -> None:
    """A queue in a thread; the end of its context ends it."""
    device = ThreadDevice(zmq.QUEUE, zmq.ROUTER, zmq.DEALER)
    context = device.context_factory()
    device.setsockopt_in(zmq.LINGER, 0)
    device.setsockopt_out(zmq.LINGER, 0)
    device.bind_in("inproc://front")
    device.bind_out("inproc://back")
    device.start()
    request, reply = (limited(context.socket(kind)) for kind in (zmq.REQ, zmq.REP))
    request.connect("inproc://front")
    reply.connect("inproc://back")
    for body in (b"small", b"x" * 1000000):
        request.send(body, copy=False)
        assert reply.recv() == body
        reply.send_multipart([b"got", body])
        assert request.recv_multipart() == [b"got", body]
    request.close()
    reply.close()
    context.term()
    device.join(10)
    assert device.done


def process_device() -> None:
    """Devices in other processes, where a proxy has a tap; they end with this one."""
    context = zmq.Context()
    device = ProcessDevice(zmq.STREAMER, zmq.PULL, zmq.PUSH)
    ports = device.bind_in_to_random_port(HOST), device.bind_out_to_random_port(HOST)
    device.start()
    push, pull = limited(context.socket(zmq.PUSH)), limited(context.socket(zmq.PULL))
    push.connect(f"{HOST}:{ports[0]}")
    pull.connect(f"{HOST}:{ports[1]}")
    for i in range(100):
        push.send(b"%d" % i)
    assert [pull.recv() for _ in range(100)] == [b"%d" % i for i in range(100)]

    proxy = ProcessProxy(zmq.PULL, zmq.PUSH, zmq.PUSH)
    ends = []
    for kind, bind in (
        (zmq.PUSH, proxy.bind_in_to_random_port),
        (zmq.PULL, proxy.bind_out_to_random_port),
        (zmq.PULL, proxy.bind_mon_to_random_port),
    ):
        ends.append(limited(context.socket(kind)))
        ends[-1].connect(f"{HOST}:{bind(HOST)}")
    proxy.start()
    ends[0].send_multipart([b"a", b"b"])
    assert ends[1].recv_multipart() == [b"a", b"b"]
    assert ends[2].recv_multipart() == [b"a", b"b"]
    for each in (device, proxy):
        assert each.launcher.is_alive()
        each.launcher.terminate()
        each.join(10)
        assert each.launcher.exitcode == -15, each.launcher.exitcode
    context.destroy(0)


def monitored_queue() -> None:
    """Between ROUTERs, which drop what is for strangers; a tap sees all of it."""
    for kind in (MonitoredQueue, ThreadMonitoredQueue):
        context = zmq.Context()
        device = kind(zmq.ROUTER, zmq.ROUTER, zmq.PUSH, b"to", b"fro")
        device.context_factory = lambda context=context: context
        device.bind_in("inproc://front")
        device.bind_out("inproc://back")
        device.bind_mon("inproc://tap")
        tap = limited(context.socket(zmq.PULL))
        tap.connect("inproc://tap")
        ends = []
        for name, where in ((b"A", "inproc://front"), (b"B", "inproc://back")):
            ends.append(limited(context.socket(zmq.DEALER)))
            ends[-1].routing_id = name
            ends[-1].connect(where)
        running = threading.Thread(target=device.start, daemon=True)
        running.start()
        hellos = 1
        ends[0].send_multipart([b"B", b"hello"])
        while not ends[1].poll(50):
            assert hellos < 200, "B is not known"
            hellos += 1
            ends[0].send_multipart([b"B", b"hello"])
        assert ends[1].recv_multipart() == [b"A", b"hello"]
        ends[1].send_multipart([b"A", b"hi"])
        assert ends[0].recv_multipart() == [b"B", b"hi"]
        seen = [tap.recv_multipart() for _ in range(hellos + 1)]
        back = seen.index([b"fro", b"A", b"B", b"hi"])
        del seen[back]
        assert seen == [[b"to", b"B", b"A", b"hello"]] * hellos, seen
        for socket in (*ends, tap):
            socket.close()
        context.term()
        running.join(10)
        device.join(10)
        assert device.done


def steered() -> None:
    """A proxy that pauses, resumes and ends when it is told to; commands are tapped.

    libzmq 4.3.5, which pyzmq's wheels bring, answers every word, and does not resume.
    """
    if zmq.zmq_version_info() == (4, 3, 5):
        return
    device = ThreadProxySteerable(zmq.PULL, zmq.PUSH, zmq.PUSH, zmq.PAIR)
    context = device.context_factory()
    for name in ("in", "out", "mon", "ctrl"):
        getattr(device, f"bind_{name}")(f"inproc://{name}")
    device.start()
    push, pull, tap, control = (
        limited(context.socket(kind))
        for kind in (zmq.PUSH, zmq.PULL, zmq.PULL, zmq.PAIR)
    )
    for socket, name in ((push, "in"), (pull, "out"), (tap, "mon"), (control, "ctrl")):
        socket.connect(f"inproc://{name}")
    push.send(b"first")
    assert (pull.recv(), tap.recv()) == (b"first", b"first")
    control.send(b"PAUSE")
    control.send(b"STATISTICS")
    counts = [int.from_bytes(each, sys.byteorder) for each in control.recv_multipart()]
    assert counts == [1, 5, 0, 0, 0, 0, 1, 5], counts
    push.send(b"second")
    assert pull.poll(50) == 0
    control.send(b"RESUME")
    assert pull.recv() == b"second"
    tapped = [tap.recv() for _ in range(4)]
    assert tapped == [b"PAUSE", b"STATISTICS", b"RESUME", b"second"], tapped
    control.send(b"TERMINATE")
    device.join(10)
    assert device.done
    for socket in (push, pull, tap, control):
        socket.close()
    context.term()


def thread_proxy() -> None:
    """XSUB and XPUB: subscriptions go one way, messages the other."""
    device = ThreadProxy(zmq.XSUB, zmq.XPUB, zmq.PUSH)
    context = device.context_factory()
    device.bind_in("inproc://in")
    device.bind_out("inproc://out")
    device.bind_mon("inproc://mon")
    tap = limited(context.socket(zmq.PULL))
    tap.connect("inproc://mon")
    device.start()
    pub, sub = limited(context.socket(zmq.XPUB)), limited(context.socket(zmq.SUB))
    pub.connect("inproc://in")
    sub.subscribe(b"a")
    sub.connect("inproc://out")
    assert (tap.recv(), pub.recv()) == (b"\x01a", b"\x01a")
    for body in (b"b1", b"a1", b"a2"):
        pub.send(body)
    assert [sub.recv(), sub.recv()] == [b"a1", b"a2"]
    assert [tap.recv(), tap.recv()] == [b"a1", b"a2"]
    for socket in (pub, sub, tap):
        socket.close()
    context.term()
    device.join(10)


def logs() -> None:
    """Records of two threads go to subscribers, by topic and level."""
    context = zmq.Context()
    pub = limited(context.socket(zmq.XPUB))
    pub.bind("tcp://127.0.0.1:*")
    subs = []
    for topic in (b"app", b"app.ERROR", b"app.INFO.part"):
        subs.append(limited(context.socket(zmq.SUB)))
        subs[-1].subscribe(topic)
        subs[-1].connect(pub.last_endpoint.decode())
    assert sorted(pub.recv() for _ in subs) == [
        b"\x01app",
        b"\x01app.ERROR",
        b"\x01app.INFO.part",
    ]
    handler = PUBHandler(pub)
    handler.root_topic = "app"
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("zraw.test")
    logger.propagate = False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def speak() -> None:
        for number in range(10):
            logger.info("number %d", number)

    thread = threading.Thread(target=speak)
    thread.start()
    thread.join(10)
    logger.debug("not this")
    logger.info("part::of it: %s", "one")
    logger.error("bad: %r", "x")
    numbers = [[b"app.INFO", b"number %d" % n] for n in range(10)]
    part, bad = [b"app.INFO.part", b"of it: one"], [b"app.ERROR", b"bad: 'x'"]
    assert [subs[0].recv_multipart() for _ in range(12)] == [*numbers, part, bad]
    assert subs[1].recv_multipart() == bad
    assert subs[2].recv_multipart() == part
    for sub in subs:
        raises(zmq.Again, sub.recv, zmq.DONTWAIT)
        sub.close()
    pub.close()
    context.term()


if __name__ == "__main__":
    main(globals())
