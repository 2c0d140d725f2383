"""REQ, REP, DEALER and ROUTER: what libzmq promises of them, seen through zraw."""

from __future__ import annotations

import socket as plain

import pytest

import zraw
from conftest import endpoint, wait_until

DEALER, REP, REQ, ROUTER = zraw.ZMQ_DEALER, zraw.ZMQ_REP, zraw.ZMQ_REQ, zraw.ZMQ_ROUTER
TRANSPORTS = ["inproc", "ipc", "tcp"]
PEERS = 5
SOON = 50  # ms: long enough for what must not come, were it on its way


def readable(sockets):
    """Wait for a message for any of the sockets; return which one has it."""
    found = []

    def look():
        found.extend(n for n, socket in enumerate(sockets) if socket.poll(0))
        return found

    wait_until(look)
    return found[0]


def serve(client, services):
    """Have one request answered; return who did it."""
    head = [] if client.type == REQ else [b""]
    client.send_multipart([*head, b"question"])
    number = readable(services)
    assert services[number].recv_multipart() == [b"question"]
    services[number].send(b"answer")
    assert client.recv_multipart() == [*head, b"answer"]
    return number


def until_all_serve(client, services):
    """Wait until all are connected, as only a message can show."""
    served = set()

    def one_more():
        served.add(serve(client, services))
        return len(served) == len(services)

    wait_until(one_more)


def send_when_known(router, parts):
    """Send as soon as the ROUTER, which must be MANDATORY, knows the peer."""

    def sent():
        try:
            router.send_multipart(parts)
        except zraw.HostUnreachable:
            return False
        return True

    wait_until(sent)


def test_req__and_rep_bounce(pair, where):
    rep, req = pair(REP, REQ, where.transport)
    for parts in ([b"one"], [b"a", b"", b"c"], [b""], [b"x" * 100000] * 2):
        req.send_multipart(parts)
        assert rep.recv_multipart() == parts
        rep.send_multipart(parts[::-1])
        assert req.recv_multipart() == parts[::-1]


def test_req__and_rep_bounce_over_ipv6(sock):
    rep, req = sock(REP, IPV6=1), sock(REQ, IPV6=1)
    try:
        bound = rep.bind("tcp://[::1]:*")
    except OSError:
        pytest.skip("no IPv6 here")
    req.connect(bound)
    assert serve(req, [rep]) == 0
    req.disconnect(bound)
    rep.unbind(bound)


@pytest.mark.parametrize("kind", [REQ, DEALER])
def test_req__bound_asks_its_peers_in_turn(sock, where, kind):
    client = sock(kind)
    bound = client.bind(where())
    services = [sock(REP) for _ in range(PEERS)]
    for service in services:
        service.connect(bound)
    until_all_serve(client, services)
    first = [serve(client, services) for _ in range(PEERS)]
    assert sorted(first) == list(range(PEERS))
    assert [serve(client, services) for _ in range(PEERS)] == first


