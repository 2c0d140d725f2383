"""ZAP handlers that talk nonsense, never answer, or die: nobody gets in by that.

As in test_hostile_security.py, a friend is served before, meanwhile, and afterwards.
"""

from __future__ import annotations

import contextlib

import pytest

import zraw
from attackers import FAR, KINDS, Served, each_kind, each_mechanism, failed
from conftest import wait_until
from peers import accept, refuse, zap_handler
from programs import check
from zap_tools import (
    AS_ALICE,
    DENIED,
    MECHANISMS,
    NO_HANDLER,
    RULES,
    STRANGER,
    Gate,
    curve,
    event_of,
    plain,
    zap,
)


@pytest.fixture
def gate(ctx, sock):
    with Gate(ctx, sock) as made:
        yield made


class Liar(zap.ZapHandler):
    """lie: gets envelope and request of whoever is unknown; returns what to send."""

    def __init__(self, context, lie):
        self.lie, self.told = lie, 0
        super().__init__(context, {"test": RULES})

    def _run(self):
        with contextlib.suppress(*zap.ENDED), self._socket as socket:
            while not self._over:
                frames = socket.recv_multipart()
                reply = self.answer(frames)
                if reply is None:
                    continue
                replies = [reply]
                if reply[4] != b"200":
                    self.told += 1
                    replies = self.lie(frames[:2], frames[2:])
                for each in replies:
                    socket.send_multipart(each)


def change(index, value):
    """One frame of a good reply is another one."""

    def lie(envelope, request):
        reply = accept(request, user=b"root")
        reply[index] = value
        return [envelope + reply]

    return lie


HUGE = b"2" * 2**20
MALFORMED = failed("ZAP_MALFORMED_REPLY")
BAD_METADATA = failed("ZAP_INVALID_METADATA")
LIES = {
    "empty": (lambda e, r: [e], MALFORMED),
    "two empty frames": (lambda e, r: [[*e, b""]], MALFORMED),
    "no delimiter": (lambda e, r: [e[:1] + accept(r)], MALFORMED),
    "other delimiter": (
        lambda e, r: [[e[0], b"x", *accept(r)]],
        failed("ZAP_UNSPECIFIED"),
    ),
    "too short": (lambda e, r: [e + accept(r)[:-1]], MALFORMED),
    "too long": (lambda e, r: [[*e, *accept(r), b""]], MALFORMED),
    "much too long": (lambda e, r: [[*e, *accept(r), *[b"x"] * 1000]], MALFORMED),
    "the question": (lambda e, r: [e + r[:6]], failed("ZAP_INVALID_STATUS_CODE")),
    "refused, then let in": (lambda e, r: [e + refuse(r), e + accept(r)], DENIED),
    "garbage, then let in": (lambda e, r: [[*e, b"x"], e + accept(r)], MALFORMED),
    **{
        f"version {value[:4]!r}": (change(0, value), failed("ZAP_BAD_VERSION"))
        for value in (b"", b"1", b"1.1", b"1.0\0", b"2.0", HUGE)
    },
    **{
        f"request id {value[:4]!r}": (change(1, value), failed("ZAP_BAD_REQUEST_ID"))
        for value in (b"", b"0", b"2", b"1 ", HUGE)
    },
    **{
        f"status {value[:4]!r}": (change(2, value), failed("ZAP_INVALID_STATUS_CODE"))
        for value in (
            b"",
            b"2",
            b"20",
            b"200\0",
            b"0200",
            b"+200",
            b"20O",
            b"201",
            HUGE,
        )
    },
    **{
        f"status {value!r}": (change(2, value), failed("ZAP_INVALID_STATUS_CODE"))
        for value in (b"000", b"100", b"600", b"\xb200")
    },
    **{
        f"status {value}": (change(2, b"%d" % value), ("FAILED_AUTH", value))
        for value in (300, 400, 500)
    },
    **{
        f"metadata {value[:6]!r}": (change(5, value), BAD_METADATA)
        for value in (
            b"x",
            b"\1A\0\0\0",
            b"\1A\0\0\0\5x",
            b"\1A\xff\xff\xff\xffx",
            b"\xffA\0\0\0\0",
            b"\x0bSocket-Type\0\0\0\3PUB",
            b"\xff" * 2**20,
        )
    },
}
each_way = pytest.mark.parametrize("mechanism", MECHANISMS[1:])
OTHERS = {"PLAIN": plain("x", "x"), "CURVE": curve(STRANGER)}


@pytest.fixture
def liar(ctx, gate):
    """Make a Liar, which is stopped after the test."""

    def make(lie):
        made = Liar(ctx, lie)
        gate.ends.callback(made.stop)
        return made

    return make


def attack(gate, served, kind, **options):
    """Who is unknown tries once."""
    options = {**OTHERS[served.mechanism], "RECONNECT_IVL": FAR, **options}
    attacker = gate.sock(getattr(zraw, f"ZMQ_{KINDS[kind]}"), **options)
    attacker.connect(served.where)
    attacker.try_send(b"sneaky")
    return attacker


@each_way
@pytest.mark.parametrize("lie", LIES)
def test_hostile__handler_that_talks_nonsense(gate, liar, mechanism, lie):
    """The types take turns."""
    kind = list(KINDS)[list(LIES).index(lie) % (len(KINDS) - 1)]  # but PAIR
    told, event = LIES[lie]
    handler = liar(told)
    served = Served(gate, kind, mechanism).come()
    served.talk(b"before")
    attack(gate, served, kind)
    assert event_of(served.reader) == event
    served.talk(b"after")
    assert handler.told == 1
    assert not served.reader.poll(0)


