"""ZMQ_SERVER and ZMQ_CLIENT, by whichever call messages go in and out."""

from __future__ import annotations

import errno

import pytest

import zraw
from drafts import drafts, to

TRANSPORTS = ["inproc", "ipc", "tcp"]


@pytest.fixture
def talk(pair):
    """A server and a client, and the routing id that the server has for it."""

    def make(transport="inproc", **options):
        server, client = pair(zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, transport, **options)
        client.send(b"first")
        message = server.recv_msg()
        assert message == b"first"
        return server, client, message.routing_id()

    return make


@pytest.mark.parametrize("transport", TRANSPORTS)
@drafts
def test_msg_routing_id__leads_back_to_the_client(talk, transport):
    server, client, routing_id = talk(transport)
    assert 0 < routing_id < 2**32
    assert to(routing_id).routing_id() == routing_id
    server.send(to(routing_id, b"answer"))
    message = client.recv_msg()
    assert message == b"answer"
    assert message.routing_id() == 0  # a client has but one kind of peer
    client.send(b"second")
    assert server.recv_msg().routing_id() == routing_id


@drafts
def test_msg_set_routing_id__none_at_first():
    message = zraw.Message(b"x")
    assert message.routing_id() == 0
    for routing_id in (1, 2**31, 2**32 - 1):
        assert message.set_routing_id(routing_id) is None
        assert message.routing_id() == routing_id
    with pytest.raises(zraw.InvalidArgument) as caught:
        message.set_routing_id(0)
    assert caught.value.errno == zraw.errno() == errno.EINVAL
    assert message.routing_id() == 2**32 - 1
    copy = zraw.Message()
    copy.copy(message)
    assert copy.routing_id() == 2**32 - 1
    moved = zraw.Message()
    moved.move(copy)
    assert (moved.routing_id(), copy.routing_id()) == (2**32 - 1, 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
@drafts
def test_msg_set_routing_id__the_same_message_goes_back(talk, transport):
    """A received message has the sender's routing id, and so is an answer to it."""
    server, client, _ = talk(transport)
    client.send(b"ping")
    server.send(server.recv_msg())
    assert client.recv() == b"ping"


@drafts
def test_msg_send__many_clients(sock):
    server = sock(zraw.ZMQ_SERVER)
    endpoint = server.bind("tcp://127.0.0.1:*")
    clients = [sock(zraw.ZMQ_CLIENT) for _ in range(10)]
    ids = {}
    for number, client in enumerate(clients):
        client.connect(endpoint)
        client.send(b"%d" % number)
    for _ in clients:
        message = server.recv_msg()
        ids[int(bytes(message))] = message.routing_id()
    assert len(set(ids.values())) == 10
    for number in reversed(range(10)):
        server.send(to(ids[number], b"for %d" % number))
    for number, client in enumerate(clients):
        assert client.recv() == b"for %d" % number
        assert client.try_recv() is None


@drafts
def test_msg_send__client_takes_its_servers_in_turn(sock):
    client = sock(zraw.ZMQ_CLIENT)
    servers = [sock(zraw.ZMQ_SERVER) for _ in range(3)]
    for number, server in enumerate(servers):
        client.connect(server.bind(f"inproc://turn{number}"))
    for number in range(6):
        client.send(b"%d" % number)
    for number, server in enumerate(servers):
        assert server.recv_many() == [b"%d" % number, b"%d" % (number + 3)]


@pytest.mark.parametrize("data", [b"x", b"x" * 34, bytes(100_000)])
@drafts
def test_msg_send__no_routing_id_reaches_nobody(talk, data):
    """A server's message needs one, by whichever call it is sent."""
    server, client, _ = talk()
    for call in (
        lambda: server.send(data),
        lambda: server.send(zraw.Message(data)),
        lambda: zraw.Message(data).send(server),
        lambda: server.send_const(data),
        lambda: server.try_send(data),
        lambda: server.send_many([data]),
        lambda: server.send_multipart([data]),
    ):
        with pytest.raises(zraw.HostUnreachable) as caught:
            call()
        assert caught.value.errno == zraw.errno() == errno.EHOSTUNREACH
    assert client.try_recv() is None


@drafts
def test_msg_send__unknown_routing_id(talk):
    server, client, routing_id = talk()
    message = to(routing_id ^ 0x55, b"kept")
    with pytest.raises(zraw.HostUnreachable) as caught:
        server.send(message)
    assert caught.value.errno == errno.EHOSTUNREACH
    assert message == b"kept"
    message.set_routing_id(routing_id)
    server.send(message)
    assert client.recv() == b"kept"


@pytest.mark.parametrize("transport", TRANSPORTS)
@drafts
def test_msg_send__client_that_is_gone(talk, transport):
    server, client, routing_id = talk(transport)
    client.close()
    for _ in range(1000):
        try:
            server.send(to(routing_id))
        except zraw.HostUnreachable:
            break
        except zraw.Again:
            continue
        server.poll(5)
    else:
        pytest.fail("it is still there")


@pytest.mark.parametrize("size", [1, 100_000])
@drafts
def test_send__no_parts(talk, size):
    server, client, routing_id = talk()
    body = bytes(size)
    for socket, message in ((client, zraw.Message(body)), (server, to(routing_id))):
        for call in (
            lambda socket=socket, message=message: socket.send(
                message, zraw.ZMQ_SNDMORE
            ),
            lambda socket=socket, message=message: message.send(
                socket, zraw.ZMQ_SNDMORE
            ),
            lambda socket=socket: socket.send(body, zraw.ZMQ_SNDMORE),
            lambda socket=socket: socket.send(bytearray(body), zraw.ZMQ_SNDMORE),
            lambda socket=socket: socket.send_const(body, zraw.ZMQ_SNDMORE),
            lambda socket=socket: socket.send_multipart([body, b"y"]),
            lambda socket=socket: socket.send_many([[body, b"y", b"z"]]),
        ):
            with pytest.raises(zraw.InvalidArgument) as caught:
                call()
            assert caught.value.errno == zraw.errno() == errno.EINVAL
    # Nothing of it arrived, and nothing is left open.
    client.send(b"after")
    assert server.recv() == b"after"
    assert server.try_recv() is None
    server.send_multipart([to(routing_id, b"after")])
    assert client.recv() == b"after"
    assert client.try_recv() is None


SENDS = {
    "send": lambda socket, data: socket.send(data),
    "send_buffer": lambda socket, data: socket.send(bytearray(data)),
    "send_message": lambda socket, data: socket.send(zraw.Message(data)),
    "send_const": lambda socket, data: socket.send_const(data),
    "try_send": lambda socket, data: socket.try_send(data),
    "send_multipart": lambda socket, data: socket.send_multipart([data]),
    "send_many": lambda socket, data: socket.send_many([data]),
    "send_many_lists": lambda socket, data: socket.send_many([[data]]),
    "message_send": lambda socket, data: zraw.Message(data).send(socket),
}


@pytest.mark.parametrize("send", SENDS)
@drafts
def test_send__client_by_every_call(talk, send):
    server, client, _ = talk()
    for size in (0, 33, 34, 100_000, 2 << 20):
        data = bytes(size)
        SENDS[send](client, data)
        assert server.recv() == data
        assert server.try_recv() is None


def received(socket, message):
    assert socket.try_recv_msg(message)
    return bytes(message)


RECEIVES = {
    "recv": lambda socket: socket.recv(),
    "recv_dontwait": lambda socket: socket.recv(zraw.ZMQ_DONTWAIT),
    "try_recv": lambda socket: socket.try_recv(),
    "recv_into": lambda socket: memory(socket)[0],
    "recv_msg": lambda socket: bytes(socket.recv_msg()),
    "try_recv_msg": lambda socket: received(socket, zraw.Message(b"old")),
    "recv_multipart": lambda socket: socket.recv_multipart()[0],
    "try_recv_multipart": lambda socket: socket.try_recv_multipart()[0],
    "recv_many": lambda socket: socket.recv_many()[0],
    "recv_many_lists": lambda socket: socket.recv_many(multipart=True)[0][0],
}


def memory(socket):
    buffer = bytearray(3 << 20)
    size = socket.recv_into(buffer)
    return bytes(buffer[:size]), size


@pytest.mark.parametrize("receive", RECEIVES)
@drafts
def test_recv__client_by_every_call(talk, receive):
    server, client, routing_id = talk()
    for size in (0, 1, 34, 100_000):
        data = bytes(size)
        server.send(to(routing_id, data))
        assert RECEIVES[receive](client) == data
        assert client.try_recv() is None


@drafts
def test_recv__keeps_the_routing_id_in_every_call(talk):
    server, client, routing_id = talk()
    client.send_many([b"x"] * 5)
    message = zraw.Message()
    assert message.recv(server) == 1
    assert message.routing_id() == routing_id
    assert server.try_recv_msg(message)
    assert message.routing_id() == routing_id
    (message,) = server.recv_multipart(copy=False)
    assert message.routing_id() == routing_id
    rest = server.recv_many(copy=False)
    assert [each.routing_id() for each in rest] == [routing_id] * 2


@drafts
def test_send_many__server(talk):
    server, client, routing_id = talk()
    assert server.send_many([to(routing_id, b"%d" % n) for n in range(100)]) == 100
    assert client.recv_many() == [b"%d" % n for n in range(100)]


@drafts
def test_recv__nothing_there(talk):
    server, client, _ = talk(RCVTIMEO=30)
    for socket in (server, client):
        assert socket.try_recv() is None
        assert socket.try_recv_multipart() is None
        assert not socket.try_recv_msg(zraw.Message())
        for call in (
            socket.recv,
            lambda socket=socket: socket.recv(zraw.ZMQ_DONTWAIT),
            socket.recv_many,
            socket.recv_multipart,
            socket.recv_msg,
        ):
            with pytest.raises(zraw.Again) as caught:
                call()
            assert caught.value.errno == errno.EAGAIN


@drafts
def test_send__client_without_a_server(sock):
    client = sock(zraw.ZMQ_CLIENT, SNDTIMEO=30)
    for call in (
        lambda: client.send(b"x"),
        lambda: client.send(b"x", zraw.ZMQ_DONTWAIT),
        lambda: client.send_many([b"x"]),
        lambda: client.send(bytes(100_000)),
    ):
        with pytest.raises(zraw.Again):
            call()
    assert client.try_send(b"x") is False


@drafts
def test_send__at_the_high_water_mark(pair):
    server, client = pair(
        zraw.ZMQ_SERVER, zraw.ZMQ_CLIENT, SNDHWM=5, RCVHWM=5, SNDTIMEO=30
    )
    assert client.send_many([b"x"] * 100) == 10
    with pytest.raises(zraw.Again):
        client.send(b"x")
    assert client.try_send(b"x") is False
    assert len(server.recv_many()) == 10
    assert client.try_send(b"x") is True


@drafts
def test_send__server_at_the_high_water_mark(talk):
    server, client, routing_id = talk(SNDHWM=5, RCVHWM=5, SNDTIMEO=30)
    assert (
        server.send_many([to(routing_id)] + [to(routing_id) for _ in range(50)]) == 10
    )
    with pytest.raises(zraw.Again):
        server.send(to(routing_id))
    assert len(client.recv_many()) == 10
    server.send(to(routing_id))
    assert client.recv() == b"x"


@pytest.mark.parametrize("size", [34, 100_000])
@drafts
def test_msg_init_data__lent_memory_on_a_thread_safe_type(talk, size):
    server, client, routing_id = talk("tcp")
    body = bytearray(b"\x11" * size)
    tracker = zraw.Tracker()
    client.send(zraw.Message.init_data(body, tracker=tracker))
    assert server.recv() == body
    assert tracker.wait(5000)
    message = zraw.Message.init_data(body, tracker=(tracker := zraw.Tracker()))
    message.set_routing_id(routing_id)
    server.send(message)
    assert client.recv() == body
    assert tracker.wait(5000)
    assert body == b"\x11" * size


@drafts
def test_getsockopt__of_thread_safe_types(talk):
    server, client, routing_id = talk()
    for socket, name in ((server, "ZMQ_SERVER"), (client, "ZMQ_CLIENT")):
        assert socket.type == getattr(zraw, name)
        assert socket.getsockopt(zraw.ZMQ_TYPE) == socket.type
        assert socket.getsockopt(zraw.ZMQ_THREAD_SAFE) == 1
        assert name in repr(socket)
        with pytest.raises(zraw.InvalidArgument):
            socket.fileno()
    assert client.getsockopt(zraw.ZMQ_EVENTS) == zraw.ZMQ_POLLOUT
    server.send(to(routing_id))
    assert client.poll(5000) == zraw.ZMQ_POLLIN
    assert client.recv() == b"x"
