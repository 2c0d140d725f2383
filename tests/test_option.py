"""Options: what zraw adds to zmq_setsockopt() and zmq_getsockopt(), and takes away."""

from __future__ import annotations

import errno
import signal
import time
import traceback

import pytest

import zraw
from conftest import run_child

KEY = bytes(range(7, 231, 7))
Z85 = "2m.E*bpUAcksOvDtvIq=CyCm8LBwhzUEqc.+Hk84"  # the same


def number(name):
    return getattr(zraw, f"ZMQ_{name}")


@pytest.fixture
def dealer(ctx):
    with zraw.Socket(ctx, zraw.ZMQ_DEALER) as socket:
        yield socket


def test_getsockopt__that_can_only_be_read(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    push.send_multipart([b"a", b"b"])
    assert pull.poll(5000) == zraw.ZMQ_POLLIN
    assert pull.getsockopt(zraw.ZMQ_EVENTS) == zraw.ZMQ_POLLIN
    pull.recv()
    assert pull.getsockopt(zraw.ZMQ_RCVMORE) == 1
    pull.recv()
    assert pull.getsockopt(zraw.ZMQ_RCVMORE) == 0
    assert pull.getsockopt(zraw.ZMQ_EVENTS) == 0
    assert pull.getsockopt(zraw.ZMQ_FD) == pull.fileno() >= 0
    assert pull.getsockopt(zraw.ZMQ_TYPE) == zraw.ZMQ_PULL
    assert pull.getsockopt(zraw.ZMQ_THREAD_SAFE) == 0
    assert push.getsockopt(zraw.ZMQ_LAST_ENDPOINT).startswith("tcp://127.0.0.1:")
    assert push.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_NULL
    push.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "user")
    assert push.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_PLAIN


def test_getsockopt__heartbeat_ttl_is_kept_in_steps(dealer):
    dealer.setsockopt(zraw.ZMQ_HEARTBEAT_TTL, 6553599)
    assert dealer.getsockopt(zraw.ZMQ_HEARTBEAT_TTL) == 6553500


