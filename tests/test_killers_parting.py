"""Connections whose end libzmq hears of too late: half-sent messages, new HWMs."""

from __future__ import annotations

import pytest

from conftest import run_child
from programs import START, check

PROGRAM = """
import socket, struct

def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()

def round_trip():
    "The I/O thread, of which there is one, has come by all that was before."
    for _ in range(3):
        one.send(b"x")
        assert two.recv() == b"x"

one, two = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
two.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
one.connect(two.bind("tcp://127.0.0.1:*"))
round_trip()
sender = context.socket({type})
sender.setsockopt(zraw.ZMQ_LINGER, {linger})
if {how!r} == "unbind":
    endpoint = sender.bind("tcp://127.0.0.1:*")
    peer = socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))
else:
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"tcp://127.0.0.1:{{listener.getsockname()[1]}}"
    sender.connect(endpoint)
    peer, _ = listener.accept()
    listener.close()
peer.settimeout(10)
ready = b"\\5READY\\x0bSocket-Type" + struct.pack(">I", len({peer!r})) + {peer!r}
peer.sendall(b"\\xff" + bytes(8) + b"\\x7f\\3\\0NULL" + bytes(48)
             + bytes([4, len(ready)]) + ready)
sender.setsockopt(zraw.ZMQ_SNDTIMEO, 10000)
sender.send_multipart([b"x" * 5000] * 5000)  # more than the system takes
got = 0
while got < 10000:  # some of it is on its way
    got += len(peer.recv(10000))
sender.{how}(endpoint)
round_trip()
reset(peer)
round_trip()
sender.close(linger=0)
"""


@pytest.mark.parametrize("type, peer", [("PUSH", b"PULL"), ("DEALER", b"ROUTER")])
@pytest.mark.parametrize(
    "how, linger", [("disconnect", 0), ("unbind", 0), ("unbind", -1), ("unbind", 10)]
)
def test_parting__half_sent_message_and_reset(type, peer, how, linger):
    """libzmq would abort: nobody had told it that the connection may go."""
    kind = f"zraw.ZMQ_{type}"
    program = PROGRAM.format(type=kind, peer=peer, how=how, linger=linger)
    program = "context = zraw.Context()\n" + program + "context.close(linger=0)\n"
    tries = 3  # some ms are left to libzmq's threads, which may be too few
    while tries > 1 and run_child(START + program).code:
        tries -= 1
    check(program)


HWM = """
REFUSED = zraw.version() < (4, 3, 6)
def pair(where):
    a, b = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
    endpoint = b.bind(where)
    a.connect(endpoint)
    a.send(b"x")
    assert b.recv() == b"x"
    return a, b, endpoint

def change(socket):
    try:
        socket.setsockopt(zraw.ZMQ_SNDHWM, 10)
        socket.setsockopt(zraw.ZMQ_RCVHWM, 10)
    except zraw.InvalidState:
        return False
    return True

a, b, _ = pair("inproc://stays")
assert change(a) and change(b)
a.close()
b.close()
for n in range(20):
    for where in ("tcp://127.0.0.1:*", f"inproc://{n}"):
        a, b, endpoint = pair(where)
        if n % 2:
            a.disconnect(endpoint)
        else:
            a.close()
        b.try_recv()   # it agrees that the connection goes,
        done = change(b)
        assert done == (where.startswith("tcp") or not REFUSED), where
        if n % 2:
            a.try_recv()   # which the other one only now hears of
        a.close()
        b.close()
late = context.socket(zraw.ZMQ_PAIR)
late.bind("inproc://late")
assert change(late)  # before its first connection all is well
late.close()
end()
"""


def test_hwm__changed_when_a_peer_has_left():
    """libzmq would write to the other end of the connection, which has been freed."""
    check(HWM)
