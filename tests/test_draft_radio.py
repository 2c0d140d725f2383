"""ZMQ_RADIO and ZMQ_DISH, and the groups of messages."""

from __future__ import annotations

import errno

import pytest

import zraw
from drafts import drafts, of
from programs import check

TRANSPORTS = ["inproc", "ipc", "tcp"]
LONGEST = "g" * zraw.ZMQ_GROUP_MAX_LENGTH


def until_heard(radio, dish, group):
    """A radio drops what nobody has joined yet: send until something arrives."""
    for _ in range(2000):
        radio.send(of(group, b"tuning"))
        if dish.poll(2):
            break
    while dish.poll(20):
        message = dish.recv_msg()
        assert (message, message.group()) == (b"tuning", group)


@pytest.fixture
def air(pair):
    """A radio and a dish that has joined some groups."""

    def make(*groups, transport="inproc", **options):
        radio, dish = pair(zraw.ZMQ_RADIO, zraw.ZMQ_DISH, transport, **options)
        for group in groups:
            assert dish.join(group) is None
        if groups:
            until_heard(radio, dish, groups[-1])
        return radio, dish

    return make


# ---- join and leave


@drafts
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_join__only_what_was_joined(air, transport):
    radio, dish = air("films", "music", transport=transport)
    for group in ("books", "music", "film", "films", "filmsy", "Music"):
        radio.send(of(group, group.encode()))
    got = [dish.recv_msg(), dish.recv_msg()]
    assert [(message.group(), bytes(message)) for message in got] == [
        ("music", b"music"),
        ("films", b"films"),
    ]
    radio.send(of("music", b"end"))
    assert dish.recv() == b"end"


@drafts
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_leave__nothing_of_it_any_longer(air, transport):
    radio, dish = air("a", "b", transport=transport)
    radio.send(of("a", b"1"))
    assert dish.recv() == b"1"
    assert dish.leave("a") is None
    for _ in range(3):
        radio.send(of("a", b"2"))
        radio.send(of("b", b"3"))
        assert dish.recv() == b"3"
    dish.join("a")
    until_heard(radio, dish, "a")


@drafts
@pytest.mark.parametrize("form", [str, str.encode])
def test_join__twice(sock, form):
    dish = sock(zraw.ZMQ_DISH)
    dish.join(form("Movies"))
    with pytest.raises(zraw.InvalidArgument, match=r"join\(\): .*Movies") as caught:
        dish.join("Movies")
    assert caught.value.errno == zraw.errno() == errno.EINVAL
    dish.leave(form("Movies"))
    dish.join("Movies")


@drafts
def test_leave__not_joined(sock):
    dish = sock(zraw.ZMQ_DISH)
    dish.join("here")
    for group in ("Movies", "", "her", "heree"):
        with pytest.raises(zraw.InvalidArgument, match=r"leave\(\): ") as caught:
            dish.leave(group)
        assert caught.value.errno == zraw.errno() == errno.EINVAL
    dish.leave("here")
    with pytest.raises(zraw.InvalidArgument):
        dish.leave("here")


@drafts
def test_join__length(sock, air):
    assert zraw.ZMQ_GROUP_MAX_LENGTH == 255
    dish = sock(zraw.ZMQ_DISH)
    for call in (dish.join, dish.leave):
        with pytest.raises(zraw.InvalidArgument) as caught:
            call(LONGEST + "g")
        assert caught.value.errno == errno.EINVAL
    radio, dish = air(LONGEST, "", transport="tcp")
    radio.send(of(LONGEST[:-1], b"other"))
    radio.send(of(LONGEST, b"long"))
    message = dish.recv_msg()
    assert (message, message.group()) == (b"long", LONGEST)
    dish.leave(LONGEST)


@drafts
def test_join__what_is_no_group(sock):
    dish = sock(zraw.ZMQ_DISH)
    for call in (dish.join, dish.leave):
        for wrong in (None, 1, bytearray(b"a"), ["a"]):
            with pytest.raises(TypeError, match=r"group: str or bytes"):
                call(wrong)
        with pytest.raises(ValueError, match="no NUL"):
            call("a\0b")


