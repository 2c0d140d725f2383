"""Every socket option of the table in options.py does what the table says."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest

import zraw
from options import BLOCKY, OPTIONS, TYPES

# What each C type is in Python, and what it is not.
NO_INT: list[Any] = [1.0, "1", b"1", [1], object()]
WRONG_TYPES = {
    "INT": NO_INT,
    "UINT": NO_INT,
    "INT64": NO_INT,
    "UINT64": NO_INT,
    "BINARY": ["text", 5, 1.5, [b"x"]],
    "STRING": [5, 1.5, bytearray(b"x"), memoryview(b"x"), ["x"]],
    "KEY": [5, 1.5, [1] * 32],
}
LIMITS = {
    "INT": (-(2**31), 2**31 - 1),
    "UINT": (0, 2**32 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "UINT64": (0, 2**64 - 1),
}


def those(wanted):
    """Parametrize by the options that meet a condition."""
    found = [option for option in OPTIONS if wanted(option)]
    return pytest.mark.parametrize("option", found, ids=[o.name for o in found])


@pytest.fixture
def make():
    """Make sockets that nobody has set an option of."""
    # Not `ctx`: its look at what is left takes longer than these hundreds of tests.
    made = []

    def socket(kind):
        made.append(context.socket(getattr(zraw, f"ZMQ_{kind}")))
        return made[-1]

    with zraw.Context() as context:
        yield socket
        context.close(linger=0)


def refused(option, call, *args, match=""):
    with pytest.raises(
        zraw.InvalidArgument, match=f"ZMQ_{option.name}.*{match}"
    ) as caught:
        call(*args)
    assert caught.value.errno == errno.EINVAL == zraw.errno()


# ------------------------------------------------------------------ completeness


def test_setsockopt__table_has_every_option_that_zraw_knows():
    source = Path(__file__).parent.parent / "zraw" / "option.pyx"
    known = re.findall(
        r'^    \((\d+), "(\w+)", (\w+), "(\w+)"\),$', source.read_text(), re.MULTILINE
    )
    mine = [(str(o.number), o.name, o.c_type, o.access) for o in OPTIONS]
    assert sorted(mine, key=lambda row: int(row[0])) == known
    assert len({o.number for o in OPTIONS} - {BLOCKY.number}) == 112


def test_setsockopt__table_agrees_with_the_constants():
    for option in OPTIONS:
        # A header that is older than the option has no name for it.
        assert getattr(zraw, f"ZMQ_{option.name}", option.number) == option.number
    for alias, name in {
        "IDENTITY": "ROUTING_ID",
        "CONNECT_RID": "CONNECT_ROUTING_ID",
        "DELAY_ATTACH_ON_CONNECT": "IMMEDIATE",
        "FAIL_UNROUTABLE": "ROUTER_MANDATORY",
        "ROUTER_BEHAVIOR": "ROUTER_MANDATORY",
    }.items():
        assert getattr(zraw, f"ZMQ_{alias}") == getattr(zraw, f"ZMQ_{name}")


def test_setsockopt__libzmq_has_no_option_that_the_table_lacks(make):
    known = {option.number for option in OPTIONS}
    for kind in TYPES:
        socket = make(kind)
        for number in set(range(-1, 160)) - known:
            for call, *args in (
                (socket.getsockopt, int),
                (socket.getsockopt, bytes),
                (socket.setsockopt, 1, int),
                (socket.setsockopt, b"bytes", bytes),
            ):
                with pytest.raises(zraw.InvalidArgument):
                    call(number, *args)


def test_ctx_set__libzmq_has_13_options(ctx):
    readable, settable = set(), set()
    for number in range(-1, 160):
        try:
            before = ctx.get(number)
            readable.add(number)
        except zraw.InvalidArgument:
            before = 1
        try:
            ctx.set(number, max(before, 0))
            settable.add(number)
        except zraw.InvalidArgument:
            pass
    refused_until_added = {zraw.ZMQ_THREAD_AFFINITY_CPU_REMOVE}
    ctx.set(zraw.ZMQ_THREAD_AFFINITY_CPU_ADD, 0)
    ctx.set(zraw.ZMQ_THREAD_AFFINITY_CPU_REMOVE, 0)
    assert readable == {1, 2, 3, 4, 5, 6, 9, 10, 42, 70}
    assert settable | refused_until_added == {1, 2, 3, 4, 5, 7, 8, 9, 10, 42, 70}


def test_msg_get__libzmq_has_3_properties(make):
    push, pull = make("PUSH"), make("PULL")
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    pull.connect(push.bind("tcp://127.0.0.1:*"))
    push.send(b"x")
    message = pull.recv_msg()
    found = set()
    for number in range(-1, 160):
        try:
            message.get(number)
            found.add(number)
        except zraw.InvalidArgument:
            pass
        with pytest.raises(zraw.InvalidArgument):
            message.set(number, 1)
    assert found == {zraw.ZMQ_MORE, zraw.ZMQ_SRCFD, zraw.ZMQ_SHARED}


# ---------------------------------------------------------------------- each one


@those(lambda o: "r" in o.access)
def test_getsockopt__default(make, option):
    kind = "DEALER" if "DEALER" in option.types else option.types[0]
    socket = make(kind)
    if not option.present:
        refused(option, socket.getsockopt, option.number)
        return
    found = socket.getsockopt(option.number)
    if option.default is None:
        assert type(found) is int and found >= 0
    else:
        assert (found, type(found)) == (option.default, type(option.default))


@those(lambda o: "w" in o.access)
def test_setsockopt__good_values(make, option):
    """Read back, where there is a getter, on every socket type that has the option."""
    for kind in option.types:
        socket = make(kind)
        for value in option.good:
            if not option.present:
                refused(option, socket.setsockopt, option.number, value)
                continue
            socket.setsockopt(option.number, value)
            if "r" in option.access:
                found = socket.getsockopt(option.number)
                assert (found, type(found)) == (value, type(option.default)), kind


@those(lambda o: o.bad)
def test_setsockopt__values_that_libzmq_refuses(make, option):
    for kind in option.types:
        socket = make(kind)
        readable = "r" in option.access and option.present
        before = socket.getsockopt(option.number) if readable else None
        for value in option.bad:
            refused(option, socket.setsockopt, option.number, value)
        assert not readable or socket.getsockopt(option.number) == before


@those(lambda o: o.kinds)
def test_setsockopt__socket_types_that_lack_it(make, option):
    for kind in [kind for kind in TYPES if kind not in option.types]:
        socket = make(kind)
        if "w" in option.access:
            refused(option, socket.setsockopt, option.number, option.good[0])
        # ROUTER_NOTIFY can be read everywhere, and means nothing there.
        if option.name != "ROUTER_NOTIFY" or not option.present:
            refused(option, socket.getsockopt, option.number)


@those(lambda o: "r" not in o.access)
def test_getsockopt__that_can_only_be_set(make, option):
    for kind in option.types:
        refused(option, make(kind).getsockopt, option.number, match="only be set")


@those(lambda o: "w" not in o.access)
def test_setsockopt__that_can_only_be_read(make, option):
    value = "x" if option.c_type == "STRING" else 1
    for kind in option.types:
        call = make(kind).setsockopt
        refused(option, call, option.number, value, match="only be read")


@those(lambda o: True)
def test_setsockopt__wrong_type_names_the_option(make, option):
    socket = make(option.types[0])
    readable = "r" in option.access and option.present
    before = socket.getsockopt(option.number) if readable else None
    wrong = [*WRONG_TYPES[option.c_type], *([None] if "0" not in option.access else [])]
    for value in wrong:
        with pytest.raises(TypeError, match=f"ZMQ_{option.name}"):
            socket.setsockopt(option.number, value)
    assert not readable or socket.getsockopt(option.number) == before


@those(lambda o: o.c_type in LIMITS)
def test_setsockopt__value_outside_the_c_type(make, option):
    socket = make(option.types[0])
    low, high = LIMITS[option.c_type]
    for value in (low - 1, high + 1, 2**100, -(2**100)):
        with pytest.raises(OverflowError, match=f"ZMQ_{option.name}"):
            socket.setsockopt(option.number, value)


@those(lambda o: "0" in o.access)
def test_setsockopt__none_is_a_value(make, option):
    """It clears what was set; zraw hands libzmq a NULL."""
    socket = make(option.types[0])
    if not option.present:
        refused(option, socket.setsockopt, option.number, None)
        return
    socket.setsockopt(option.number, option.good[0])
    socket.setsockopt(option.number, None)
    if "r" in option.access and not option.name.startswith("PLAIN"):
        assert socket.getsockopt(option.number) == ""
    if option.name.startswith("PLAIN"):  # there it switches PLAIN off
        assert socket.getsockopt(zraw.ZMQ_MECHANISM) == zraw.ZMQ_NULL