@each_way
@each_kind
def test_hostile__handler_that_never_answers(gate, liar, kind, mechanism):
    """The others need not wait, and who waits is thrown out in the end."""
    handler = liar(lambda envelope, request: [])
    served = Served(gate, kind, mechanism, HANDSHAKE_IVL=100)
    attack(gate, served, kind)
    # Where the friend comes, there is time enough.
    served.server.setsockopt(zraw.ZMQ_HANDSHAKE_IVL, 30000)
    there, served.where = served.where, served.server.bind("tcp://127.0.0.1:*")
    assert event_of(served.reader)[0] == "FAILED_NO_DETAIL"
    served.come().talk(b"before")
    served.where, here = there, served.where
    attack(gate, served, kind)
    served.where = here
    wait_until(lambda: handler.told == 2)
    served.talk(b"meanwhile")


def is_free(context):
    """Whether the socket of a handler is closed, which goes on in the background."""
    with context.socket(zraw.ZMQ_REP) as other:
        try:
            other.bind(zap.ENDPOINT)
        except zraw.AddressInUse:
            return False
        other.unbind(zap.ENDPOINT)
    return True


@each_way
@each_kind
def test_hostile__handler_that_dies(gate, liar, kind, mechanism):
    """With a question unanswered; who comes afterwards finds none."""

    def die(envelope, request):
        raise zraw.NotASocket("it dies here")

    first = liar(die)
    served = Served(gate, kind, mechanism, ZAP_ENFORCE_DOMAIN=1)
    attack(gate, served, kind)
    first._thread.join(10)
    assert not first._thread.is_alive() and first.told == 1
    wait_until(lambda: is_free(gate.ctx))
    attack(gate, served, kind)
    assert event_of(served.reader) == NO_HANDLER
    second = liar(lambda envelope, request: [envelope + refuse(request)])
    attack(gate, served, kind)
    assert event_of(served.reader) == DENIED
    served.come().talk(b"after")
    assert second.told == 1


@each_mechanism
def test_hostile__odd_but_right_reply(gate, ctx, mechanism):
    """Nobody looks at the text; the user id is whatever the handler says."""
    user = bytes(range(1, 127)) * 1000
    with zap_handler(ctx) as handler:
        handler.answer = lambda r: [*r[:2], b"200", b"\0\xff" * 2**19, user, b""]
        server, where, _ = gate.place(mechanism)
        gate.says(where, b"x", AS_ALICE[mechanism])
        message = server.recv_msg()
        assert (message, message.gets("User-Id")) == (b"x", user.decode())


HANDLER = """
answers = sys.argv[1].split(",")
handler = context.socket(zraw.ZMQ_ROUTER)
handler.bind("inproc://zeromq.zap.01")
pull.setsockopt(zraw.ZMQ_PLAIN_SERVER, 1)
pull.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "test")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
where = pull.bind("tcp://127.0.0.1:*")
for number in range(100):
    with context.socket(zraw.ZMQ_PUSH) as peer:
        peer.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "u")
        peer.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, "p")
        peer.setsockopt(zraw.ZMQ_LINGER, 0)
        peer.connect(where)
        peer.send(b"%d" % number)
        envelope = handler.recv_multipart()[:4]
        for status in answers:
            handler.send_multipart([*envelope, status.encode(), b"", b"", b""])
        assert pull.recv() == b"%d" % number
        for status in answers:
            handler.send_multipart([*envelope, status.encode(), b"", b"", b""])
        peer.send(b"again")
        assert pull.recv() == b"again"
context.close()
"""


@pytest.mark.parametrize("answers", ["200,200", "200,400", "200,500,200", "200,x"])
def test_hostile__handler_that_answers_twice(answers):
    """The first answer counts."""
    check(HANDLER, answers)


ZAP_ENDPOINT = """
for name in sys.argv[1:]:
    with context.socket(getattr(zraw, name)) as other:
        try:
            other.bind("inproc://zeromq.zap.01")
        except zraw.IncompatibleProtocol as error:
            assert "inproc://zeromq.zap.01" in str(error)
        else:
            raise AssertionError(f"{name} was let through")
try:
    push.monitor("inproc://zeromq.zap.01")
except zraw.IncompatibleProtocol:
    pass
else:
    raise AssertionError("a monitor was let through")
for kind in (zraw.ZMQ_REP, zraw.ZMQ_ROUTER):
    with context.socket(kind) as handler:
        handler.bind("inproc://zeromq.zap.01")
        handler.unbind("inproc://zeromq.zap.01")
pull.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "test")
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
push.connect(pull.bind("tcp://127.0.0.1:*"))
push.send(b"no handler")
assert pull.recv() == b"no handler"
context.close()
"""


def test_bind__only_handlers_at_the_endpoint_of_zap():
    """libzmq would abort the process as soon as a client shows up."""
    names = ["PULL", "PUSH", "DEALER", "REQ", "PUB", "SUB", "XPUB", "XSUB", "PAIR"]
    check(ZAP_ENDPOINT, *[f"ZMQ_{name}" for name in names])