@pytest.mark.parametrize("type", [zraw.ZMQ_SUB, zraw.ZMQ_PAIR, zraw.ZMQ_RADIO])
def test_join__other_types(sock, type):
    """With or without drafts: NotSupported."""
    if type == zraw.ZMQ_RADIO and not zraw.has("draft"):
        type = zraw.ZMQ_PULL
    socket = sock(type)
    for call in (socket.join, socket.leave):
        with pytest.raises(zraw.NotSupported) as caught:
            call("group")
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP
    with pytest.raises(TypeError, match="group: "):
        socket.join(5)
    socket.close()
    if zraw.has("draft"):
        with pytest.raises(zraw.NotASocket):
            socket.join("group")
        with pytest.raises(zraw.NotASocket):
            socket.leave("group")


# ---- messages


@drafts
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_msg_group__arrives(air, transport):
    groups = ["a", "g" * 14, "g" * 15, LONGEST, "grüße"]
    radio, dish = air(*groups, transport=transport)
    for group in groups:
        for size in (0, 33, 34, 100_000):
            radio.send(of(group, bytes(size)))
            message = dish.recv_msg()
            assert message == bytes(size)
            assert message.group() == group


@drafts
def test_msg_set_group__and_msg_group():
    message = zraw.Message(b"x")
    assert message.group() == ""
    assert message.set_group("TV") is None
    assert message.group() == "TV"
    for group in ("TV", "films", LONGEST):
        with pytest.raises(zraw.InvalidArgument) as caught:
            message.set_group(group)
        assert caught.value.errno == zraw.errno() == errno.EINVAL
    assert message.group() == "TV"
    assert message == b"x"
    for group in ("", "a", "g" * 14, "g" * 15, LONGEST, "grüße"):
        assert of(group).group() == group
        assert of(group.encode()).group() == group
    assert of(b"\xff").group() == "\udcff"


@drafts
def test_msg_set_group__copied_and_moved():
    for group in ("short", LONGEST):
        message, copy, moved = of(group), zraw.Message(), zraw.Message()
        copy.copy(message)
        moved.move(message)
        assert (copy.group(), moved.group(), message.group()) == (group, group, "")
        for taken in (copy, moved):
            with pytest.raises(zraw.InvalidArgument):
                taken.set_group("other")
        message.set_group("other")
        assert message.group() == "other"
        copy.close()
        assert moved.group() == group


@pytest.mark.parametrize("length", [256, 300, 70_000])
def test_msg_set_group__too_long(length):
    """libzmq would cut it to 255 in silence."""
    message = zraw.Message(b"x")
    with pytest.raises(ValueError, match=rf"group: at most 255 bytes, not {length}"):
        message.set_group("g" * length)
    with pytest.raises(ValueError, match="group: no NUL"):
        message.set_group("a\0b")
    for wrong in (None, 1, bytearray(b"a")):
        with pytest.raises(TypeError, match=r"group: str or bytes"):
            message.set_group(wrong)
    with pytest.raises(ValueError, match="at most 255"):
        message.set_group("ü" * 128)


@drafts
@pytest.mark.parametrize("call", ["group", "set_group"])
def test_msg_group__of_a_closed_message(call):
    zraw.Message().group()
    message = zraw.Message(b"x")
    message.close()
    with pytest.raises(zraw.InvalidHandle) as caught:
        getattr(message, call)(*["g"] * (call == "set_group"))
    assert caught.value.errno == errno.EFAULT


@drafts
@pytest.mark.parametrize("how", ["received", "copied", "moved"])
def test_msg_set_group__on_a_received_message(how):
    """It has a group already: a long one that libzmq would not survive the loss of."""
    zraw.Message().group()
    check(
        """
radio, dish = context.socket(zraw.ZMQ_RADIO), context.socket(zraw.ZMQ_DISH)
dish.connect(radio.bind("inproc://air"))
dish.join("g" * 100)
def of(group):
    message = zraw.Message(b"x")
    message.set_group(group)
    return message
until(lambda: radio.send(of("g" * 100)) and dish.poll(2))
message = dish.recv_msg()
if sys.argv[1] != "received":
    other = zraw.Message()
    (other.copy if sys.argv[1] == "copied" else other.move)(message)
    message = other
for group in ("s", "twelve chars", "l" * 15, "g" * 200):
    try:
        message.set_group(group)
    except zraw.InvalidArgument:
        assert message.group() == "g" * 100
    else:
        raise AssertionError("it has a group: " + message.group()[:9])
assert message == b"x"
radio.send(message)
assert message.group() == ""
message.set_group("twelve chars")
assert message.group() == "twelve chars"
radio.send(message)
radio.close()
dish.close()
end()
""",
        how,
    )


@drafts
def test_msg_set_group__again_once_it_is_sent(air):
    radio, dish = air("a", "g" * 100, "b")
    message = zraw.Message()
    for group in ("g" * 100, "a", "g" * 100, "b"):
        message.set_group(group)
        radio.send(message)
        assert message.group() == ""
        assert dish.recv_msg().group() == group


# ---- what the types do


@drafts
@pytest.mark.parametrize("size", [1, 100_000])
def test_send__radio_no_parts(air, size):
    radio, dish = air("a")
    body = bytes(size)
    for call in (
        lambda: radio.send(of("a", body), zraw.ZMQ_SNDMORE),
        lambda: of("a", body).send(radio, zraw.ZMQ_SNDMORE),
        lambda: radio.send(body, zraw.ZMQ_SNDMORE),
        lambda: radio.send_const(body, zraw.ZMQ_SNDMORE),
        lambda: radio.send_multipart([of("a", body), b"y"]),
        lambda: radio.send_many([[of("a", body), b"y"]]),
    ):
        with pytest.raises(zraw.InvalidArgument) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.EINVAL
    radio.send(of("a", b"after"))
    assert dish.recv() == b"after"
    assert dish.try_recv() is None


@drafts
def test_recv__radio_and_dish_are_one_way(air):
    radio, dish = air("a")
    for call in (radio.recv, radio.try_recv, radio.recv_many, radio.recv_multipart):
        with pytest.raises(zraw.NotSupported) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.ENOTSUP
    message = of("a")
    for call in (
        lambda: dish.send(b"x"),
        lambda: dish.send(message),
        lambda: message.send(dish),
        lambda: dish.try_send(b"x"),
        lambda: dish.send_many([b"x"]),
    ):
        with pytest.raises(zraw.NotSupported) as caught:
            call()
        assert caught.value.errno == errno.ENOTSUP
    assert (message, message.group()) == (b"x", "a")


@drafts
@pytest.mark.parametrize("size", [1, 100_000])
def test_send__every_call_of_radio_and_dish(air, size):
    """Without a group a message belongs to the one that is named ""."""
    radio, dish = air("a", "")
    body = bytes(size)
    radio.send(body)
    radio.send_const(body)
    assert radio.try_send(body)
    radio.send_multipart([body])
    assert radio.send_many([body, of("a", body), [of("a", body)]]) == 3
    of("a", body).send(radio)
    got = [dish.recv(), dish.try_recv(), *dish.recv_multipart()]
    got += dish.try_recv_multipart()
    message = zraw.Message()
    assert dish.try_recv_msg(message)
    got.append(bytes(message))
    messages = dish.recv_many(copy=False)
    assert [message.group() for message in messages] == ["a"] * 3
    assert got + [bytes(message) for message in messages] == [body] * 8


@drafts
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_msg_send__several_dishes(sock, transport, tmp_path):
    radio = sock(zraw.ZMQ_RADIO)
    where = f"ipc://{tmp_path}/s" if transport == "ipc" else "tcp://127.0.0.1:*"
    where = radio.bind(where)
    dishes = [sock(zraw.ZMQ_DISH) for _ in range(3)]
    for number, dish in enumerate(dishes):
        dish.connect(where)
        dish.join(f"{number}")
        dish.join("all")
        until_heard(radio, dish, f"{number}")
    for group in ("0", "1", "2", "all"):
        radio.send(of(group, group.encode()))
    for number, dish in enumerate(dishes):
        assert [dish.recv(), dish.recv()] == [b"%d" % number, b"all"]


@drafts
def test_msg_send__radio_drops(pair):
    radio, dish = pair(zraw.ZMQ_RADIO, zraw.ZMQ_DISH, SNDHWM=3, RCVHWM=3, SNDTIMEO=20)
    dish.join("a")
    until_heard(radio, dish, "a")
    assert radio.send_many([of("a") for _ in range(50)]) == 50
    assert 1 <= len(dish.recv_many()) <= 6


@drafts
def test_msg_send__radio_waits_with_nodrop(pair):
    radio, dish = pair(zraw.ZMQ_RADIO, zraw.ZMQ_DISH, SNDHWM=3, RCVHWM=3, SNDTIMEO=20)
    radio.setsockopt(zraw.ZMQ_XPUB_NODROP, 1)
    dish.join("a")
    until_heard(radio, dish, "a")
    accepted = radio.send_many([of("a") for _ in range(50)])
    assert 1 <= accepted <= 6
    with pytest.raises(zraw.Again):
        radio.send(of("a"))
    assert radio.try_send(of("a")) is False
    assert len(dish.recv_many()) == accepted
