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
