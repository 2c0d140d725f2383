"""What the tests of libzmq's draft API share."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable

import pytest

import zraw

DRAFT = zraw.has("draft")


def drafts(test: Callable[..., None]) -> Callable[..., None]:
    """A test that has to end with NotSupported where libzmq has no drafts."""
    if DRAFT:
        return test

    @functools.wraps(test)
    def refused(*args: object, **kwargs: object) -> None:
        with pytest.raises(zraw.NotSupported) as caught:
            test(*args, **kwargs)
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP
        assert "draft API" in str(caught.value)

    return refused


def option_since(
    release: tuple[int, int, int],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of an option that libzmq has from a release on, and with drafts."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        if DRAFT and zraw.version() >= release:
            return test

        @functools.wraps(test)
        def refused(*args: object, **kwargs: object) -> None:
            with pytest.raises(zraw.InvalidArgument) as caught:
                test(*args, **kwargs)
            assert caught.value.errno == zraw.errno() == errno.EINVAL
            assert "setsockopt(ZMQ_" in str(caught.value)

        return refused

    return decorate


def to(routing_id: int, data: bytes = b"x") -> zraw.Message:
    """A message for a peer of a ZMQ_SERVER or ZMQ_PEER."""
    message = zraw.Message(data)
    message.set_routing_id(routing_id)
    return message


def of(group: str, data: bytes = b"x") -> zraw.Message:
    """A message of a group, for a ZMQ_RADIO."""
    message = zraw.Message(data)
    message.set_group(group)
    return message


# For programs whose every call is refused; see programs.py.
REFUSALS = """
import resource, socket as plain, struct
DRAFT, VERSION = zraw.has("draft"), zraw.version()

def must(error, naming, call):
    "The call is refused with just this class, and a text that names the argument."
    try:
        call()
    except Exception as caught:
        assert type(caught) is error, repr(caught)
        assert naming in str(caught), repr(caught)
    else:
        raise AssertionError(f"let through: {naming}")

def make(*types):
    made = [context.socket(type) for type in types]
    for socket in made:
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
        socket.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
    return made

def drafts(call):
    "Without drafts, say so; return whether there are any."
    if not DRAFT:
        must(zraw.NotSupported, "draft API", call)
    return DRAFT

def udp():
    with plain.socket(plain.AF_INET, plain.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"udp://127.0.0.1:{probe.getsockname()[1]}"

def of(group, data=b"x"):
    message = zraw.Message(data)
    message.set_group(group)
    return message
"""
