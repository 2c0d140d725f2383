"""Options: what zmq_setsockopt() and zmq_getsockopt() promise, one by one."""

from __future__ import annotations

import errno
import traceback

import pytest

import zraw
from conftest import run_child

KEY = bytes(range(7, 231, 7))
Z85 = "2m.E*bpUAcksOvDtvIq=CyCm8LBwhzUEqc.+Hk84"  # the same

# Options that libzmq lacks unless zmq_has() says so; then they are EINVAL.
NEEDS = {
    "curve": "CURVE_SERVER CURVE_PUBLICKEY CURVE_SECRETKEY CURVE_SERVERKEY",
    "gssapi": "GSSAPI_SERVER GSSAPI_PRINCIPAL GSSAPI_SERVICE_PRINCIPAL "
    "GSSAPI_PLAINTEXT GSSAPI_PRINCIPAL_NAMETYPE GSSAPI_SERVICE_PRINCIPAL_NAMETYPE",
    "vmci": "VMCI_BUFFER_SIZE VMCI_BUFFER_MIN_SIZE VMCI_BUFFER_MAX_SIZE "
    "VMCI_CONNECT_TIMEOUT",
    "draft": "ROUTER_NOTIFY IN_BATCH_SIZE OUT_BATCH_SIZE HELLO_MSG DISCONNECT_MSG "
    "PRIORITY BUSY_POLL HICCUP_MSG XSUB_VERBOSE_UNSUBSCRIBE",
    "WSS": "WSS_KEY_PEM WSS_CERT_PEM WSS_TRUST_PEM WSS_HOSTNAME WSS_TRUST_SYSTEM",
    "norm": "NORM_MODE NORM_UNICAST_NACK NORM_BUFFER_SIZE NORM_SEGMENT_SIZE "
    "NORM_BLOCK_SIZE NORM_NUM_PARITY NORM_NUM_AUTOPARITY NORM_PUSH",
}
FEATURE = {name: key for key, names in NEEDS.items() for name in names.split()}

# name: (default on DEALER, values that are read back as they were set)
READ_WRITE = {
    "AFFINITY": (0, [1, 2**63, 2**64 - 1, True]),
    "ROUTING_ID": (b"", [b"x", b"\0a\0", b"i" * 255]),
    "RATE": (100, [1, 2**31 - 1]),
    "RECOVERY_IVL": (10000, [0, 5]),
    "SNDBUF": (-1, [0, 4096, -1]),
    "RCVBUF": (-1, [0, 4096, -1]),
    "LINGER": (-1, [0, 100, -1, True]),
    "RECONNECT_IVL": (100, [-1, 7]),
    "BACKLOG": (100, [0, 8]),
    "RECONNECT_IVL_MAX": (0, [1000]),
    "MAXMSGSIZE": (-1, [0, 2**40, 2**63 - 1, -1]),
    "SNDHWM": (1000, [0, 1]),
    "RCVHWM": (1000, [0, 1]),
    "MULTICAST_HOPS": (1, [3]),
    "RCVTIMEO": (-1, [0, 50, -1]),
    "SNDTIMEO": (-1, [0, 50, -1]),
    "IPV4ONLY": (1, [0, 1]),
    "TCP_KEEPALIVE": (-1, [0, 1, -1]),
    "TCP_KEEPALIVE_CNT": (-1, [5, -1]),
    "TCP_KEEPALIVE_IDLE": (-1, [5, -1]),
    "TCP_KEEPALIVE_INTVL": (-1, [5, -1]),
    "IMMEDIATE": (0, [1, 0, True]),
    "IPV6": (0, [1, 0]),
    "PLAIN_SERVER": (0, [1, 0]),
    "PLAIN_USERNAME": ("", ["user", "ü" * 100]),
    "PLAIN_PASSWORD": ("", ["word"]),
    "CURVE_SERVER": (0, [1, 0]),
    "CURVE_PUBLICKEY": ("0" * 40, [Z85]),
    "CURVE_SECRETKEY": ("0" * 40, [Z85]),
    "CURVE_SERVERKEY": ("0" * 40, [Z85]),
    "CONFLATE": (0, [1, 0]),
    "ZAP_DOMAIN": ("", ["domain"]),
    "TOS": (0, [16]),
    "GSSAPI_SERVER": (0, [1, 0]),
    "GSSAPI_PRINCIPAL": ("", ["who"]),
    "GSSAPI_SERVICE_PRINCIPAL": ("", ["service"]),
    "GSSAPI_PLAINTEXT": (0, [1, 0]),
    "HANDSHAKE_IVL": (30000, [0, 10]),
    "SOCKS_PROXY": ("", ["127.0.0.1:1080", "h" * 8000]),
    "INVERT_MATCHING": (0, [1, 0]),
    "HEARTBEAT_IVL": (0, [1000]),
    "HEARTBEAT_TTL": (0, [100, 6553500]),
    "HEARTBEAT_TIMEOUT": (-1, [0, 500]),
    "CONNECT_TIMEOUT": (0, [500]),
    "TCP_MAXRT": (0, [500]),
    "MULTICAST_MAXTPDU": (1500, [1400]),
    "USE_FD": (-1, [-1]),
    "GSSAPI_PRINCIPAL_NAMETYPE": (0, [2, 0]),
    "GSSAPI_SERVICE_PRINCIPAL_NAMETYPE": (0, [2, 0]),
    "BINDTODEVICE": ("", ["lo"]),
    "ZAP_ENFORCE_DOMAIN": (0, [1]),
    "LOOPBACK_FASTPATH": (0, [1]),
    "MULTICAST_LOOP": (1, [0]),
    "SOCKS_USERNAME": ("", ["user"]),
    "SOCKS_PASSWORD": ("", ["word"]),
    "IN_BATCH_SIZE": (8192, [100]),
    "OUT_BATCH_SIZE": (8192, [100]),
    "RECONNECT_STOP": (0, [1, 2]),
    "PRIORITY": (0, [3]),
    "NORM_MODE": (1, [2]),
    "NORM_UNICAST_NACK": (0, [1]),
    "NORM_BUFFER_SIZE": (2048, [1024]),
    "NORM_SEGMENT_SIZE": (1400, [1000]),
    "NORM_BLOCK_SIZE": (16, [32]),
    "NORM_NUM_PARITY": (4, [2]),
    "NORM_NUM_AUTOPARITY": (0, [1]),
    "NORM_PUSH": (0, [1]),
}

