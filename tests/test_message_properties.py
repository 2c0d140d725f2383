"""Properties, views and protocols of messages."""

from __future__ import annotations

import copy
import errno
import gc
import pickle

import numpy
import pytest

import zraw
from test_message import BODIES, LONG, SHORT, STRIDED


@pytest.mark.parametrize("body", [SHORT, LONG])
def test_msg_data__view_keeps_the_message_alive(body):
    message = zraw.Message(body)
    views = [message.data(), memoryview(message)[3:], numpy.frombuffer(message, "u1")]
    del message
    gc.collect()
    others = [zraw.Message(b"#" * len(body)) for _ in range(200)]
    assert views[0] == body
    assert views[1] == body[3:]
    assert views[2].tobytes() == body
    assert len(others) == 200


def test_msg_data__is_writable_only_on_an_unsent_uncopied_init_size(pair):
    def writable(message):
        with message.data() as view:
            assert numpy.frombuffer(view, "u1").flags.writeable is not view.readonly
            return not view.readonly

    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    unconnected = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "ws")[1]
    for size in (10, 1000):
        made = zraw.Message.init_size(size)
        assert writable(made)
        with pytest.raises(zraw.NotSupported):
            made.send(unconnected)
        assert writable(made)  # unsent
        target = zraw.Message()
        target.move(made)
        assert writable(target) and not writable(made)
        made.copy(target)
        assert not writable(target) and not writable(made)
        sent = zraw.Message.init_size(size)
        sent.send(push)
        assert not writable(sent)
        into = zraw.Message.init_size(size)
        into.recv(pull)
        assert not writable(into)
        for way in ("send", "send_multipart", "send_many"):
            sent = zraw.Message.init_size(size)
            getattr(push, way)(sent if way == "send" else [sent])
            assert not writable(sent)
            assert not writable(pull.recv_msg())
    assert not writable(zraw.Message(LONG))
    assert not writable(zraw.Message.init_data(bytearray(LONG)))
    with pytest.raises((BufferError, TypeError)):
        pull.recv_into(zraw.Message(LONG))


def test_msg_get__properties(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    push.send(LONG)
    message = pull.recv_msg()
    assert message.get(zraw.ZMQ_MORE) == 0
    assert message.get(zraw.ZMQ_SRCFD) >= 0
    local = zraw.Message(SHORT)
    for wrong in (zraw.ZMQ_SRCFD, 0, 99, -1):
        with pytest.raises(zraw.InvalidArgument) as caught:
            local.get(wrong)
        assert caught.value.errno == errno.EINVAL == zraw.errno()
    for wrong in ("1", 1.0, None):
        with pytest.raises(TypeError, match="property"):
            local.get(wrong)
    with pytest.raises(OverflowError, match="property"):
        local.get(2**31)


def test_msg_set__is_refused_by_libzmq():
    message = zraw.Message(SHORT)
    for number in (zraw.ZMQ_MORE, zraw.ZMQ_SHARED, 99):
        with pytest.raises(zraw.InvalidArgument):
            message.set(number, 1)
    for wrong in ("1", 1.0):
        with pytest.raises(TypeError):
            message.set(zraw.ZMQ_MORE, wrong)
        with pytest.raises(TypeError):
            message.set(wrong, 1)


def test_msg_gets__metadata_over_tcp(pair):
    router, dealer = pair(zraw.ZMQ_ROUTER, zraw.ZMQ_DEALER, "tcp", ROUTING_ID=b"me\xff")
    dealer.send(b"x")
    message = router.recv_msg()
    assert message.gets("Socket-Type") == message.gets(b"Socket-Type") == "DEALER"
    assert message.gets("Peer-Address") == "127.0.0.1"
    assert message.gets("Identity") == "me\udcff"
    kept = zraw.Message()
    kept.copy(message)
    message.close()
    assert kept.gets("Socket-Type") == "DEALER"
    with pytest.raises(zraw.InvalidArgument) as caught:
        kept.gets("No-Such")
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(zraw.InvalidArgument):
        zraw.Message(b"made here").gets("Socket-Type")
    with pytest.raises(ValueError, match="NUL"):
        kept.gets("Socket\0Type")
    for wrong in (None, 5):
        with pytest.raises(TypeError, match="name"):
            kept.gets(wrong)


def test_msg_routing_id__and_group_are_drafts():
    message = zraw.Message(SHORT)
    with pytest.raises(OverflowError):
        message.set_routing_id(2**32)
    with pytest.raises(OverflowError):
        message.set_routing_id(-1)
    with pytest.raises(TypeError):
        message.set_routing_id("1")
    with pytest.raises(TypeError):
        message.set_group(5)
    for wrong in ("g" * (zraw.ZMQ_GROUP_MAX_LENGTH + 1), "a\0b"):
        with pytest.raises(ValueError, match="group"):
            message.set_group(wrong)
    if zraw.has("draft"):
        assert (message.routing_id(), message.group()) == (0, "")
        message.set_routing_id(2**32 - 1)
        assert message.routing_id() == 2**32 - 1
        message.set_group("g" * 200)
        assert message.group() == "g" * 200
        for call in (message.set_group, message.set_routing_id):
            with pytest.raises(zraw.InvalidArgument):
                call("short" if call == message.set_group else 0)
        return
    for call in (
        message.routing_id,
        lambda: message.set_routing_id(1),
        message.group,
        lambda: message.set_group("g"),
    ):
        with pytest.raises(zraw.NotSupported) as caught:
            call()
        assert caught.value.errno == errno.ENOTSUP == zraw.errno()


@pytest.mark.parametrize("body", BODIES)
def test_message__equals_any_buffer(body):
    message = zraw.Message(body)
    for same in (body, bytearray(body), memoryview(body), zraw.Message(body), message):
        assert message == same and same == message
        assert (message != same) is False
    for other in (body + b"x", body[1:] + b"yy", str(body), None, 5, [body]):
        assert message != other and other != message
        assert (message == other) is False


def test_message__equals_a_buffer_that_is_not_contiguous():
    message, strided = zraw.Message(b"ab"), STRIDED
    assert strided == message
    assert message == strided
    assert zraw.Message(b"a-") != strided


def test_message__protocols():
    message = zraw.Message(SHORT)
    assert repr(message) == f"<zraw.Message {len(SHORT)} bytes>"
    assert not zraw.Message() and message
    with pytest.raises(TypeError, match="unhashable"):
        hash(message)
    for function in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="Message"):
            function(message)
    with pytest.raises(TypeError, match="base type"):
        type("Sub", (zraw.Message,), {})