def test_req__connected_asks_in_order_of_the_connects(sock, where):
    services, req = [sock(REP) for _ in range(3)], sock(REQ)
    bound = [service.bind(where()) for service in services]
    for one in bound:
        req.connect(one)
    assert [serve(req, services) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    if where.transport != "inproc":
        for one, service in zip(bound, services, strict=True):
            req.disconnect(one)
            service.unbind(one)


def test_req__source_port_is_shared_by_different_connections(sock):
    with plain.socket() as probe:
        probe.bind(("127.0.0.3", 0))  # an address that nobody else uses
        port = probe.getsockname()[1]
    services, req = [sock(REP), sock(REP)], sock(REQ)
    ends = [service.bind("tcp://127.0.0.1:*")[6:] for service in services]
    ends = [f"tcp://127.0.0.3:{port};{one}" for one in ends]
    for one in ends:
        req.connect(one)
    assert [serve(req, services) for _ in range(3)] == [0, 1, 0]
    req.send(b"who asks?")
    assert services[1].recv_msg().gets("Peer-Address") == "127.0.0.3"
    for one in ends:
        req.disconnect(one)


def test_req__puts_an_empty_frame_before_the_request(pair, where):
    req, router = pair(REQ, ROUTER, where.transport)
    req.send_multipart([b"ABC", b"DEF"])
    peer, *request = router.recv_multipart()
    assert peer
    assert request == [b"", b"ABC", b"DEF"]
    router.send_multipart([peer, b"", b"GHI"])
    assert req.recv_multipart() == [b"GHI"]


def test_req__listens_to_nobody_but_the_peer_it_asked(sock, where):
    req = sock(REQ, ROUTING_ID=b"A")
    bound = req.bind(where())
    routers = [sock(ROUTER, ROUTER_MANDATORY=1) for _ in range(3)]
    for router in routers:
        router.connect(bound)
    req.send(b"ABC")
    asked = routers.pop(readable(routers))
    assert asked.recv_multipart() == [b"A", b"", b"ABC"]
    for router in routers:
        send_when_known(router, [b"A", b"", b"wrong"])
    req.setsockopt(zraw.ZMQ_RCVTIMEO, SOON)
    with pytest.raises(zraw.Again):
        req.recv()
    req.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    asked.send_multipart([b"A", b"", b"good"])
    assert req.recv() == b"good"


def test_req__skips_replies_without_the_empty_frame(pair):
    """Over inproc: other transports drop a peer that breaks the protocol."""
    router, req = pair(ROUTER, REQ)
    req.send(b"r")
    peer, *request = router.recv_multipart()
    assert request == [b"", b"r"]
    router.send_multipart([peer, b"alone"])
    router.send_multipart([peer, b"full", b"bad"])
    router.send_multipart([peer, b""])
    with pytest.raises(zraw.Again):
        req.recv(zraw.ZMQ_DONTWAIT)
    router.send_multipart([peer, b"", b"b"])
    assert req.recv_multipart() == [b"b"]


def test_router__id_without_message_sends_nothing(pair, where):
    router, req = pair(ROUTER, REQ, where.transport)
    req.send(b"r")
    peer, *_ = router.recv_multipart()
    router.send(peer)
    router.send_multipart([peer, b"", b"b"])
    assert req.recv_multipart() == [b"b"]


def relaxed(sock, *bound):
    """A REQ that may ask again, connected to what is bound."""
    req = sock(REQ, REQ_RELAXED=1, REQ_CORRELATE=1, RECONNECT_IVL=10)
    for one in bound:
        req.connect(one)
    return req


def test_req__relaxed_asks_again_and_drops_the_first_reply(sock, where):
    services = [sock(REP) for _ in range(3)]
    req = relaxed(sock, *(service.bind(where()) for service in services))
    assert req.getsockopt(zraw.ZMQ_EVENTS) == zraw.ZMQ_POLLOUT
    req.send_multipart([b"A", b"B"])
    assert services[0].recv_multipart() == [b"A", b"B"]
    assert req.getsockopt(zraw.ZMQ_EVENTS) == zraw.ZMQ_POLLOUT
    req.send_multipart([b"C", b"D"])
    assert services[1].recv_multipart() == [b"C", b"D"]
    services[0].send(b"wrong")
    req.setsockopt(zraw.ZMQ_RCVTIMEO, SOON)
    with pytest.raises(zraw.Again):
        req.recv()
    req.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
    services[1].send(b"good")
    assert req.recv_multipart() == [b"good"]
    # Its pipes are still there, and used in turn.
    assert [serve(req, services) for _ in range(4)] == [2, 0, 1, 2]


def test_req__relaxed_drops_a_reply_that_was_there(sock, where):
    services = [sock(REP) for _ in range(2)]
    req = relaxed(sock, *(service.bind(where()) for service in services))
    req.send(b"H")
    assert services[0].recv() == b"H"
    services[0].send(b"bad")
    assert req.poll(5000) == zraw.ZMQ_POLLIN
    req.send(b"I")
    assert services[1].recv() == b"I"
    services[1].send(b"good")
    assert req.recv() == b"good"


def test_req__relaxed_matches_replies_to_requests_that_piled_up(sock, tmp_path):
    where = endpoint("ipc", tmp_path)
    req, router = relaxed(sock, where), sock(ROUTER)
    req.send(b"to be discarded")
    req.send(b"to be answered")
    router.bind(where)
    for _ in range(2):
        router.send_multipart(router.recv_multipart())
    assert req.recv_multipart() == [b"to be answered"]


def test_req__correlate_wants_the_number_of_the_request_back(pair, where):
    router, req = pair(ROUTER, REQ, where.transport)
    req.setsockopt(zraw.ZMQ_REQ_CORRELATE, 1)
    req.send_multipart([b"ABC", b"DEF"])
    peer, number, *request = router.recv_multipart()
    assert len(number) == 4
    assert request == [b"", b"ABC", b"DEF"]
    wrong = bytes(255 - byte for byte in number)
    router.send_multipart([peer, wrong, b"", b"DATA"])
    router.send_multipart([peer, b"", b"no number"])
    router.send_multipart([peer, number, b"", b"GHI"])
    assert req.recv_multipart() == [b"GHI"]
    req.send(b"next")
    assert router.recv_multipart()[1] != number


def test_rep__answers_the_one_who_asked(sock, where):
    rep, clients = sock(REP), [sock(REQ) for _ in range(PEERS)]
    bound = rep.bind(where())
    for client in clients:
        client.connect(bound)
    for client in (clients[0], clients[0]):
        assert serve(client, [rep]) == 0
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    for _ in clients:
        rep.send(b"reply to " + rep.recv())
    for number, client in enumerate(clients):
        assert client.recv() == b"reply to %d" % number


def test_rep__keeps_the_envelope_for_the_reply(pair, where):
    rep, dealer = pair(REP, DEALER, where.transport)
    for envelope in ([b""], [b"X", b"Y", b""]):
        dealer.send_multipart([*envelope, b"A"])
        assert rep.recv_multipart() == [b"A"]
        rep.send_multipart([b"B", b"C"])
        assert dealer.recv_multipart() == [*envelope, b"B", b"C"]


def test_dealer__gives_each_peer_one_of_n_messages(sock, where):
    dealer, services = sock(DEALER), [sock(REP) for _ in range(PEERS)]
    bound = dealer.bind(where())
    for service in services:
        service.connect(bound)
    until_all_serve(dealer, services)
    for _ in services:
        dealer.send_multipart([b"", b"ABC"])
    for service in services:
        assert service.recv() == b"ABC"


def test_router__puts_the_id_before_the_message(sock, where):
    router, senders = sock(ROUTER), {}
    bound = router.bind(where())
    for number in range(PEERS):
        name = b"peer %d" % number
        senders[name] = sock(DEALER, ROUTING_ID=name)
        senders[name].connect(bound)
    for name, sender in senders.items():
        sender.send_multipart([b"M", name])
    got = [router.recv_multipart() for _ in senders]
    assert sorted(got) == [[name, b"M", name] for name in senders]
    for name in senders:
        router.send_multipart([name, b"to " + name])
    for name, sender in senders.items():
        assert sender.recv_multipart() == [b"to " + name]


def test_router__drops_what_has_no_peer_unless_mandatory(sock, where):
    router, dealer = sock(ROUTER), sock(DEALER, ROUTING_ID=b"X")
    bound = router.bind(where())
    router.send_multipart([b"UNKNOWN", b"DATA"])
    router.setsockopt(zraw.ZMQ_ROUTER_MANDATORY, 1)
    with pytest.raises(zraw.HostUnreachable):
        router.send(b"UNKNOWN", zraw.ZMQ_SNDMORE)
    with pytest.raises(zraw.HostUnreachable):
        router.send_multipart([b"X", b"too early"])
    dealer.connect(bound)
    dealer.send(b"Hello")
    assert router.recv_multipart() == [b"X", b"Hello"]
    router.send_multipart([b"X", b"Hello"])
    assert dealer.recv_multipart() == [b"Hello"]


def test_router__does_not_know_a_peer_that_left(pair, where):
    router, dealer = pair(ROUTER, DEALER, where.transport)
    router.setsockopt(zraw.ZMQ_ROUTER_MANDATORY, 1)
    dealer.send(b"Hello")
    peer, _ = router.recv_multipart()
    router.send_multipart([peer, b"Hello"])
    dealer.close()

    def gone():
        try:
            router.send_multipart([peer, b"anybody there?"])
        except zraw.HostUnreachable:
            return True
        return False

    wait_until(gone)


def full_router(sock, where, **options):
    """A ROUTER with room for one message to its peer X, and that peer."""
    small = {"SNDHWM": 1, "RCVHWM": 1, "SNDBUF": 65536, "RCVBUF": 65536}
    router = sock(ROUTER, **small, **options)
    dealer = sock(DEALER, ROUTING_ID=b"X", **small)
    dealer.connect(router.bind(where()))
    dealer.send(b"Hello")
    assert router.recv_multipart() == [b"X", b"Hello"]
    return router, dealer


def test_router__mandatory_waits_for_room(sock, where):
    router, dealer = full_router(sock, where, ROUTER_MANDATORY=1, SNDTIMEO=SOON)
    body, sent = b"x" * 1000000, 0
    with pytest.raises(zraw.Again):
        while sent < 50:
            router.send_multipart([b"X", body])
            sent += 1
    if where.transport == "inproc":  # elsewhere, the system's buffers come on top
        assert sent == 2
        with pytest.raises(zraw.Again):
            router.send(b"X", zraw.ZMQ_SNDMORE | zraw.ZMQ_DONTWAIT)
    assert 1 <= sent < 20
    for _ in range(sent):
        assert dealer.recv() == body
    router.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
    router.send_multipart([b"X", b"room again"])
    assert dealer.recv() == b"room again"


def test_router__drops_when_full_unless_mandatory(sock, where):
    router, dealer = full_router(sock, where)
    for number in range(50):
        router.send_multipart([b"X", b"%02d" % number, b"x" * 1000000])
    got = []
    while not got or dealer.poll(SOON):
        got.append(dealer.recv_multipart()[0])
    assert got[0] == b"00"
    assert len(got) == 2 if where.transport == "inproc" else len(got) < 50


@pytest.mark.parametrize("handover", [0, 1])
def test_router__handover_of_an_id_that_is_taken(sock, where, handover):
    router = sock(ROUTER, ROUTER_HANDOVER=handover)
    bound = router.bind(where())
    dealers = [sock(DEALER, ROUTING_ID=b"X") for _ in range(2)]
    dealers[0].connect(bound)
    dealers[0].send(b"first")
    assert router.recv_multipart() == [b"X", b"first"]
    dealers[1].connect(bound)
    dealers[1].send(b"second")
    if handover:
        assert router.recv_multipart() == [b"X", b"second"]
    else:
        router.setsockopt(zraw.ZMQ_RCVTIMEO, SOON)
        with pytest.raises(zraw.Again):
            router.recv_multipart()
    router.send_multipart([b"X", b"to one only"])
    assert dealers[handover].recv() == b"to one only"
    assert not dealers[1 - handover].poll(SOON)


@pytest.mark.parametrize("kind", [DEALER, ROUTER])
def test_router__probe_tells_it_of_a_peer(sock, where, kind):
    server, client = sock(ROUTER), sock(kind, ROUTING_ID=b"X", PROBE_ROUTER=1)
    client.connect(server.bind(where()))
    assert server.recv_multipart() == [b"X", b""]
    server.send_multipart([b"X", b"Hello"])
    *peer, body = client.recv_multipart()
    assert body == b"Hello"
    if kind == ROUTER:
        assert len(peer[0]) == 5 and peer[0][0] == 0  # one that libzmq made up
    else:
        assert peer == []


@pytest.mark.parametrize("named", [False, True])
def test_router__connect_routing_id_names_the_peer(sock, where, named):
    ids = [{"ROUTING_ID": b"X"}, {"ROUTING_ID": b"Y"}] if named else [{}, {}]
    server, client = (sock(ROUTER, **options) for options in ids)
    bound = server.bind(where())
    client.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"conn1")
    client.connect(bound)
    client.send_multipart([b"conn1", b"hi"])
    peer, body = server.recv_multipart()
    assert body == b"hi"
    assert peer == b"Y" if named else (len(peer) == 5 and peer[0] == 0)
    server.send_multipart([peer, b"ok"])
    assert client.recv_multipart() == [b"conn1", b"ok"]