# name: (socket types that have it, a value, a value that libzmq refuses or None)
WRITE_ONLY = {
    "SUBSCRIBE": ("SUB", b"topic", None),
    "UNSUBSCRIBE": ("SUB", b"topic", None),
    "ROUTER_MANDATORY": ("ROUTER", 1, -1),
    "ROUTER_RAW": ("ROUTER", 1, -1),
    "ROUTER_HANDOVER": ("ROUTER", 1, -1),
    "PROBE_ROUTER": ("DEALER REQ ROUTER", 1, -1),
    "REQ_CORRELATE": ("REQ", 1, -1),
    "REQ_RELAXED": ("REQ", 1, -1),
    "CONNECT_ROUTING_ID": ("ROUTER STREAM", b"id", b""),
    "XPUB_VERBOSE": ("XPUB PUB", 1, -1),
    "XPUB_VERBOSER": ("XPUB PUB", 1, -1),
    "XPUB_NODROP": ("XPUB PUB", 1, -1),
    "XPUB_MANUAL": ("XPUB", 1, -1),
    "XPUB_MANUAL_LAST_VALUE": ("XPUB", 1, -1),
    "XPUB_WELCOME_MSG": ("XPUB PUB", b"hello", None),
    "ONLY_FIRST_SUBSCRIBE": ("XPUB PUB XSUB", 1, -1),
    "STREAM_NOTIFY": ("STREAM", 0, 2),
    "TCP_ACCEPT_FILTER": ("PUSH REP", "127.0.0.0/8", "no address"),
    "IPC_FILTER_PID": ("PUSH REP", 1, None),
    "IPC_FILTER_UID": ("PUSH REP", 1, None),
    "IPC_FILTER_GID": ("PUSH REP", 1, None),
    "METADATA": ("PUSH REP", "X-key:value", "no colon"),
    "VMCI_BUFFER_SIZE": ("PUSH", 65536, None),
    "VMCI_BUFFER_MIN_SIZE": ("PUSH", 128, None),
    "VMCI_BUFFER_MAX_SIZE": ("PUSH", 262144, None),
    "VMCI_CONNECT_TIMEOUT": ("PUSH", 100, None),
    "ROUTER_NOTIFY": ("ROUTER", 3, 4),
    "WSS_KEY_PEM": ("PUSH", "key", None),
    "WSS_CERT_PEM": ("PUSH", "cert", None),
    "WSS_TRUST_PEM": ("PUSH", "trust", None),
    "WSS_HOSTNAME": ("PUSH", "host", None),
    "WSS_TRUST_SYSTEM": ("PUSH", 1, 2),
    "HELLO_MSG": ("DEALER ROUTER", b"hello", None),
    "DISCONNECT_MSG": ("ROUTER", b"bye", None),
    "BUSY_POLL": ("PUSH", 1, None),
    "HICCUP_MSG": ("DEALER", b"hiccup", None),
    "XSUB_VERBOSE_UNSUBSCRIBE": ("XSUB", 1, None),
}
REFUSED = {
    "ROUTING_ID": [b"", b"x" * 256],
    "RATE": [0, -1],
    "LINGER": [-2],
    "SNDHWM": [-1],
    "RCVTIMEO": [-2],
    "IMMEDIATE": [2, -1],
    "IPV6": [2],
    "TCP_KEEPALIVE": [-2, 2],
    "PLAIN_SERVER": [2],
    "PLAIN_USERNAME": ["", "u" * 256],
    "ZAP_DOMAIN": ["", "z" * 256],
    "CONFLATE": [2],
    "HEARTBEAT_TTL": [6553600, -100],
    "MULTICAST_HOPS": [0],
    "BINDTODEVICE": ["d" * 17],
}


