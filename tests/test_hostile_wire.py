"""CURVE with somebody on the wire who replays, inserts, reorders and alters frames.

Nothing altered is received: the connection is cut, the client comes again, and what it
says then is received next.  What the wire can do without being noticed is here, too.
"""

from __future__ import annotations

import errno

import pytest

import zraw
from attackers import CRYPTOGRAPHIC, FAR, KINDS, Middle, Served, command, failed, frame
from conftest import wait_until
from peers import is_hung_up_on, raw_peer, read
from zap_tools import (
    ALICE,
    RULES,
    SERVER,
    SUCCEEDED,
    Gate,
    curve,
    event_of,
)

pytestmark = pytest.mark.skipif(not zraw.has("curve"), reason="no CURVE here")
SEQUENCE = failed("ZMTP_INVALID_SEQUENCE")
UNEXPECTED = failed("ZMTP_UNEXPECTED_COMMAND")
SHORT = failed("ZMTP_MALFORMED_COMMAND_MESSAGE")
UNSPECIFIED = failed("ZMTP_MALFORMED_COMMAND_UNSPECIFIED")
AS_CURVE = {
    "client": curve(ALICE),
    "server": {"CURVE_SERVER": 1, "CURVE_SECRETKEY": SERVER[1]},
}
FIRST = 2  # the number of the first frame after the two of the handshake


each_side = pytest.mark.parametrize("says", AS_CURVE)


@pytest.fixture
def gate(ctx, sock):
    with Gate(ctx, sock) as made:
        yield made


class Session:
    """A PULL that is bound, and a PUSH that connects to it through a Middle.

    says: which side of CURVE the PUSH is.  monitored: whether the PULL tells what is
    wrong; libzmq 4.3.4 does not cut the connection then, but receives no more from it.
    """

    def __init__(self, gate, edit, says="client", monitored=False):
        other = "server" if says == "client" else "client"
        self.gate, self.says = gate, says
        self.pull = gate.sock(zraw.ZMQ_PULL, MAXMSGSIZE=10000, **AS_CURVE[other])
        self.reader = gate.watch(self.pull) if monitored else None
        self.where = self.pull.bind("tcp://127.0.0.1:*")
        self.middle = gate.ends.enter_context(Middle(self.where, edit))
        self.push, self.joined = self.join(self.middle.where)
        if monitored:
            assert event_of(self.reader) == SUCCEEDED

    def join(self, where):
        """Connect a PUSH; return it, and the reader of its handshakes."""
        push = self.gate.sock(zraw.ZMQ_PUSH, RECONNECT_IVL=1, **AS_CURVE[self.says])
        joined = self.gate.watch(push)
        push.connect(where)
        assert event_of(joined) == SUCCEEDED
        return push, joined

    def say(self, *messages):
        for each in messages:
            self.push.send_multipart(each if isinstance(each, list) else [each])

    def comes_again(self):
        """Wait until the PUSH has another connection."""
        while event_of(self.joined) != SUCCEEDED:
            pass

    def gets(self, *messages):
        """These are received, and then what a friend says who has come by now."""
        friend, _ = self.join(self.where)
        for message in messages:
            assert self.pull.recv_multipart() == [message]
        friend.send(b"the end")
        assert self.pull.recv_multipart() == [b"the end"]
        assert self.pull.try_recv() is None

    def got(self):
        """All that has been received, up to the last message, which is sent now."""
        self.say(b"the end")
        messages = []
        while (message := self.pull.recv_multipart()) != [b"the end"]:
            messages.append(message)
        assert self.pull.try_recv() is None
        return messages


def at(number, change):
    """Change one frame of the first connection."""
    return lambda connection, count, item: (
        change(item) if (connection, count) == (0, number) else item
    )