def test_setsockopt__takes_effect(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp", METADATA="X-key:välue")
    push.send(b"x")
    assert pull.recv_msg().gets("X-key") == "välue"
    pub, sub = pair(zraw.ZMQ_PUB, zraw.ZMQ_SUB)
    sub.setsockopt(zraw.ZMQ_UNSUBSCRIBE, b"")
    sub.setsockopt(zraw.ZMQ_SUBSCRIBE, bytearray(b"a\0b"))
    pub.send_many([b"a", b"a\0", b"a\0bc"])
    assert sub.recv() == b"a\0bc"


def test_setsockopt__binary_options_refuse_str_and_say_so(sock):
    sub, xpub = sock(zraw.ZMQ_SUB), sock(zraw.ZMQ_XPUB)
    router = sock(zraw.ZMQ_ROUTER)
    for socket, name in (
        (sub, "SUBSCRIBE"),
        (sub, "UNSUBSCRIBE"),
        (xpub, "XPUB_WELCOME_MSG"),
        (router, "ROUTING_ID"),
        (router, "CONNECT_ROUTING_ID"),
    ):
        with pytest.raises(TypeError, match=f"ZMQ_{name}.*encode"):
            socket.setsockopt(number(name), "text")
        for value in (b"x", bytearray(b"x"), memoryview(b"x")):
            socket.setsockopt(number(name), value)
        with pytest.raises(BufferError):
            socket.setsockopt(number(name), memoryview(b"a-b-")[::2])


def test_setsockopt__string_options_take_str_and_bytes_without_nul(dealer):
    for name in ("PLAIN_USERNAME", "ZAP_DOMAIN", "SOCKS_PROXY", "SOCKS_USERNAME"):
        dealer.setsockopt(number(name), b"by\xfftes")
        assert dealer.getsockopt(number(name)) == "by\udcfftes"
        dealer.setsockopt(number(name), "by\udcfftes")
        assert dealer.getsockopt(number(name)) == "by\udcfftes"
        for value in ("a\0b", b"a\0b", "\0"):
            with pytest.raises(ValueError, match=f"ZMQ_{name}.*NUL"):
                dealer.setsockopt(number(name), value)
        assert dealer.getsockopt(number(name)) == "by\udcfftes"


def test_setsockopt__integers_of_other_classes(dealer):
    class Index:
        def __index__(self):
            return 42

    dealer.setsockopt(zraw.ZMQ_SNDHWM, Index())
    assert dealer.getsockopt(zraw.ZMQ_SNDHWM) == 42
    for wrong in (5.0, "5", None, b"5"):
        with pytest.raises(TypeError, match="option"):
            dealer.getsockopt(wrong)
        with pytest.raises(TypeError, match="option"):
            dealer.setsockopt(wrong, 1)
    with pytest.raises(OverflowError, match="option"):
        dealer.getsockopt(2**31)


def test_getsockopt__unknown_option_needs_a_type(dealer):
    for call in (
        lambda **k: dealer.getsockopt(9999, **k),
        lambda **k: dealer.setsockopt(9999, b"x" if k.get("type") is bytes else 1, **k),
    ):
        for kind in ({}, {"type": str}):
            with pytest.raises(ValueError, match=r"9999.*type=int"):
                call(**kind)
        for kind in (int, bytes):
            with pytest.raises(zraw.InvalidArgument, match="9999"):
                call(type=kind)
    with pytest.raises(TypeError):
        dealer.setsockopt(9999, "text", type=bytes)
    with pytest.raises(TypeError):
        dealer.setsockopt(9999, b"x", type=int)
    assert dealer.getsockopt(zraw.ZMQ_SNDHWM, type=bytes) == 1000  # not unknown


@pytest.mark.parametrize("name", ["PUBLICKEY", "SECRETKEY", "SERVERKEY"])
def test_setsockopt__curve_keys(dealer, name):
    option = number(f"CURVE_{name}")
    if not zraw.has("curve"):
        pytest.skip("this libzmq is built without CURVE")
    for value in (Z85, Z85.encode(), KEY, bytearray(KEY), memoryview(KEY)):
        dealer.setsockopt(option, bytes(32))
        assert dealer.getsockopt(option) == "0" * 40
        dealer.setsockopt(option, value)
        assert dealer.getsockopt(option) == Z85
    for wrong in (b"", "", KEY[:31], KEY + b"x", Z85[:39], Z85 + "x", Z85 + "\0"):
        with pytest.raises(ValueError, match=f"CURVE_{name}") as caught:
            dealer.setsockopt(option, wrong)
        assert not isinstance(caught.value, zraw.ZMQError)
    for wrong in (5, None, [1] * 32):
        with pytest.raises(TypeError, match=f"CURVE_{name}"):
            dealer.setsockopt(option, wrong)
    assert dealer.getsockopt(option) == Z85
    assert dealer.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_CURVE


def test_setsockopt__none_is_a_type_error_elsewhere(sock):
    router = sock(zraw.ZMQ_ROUTER)
    sub = sock(zraw.ZMQ_SUB)
    router.bind("inproc://router")
    other = sock(zraw.ZMQ_ROUTER)
    other.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"used")
    other.connect("inproc://router")
    for socket, name in (
        (router, "ROUTING_ID"),
        (router, "CONNECT_ROUTING_ID"),
        (other, "CONNECT_ROUTING_ID"),
        (sub, "SUBSCRIBE"),
        (sub, "UNSUBSCRIBE"),
        (router, "METADATA"),
        (router, "ZAP_DOMAIN"),
        (router, "SNDHWM"),
    ):
        with pytest.raises(TypeError, match=f"ZMQ_{name}"):
            socket.setsockopt(number(name), None)


@pytest.mark.parametrize(
    "name", ["PLAIN_PASSWORD", "CURVE_SECRETKEY", "SOCKS_PASSWORD"]
)
def test_setsockopt__secrets_are_in_no_exception(sock, name):
    socket = sock(zraw.ZMQ_DEALER)
    values = [
        "hushed\0", b"hushed\0", "hushed\ud800", "hushed" * 50, ("hushed",), ["hushed"],
        bytearray(b"hushed" * 50), memoryview(b"h-u-s-h-e-d-")[::2],
    ]  # fmt: skip
    if name == "CURVE_SECRETKEY":
        values.append(b"hushed" + b"\xff" * 34)  # not Z85: libzmq says no
    for value in values:
        with pytest.raises((ValueError, TypeError, BufferError, OSError)) as caught:
            socket.setsockopt(number(name), value)
        error = caught.value
        said = [str(error), repr(error), repr(vars(error)), repr(error.args)]
        said += traceback.format_exception_only(error)
        while error is not None:
            said += [repr(error), repr(getattr(error, "object", None))]
            error = error.__cause__ or error.__context__
        assert "hushed" not in "".join(said)
        assert f"ZMQ_{name}" in str(caught.value) or isinstance(value, memoryview)
    assert "hushed" not in repr(socket)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            "REP",
            "ROUTER_MANDATORY ROUTER_RAW ROUTER_HANDOVER PROBE_ROUTER ROUTER_NOTIFY",
        ),
        ("PUB", "XPUB_MANUAL XPUB_MANUAL_LAST_VALUE"),
    ],
)
def test_setsockopt__refuses_what_libzmq_takes_and_regrets(sock, kind, names):
    socket = sock(getattr(zraw, f"ZMQ_{kind}"))
    for name in names.split():
        for value in (1, True, 0):
            with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}") as caught:
                socket.setsockopt(number(name), value)
            assert caught.value.errno == errno.EINVAL == zraw.errno()
    if kind == "REP":
        with pytest.raises(zraw.InvalidArgument, match="CONNECT_ROUTING_ID"):
            socket.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"x")