def test_router__connect_routing_id_while_a_message_waits(sock, where):
    x, y, z = (sock(ROUTER, ROUTING_ID=name) for name in (b"X", b"Y", b"Z"))
    bound_x, bound_z = x.bind(where()), z.bind(where())
    y.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"X")
    y.connect(bound_x)
    y.send_multipart([b"X", b"from Y"])
    assert x.poll(5000) == zraw.ZMQ_POLLIN
    x.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"Z")
    x.connect(bound_z)
    x.send_multipart([b"Z", b"from X"])
    assert z.recv_multipart() == [b"X", b"from X"]
    assert y.try_recv_multipart() is None
    assert x.recv_multipart() == [b"Y", b"from Y"]


def test_router__reaches_dealers_of_another_context(sock):
    router = sock(ROUTER, ROUTER_MANDATORY=1)
    bound = router.bind("tcp://127.0.0.1:*")
    with zraw.Context() as other:
        for cycle in range(20):
            name = b"%09d" % cycle
            dealer = sock(DEALER, other, ROUTING_ID=name)
            dealer.connect(bound)
            send_when_known(router, [name, b"HELLO"])
            assert dealer.recv() == b"HELLO"
            dealer.close()


def pass_on(source, target):
    """Send one message on, frame by frame; return their number."""
    number, more = 0, 1
    while more:
        frame = source.recv_msg()
        more = source.getsockopt(zraw.ZMQ_RCVMORE)
        assert more == frame.more()
        target.send(frame, zraw.ZMQ_SNDMORE if more else 0)
        number += 1
    return number


def test_router__and_dealer_make_a_broker(sock, where):
    dealer, router, rep, req = sock(DEALER), sock(ROUTER), sock(REP), sock(REQ)
    rep.connect(dealer.bind(where()))
    req.connect(router.bind(where()))
    for _ in range(3):
        req.send_multipart([b"ABC", b"DEF"])
        assert pass_on(router, dealer) == 4  # id, empty frame, two of the request
        assert rep.recv_multipart() == [b"ABC", b"DEF"]
        rep.send_multipart([b"GHI", b"JKL"])
        assert pass_on(dealer, router) == 4
        assert req.recv_multipart() == [b"GHI", b"JKL"]