def number(name):
    """The option's number, or None if the header at hand is too old for it."""
    return getattr(zraw, f"ZMQ_{name}", None)


def present(name):
    return name not in FEATURE or zraw.has(FEATURE[name])


def known(names):
    return [name for name in names if number(name) is not None]


@pytest.fixture
def dealer(ctx):
    with zraw.Socket(ctx, zraw.ZMQ_DEALER) as socket:
        yield socket


@pytest.mark.parametrize("name", known(READ_WRITE))
def test_getsockopt__returns_what_was_set(dealer, name):
    option = number(name)
    default, values = READ_WRITE[name]
    if not present(name):
        for call in (
            lambda: dealer.getsockopt(option),
            lambda: dealer.setsockopt(option, values[0]),
        ):
            with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}") as caught:
                call()
            assert caught.value.errno == errno.EINVAL
        return
    found = dealer.getsockopt(option)
    assert (found, type(found)) == (default, type(default))
    for value in values:
        dealer.setsockopt(option, value)
        found = dealer.getsockopt(option)
        assert (found, type(found)) == (value, type(default))


@pytest.mark.parametrize("name", known(WRITE_ONLY))
def test_setsockopt__that_can_only_be_set(sock, name):
    option = number(name)
    kinds, value, refused = WRITE_ONLY[name]
    for kind in kinds.split():
        socket = sock(getattr(zraw, f"ZMQ_{kind}"))
        if not present(name):
            with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}"):
                socket.setsockopt(option, value)
            continue
        socket.setsockopt(option, value)
        if refused is not None:
            with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}"):
                socket.setsockopt(option, refused)
        if name != "ROUTER_NOTIFY":
            with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}"):
                socket.getsockopt(option)


@pytest.mark.parametrize(
    "name",
    [name for name, (kinds, *_) in WRITE_ONLY.items() if "PUSH" not in kinds.split()],
)
def test_setsockopt__option_that_the_socket_type_lacks(sock, name):
    if number(name) is None or name in NEEDS["draft"].split():
        return
    with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}.*ZMQ_PUSH") as caught:
        sock(zraw.ZMQ_PUSH).setsockopt(number(name), WRITE_ONLY[name][1])
    assert caught.value.errno == errno.EINVAL == zraw.errno()


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
    for name in ("RCVMORE", "FD", "EVENTS", "TYPE", "THREAD_SAFE", "MECHANISM"):
        with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}"):
            pull.setsockopt(number(name), 1)
    with pytest.raises(zraw.InvalidArgument, match="ZMQ_LAST_ENDPOINT"):
        pull.setsockopt(zraw.ZMQ_LAST_ENDPOINT, "x")
    for call in (
        lambda: pull.getsockopt(zraw.ZMQ_BLOCKY),
        lambda: pull.setsockopt(zraw.ZMQ_BLOCKY, 0),
    ):
        with pytest.raises(zraw.InvalidArgument, match="ZMQ_BLOCKY"):
            call()


