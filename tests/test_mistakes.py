"""The mistakes that everybody makes once, and that the text says what to do."""

from __future__ import annotations

import re

import pytest

import zraw
from conftest import run_child


@pytest.fixture
def of_type(sock):
    """A socket by the name of its type, without a peer and without a wait."""
    return lambda name: sock(getattr(zraw, f"ZMQ_{name}"), RCVTIMEO=0, SNDTIMEO=0)


@pytest.mark.parametrize(
    "name, call, said",
    [
        ("SUB", lambda s: s.send(b"x"), "send() on ZMQ_SUB: it only receives"),
        ("PULL", lambda s: s.send_multipart([b"x"]), "on ZMQ_PULL: it only receives"),
        ("PULL", lambda s: s.try_send(b"x"), "on ZMQ_PULL: it only receives"),
        ("SUB", lambda s: zraw.Message().send(s), "on ZMQ_SUB: it only receives"),
        ("PUB", lambda s: s.recv(), "recv() on ZMQ_PUB: it only sends"),
        ("PUSH", lambda s: s.recv_msg(), "recv_msg() on ZMQ_PUSH: it only sends"),
        ("PUSH", lambda s: s.recv_many(), "on ZMQ_PUSH: it only sends"),
    ],
)
def test_mistake__the_wrong_end(of_type, name, call, said):
    with pytest.raises(zraw.NotSupported, match=re.escape(said)):
        call(of_type(name))


def test_mistake__out_of_turn(pair):
    req, rep = pair(zraw.ZMQ_REQ, zraw.ZMQ_REP)
    turn = zraw.InvalidState
    with pytest.raises(turn, match=r"recv\(\) on ZMQ_REQ: send\(\) a request first$"):
        req.recv()
    with pytest.raises(turn, match=r"on ZMQ_REP: recv\(\) a whole request first$"):
        rep.send(b"x")
    req.send(b"question")
    with pytest.raises(turn, match=r"on ZMQ_REQ: recv\(\) the reply first$"):
        req.send(b"x")
    assert rep.recv() == b"question"
    with pytest.raises(turn, match=r"on ZMQ_REP: send\(\) the whole reply first$"):
        rep.recv()
    rep.send(b"answer")
    assert req.recv() == b"answer"


@pytest.mark.parametrize(
    "call, endpoint, error, said",
    [
        ("bind", "tcp://127.0.0.1", zraw.InvalidArgument, "a port is missing, as in"),
        ("connect", "tcp://localhost", zraw.InvalidArgument, "a port is missing"),
        ("connect", "tcp://*:5555", zraw.InvalidArgument, "* is for bind()"),
        ("bind", "tcp://192.0.2.1:80", zraw.AddressNotAvailable, "not an address of"),
        (
            "bind",
            "http://*:80",
            zraw.ProtocolNotSupported,
            "this libzmq has tcp, inpro",
        ),
        ("unbind", "tcp://127.0.0.1:1", zraw.NotFound, "it is not bound to that"),
        ("disconnect", "tcp://127.0.0.1:1", zraw.NotFound, "it is not connected to"),
        ("bind", "127.0.0.1:5555", ValueError, "transport://address, not '127.0.0.1"),
        ("connect", "tcp://localhost:http", ValueError, "a port from 0 to 65535, or *"),
        ("bind", 5555, TypeError, "bind(): endpoint: str or bytes, not int"),
    ],
)
def test_mistake__endpoint(of_type, call, endpoint, error, said):
    with pytest.raises(error, match=re.escape(said)) as caught:
        getattr(of_type("PULL"), call)(endpoint)
    assert f"{call}(" in str(caught.value)


def test_mistake__bind_twice(of_type):
    one, two = of_type("PULL"), of_type("PULL")
    endpoint = one.bind("tcp://127.0.0.1:*")
    for socket in (one, two):
        with pytest.raises(zraw.AddressInUse, match=re.escape(f"bind({endpoint!r})")):
            socket.bind(endpoint)


@pytest.mark.parametrize(
    "call, said",
    [
        (
            lambda s: s.send("text"),
            "send(): data: bytes or another buffer, not str: enc",
        ),
        (lambda s: s.send_multipart("text"), "parts: a sequence of frames, not str"),
        (lambda s: s.send_multipart([b"a", "b"]), "send_multipart(): item 1: bytes or"),
        (lambda s: s.send_many([b"a", 5]), "send_many(): item 1"),
        (
            lambda s: zraw.Message("text"),
            "Message(): data: bytes or another buffer, not",
        ),
        (
            lambda s: s.setsockopt(zraw.ZMQ_ROUTING_ID, "name"),
            "setsockopt(ZMQ_ROUTING_ID): value: bytes or another buffer, not str",
        ),
        (lambda s: s.setsockopt("LINGER", 0), "setsockopt(): option: int, not str"),
        (lambda s: s.poll(0.5), "poll(): timeout: int, not float"),
        (lambda s: zraw.poll([s], 0), "poll(): items[0]: (socket or fd, events), not"),
    ],
)
def test_mistake__wrong_type(of_type, call, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        call(of_type("DEALER"))


@pytest.mark.parametrize("name", ["PUSH", "LINGER", "ETERM_", "ZMQ_PSH", "Soket"])
def test_mistake__name_of_a_constant(name):
    with pytest.raises(AttributeError) as caught:
        getattr(zraw, name)
    known = f"; it is zraw.ZMQ_{name}" if name in ("PUSH", "LINGER") else ""
    assert str(caught.value) == f"module 'zraw' has no attribute {name!r}{known}"
    assert (caught.value.name, caught.value.obj) == (name, zraw)


def test_mistake__misspelt_constant_in_a_program():
    """Python finds the name that was meant."""
    done = run_child("import zraw; zraw.ZMQ_SUBSRIBE")
    assert done.code == 1
    assert "Did you mean: 'ZMQ_SUBSCRIBE'?" in done.err


def test_mistake__forgotten_close():
    done = run_child("""
        import zraw
        context = zraw.Context()
        def forget():
            context.socket(zraw.ZMQ_PUSH).connect("tcp://127.0.0.1:9")
        import warnings
        warnings.simplefilter("always")
        forget()
    """)
    assert done.code == 0
    assert "ResourceWarning: unclosed <zraw.Socket ZMQ_PUSH idle, connected" in done.err
