"""What reaches a peer that dies or comes anew: whole messages or nothing."""

from __future__ import annotations

import ctypes
import itertools
import socket as stdlib_socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import zraw
from conftest import wait_until
from shim import SENDS, Shim, Witness, attach, build, libzmq, run_shimmed, when_waiting

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
    "XSUB connects": (zraw.ZMQ_XSUB, zraw.ZMQ_XPUB, False, {}, "dropped"),
    # With ZMQ_IMMEDIATE a connecting socket loses the pipe with the connection.
    "PUSH immediate": (
        *(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, False, {zraw.ZMQ_IMMEDIATE: 1}, "again"),
    ),
    "DEALER immediate": (
        *(zraw.ZMQ_DEALER, zraw.ZMQ_DEALER, False, {zraw.ZMQ_IMMEDIATE: 1}, "again"),
    ),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


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
            peer.bind(self.where)
        else:
            self.where = peer.bind("tcp://127.0.0.1:*")
            self.sender.connect(self.where)
        if self.kind == zraw.ZMQ_ROUTER:
            peer.send(b"hello")
        return peer

    def meet(self, peer: zraw.Socket) -> None:
        """Wait until messages can reach the peer."""
        if self.kind == zraw.ZMQ_ROUTER:
            assert self.sender.recv_multipart() == [b"id", b"hello"]
        elif self.kind == zraw.ZMQ_XPUB:
            while self.sender.recv() != b"\x01":  # another peer's unsubscription
                pass
        elif self.kind == zraw.ZMQ_XSUB:
            while (message := peer.recv_multipart()) != [b"\x01"]:
                self.early.append(message)
        elif self.kind == zraw.ZMQ_PUB:
            while (message := peer.try_recv_multipart()) is None:
                self.sender.send(b"hello")
            self.early.append(message)
        else:
            assert self.sender.poll(10000, zraw.ZMQ_POLLOUT)

    def die(self, peer: zraw.Socket) -> None:
        peer.close()
        self.witness.wait()

    def close(self) -> None:
        self.witness.close()
        for socket in (self.sender, *self.open):
            socket.close()
        self.context.term()
        self.peers.term()


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
    joins = []

    def kill(_: int) -> None:
        stage.die(old)
        if waits:
            joins.append(when_waiting(shim, lambda: joins.append(stage.peer())))

    shim.before(nth + batch * len(head + A), kill)
    if batch:
        got = outcome(lambda: sender.send_many([head + A, doomed], flags))
    else:
        got = outcome(lambda: sender.send_multipart(doomed, flags))
    if shim.countdown[SENDS]:
        return "there were not so many frames"
    refused = fate == "again" and not waits or fate == "unreachable" and nth == 1
    wanted: object = 2 if batch else None
    if refused:
        wanted = 1 if batch else "Again" if fate == "again" else "HostUnreachable"
    if got != wanted:
        return f"the result is {got}, not {wanted}"
    if body != (BODY if refused else b""):
        return f"the Message has {len(body)} bytes"
    if waits:
        joins[0].join()
    new = joins[1] if waits else stage.peer()
    stage.meet(new)
    for message in (X, Y):
        sender.send_multipart(head + message, zraw.ZMQ_DONTWAIT)
    messages = stage.early
    while Y not in messages:
        messages.append(new.recv_multipart())
    messages = [message for message in messages if message not in MARKS]
    if not binds and messages[0] == A:
        messages = messages[1:]  # accepted before, and not read by the old peer
    if name in ("PUB connects", "XSUB connects") and messages[0] == DOOMED:
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