# ---- a session is played again


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "PAIR"])
@pytest.mark.parametrize("in_step", [False, True])
def test_curve__session_that_is_replayed(gate, kind, in_step):
    """At once, or with a wait for each answer; while the session lives."""
    handler = gate.handler({"test": RULES})
    asked = []
    judge = handler.authorize
    handler.authorize = lambda *request: asked.append(request) or judge(*request)
    served = Served(gate, kind, "CURVE")
    middle = gate.ends.enter_context(Middle(served.where))
    served.where, where = middle.where, served.where
    served.come().talk(b"secret")
    greeting, *frames = middle.heard[0]
    assert len(frames) >= 4  # the handshake, and two frames of a message
    with raw_peer(where) as attacker:
        if in_step:
            attacker.sendall(greeting)
            read(attacker, 64)
            attacker.sendall(frames.pop(0))
            assert read(attacker, 170)[2:10] == b"\7WELCOME"
            attacker.sendall(b"".join(frames))
        else:
            attacker.sendall(greeting + b"".join(frames))
        assert is_hung_up_on(attacker)
    # At once, INITIATE may come before WELCOME is sent.
    events = [CRYPTOGRAPHIC] if in_step else [CRYPTOGRAPHIC, failed("ZMTP_UNSPECIFIED")]
    assert event_of(served.reader) in events
    served.talk(b"after")
    assert len(asked) == 1  # it did not even come to that


REPLAYED = {
    # Its answer is for somebody else: the client hangs up.
    "HELLO": (0, 0, ("FAILED_NO_DETAIL", errno.EPIPE)),
    "INITIATE": (1, 1, CRYPTOGRAPHIC),
    "message of the same number": (FIRST, FIRST, CRYPTOGRAPHIC),
    "message of a later number": (FIRST, FIRST + 2, CRYPTOGRAPHIC),
    "message of an earlier number": (FIRST + 1, FIRST, SEQUENCE),
}


@pytest.mark.parametrize("case", REPLAYED)
def test_curve__frame_of_another_session(gate, case):
    """In the place of one's own; the first connection is recorded, then closed."""
    place, number, event = REPLAYED[case]

    def edit(connection, count, item):
        if (connection, count) == (1, place):
            return session.middle.heard[0][1 + number]
        return item

    session = Session(gate, edit, monitored=True)
    session.say(b"one", b"two", b"three")
    assert [session.pull.recv() for _ in range(3)] == [b"one", b"two", b"three"]
    session.push.close()
    wait_until(lambda: session.middle.ended == [0])
    if place >= FIRST:
        session.push, _ = session.join(session.middle.where)
        assert event_of(session.reader) == SUCCEEDED
        session.say(*[b"four", b"five"][: place - FIRST + 1])
    else:
        options = {**curve(ALICE), "RECONNECT_IVL": FAR}
        gate.sock(zraw.ZMQ_PUSH, **options).connect(session.middle.where)
    assert event_of(session.reader) == event
    session.gets(*[b"four"] * (place == FIRST + 1))


def test_curve__frame_that_is_sent_back(gate):
    """What the server has said is no message from a client."""
    server, where, reader = gate.place("CURVE", "", kind=zraw.ZMQ_DEALER)

    def edit(connection, count, item):
        if (connection, count) == (0, FIRST):
            return middle.answers[0][-len(item) :]
        return item

    middle = gate.ends.enter_context(Middle(where, edit))
    client = gate.sock(zraw.ZMQ_DEALER, RECONNECT_IVL=1, **curve(ALICE))
    client.connect(middle.where)
    assert event_of(reader) == SUCCEEDED
    for number in range(9):  # so that its number is none that has been
        server.send(b"question")
        assert client.recv() == b"question", number
    client.send(b"answer 1")  # of the same length
    assert event_of(reader) == CRYPTOGRAPHIC
    client.close()
    friend = gate.sock(zraw.ZMQ_DEALER, **curve(ALICE))
    friend.connect(where)
    friend.send(b"answer 2")
    assert server.recv() == b"answer 2"
    assert server.try_recv() is None


# ---- frames are altered, doubled, reordered, inserted

ALTERED = {
    "twice": (lambda f: f + f, SEQUENCE),
    "without its end": (lambda f: f[:1] + bytes([f[1] - 1]) + f[2:-1], CRYPTOGRAPHIC),
    "with more": (lambda f: f[:1] + bytes([f[1] + 1]) + f[2:] + b"x", CRYPTOGRAPHIC),
    "almost empty": (lambda f: command("MESSAGE"), SHORT),
    "empty": (lambda f: frame(b""), UNSPECIFIED),
    "in clear": (lambda f: frame(b"2"), UNSPECIFIED),
    "in clear before it": (lambda f: frame(b"2") + f, UNSPECIFIED),
    "with PING before it": (lambda f: command("PING", b"\0\0x") + f, UNEXPECTED),
    "with ERROR before it": (lambda f: command("ERROR", b"\x03400") + f, UNEXPECTED),
    "with READY before it": (lambda f: command("READY") + f, UNEXPECTED),
    "with HELLO before it": (lambda f: command("HELLO", bytes(194)) + f, UNEXPECTED),
    "with zeros before it": (lambda f: command("MESSAGE", bytes(40)) + f, SEQUENCE),
    "with a high number": (lambda f: f[:10] + b"\xff" * 8 + f[18:], CRYPTOGRAPHIC),
    "with a low number": (lambda f: f[:10] + bytes(8) + f[18:], SEQUENCE),
    "larger than allowed": (lambda f: b"\2" + bytes(6) + b"\x27\x11" + f[2:], None),
}


