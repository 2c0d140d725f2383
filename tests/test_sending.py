"""What reaches a peer that dies or comes anew: whole messages or nothing."""

from __future__ import annotations

import ctypes
import itertools
import socket as stdlib_socket
from collections.abc import Callable

import pytest

import zraw
from conftest import wait_until
from shim import SENDS, Shim, Witness, attach, libzmq, run_shimmed, when_waiting

MODES = {
    "blocking": (0, -1),
    "DONTWAIT": (zraw.ZMQ_DONTWAIT, -1),
    "SNDTIMEO 0": (0, 0),
    "SNDTIMEO 100": (0, 100),
}
BODY = b"two" * 50
# Copied, a Message, and pinned.
DOOMED = [b"one", BODY, b"three" * 20000]
A, X, Y = ([name + part for part in (b"1", b"2", b"3")] for name in (b"A", b"X", b"Y"))
MARKS = ([b"hello"], [b"\x01"])

# Sender, peer, whether the sender binds, options; and what becomes of a message
# whose peer dies.  "again": it is sent anew; "kept": libzmq keeps it for the peer's
# return; "dropped": libzmq drops it without a word; "unreachable": likewise, but
# the first frame is refused if the peer is gone.
KINDS = {
    "PUSH": (zraw.ZMQ_PUSH, zraw.ZMQ_PULL, True, {}, "again"),
    "DEALER": (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, True, {}, "again"),
    "PAIR": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, True, {}, "again"),
    "ROUTER": (zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, True, {}, "dropped"),
    "ROUTER mandatory": (
        *(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, True),
        *({zraw.ZMQ_ROUTER_MANDATORY: 1}, "unreachable"),
    ),
    "PUB": (zraw.ZMQ_PUB, zraw.ZMQ_SUB, True, {}, "dropped"),
    "XPUB": (zraw.ZMQ_XPUB, zraw.ZMQ_SUB, True, {}, "dropped"),
    "XPUB nodrop": (
        *(zraw.ZMQ_XPUB, zraw.ZMQ_SUB, True),
        *({zraw.ZMQ_XPUB_NODROP: 1}, "dropped"),
    ),
    "XSUB": (zraw.ZMQ_XSUB, zraw.ZMQ_XPUB, True, {}, "dropped"),
    "PUSH connects": (zraw.ZMQ_PUSH, zraw.ZMQ_PULL, False, {}, "kept"),
    "DEALER connects": (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, False, {}, "kept"),
    "PAIR connects": (zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, False, {}, "kept"),
    "PUB connects": (zraw.ZMQ_PUB, zraw.ZMQ_SUB, False, {}, "dropped"),
    # Not XSUB that connects: libzmq itself tears its messages (see send_multipart).
    # With ZMQ_IMMEDIATE a connecting socket loses the pipe with the connection.
    "PUSH immediate": (
        *(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, False, {zraw.ZMQ_IMMEDIATE: 1}, "again"),
    ),
    "DEALER immediate": (
        *(zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, False, {zraw.ZMQ_IMMEDIATE: 1}, "again"),
    ),
}


