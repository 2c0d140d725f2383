"""PUB, SUB, XPUB and XSUB: what libzmq promises of them, seen through zraw."""

from __future__ import annotations

import itertools

import pytest

import zraw
from conftest import endpoint, wait_until

PUB, SUB, XPUB, XSUB = zraw.ZMQ_PUB, zraw.ZMQ_SUB, zraw.ZMQ_XPUB, zraw.ZMQ_XSUB
TRANSPORTS = ["inproc", "ipc", "tcp"]
SOON = 50  # ms: long enough for what must not come, were it on its way
MANUAL = ["XPUB_MANUAL", "XPUB_MANUAL_LAST_VALUE"]


@pytest.fixture
def joined(sock, where):
    """Make an XPUB, and sockets of another kind that are connected to it."""

    def make(kind, count=1, **options):
        pub = sock(XPUB, **options)
        bound = pub.bind(where())
        subs = [sock(kind) for _ in range(count)]
        for sub in subs:
            sub.connect(bound)
        return pub, *subs

    return make


def subscribe(sub, *topics):
    for topic in topics:
        sub.setsockopt(zraw.ZMQ_SUBSCRIBE, topic)


def unsubscribe(sub, *topics):
    for topic in topics:
        sub.setsockopt(zraw.ZMQ_UNSUBSCRIBE, topic)


markers = itertools.count()


def nothing_more(pub, sub):
    """The next that the XPUB hears of this SUB is what it does now."""
    topic = b"marker %d" % next(markers)
    subscribe(sub, topic)
    assert pub.recv() == b"\1" + topic


def take(pub, sub, *topics):
    """Subscribe, and wait until the XPUB knows."""
    for topic in topics:
        subscribe(sub, topic)
        assert pub.recv() == b"\1" + topic


def test_xpub__tells_of_new_topics_only(joined):
    pub, sub0, sub1 = joined(SUB, 2)
    take(pub, sub0, b"A", b"B")
    for sub in (sub0, sub1):
        subscribe(sub, b"A")
        nothing_more(pub, sub)


def test_xpub__verbose_reports_duplicates(joined):
    pub, sub0, sub1 = joined(SUB, 2)
    take(pub, sub0, b"A", b"B")
    pub.setsockopt(zraw.ZMQ_XPUB_VERBOSE, 1)
    take(pub, sub0, b"A")
    take(pub, sub1, b"A")
    pub.send(b"A")
    pub.send(b"B")
    assert [sub0.recv(), sub0.recv(), sub1.recv()] == [b"A", b"B", b"A"]
    unsubscribe(sub1, b"A")
    nothing_more(pub, sub1)
    pub.setsockopt(zraw.ZMQ_XPUB_VERBOSE, 0)
    subscribe(sub1, b"A")
    nothing_more(pub, sub1)


def test_xpub__tells_of_the_last_unsubscription_only(joined):
    pub, sub0, sub1 = joined(SUB, 2)
    unsubscribe(sub0, b"A")
    nothing_more(pub, sub0)
    take(pub, sub0, b"A")
    subscribe(sub1, b"A")
    nothing_more(pub, sub1)
    unsubscribe(sub0, b"A")
    nothing_more(pub, sub0)
    unsubscribe(sub1, b"A")
    assert pub.recv() == b"\0A"
    nothing_more(pub, sub1)


def test_sub__counts_its_subscriptions(joined):
    pub, sub = joined(SUB)
    take(pub, sub, b"A")
    subscribe(sub, b"A")
    unsubscribe(sub, b"A")
    nothing_more(pub, sub)
    pub.send(b"A")
    assert sub.recv() == b"A"
    unsubscribe(sub, b"A")
    assert pub.recv() == b"\0A"
    unsubscribe(sub, b"A")
    nothing_more(pub, sub)


def test_xpub__verboser_reports_all_unsubscriptions(joined):
    pub, sub0, sub1 = joined(SUB, 2, XPUB_VERBOSER=1)
    take(pub, sub0, b"A")
    take(pub, sub1, b"A")
    pub.send(b"A")
    assert [sub0.recv(), sub1.recv()] == [b"A", b"A"]
    for sub in (sub1, sub0):
        unsubscribe(sub, b"A")
        assert pub.recv() == b"\0A"
        unsubscribe(sub, b"A")  # one that it does not have: that stays with the SUB
        nothing_more(pub, sub)


def test_xpub__verbose_takes_back_half_of_verboser(joined):
    pub, sub0, sub1 = joined(SUB, 2, XPUB_VERBOSER=1)
    pub.setsockopt(zraw.ZMQ_XPUB_VERBOSE, 1)
    take(pub, sub0, b"A")
    take(pub, sub1, b"A")
    unsubscribe(sub1, b"A")
    nothing_more(pub, sub1)


@pytest.mark.parametrize("option", MANUAL)
def test_xpub__manual_subscribes_to_what_the_publisher_says(joined, option):
    pub, sub = joined(XSUB, **{option: 1})
    sub.send(b"\1A")
    assert pub.recv() == b"\1A"
    subscribe(pub, b"B")
    pub.send(b"A")
    pub.send(b"B")
    assert sub.recv() == b"B"


def test_xpub__subscribes_for_others_in_manual_mode_only(joined):
    pub, _ = joined(XSUB)
    for change in (subscribe, unsubscribe):
        with pytest.raises(zraw.InvalidArgument):
            change(pub, b"B")


@pytest.mark.parametrize("option", MANUAL)
def test_xpub__manual_unsubscribes_and_hears_of_a_lost_peer(joined, option):
    pub, sub = joined(XSUB, **{option: 1})
    sub.send(b"\1A")
    sub.send(b"\1B")
    for topic in (b"A", b"B"):
        assert pub.recv() == b"\1" + topic
        subscribe(pub, b"X" + topic)
    sub.send(b"\0A")
    assert pub.recv() == b"\0A"
    unsubscribe(pub, b"XA")
    pub.send(b"XA")
    pub.send(b"XB")
    assert sub.recv() == b"XB"
    sub.close()
    assert pub.recv() == b"\0B"
    unsubscribe(pub, b"XB")
    assert not pub.poll(SOON)


@pytest.mark.parametrize("option", MANUAL)
def test_xpub__manual_forgets_a_lost_peer(sock, where, option):
    pub, old, new = sock(XPUB, **{option: 1}), sock(XSUB), sock(XSUB)
    bound = pub.bind(where())
    old.connect(bound)
    old.send(b"\1A")
    assert pub.recv() == b"\1A"
    subscribe(pub, b"XA")
    for topic in (b"XB", b"XA"):
        pub.send(topic)
    assert old.recv() == b"XA"
    old.close()
    assert pub.recv() == b"\0A"
    unsubscribe(pub, b"XA")  # does nothing: there is nobody left
    new.connect(bound)
    new.send(b"\1B")
    assert pub.recv() == b"\1B"
    subscribe(pub, b"XB")
    for topic in (b"XA", b"XB"):
        pub.send(topic)
    assert new.recv() == b"XB"


def test_xpub__manual_applies_to_the_one_whose_message_was_read(joined):
    """Both have subscribed before the first is answered."""
    pub, *subs = joined(SUB, 2, XPUB_MANUAL=1)
    for number, sub in enumerate(subs):
        subscribe(sub, b"%d" % number)
    for _ in subs:
        assert pub.poll(5000) == zraw.ZMQ_POLLIN
        subscribe(pub, pub.recv()[1:])
    for sending in (b"0", b"1", b"0 end", b"1 end"):
        pub.send(sending)
    for number, sub in enumerate(subs):
        assert sub.recv() == b"%d" % number
        assert sub.recv() == b"%d end" % number


def test_xpub__manual_proxy_passes_on_each_unsubscription(sock, where):
    origin, front, back = sock(XPUB, XPUB_VERBOSER=1), sock(XSUB), sock(XPUB)
    back.setsockopt(zraw.ZMQ_XPUB_MANUAL, 1)
    front.connect(origin.bind(where()))
    bound = back.bind(where())
    subs = [sock(SUB), sock(SUB)]
    for sub in subs:
        sub.connect(bound)
        take(back, sub, b"1")
        subscribe(back, b"1")
        front.send(b"\1" + b"1")
        assert origin.recv() == b"\1" + b"1"
    origin.send_multipart([b"1", b"X"])
    assert front.recv_multipart() == [b"1", b"X"]
    back.send_multipart([b"1", b"X"])
    for sub in subs:
        assert sub.recv_multipart() == [b"1", b"X"]
        sub.close()
    for _ in subs:
        assert back.recv() == b"\0" + b"1"
        unsubscribe(back, b"1")
        front.send(b"\0" + b"1")
    assert origin.recv() == b"\0" + b"1"
    front.send(b"\1end")
    assert origin.recv() == b"\1end"
    origin.send_multipart([b"1", b"Y"])
    origin.send(b"end")
    assert front.recv() == b"end"


def test_xpub__manual_last_value_sends_to_the_newest_first(joined):
    pub, sub0, sub1 = joined(SUB, 2, XPUB_MANUAL_LAST_VALUE=1)
    take(pub, sub0, b"A")
    subscribe(pub, b"A")
    pub.send(b"A1")
    assert sub0.recv() == b"A1"
    take(pub, sub1, b"A")
    subscribe(pub, b"A")
    pub.send(b"A2")
    assert sub1.recv() == b"A2"
    pub.send(b"A3")
    assert [sub0.recv(), sub1.recv()] == [b"A3", b"A3"]


@pytest.mark.parametrize("option", MANUAL)
def test_pub__refuses_manual_mode(sock, option):
    with pytest.raises(zraw.InvalidArgument):
        sock(PUB, **{option: 1})


def test_xsub__sends_messages_upstream(joined):
    pub, sub = joined(XSUB)
    for parts in ([b"\2A"], [b"user", b"data"], [b""]):
        sub.send_multipart(parts)
        assert pub.recv_multipart() == parts


def test_xsub__later_frames_are_subscriptions_too(joined):
    pub, sub = joined(XSUB)
    sub.send_multipart([b"ABC", b"\1BC"])
    assert pub.recv() == b"ABC"
    assert pub.recv() == b"\1BC"
    assert not pub.getsockopt(zraw.ZMQ_RCVMORE)
    pub.send(b"BCD")
    assert sub.recv() == b"BCD"


def test_xsub__only_first_subscribe_leaves_later_frames_alone(joined):
    pub, sub = joined(XSUB, ONLY_FIRST_SUBSCRIBE=1)
    sub.setsockopt(zraw.ZMQ_ONLY_FIRST_SUBSCRIBE, 1)
    for later in (b"\0BC", b"\1BC"):
        sub.send_multipart([b"ABC", later])
        assert pub.recv_multipart() == [b"ABC", later]
    for parts in ([b"\1BC", b"\1CD"], [b"\0BC", b"\0CD"]):
        sub.send_multipart(parts)
        assert [pub.recv(), pub.recv()] == parts
    sub.send(b"\1end")
    assert pub.recv() == b"\1end"
    pub.send(b"BC")
    pub.send(b"end")
    assert sub.recv() == b"end"


@pytest.mark.parametrize("kind", [SUB, XSUB, PUB])
def test_sub__and_pub_have_one_direction(sock, kind):
    socket = sock(kind)
    if kind == XSUB:
        assert socket.send(b"dropped: nobody there") > 0
        with pytest.raises(zraw.Again):
            socket.recv(zraw.ZMQ_DONTWAIT)
    else:
        with pytest.raises(zraw.NotSupported):
            socket.send(b"x") if kind == SUB else socket.recv(zraw.ZMQ_DONTWAIT)


@pytest.mark.parametrize("size", [0, 244, 245, 246, 247, 254, 255, 256, 257, 9000])
def test_xpub__topics_of_all_sizes(joined, where, size):
    pub, sub = joined(SUB)
    topic = (b"ABCDEFGHIJKLMNOP" * 600)[:size]
    subscribe(sub, topic)
    if (
        zraw.version() < (4, 3, 5)
        and 246 <= size <= 255
        and where.transport != "inproc"
    ):
        assert pub.recv() == b""  # it wrote a long size and did not say that it is one
        return
    assert pub.recv() == b"\1" + topic
    pub.send(topic + b"!")
    assert sub.recv() == topic + b"!"
    unsubscribe(sub, topic)
    assert pub.recv() == b"\0" + topic


def test_xpub__welcome_message_comes_first(sock, where):
    pub, keen, other = sock(XPUB, XPUB_WELCOME_MSG=b"W"), sock(SUB), sock(SUB)
    bound = pub.bind(where())
    subscribe(keen, b"W")
    keen.connect(bound)
    assert pub.recv() == b"\1W"
    assert keen.recv() == b"W"
    other.connect(bound)
    take(pub, other, b"A")
    pub.send(b"A")
    assert other.recv() == b"A"  # but no welcome
    pub.setsockopt(zraw.ZMQ_XPUB_WELCOME_MSG, None)
    last = sock(SUB)
    subscribe(last, b"W", b"end")
    last.connect(bound)
    assert pub.recv() == b"\1end"
    pub.send(b"end")
    assert last.recv() == b"end"


def test_xpub__and_xsub_forward_both_ways(sock, where):
    xpub, xsub, pub, sub = sock(XPUB), sock(XSUB), sock(PUB), sock(SUB)
    pub.connect(xsub.bind(where()))
    sub.connect(xpub.bind(where()))
    subscribe(sub, b"")
    xsub.send(xpub.recv())

    def published():
        pub.send(b"news")
        return xsub.poll(5)

    wait_until(published)
    xpub.send(xsub.recv())
    assert sub.recv() == b"news"


def test_pub__invert_matching_turns_the_choice_round(joined):
    pub, *subs = joined(SUB, 2)
    for number, sub in enumerate(subs):
        take(pub, sub, b"p%d" % number)
    for invert in (0, 1, 0):
        for socket in (pub, *subs):
            socket.setsockopt(zraw.ZMQ_INVERT_MATCHING, invert)
            assert socket.getsockopt(zraw.ZMQ_INVERT_MATCHING) == invert
        for sending in (b"p0 first", b"p1 first", b"p0 last", b"p1 last"):
            pub.send(sending)
        for number, sub in enumerate(subs):
            chosen = b"p%d" % (number ^ invert)
            assert [sub.recv(), sub.recv()] == [chosen + b" first", chosen + b" last"]