@each_side
@pytest.mark.parametrize("case", ALTERED)
def test_curve__frame_that_is_altered(gate, case, says):
    """The connection is cut, and the next one is all right."""
    change, _ = ALTERED[case]
    session = Session(gate, at(FIRST + 2, change), says)
    session.say(b"0", b"1", b"2")
    session.comes_again()
    genuine = [[b"2"]] * (case == "twice")
    assert session.got() == [[b"0"], [b"1"], *genuine]


@each_side
@pytest.mark.parametrize("case", [case for case in ALTERED if ALTERED[case][1]])
def test_curve__monitor_says_what_was_altered(gate, case, says):
    change, event = ALTERED[case]
    session = Session(gate, at(FIRST + 2, change), says, monitored=True)
    session.say(b"0", b"1", b"2")
    assert event_of(session.reader) == event
    session.gets(b"0", b"1", *[b"2"] * (case == "twice"))


@pytest.mark.parametrize(("says", "step"), [("client", 1), ("server", 7)])
def test_curve__every_bit_of_a_frame(gate, says, step):
    """One after the other, each on a connection of its own; the header is below."""
    length = 2 + 8 + 8 + 16 + 1 + 2  # header, name, number, tag, flags, body
    bits = range(16, length * 8, step)

    def edit(connection, count, item):
        if count == FIRST + 1 and connection < len(bits):
            assert len(item) == length
            number = int.from_bytes(item, "little") ^ 1 << bits[connection]
            item = number.to_bytes(length, "little")
        return item

    session = Session(gate, edit, says)
    for bit in bits:
        session.say(b"%d" % bit, b"no")
        assert session.pull.recv() == b"%d" % bit
        session.comes_again()
    assert session.got() == []
    assert len(session.middle.heard) == len(bits) + 1


def test_curve__frames_that_change_places(gate):
    """The later one is genuine; the earlier one is refused then."""
    held = []

    def edit(connection, count, item):
        if (connection, count) == (0, FIRST + 1):
            held.append(item)
            return b""
        return item + (held.pop() if held else b"")

    session = Session(gate, edit)
    session.say(b"0", b"1", b"2")
    session.comes_again()
    assert session.got() == [[b"0"], [b"2"]]


# ---- what is not noticed

UNNOTICED = {
    # Numbers may be left out: who can drop a frame tears a message.
    "a message is dropped": (0, lambda f: b"", [[b"a", b"b"], [b"c", b"d"]]),
    "a first frame is dropped": (1, lambda f: b"", [[b"0"], [b"b"], [b"c", b"d"]]),
    "a last frame is dropped": (2, lambda f: b"", [[b"0"], [b"a", b"c", b"d"]]),
    # The flags of the header count, besides those that are encrypted.
    "MORE": (0, lambda f: b"\1" + f[1:], [[b"0", b"a", b"b"], [b"c", b"d"]]),
    "MORE at an end": (2, lambda f: b"\1" + f[1:], [[b"0"], [b"a", b"b", b"c", b"d"]]),
    "COMMAND": (0, lambda f: b"\4" + f[1:], [[b"a", b"b"], [b"c", b"d"]]),
    "reserved bits": (
        0,
        lambda f: b"\xf8" + f[1:],
        [[b"0"], [b"a", b"b"], [b"c", b"d"]],
    ),
}


@each_side
@pytest.mark.parametrize("case", UNNOTICED)
def test_curve__wire_can_drop_and_join_frames(gate, case, says):
    """libzmq's limits: each frame is genuine and in order, a message may not be."""
    number, change, expected = UNNOTICED[case]
    session = Session(gate, at(FIRST + number, change), says, monitored=True)
    session.say(b"0", [b"a", b"b"], [b"c", b"d"])
    assert session.got() == expected
    assert not session.reader.poll(0)