class Stage:
    """A sender, and peers in another context that come and go."""

    def __init__(self, shim: Shim, kind: int, peer: int, binds: bool = True):
        self.shim, self.kind, self.peer_kind, self.binds = shim, kind, peer, binds
        self.context, self.peers = zraw.Context(), zraw.Context()
        self.sender = Witness.make(self.context, kind)
        self.sender.setsockopt(zraw.ZMQ_RECONNECT_IVL, 10)
        self.witness = Witness(self.sender)
        self.open: list[zraw.Socket] = []
        self.early: list[list[bytes]] = []
        if kind == zraw.ZMQ_XSUB:
            self.sender.send(b"\x01")
        if kind == zraw.ZMQ_ROUTER:
            # Or the second peer of the same id is shut out until the first is gone.
            self.sender.setsockopt(zraw.ZMQ_ROUTER_HANDOVER, 1)
        if binds:
            self.where = self.sender.bind("tcp://127.0.0.1:*")

    def peer(self) -> zraw.Socket:
        peer = Witness.make(self.peers, self.peer_kind)
        self.open.append(peer)
        if self.peer_kind == zraw.ZMQ_SUB:
            peer.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
        if self.peer_kind == zraw.ZMQ_DEALER:
            # The same id for every peer: a message for the first one would fit.
            peer.setsockopt(zraw.ZMQ_ROUTING_ID, b"id")
        if self.binds:
            peer.connect(self.where)
        elif len(self.open) > 1:
            wait_until(lambda: bound(peer, self.where))
        else:
            self.where = peer.bind("tcp://127.0.0.1:*")
            self.sender.connect(self.where)
        if self.kind == zraw.ZMQ_ROUTER:
            peer.send(b"hello")
        return peer

    def meet(self, peer: zraw.Socket) -> None:
        """Wait until messages can reach the peer."""
        if not self.binds:
            self.witness.wait(zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        if self.kind == zraw.ZMQ_ROUTER:
            assert self.sender.recv_multipart() == [b"id", b"hello"]
        elif self.kind == zraw.ZMQ_XPUB:
            while self.sender.recv() != b"\x01":  # another peer's unsubscription
                pass
        elif self.kind == zraw.ZMQ_XSUB:
            while (message := peer.try_recv_multipart()) != [b"\x01"]:
                self.sender.poll(1)  # makes it see that the peer is there
                self.early += [message] if message else []
        elif self.kind == zraw.ZMQ_PUB:
            while not peer.poll(5):  # fewer than its high-water mark
                self.sender.send(b"hello")
        else:
            assert self.sender.poll(10000, zraw.ZMQ_POLLOUT)

    def die(self, peer: zraw.Socket) -> None:
        peer.close()
        self.witness.see_the_end(self.shim)

    def forget(self) -> None:
        """Let libzmq be done with a dead peer.

        A PAIR lets a peer that comes before in, and then ignores it for good.
        """
        for _ in range(5):
            self.witness.round_trip()
            self.sender.poll(0)

    def close(self) -> None:
        self.witness.close()
        for socket in (self.sender, *self.open):
            socket.close()
        self.context.term()
        self.peers.term()


def bound(socket: zraw.Socket, where: str) -> bool:
    """Take over the port of a socket that is being closed."""
    try:
        return bool(socket.bind(where))
    except zraw.AddressInUse:
        return False


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except zraw.ZMQError as error:
        return type(error).__name__


def short(messages: list[list[bytes]]) -> object:
    return [[part[:9] for part in message] for message in messages]


def play(shim: Shim, name: str, mode: str, batch: bool, nth: int) -> str | None:
    """Let the peer die before the nth frame; return what goes wrong."""
    kind, peer_kind, binds, options, fate = KINDS[name]
    flags, timeout = MODES[mode]
    waits = mode == "blocking" and fate == "again"
    stage = Stage(shim, kind, peer_kind, binds)
    sender = stage.sender
    for option, value in {**options, zraw.ZMQ_SNDTIMEO: timeout}.items():
        sender.setsockopt(option, value)
    head = [b"id"] if kind == zraw.ZMQ_ROUTER else []
    old = stage.peer()
    stage.meet(old)
    stage.early.clear()
    body = zraw.Message(BODY)
    doomed = [*head, DOOMED[0], body, DOOMED[2]]
    threads, peers = [], []

    def kill(_: int) -> None:
        stage.die(old)
        if waits:
            renew = when_waiting(shim, lambda: peers.append(stage.peer()))
            threads.append(renew)

    shim.before(nth + batch * len(head + A), kill)
    if batch:
        got = outcome(lambda: sender.send_many([head + A, doomed], flags))
    else:
        got = outcome(lambda: sender.send_multipart(doomed, flags))
    if shim.countdown[SENDS]:
        return "there were not so many frames"
    refused = not waits if fate == "again" else fate == "unreachable" and nth == 1
    wanted: object = 2 if batch else None
    if refused:
        wanted = 1 if batch else "Again" if fate == "again" else "HostUnreachable"
    if got != wanted:
        return f"the result is {got}, not {wanted}"
    if body != (BODY if refused else b""):
        return f"the Message has {len(body)} bytes"
    if not waits:
        stage.forget()
    for thread in threads:
        thread.join()
    new = peers[0] if waits else stage.peer()
    stage.meet(new)
    for message in (X, Y):
        sender.send_multipart(head + message, zraw.ZMQ_DONTWAIT)
    messages = stage.early
    while Y not in messages:
        messages.append(new.recv_multipart())
    messages = [message for message in messages if message not in MARKS]
    if not binds and messages[0] == A:
        messages = messages[1:]  # accepted before, and not read by the old peer
    if name == "PUB connects" and messages[0] == DOOMED:
        messages = messages[1:]  # it may be kept, whole
    sent = not refused and fate in ("again", "kept")
    if messages != ([DOOMED] if sent else []) + [X, Y]:
        return f"the new peer got {short(messages)}"
    stage.close()
    return None


def play_all(name: str) -> None:
    """The program of a child: all scenarios for one type."""
    shim = attach()
    frames = range(1, 5 if KINDS[name][0] == zraw.ZMQ_ROUTER else 4)
    for mode, batch, nth in itertools.product(MODES, (False, True), frames):
        if wrong := play(shim, name, mode, batch, nth):
            call = "send_many" if batch else "send_multipart"
            print(f"{name}, {mode}, {call}, dead before frame {nth}: {wrong}")


@pytest.mark.parametrize("name", KINDS)
def test_send__no_peer_gets_a_part(library, name):
    program = "import sys, test_sending; test_sending.play_all(sys.argv[1])"
    done = run_shimmed(library, program, name)
    assert (done.code, done.out, done.err) == (0, "", ""), done


def take_turns(shim: Shim, kind: int, mode: str, batch: bool, nth: int) -> str | None:
    """REQ and REP: play(), with an answer to every message that arrives."""
    flags, timeout = MODES[mode]
    req = kind == zraw.ZMQ_REQ
    stage = Stage(shim, kind, zraw.ZMQ_REP if req else zraw.ZMQ_REQ)
    sender = stage.sender
    sender.setsockopt(zraw.ZMQ_SNDTIMEO, timeout)

    def meet(peer: zraw.Socket) -> None:
        if req:
            assert sender.poll(10000, zraw.ZMQ_POLLOUT)
        else:
            peer.send(b"question")
            assert sender.recv() == b"question"

    old = stage.peer()
    meet(old)
    body = zraw.Message(BODY)
    doomed = [DOOMED[0], body, DOOMED[2]]
    waits = req and nth == 1 and mode == "blocking"
    threads, peers = [], []

    def kill(_: int) -> None:
        stage.die(old)
        if waits:
            threads.append(when_waiting(shim, lambda: peers.append(stage.peer())))

    shim.before(nth, kill)
    if batch:
        got = outcome(lambda: sender.send_many([doomed], flags))
    else:
        got = outcome(lambda: sender.send_multipart(doomed, flags))
    wanted: object = 1 if batch else None
    if req and not waits:
        wanted = "Again" if nth == 1 else "InvalidState"
    if got != wanted:
        return f"the result is {got}, not {wanted}"
    if body != (BODY if req and not waits else b""):
        return f"the Message has {len(body)} bytes"
    for thread in threads:
        thread.join()
    new = peers[0] if waits else stage.peer()
    if wanted == "InvalidState":
        for call in (
            lambda: sender.send(b"x"),
            lambda: sender.try_send(b"x"),
            lambda: sender.send(zraw.Message(b"x"), zraw.ZMQ_DONTWAIT),
            lambda: sender.send_const(b"x", zraw.ZMQ_SNDMORE),
            lambda: sender.send_multipart([b"x"]),
            lambda: sender.send_multipart([b"x", b"y"]),
            lambda: sender.send_many([b"x"]),
            lambda: zraw.Message(b"x").send(sender),
        ):
            if (got := outcome(call)) != "InvalidState":
                return f"a later send gives {got}"
        if new.poll(50):
            return f"the new peer got {short([new.recv_multipart()])}"
    elif waits:
        if new.recv_multipart() != DOOMED:
            return "the new peer did not get the request"
        new.send(b"answer")
        sender.recv()
    if wanted != "InvalidState":
        for message in (X, Y):
            meet(new)
            sender.send_multipart(message, zraw.ZMQ_DONTWAIT)
            if (got := new.recv_multipart()) != message:
                return f"the new peer got {short([got])}"
            if req:
                new.send(b"answer")
                assert sender.recv() == b"answer"
    stage.close()
    return None


def take_all_turns(name: str) -> None:
    shim = attach()
    for mode, batch, nth in itertools.product(MODES, (False, True), (1, 2, 3)):
        if wrong := take_turns(shim, getattr(zraw, name), mode, batch, nth):
            call = "send_many" if batch else "send_multipart"
            print(f"{name}, {mode}, {call}, dead before frame {nth}: {wrong}")


@pytest.mark.parametrize("name", ["ZMQ_REQ", "ZMQ_REP"])
def test_send__no_peer_gets_a_part_where_messages_alternate(library, name):
    program = "import sys, test_sending; test_sending.take_all_turns(sys.argv[1])"
    done = run_shimmed(library, program, name)
    assert (done.code, done.out, done.err) == (0, "", ""), done


def stream() -> None:
    """STREAM: the peer is a plain socket, and the two frames are id and data.

    Until the sender has read that the peer is gone, libzmq takes it for a slow one:
    the id gives EAGAIN, and a blocking send of it would wait for good.
    """
    shim = attach()
    for mode, batch, nth in itertools.product(MODES, (False, True), (1, 2)):
        if (mode, nth) == ("blocking", 1):
            continue
        flags, timeout = MODES[mode]
        stage = Stage(shim, zraw.ZMQ_STREAM, 0)
        sender = stage.sender
        sender.setsockopt(zraw.ZMQ_SNDTIMEO, timeout)
        old, to = meet_raw(stage)
        body = zraw.Message(BODY)
        shim.before(nth, lambda _, old=old, stage=stage: stage.die(old))
        call = sender.send_many if batch else sender.send_multipart
        parts = [[to, body]] if batch else [to, body]
        got = outcome(lambda call=call, parts=parts, flags=flags: call(parts, flags))
        wanted = "Again" if nth == 1 else 1 if batch else None
        if got != wanted or body != (BODY if nth == 1 else b""):
            print(f"STREAM, {mode}, {nth}: the result is {got}, not {wanted}")
        new, to = meet_raw(stage)
        sender.send_many([[to, b"X"], [to, b"Y"]])
        data = new.recv(1)
        while not data.endswith(b"Y"):
            data += new.recv(100)
        if data != b"XY":
            print(f"STREAM, {mode}, {nth}: the new peer got {data!r}")
        new.close()
        stage.close()


def meet_raw(stage: Stage) -> tuple[stdlib_socket.socket, bytes]:
    port = int(stage.where.rpartition(":")[2])
    raw = stdlib_socket.create_connection(("127.0.0.1", port), 10)
    raw.sendall(b"hello")
    while (message := stage.sender.recv_multipart())[1] != b"hello":
        pass
    return raw, message[0]


def test_send__no_stream_peer_gets_a_part(library):
    done = run_shimmed(library, "import test_sending; test_sending.stream()")
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.parametrize("name", ["PUSH", "DEALER", "PAIR"])
@pytest.mark.parametrize("nth", [2, 3])
def test_send__a_killed_process_gets_no_part_either(library, name, nth):
    """As above, with SIGKILL."""
    program = """
        import os, subprocess, sys, zraw
        import test_sending
        from shim import attach
        child = '''if True:
            import sys, zraw
            socket = zraw.Context().socket(int(sys.argv[1]))
            socket.connect(sys.argv[2])
            while True:
                print(socket.recv(), flush=True)
        '''
        shim = attach()
        kind, peer, *_ = test_sending.KINDS[sys.argv[1]]
        stage = test_sending.Stage(shim, kind, peer)
        command = [sys.executable, "-c", child, str(peer), stage.where]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "LD_PRELOAD": ""}
        )
        stage.sender.send(b"first")
        assert process.stdout.readline() == b"b'first'\\n"
        def kill(_):
            process.kill()
            process.wait()
            stage.witness.see_the_end(shim)
        shim.before(int(sys.argv[2]), kill)
        try:
            stage.sender.send_multipart(test_sending.DOOMED, zraw.ZMQ_DONTWAIT)
        except zraw.Again:
            pass
        else:
            sys.exit("it was sent")
        assert process.stdout.read() == b""
        process.stdout.close()
        stage.forget()
        new = stage.peer()
        stage.meet(new)
        assert stage.sender.send_many([test_sending.X, test_sending.Y]) == 2
        assert new.recv_multipart() == test_sending.X
        assert new.recv_multipart() == test_sending.Y
        stage.close()
    """
    done = run_shimmed(library, program, name, str(nth))
    assert (done.code, done.out, done.err) == (0, "", ""), done


# --- Frame by frame, as C does ----------------------------------------------------


class PlainC:
    """zmq_send() by ctypes, with send()'s result or the name of its exception."""

    def __init__(self, socket: zraw.Socket, shim: Shim):
        self.handle, self.shim = ctypes.c_void_p(socket.handle), shim

    def send(self, data: bytes, flags: int) -> object:
        size = libzmq.zmq_send(self.handle, data, ctypes.c_size_t(len(data)), flags)
        self.shim.returned += 1
        return "Again" if size < 0 else size


FRAMES = {
    "last, waiting": [(b"two", 0)],
    "last, DONTWAIT": [(b"two", zraw.ZMQ_DONTWAIT)],
    "more, waiting": [(b"two", zraw.ZMQ_SNDMORE), (b"three", 0)],
    "more, DONTWAIT": [
        (b"two", zraw.ZMQ_SNDMORE | zraw.ZMQ_DONTWAIT),
        (b"three", zraw.ZMQ_DONTWAIT),
    ],
}


def frame_by_frame(shim: Shim, name: str, tail: str, gone: bool, plain: bool) -> object:
    """A peer dies after frame one; what do the sends say, and the next peer get?

    gone: libzmq has let go of the dead peer's pipe; else that is under way.
    """
    kind, peer_kind, *_ = KINDS[name]
    stage = Stage(shim, kind, peer_kind)
    stage.sender.setsockopt(zraw.ZMQ_SNDTIMEO, 100)
    old = stage.peer()
    stage.meet(old)
    sender = PlainC(stage.sender, shim) if plain else stage.sender
    results = [sender.send(b"one", zraw.ZMQ_SNDMORE)]
    if gone:
        old.close()
        stage.witness.wait(zraw.ZMQ_EVENT_DISCONNECTED)
        stage.forget()
    else:
        stage.die(old)
    for data, flags in FRAMES[tail]:
        results.append(outcome(lambda d=data, f=flags: sender.send(d, f)))
    stage.forget()
    new = stage.peer()
    stage.meet(new)
    for data in (b"X", b"Y", b"end"):
        results.append(outcome(lambda d=data: sender.send(d, 0)))
    got: list[list[bytes]] = []
    while not got or got[-1][-1] != b"end":
        got.append(new.recv_multipart())
    stage.close()
    return results, got


def compare_with_c(name: str) -> None:
    shim = attach()
    for tail, gone in itertools.product(FRAMES, (False, True)):
        plain = frame_by_frame(shim, name, tail, gone, plain=True)
        ours = frame_by_frame(shim, name, tail, gone, plain=False)
        if ours != plain:
            print(f"{name}, {tail}, {gone}: {ours}, but C has {plain}")


@pytest.mark.parametrize("name", ["PUSH", "DEALER", "PAIR"])
def test_send__frame_by_frame_is_as_in_c(library, name):
    program = "import sys, test_sending; test_sending.compare_with_c(sys.argv[1])"
    done = run_shimmed(library, program, name)
    assert (done.code, done.out, done.err) == (0, "", ""), done