@pytest.mark.parametrize("kind", ["ROUTER", "STREAM"])
def test_setsockopt__connect_routing_id_in_use(kind):
    """libzmq would abort at the second connect."""
    done = run_child(
        """
        import sys, zraw
        class Index:
            def __index__(self):
                return zraw.ZMQ_CONNECT_ROUTING_ID
        context = zraw.Context()
        kind = getattr(zraw, sys.argv[1])
        router, other = context.socket(kind), context.socket(kind)
        endpoint = other.bind("tcp://127.0.0.1:*")
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"first")
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, bytearray(b"used"))
        try:
            router.connect("tcp://127.0.0.1")
        except zraw.InvalidArgument:
            router.connect(endpoint)
        for option in (zraw.ZMQ_CONNECT_ROUTING_ID, Index()):
            for value in (b"used", bytearray(b"used"), memoryview(b"used")):
                try:
                    router.setsockopt(option, value)
                except zraw.AddressInUse as error:
                    assert "CONNECT_ROUTING_ID" in str(error), error
                else:
                    print("accepted", option, value)
                router.connect(other.bind("tcp://127.0.0.1:*"))
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"first")
        router.connect(other.bind("tcp://127.0.0.1:*"))
        context.close(linger=0)
        """,
        f"ZMQ_{kind}",
    )
    assert (done.code, done.out, done.err) == (0, "", ""), done


@pytest.mark.parametrize("value", [5, 10**12, -1, 1.5, ["x"], object()])
def test_setsockopt__connect_routing_id_of_a_wrong_type(sock, value):
    """Also once an id is in use, when zraw looks at the value before libzmq."""
    router, other = sock(zraw.ZMQ_ROUTER), sock(zraw.ZMQ_ROUTER)
    with pytest.raises(TypeError, match="ZMQ_CONNECT_ROUTING_ID"):
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, value)
    router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"used")
    router.connect(other.bind("tcp://127.0.0.1:*"))
    with pytest.raises(TypeError, match="ZMQ_CONNECT_ROUTING_ID"):
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, value)


def test_bind__plain_server_that_enforces_a_missing_domain(sock):
    """libzmq would abort as soon as a client shows up."""
    server = sock(zraw.ZMQ_REP, PLAIN_SERVER=1, ZAP_ENFORCE_DOMAIN=1)
    for call in (server.bind, server.connect):
        with pytest.raises(zraw.InvalidArgument, match="ZAP_DOMAIN") as caught:
            call("inproc://server")
        assert caught.value.errno == errno.EINVAL == zraw.errno()
    server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "domain")
    assert server.bind("inproc://server") == "inproc://server"
    for options in ({"PLAIN_SERVER": 1}, {"ZAP_ENFORCE_DOMAIN": 1}):
        sock(zraw.ZMQ_REP, **options).connect("inproc://server")


def test_setsockopt__refused_text_is_shown_as_it_was_given(sock):
    with pytest.raises(zraw.InvalidArgument, match=r"= '::1/999'"):
        sock(zraw.ZMQ_PULL).setsockopt(zraw.ZMQ_TCP_ACCEPT_FILTER, "::1/999")


def test_getsockopt__under_signals(sock):
    """libzmq looks at its commands for ZMQ_EVENTS, and a signal interrupts that."""
    pull = sock(zraw.ZMQ_PULL)
    pull.bind("tcp://127.0.0.1:*")
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
    try:
        deadline = time.monotonic() + 10
        while len(handled) < 500 and time.monotonic() < deadline:
            assert pull.getsockopt(zraw.ZMQ_EVENTS) == 0
            pull.setsockopt(zraw.ZMQ_LINGER, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled
