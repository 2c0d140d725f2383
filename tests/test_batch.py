"""send_multipart, recv_multipart, send_many, recv_many: many frames in one call."""

from __future__ import annotations

import errno
import threading

import pytest

import zraw
from conftest import wait_until

MIXED = [b"bytes", bytearray(b"bytearray"), memoryview(b"view"), zraw.Message]
BATCHES = ("send_multipart", "send_many", "send_many of lists")


@pytest.fixture
def flow(pair):
    """PUSH and PULL that hold few messages between them."""
    return pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=10, RCVHWM=10)


def send_by(name: str, socket: zraw.Socket, parts: object, flags: int = 0) -> object:
    """Send parts by one of the BATCHES."""
    if name == "send_many of lists":
        return socket.send_many([parts], flags)
    return getattr(socket, name)(parts, flags)


def everything(socket: zraw.Socket) -> list[object]:
    """All that has arrived."""
    socket.setsockopt(zraw.ZMQ_RCVTIMEO, 50)
    got = []
    try:
        while True:
            got += socket.recv_many()
    except zraw.Again:
        return got


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
@pytest.mark.parametrize("count", [1, 2, 8, 9, 100])
def test_send_multipart__any_number_of_frames(pair, transport, count):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    parts = [bytes([65 + i % 26]) * (i % 3) for i in range(count)]
    assert push.send_multipart(parts) is None
    assert pull.recv_multipart() == parts
    assert push.send_multipart(tuple(parts)) is None
    assert pull.recv_multipart() == parts
    assert push.send_many([parts, tuple(parts)]) == 2
    assert pull.recv_multipart() == parts
    assert pull.recv_multipart() == parts


@pytest.mark.parametrize("name", BATCHES)
def test_send_multipart__mixed_parts(pair, name):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    large = b"p" * 200_000  # above pin_threshold
    huge = bytearray(b"q" * (2 << 20))  # copied without the GIL
    message = zraw.Message(b"message")
    lent = zraw.Message.init_data(bytearray(b"lent"))
    sized = zraw.Message.init_size(40)
    parts = [
        bytearray(),
        b"bytes",
        huge,
        memoryview(b"view"),
        message,
        large,
        lent,
        sized,
        b"",
    ]
    wanted = [bytes(part) for part in parts]
    send_by(name, push, parts)
    got = pull.recv_many() if name == "send_many" else pull.recv_multipart()
    while len(got) < len(wanted):
        got += pull.recv_many()
    assert got == wanted
    assert [len(m) for m in (message, lent, sized)] == [0, 0, 0]
    message.close()  # neither claimed nor viewed any more
    huge.append(1)


def test_send_multipart__an_iterator_of_parts(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    push.send_multipart(bytes([65 + i]) for i in range(10))
    assert pull.recv_multipart() == [bytes([65 + i]) for i in range(10)]

    def broken():
        yield b"first"
        raise RuntimeError("from the generator")

    with pytest.raises(RuntimeError, match="from the generator"):
        push.send_multipart(broken())
    push.send(b"next")
    assert pull.recv_multipart() == [b"next"]


@pytest.mark.parametrize(
    "parts",
    ["text", b"bytes", bytearray(b"x"), memoryview(b"x"), zraw.Message(), None, 3],
)
def test_send_multipart__refuses_what_is_no_sequence_of_parts(pair, parts):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(TypeError, match=r"send_multipart\(\): parts"):
        push.send_multipart(parts)
    assert everything(pull) == []


@pytest.mark.parametrize("empty", [[], (), iter(())])
def test_send_multipart__refuses_a_message_without_frames(pair, empty):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(ValueError, match=r"send_multipart\(\): parts"):
        push.send_multipart(empty)
    with pytest.raises(ValueError, match=r"send_many\(\): item 1"):
        push.send_many([b"x", []])
    assert everything(pull) == []


@pytest.mark.parametrize(
    "messages", ["text", b"x", None, 3, iter([b"x"]), {b"x"}, zraw.Message(b"x")]
)
def test_send_many__takes_a_list_or_tuple_only(pair, messages):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    with pytest.raises(TypeError, match=r"send_many\(\): messages"):
        push.send_many(messages)
    assert push.send_many([]) == push.send_many(()) == 0
    assert everything(pull) == []


@pytest.mark.parametrize(
    "wrong", ["text", None, 3, 1.5, object(), memoryview(b"abc")[::2]]
)
@pytest.mark.parametrize("position", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("name", BATCHES)
def test_send_multipart__bad_part_sends_nothing_and_holds_nothing(
    pair, name, position, wrong
):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    message, array = zraw.Message(b"m" * 50), bytearray(b"array")
    huge = bytearray(2 << 20)
    freed = threading.Event()
    lent = zraw.Message.init_data(bytearray(b"lent"), freed.set)
    parts = [b"x", message, array, huge, lent, b"p" * 70_000, b"y", b"z", b"end"]
    parts[position] = wrong
    error = BufferError if isinstance(wrong, memoryview) else TypeError
    with pytest.raises(error, match=r"item "):
        send_by(name, push, parts)
    array.append(1)  # BufferError if a view were left behind
    huge.append(1)
    assert message == b"m" * 50
    assert lent == b"lent"
    push.send(message)  # SocketInUse if a claim were left behind
    assert not freed.is_set()
    lent.close()
    assert freed.wait(10)
    assert pull.recv_multipart() == [b"m" * 50]
    assert everything(pull) == []


@pytest.mark.parametrize("name", BATCHES)
def test_send_multipart__same_message_twice_is_refused(pair, name):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    twice, other = zraw.Message(b"twice"), zraw.Message(b"other")
    with pytest.raises(ValueError, match=r"item [02]"):
        send_by(name, push, [twice, other, twice])
    if name != "send_multipart":
        with pytest.raises(ValueError, match="item 1"):
            push.send_many([[b"x", twice], [twice]])
    assert (twice, other) == (b"twice", b"other")
    send_by(name, push, [twice, other])
    assert everything(pull) in ([b"twice", b"other"], [[b"twice", b"other"]])


@pytest.mark.parametrize("name", BATCHES)
def test_send_multipart__message_with_views_or_closed_is_refused(pair, name):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    first, viewed, closed = zraw.Message(b"1"), zraw.Message(b"2"), zraw.Message()
    closed.close()
    with memoryview(viewed), pytest.raises(BufferError):
        send_by(name, push, [first, viewed])
    with pytest.raises(zraw.ZMQError) as caught:
        send_by(name, push, [first, viewed, closed])
    assert caught.value.errno == errno.EFAULT
    assert everything(pull) == []
    send_by(name, push, [first, viewed])
    assert everything(pull) in ([b"1", b"2"], [[b"1", b"2"]])


@pytest.mark.parametrize("name", BATCHES)
def test_send_multipart__is_refused_while_a_message_is_open(pair, name):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    message = zraw.Message(b"kept")
    with pytest.raises(zraw.InvalidState) as caught:
        send_by(name, push, [message, b"x"], zraw.ZMQ_SNDMORE)
    assert caught.value.errno == zraw.EFSM
    push.send(b"one", zraw.ZMQ_SNDMORE)
    for flags in (0, zraw.ZMQ_DONTWAIT, zraw.ZMQ_SNDMORE):
        with pytest.raises(zraw.InvalidState):
            send_by(name, push, [message, b"x"], flags)
    push.send(b"two")
    assert message == b"kept"
    send_by(name, push, [message, b"x"])
    assert pull.recv_multipart() == [b"one", b"two"]
    assert everything(pull) in ([b"kept", b"x"], [[b"kept", b"x"]])


@pytest.mark.parametrize("open_by", ["send", "Message", "send_const", "Message.send"])
def test_send_many__knows_open_messages_whoever_opened_them(pair, open_by):
    dealer, peer = pair(zraw.ZMQ_DEALER, zraw.ZMQ_DEALER)
    more = zraw.ZMQ_SNDMORE
    {
        "send": lambda: dealer.send(b"one", more),
        "Message": lambda: dealer.send(zraw.Message(b"one"), more),
        "send_const": lambda: dealer.send_const(b"one", more),
        "Message.send": lambda: zraw.Message(b"one").send(dealer, more),
    }[open_by]()
    for call in (dealer.send_many, dealer.send_multipart):
        with pytest.raises(zraw.InvalidState):
            call([b"x"])
    assert dealer.try_send(b"two")
    assert dealer.send_many([b"x"]) == 1
    assert peer.recv_multipart() == [b"one", b"two"]
    assert peer.recv_multipart() == [b"x"]


def test_recv_multipart__copies_or_hands_out_messages(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    parts = [b"", b"short", b"l" * 100, b"h" * (2 << 20)]
    for _ in range(3):
        push.send_multipart(parts)
    assert pull.recv_multipart() == parts
    assert pull.recv_multipart(copy=True) == parts
    got = pull.recv_multipart(copy=False)
    assert [type(part) for part in got] == [zraw.Message] * 4
    assert got == parts
    assert [part.more() for part in got] == [True, True, True, False]
    assert all(memoryview(part).readonly for part in got)
    with pytest.raises(zraw.Again):
        pull.recv_multipart(zraw.ZMQ_DONTWAIT)


def test_recv_many__shapes_and_limits(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)

    def again(**options):
        push.send_many([b"1", [b"a", b"b"], b"2", [b"3"]])
        return pull.recv_many(**options)

    assert again() == [b"1", [b"a", b"b"], b"2", b"3"]
    assert again(multipart=True) == [[b"1"], [b"a", b"b"], [b"2"], [b"3"]]
    got = again(copy=False)
    assert [type(m) for m in got] == [zraw.Message, list, zraw.Message, zraw.Message]
    assert got == [b"1", [b"a", b"b"], b"2", b"3"]
    got = again(copy=False, multipart=True)
    assert {type(part) for message in got for part in message} == {zraw.Message}
    assert got == [[b"1"], [b"a", b"b"], [b"2"], [b"3"]]
    assert again(max_messages=1) == [b"1"]
    assert pull.recv_many(2) == [[b"a", b"b"], b"2"]
    assert pull.recv_many(4) == [b"3"]
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_messages"):
            pull.recv_many(wrong)
    for wrong in (None, "1", 1.0):
        with pytest.raises(TypeError, match="max_messages"):
            pull.recv_many(wrong)


def test_recv_many__default_limit_is_1000(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, SNDHWM=0, RCVHWM=0)
    assert push.send_many([b"x"] * 1500) == 1500
    assert len(pull.recv_many()) == 1000
    assert len(pull.recv_many(10**9)) == 500


def test_recv_many__waits_for_the_first_only(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, RCVTIMEO=60_000)
    push.send_many([b"1", b"2"])
    assert pull.recv_many(3) == [b"1", b"2"]  # a wait would outlast the test
    got = []
    thread = threading.Thread(target=lambda: got.append(pull.recv_many()))
    thread.start()
    push.poll(20)
    assert got == []
    push.send(b"3")
    thread.join(10)
    assert got == [[b"3"]]


def test_recv_many__nothing_there(pair):
    _, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, RCVTIMEO=20)
    with pytest.raises(zraw.Again):
        pull.recv_many(flags=zraw.ZMQ_DONTWAIT)
    with pytest.raises(zraw.Again):
        pull.recv_many()
    with pytest.raises(zraw.Again):
        pull.recv_multipart()


@pytest.mark.parametrize("kind", [bytes, bytearray, zraw.Message, list])
def test_send_many__stops_where_it_would_wait(flow, kind):
    push, pull = flow
    bodies = [b"%d" % i for i in range(100)]
    batch = [[body, b"."] if kind is list else kind(body) for body in bodies]
    count = push.send_many(batch, zraw.ZMQ_DONTWAIT)
    assert 10 <= count <= 25
    with pytest.raises(zraw.Again):
        push.send_many(batch[count:], zraw.ZMQ_DONTWAIT)
    push.setsockopt(zraw.ZMQ_SNDTIMEO, 20)
    with pytest.raises(zraw.Again):
        push.send_many(batch[count:])
    if kind is zraw.Message:
        # Emptied only where accepted.
        assert [len(m) for m in batch[:count]] == [0] * count
        assert batch[count:] == bodies[count:]
    done = count
    while done < 100:
        got = pull.recv_many(multipart=True)
        assert [message[0] for message in got] == bodies[done - len(got) : done]
        done += push.send_many(batch[done:], zraw.ZMQ_DONTWAIT)
    assert [m[0] if kind is list else m for m in everything(pull)][-1] == bodies[-1]


def test_send_multipart__refused_message_is_kept(flow):
    push, pull = flow
    count = push.send_many([b"x"] * 100, zraw.ZMQ_DONTWAIT)
    parts = [zraw.Message(b"one"), b"two", zraw.Message(b"three" * 50)]
    for flags, timeout in ((zraw.ZMQ_DONTWAIT, -1), (0, 0), (0, 20)):
        push.setsockopt(zraw.ZMQ_SNDTIMEO, timeout)
        with pytest.raises(zraw.Again):
            push.send_multipart(parts, flags)
        assert parts == [b"one", b"two", b"three" * 50]
    assert pull.recv_many() == [b"x"] * count
    push.send_multipart(parts, zraw.ZMQ_DONTWAIT)
    assert pull.recv_multipart() == [b"one", b"two", b"three" * 50]
    assert parts == [b"", b"two", b""]


def test_send_many__sndtimeo_begins_anew_for_each_message(flow):
    push, pull = flow
    push.setsockopt(zraw.ZMQ_SNDTIMEO, 1500)
    first = push.send_many([b"x"] * 100, zraw.ZMQ_DONTWAIT)
    pause = threading.Event()
    stop = []

    def read() -> None:
        # A message waits 200 ms at most; all of them wait longer than 1500 ms.
        while len(stop) < first + 120:
            pause.wait(0.1)
            stop.extend(pull.recv_many(6))

    thread = threading.Thread(target=read)
    thread.start()
    assert push.send_many([b"y"] * 120) == 120
    thread.join(20)
    assert len(stop) == first + 120


@pytest.mark.parametrize("kind", [bytes, list])
def test_send_many__shutdown_after_some_returns_the_count(ctx, sock, kind):
    context = zraw.Context()
    push, pull = (
        sock(kind, context=context, SNDHWM=10, RCVHWM=10, SNDTIMEO=-1)
        for kind in (zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    )
    pull.connect(push.bind("inproc://x"))
    got = []
    batch = [kind([65]) if kind is bytes else [b"A", b"B"]] * 100
    thread = threading.Thread(target=lambda: got.append(push.send_many(batch)))
    thread.start()
    wait_until(lambda: in_use(push))
    context.shutdown()
    thread.join(10)
    assert len(got) == 1 and 10 <= got[0] <= 25
    for call in (push.send_many, lambda _: push.send_multipart([b"x", b"y"])):
        with pytest.raises(zraw.ContextTerminated):
            call(batch)
    assert len(pull.recv_many(got[0])) == got[0]
    with pytest.raises(zraw.ContextTerminated):
        pull.recv_many()
    push.close()
    pull.close()
    context.close()


def in_use(socket: zraw.Socket) -> bool:
    try:
        socket.getsockopt(zraw.ZMQ_TYPE)
    except zraw.SocketInUse:
        return True
    return False


@pytest.mark.parametrize("call", ["send_many", "send_multipart"])
def test_send_many__second_thread_is_refused_and_the_list_may_change(flow, call):
    push, pull = flow
    filled = push.send_many([b"x"] * 100, zraw.ZMQ_DONTWAIT)
    message = zraw.Message(b"message")
    batch = [b"one", bytearray(b"two"), message]
    array = batch[1]
    thread = threading.Thread(target=getattr(push, call), args=[batch])
    thread.start()
    wait_until(lambda: in_use(push))
    for use in (
        lambda: push.send(b"y"),
        lambda: push.send_many([b"y"]),
        lambda: push.send_multipart([b"y", b"z"]),
        lambda: push.send_multipart([zraw.Message(b"y"), b"z"]),
        push.recv_many,
        push.close,
        message.close,
        lambda: pull.recv_msg(message),
        lambda: bytes(message),
    ):
        with pytest.raises(zraw.SocketInUse):
            use()
    with pytest.raises(BufferError):
        array.append(1)
    batch[:] = ["text"] * 50
    assert pull.recv_many(filled) == [b"x"] * filled
    thread.join(10)
    got = pull.recv_many()
    while len(got) < 3 and call == "send_many":
        got += pull.recv_many()
    assert got in ([b"one", b"two", b"message"], [[b"one", b"two", b"message"]])


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
@pytest.mark.parametrize("parts", [1, 3])
def test_send_many__100000_messages_through_small_queues(pair, transport, parts):
    """Both ways at once, without loss or repeat."""
    ends = pair(zraw.ZMQ_PAIR, zraw.ZMQ_PAIR, transport, SNDHWM=10, RCVHWM=10)
    there, back = (
        [
            body if parts == 1 else [body, b"", zraw.Message(body)]
            for body in (b"%s%d" % (name, i) for i in range(50_000))
        ]
        for name in (b"there", b"back")
    )
    wanted = {
        0: [m if parts == 1 else [m[0], b"", m[0]] for m in back],
        1: [m if parts == 1 else [m[0], b"", m[0]] for m in there],
    }
    got: dict[int, list] = {0: [], 1: []}

    def work(me: int, messages: list) -> None:
        sent = 0
        while sent < 50_000 or len(got[me]) < 50_000:
            try:
                if sent < 50_000:
                    part = messages[sent : sent + 700]
                    sent += ends[me].send_many(part, zraw.ZMQ_DONTWAIT)
            except zraw.Again:
                pass
            if ends[me].poll(1):
                got[me] += ends[me].recv_many(300)

    other = threading.Thread(target=work, args=[1, back])
    other.start()
    work(0, there)
    other.join(50)
    assert got == wanted


def test_send_many__100000_messages_waiting_at_the_mark(flow):
    push, pull = flow
    bodies = [b"%d" % i for i in range(100_000)]
    count = []
    thread = threading.Thread(target=lambda: count.append(push.send_many(bodies)))
    thread.start()
    got = []
    while len(got) < 100_000:
        got += pull.recv_many()
    thread.join(10)
    assert got == bodies
    assert count == [100_000]


@pytest.mark.parametrize("flags", [zraw.ZMQ_DONTWAIT, 0])
def test_send_multipart__credit_that_has_come_back_is_seen_at_once(pair, flags):
    """libzmq looks for it once per millisecond; the queue is not full meanwhile."""
    options = {"SNDHWM": 10, "RCVHWM": 10, "SNDTIMEO": -1 if flags else 0}
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, **options)
    for call, batch in (
        (push.send_multipart, [b"x", b"y"]),
        (push.send_many, [b"x"]),
        (push.send_many, [[b"x", b"y"]]),
    ):
        for _ in range(30):
            sent = push.send_many([b"x"] * 100, zraw.ZMQ_DONTWAIT)
            assert len(pull.recv_many()) == sent >= 10
            call(batch, flags)
            assert pull.recv_multipart()