def test_sub__filters_by_itself_when_only_the_publisher_inverts(joined):
    pub, sub = joined(SUB)
    take(pub, sub, b"A")
    pub.setsockopt(zraw.ZMQ_INVERT_MATCHING, 1)
    pub.send(b"B")  # sent, and thrown away by the SUB
    pub.setsockopt(zraw.ZMQ_INVERT_MATCHING, 0)
    pub.send(b"A")
    assert sub.recv() == b"A"


@pytest.mark.parametrize("hwm", [10, 100, 1000])
def test_pub__loses_nothing_up_to_its_hwm(joined, hwm):
    pub, sub = joined(SUB)
    pub.setsockopt(zraw.ZMQ_SNDHWM, hwm)
    take(pub, sub, b"")
    for number in range(hwm):
        pub.send(b"%d" % number, zraw.ZMQ_DONTWAIT)
    assert [sub.recv() for _ in range(hwm)] == [b"%d" % n for n in range(hwm)]


def test_pub__hwm_counts_what_is_under_way_only(joined):
    pub, sub = joined(SUB, SNDHWM=110)
    take(pub, sub, b"")
    for count in (99, 40, 40):
        assert pub.poll(0, zraw.ZMQ_POLLOUT) == zraw.ZMQ_POLLOUT
        for number in range(count):
            pub.send(b"%d" % number)
        assert [sub.recv() for _ in range(count)] == [b"%d" % n for n in range(count)]


def test_pub__drops_for_the_slow_one_and_not_for_the_fast_one(sock, tmp_path):
    """Over inproc, where two high water marks are all the room there is."""
    pub, fast, slow = sock(XPUB, SNDHWM=2), sock(SUB, RCVHWM=3), sock(SUB, RCVHWM=3)
    pub.setsockopt(zraw.ZMQ_XPUB_VERBOSE, 1)
    bound = pub.bind(endpoint("inproc", tmp_path))
    for sub in (fast, slow):
        sub.connect(bound)
        take(pub, sub, b"n")
    for number in range(50):
        pub.poll(0, zraw.ZMQ_POLLOUT)  # takes the credit of what was read
        pub.send(b"n%d" % number)
        assert fast.recv() == b"n%d" % number
    assert slow.recv_many() == [b"n%d" % number for number in range(5)]
    pub.poll(0, zraw.ZMQ_POLLOUT)
    pub.send(b"n again")
    assert slow.recv() == b"n again"


def test_xpub__nodrop_waits_and_loses_nothing(sock, where):
    options = {"SNDHWM": 10, "RCVHWM": 10, "SNDBUF": 65536, "RCVBUF": 65536}
    pub, sub = sock(XPUB, XPUB_NODROP=1, **options), sock(SUB, **options)
    sub.connect(pub.bind(where()))
    take(pub, sub, b"")
    body, got, waited = b"x" * 20000, [], 0
    for number in range(300):
        while not pub.try_send(b"%03d" % number + body):
            waited += 1
            got.append(sub.recv())
    assert waited
    while len(got) < 300:
        got.append(sub.recv())
    assert [message[:3] for message in got] == [b"%03d" % n for n in range(300)]


def test_xpub__nodrop_raises_again_after_sndtimeo(sock, tmp_path):
    pub, sub = sock(XPUB, XPUB_NODROP=1, SNDHWM=10, SNDTIMEO=20), sock(SUB, RCVHWM=10)
    sub.connect(pub.bind(endpoint("inproc", tmp_path)))
    take(pub, sub, b"")
    for _ in range(2):
        sent = 0
        with pytest.raises(zraw.Again):
            while sent < 100:
                pub.send(b"%d" % sent)
                sent += 1
        assert sent == 20
        with pytest.raises(zraw.Again):
            pub.send(b"x", zraw.ZMQ_DONTWAIT)
        assert [sub.recv() for _ in range(sent)] == [b"%d" % n for n in range(sent)]
        assert sub.try_recv() is None


@pytest.mark.parametrize(
    "kinds", [(zraw.ZMQ_PULL, zraw.ZMQ_PUSH), (zraw.ZMQ_DEALER, zraw.ZMQ_DEALER)]
)
def test_pull__conflate_keeps_the_last_message(pair, where, kinds):
    receiver, sender = pair(*kinds, where.transport, CONFLATE=1)

    def some_left_out():
        for number in range(20):
            sender.send(b"%d" % number)
        got = [receiver.recv()]
        while got[-1] != b"19":
            got.append(receiver.recv())
        return len(got) == 1 if where.transport == "inproc" else len(got) < 20

    wait_until(some_left_out)
    assert receiver.try_recv() is None