def test_getsockopt__heartbeat_ttl_is_kept_in_steps(dealer):
    dealer.setsockopt(zraw.ZMQ_HEARTBEAT_TTL, 6553599)
    assert dealer.getsockopt(zraw.ZMQ_HEARTBEAT_TTL) == 6553500


@pytest.mark.parametrize("name", REFUSED)
def test_setsockopt__refused_value_is_invalid_argument(dealer, name):
    before = dealer.getsockopt(number(name))
    for value in REFUSED[name]:
        with pytest.raises(zraw.InvalidArgument, match=f"ZMQ_{name}") as caught:
            dealer.setsockopt(number(name), value)
        assert caught.value.errno == errno.EINVAL == zraw.errno()
    assert dealer.getsockopt(number(name)) == before


def test_setsockopt__takes_effect(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp", METADATA="X-key:välue")
    push.send(b"x")
    assert pull.recv_msg().gets("X-key") == "välue"
    pub, sub = pair(zraw.ZMQ_PUB, zraw.ZMQ_SUB)
    sub.setsockopt(zraw.ZMQ_UNSUBSCRIBE, b"")
    sub.setsockopt(zraw.ZMQ_SUBSCRIBE, bytearray(b"a\0b"))
    pub.send_many([b"a", b"a\0", b"a\0bc"])
    assert sub.recv() == b"a\0bc"


WRONG_TYPES = {
    "LINGER": [1.0, "1", b"1", None, [1], object()],
    "AFFINITY": [1.5, "1", b"\1" * 8, None],
    "MAXMSGSIZE": [1.5, "1", None],
    "ROUTING_ID": ["text", 5, 1.5, None, [b"x"]],
    "PLAIN_USERNAME": [5, 1.5, bytearray(b"x"), memoryview(b"x"), ["x"]],
    "ZAP_DOMAIN": [None, 5],
    "IMMEDIATE": [None, 0.0, "yes"],
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_setsockopt__wrong_type_names_the_option(dealer, name):
    before = dealer.getsockopt(number(name))
    for value in WRONG_TYPES[name]:
        with pytest.raises(TypeError, match=f"ZMQ_{name}"):
            dealer.setsockopt(number(name), value)
    assert dealer.getsockopt(number(name)) == before


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


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("SNDHWM", -(2**31), 2**31 - 1),
        ("LINGER", -(2**31), 2**31 - 1),
        ("MAXMSGSIZE", -(2**63), 2**63 - 1),
        ("AFFINITY", 0, 2**64 - 1),
    ],
)
def test_setsockopt__value_outside_the_c_type(dealer, name, low, high):
    for value in (low - 1, high + 1, 2**100, -(2**100)):
        with pytest.raises(OverflowError, match=f"ZMQ_{name}"):
            dealer.setsockopt(number(name), value)
    dealer.setsockopt(number(name), high)
    assert dealer.getsockopt(number(name)) == high


def test_setsockopt__ids_are_unsigned(dealer):
    """uid_t and gid_t are; containers use the upper half."""
    for name in ("IPC_FILTER_UID", "IPC_FILTER_GID"):
        dealer.setsockopt(number(name), 2**32 - 2)
        with pytest.raises(OverflowError, match=f"ZMQ_{name}"):
            dealer.setsockopt(number(name), 2**32)


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


def test_setsockopt__none_clears(sock):
    socket = sock(zraw.ZMQ_XPUB)
    for name in ("PLAIN_USERNAME", "PLAIN_PASSWORD", "SOCKS_PROXY", "SOCKS_USERNAME",
                 "SOCKS_PASSWORD", "BINDTODEVICE"):  # fmt: skip
        socket.setsockopt(number(name), "value")
        socket.setsockopt(number(name), None)
        if name.startswith("PLAIN"):  # there C's NULL switches PLAIN off
            assert socket.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_NULL
        else:
            assert socket.getsockopt(number(name)) == ""
    for name in ("TCP_ACCEPT_FILTER", "IPC_FILTER_PID", "IPC_FILTER_UID",
                 "IPC_FILTER_GID", "XPUB_WELCOME_MSG"):  # fmt: skip
        socket.setsockopt(number(name), None)


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
