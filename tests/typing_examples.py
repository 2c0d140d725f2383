"""What a type checker has to know of zraw; test_stubs.py runs type checkers on it.

assert_type() fails if the type is another one.  A line with "type: ignore[code]"
has to be an error of that kind: --strict complains of a comment that is not needed.
Nothing here is ever executed.
"""

from io import FileIO
from typing import Any

from typing_extensions import Buffer, assert_type

import zraw
from zraw import (
    AtomicCounter,
    Context,
    Message,
    MonitorEvent,
    MonitorEventV2,
    Poller,
    Socket,
    Stopwatch,
    Timers,
    Tracker,
)


def contexts() -> None:
    context = Context(io_threads=2)
    assert_type(context.get(zraw.ZMQ_IO_THREADS), int)
    assert_type(context.get_ext(zraw.ZMQ_THREAD_NAME_PREFIX), int | str)
    assert_type(context.socket(zraw.ZMQ_PUSH), Socket)
    assert_type(context.sockets, list[Socket])
    assert_type(context.closed, bool)
    assert_type(context.handle, int)
    assert_type(Context.from_handle(1), Context)
    context.close(linger=0)
    context.exit_linger = 5
    with Context() as inner:
        assert_type(inner, Context)

    Context("1")  # type: ignore[arg-type]
    context.set(zraw.ZMQ_IO_THREADS, "1")  # type: ignore[arg-type]
    context.socket("PUSH")  # type: ignore[arg-type]
    context.closed = True  # type: ignore[misc]
    context.no_such_name()  # type: ignore[attr-defined]


def sending(socket: Socket, buffer: Buffer) -> None:
    assert_type(socket.send(b"x"), int)
    assert_type(socket.send(bytearray(b"x"), zraw.ZMQ_SNDMORE), int)
    assert_type(socket.send(memoryview(b"x")), int)
    assert_type(socket.send(Message(b"x")), int)
    assert_type(socket.send(buffer, flags=zraw.ZMQ_DONTWAIT), int)
    assert_type(socket.try_send(b"x"), bool)
    assert_type(socket.send_const(b"x"), int)
    assert_type(socket.send_many([b"x", [b"y", Message()]]), int)
    socket.send_multipart([b"x", bytearray(), Message()])
    socket.send_multipart((b"x", memoryview(b"y")), zraw.ZMQ_DONTWAIT)

    socket.send("text")  # type: ignore[arg-type]
    socket.send(5)  # type: ignore[arg-type]
    socket.send(b"x", "now")  # type: ignore[arg-type]
    socket.try_send("text")  # type: ignore[arg-type]
    socket.try_send(b"x", 1)  # type: ignore[call-arg]
    socket.send_const(bytearray())  # type: ignore[arg-type]
    socket.send_multipart(["text"])  # type: ignore[list-item]
    socket.send_multipart(b"x", 0)  # type: ignore[arg-type]
    socket.send_many(b"x")  # type: ignore[arg-type]
    socket.send_many(part for part in [b"x"])  # type: ignore[arg-type]


def receiving(socket: Socket, message: Message, copy: bool) -> None:
    assert_type(socket.recv(), bytes)
    assert_type(socket.recv(zraw.ZMQ_DONTWAIT), bytes)
    assert_type(socket.try_recv(), bytes | None)
    assert_type(socket.recv_into(bytearray(8)), int)
    assert_type(socket.recv_msg(), Message)
    assert_type(socket.recv_msg(message, zraw.ZMQ_DONTWAIT), Message)
    assert_type(socket.try_recv_msg(message), bool)
    assert_type(socket.recv_multipart(), list[bytes])
    assert_type(socket.recv_multipart(copy=True), list[bytes])
    assert_type(socket.recv_multipart(copy=False), list[Message])
    assert_type(socket.recv_multipart(0, False), list[Message])
    assert_type(socket.try_recv_multipart(), list[bytes] | None)
    assert_type(socket.recv_many(multipart=True), list[list[bytes]])
    assert_type(socket.recv_many(5, copy=False, multipart=True), list[list[Message]])
    assert_type(socket.recv_many(5), list[Any])
    assert_type(socket.recv_many(5, copy=False), list[Any])
    socket.recv_multipart(copy=copy)

    socket.recv(message)  # type: ignore[arg-type]
    socket.recv_into("text")  # type: ignore[arg-type]
    socket.recv_msg(bytearray())  # type: ignore[arg-type]
    socket.try_recv_msg()  # type: ignore[call-arg]
    socket.try_recv().hex()  # type: ignore[union-attr]
    socket.recv_many("5")  # type: ignore[call-overload]


def options(socket: Socket, option: int) -> None:
    assert_type(socket.getsockopt(zraw.ZMQ_LINGER, int), int)
    assert_type(socket.getsockopt(zraw.ZMQ_ROUTING_ID, bytes), bytes)
    assert_type(socket.getsockopt(9999, type=bytes), bytes)
    assert_type(socket.getsockopt(zraw.ZMQ_LINGER), int)
    assert_type(socket.getsockopt(zraw.ZMQ_AFFINITY), int)
    assert_type(socket.getsockopt(zraw.ZMQ_ROUTING_ID), bytes)
    assert_type(socket.getsockopt(zraw.ZMQ_LAST_ENDPOINT), str)
    assert_type(socket.getsockopt(zraw.ZMQ_CURVE_PUBLICKEY), str)
    assert_type(socket.getsockopt(option), Any)
    socket.setsockopt(zraw.ZMQ_LINGER, 0)
    socket.setsockopt(zraw.ZMQ_LINGER, True)
    socket.setsockopt(zraw.ZMQ_SUBSCRIBE, b"")
    socket.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "me")
    socket.setsockopt(zraw.ZMQ_SOCKS_PROXY, None)
    socket.setsockopt(9999, b"", bytes)

    socket.setsockopt(zraw.ZMQ_LINGER)  # type: ignore[call-arg]
    socket.setsockopt(zraw.ZMQ_LINGER, 0.5)  # type: ignore[arg-type]
    socket.setsockopt("LINGER", 0)  # type: ignore[arg-type]
    socket.getsockopt(zraw.ZMQ_LINGER, str)  # type: ignore[arg-type]


def the_rest_of_socket(context: Context) -> None:
    with Socket(context, zraw.ZMQ_REP) as socket:
        assert_type(socket, Socket)
    assert_type(socket.bind("tcp://127.0.0.1:*"), str)
    assert_type(socket.bind(b"inproc://x"), str)
    assert_type(socket.poll(timeout=0, events=zraw.ZMQ_POLLOUT), int)
    assert_type(socket.context, Context)
    assert_type(socket.type, int)
    assert_type(socket.closed, bool)
    assert_type(socket.handle, int)
    assert_type(socket.fileno(), int)
    assert_type(socket.pin_threshold, int)
    assert_type(Socket.from_handle(context, 1), Socket)
    socket.connect("tcp://127.0.0.1:1")
    socket.unbind("inproc://x")
    socket.disconnect("inproc://x")
    socket.pin_threshold = -1
    socket.close(linger=0)

    Socket(zraw.ZMQ_REP, context)  # type: ignore[arg-type]
    Socket(context)  # type: ignore[call-arg]
    socket.bind(5555)  # type: ignore[arg-type]
    socket.type = 5  # type: ignore[misc]
    socket.pin_threshold = "1"  # type: ignore[assignment]
    print(hash(context), hash(socket))


class Push(Socket):
    """Context and Socket can be subclassed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, zraw.ZMQ_PUSH)


def subclasses(context: Context) -> None:
    with Push(context) as push:
        assert_type(push, Push)


class Mine(Message):  # type: ignore[misc]
    """Message is final."""


def freed() -> None:
    """What on_free may look like."""


def messages(socket: Socket, tracker: Tracker) -> None:
    message = Message()
    assert_type(Message(b"x"), Message)
    assert_type(Message.init_size(5), Message)
    assert_type(Message.init_buffer(b"x"), Message)
    assert_type(Message.init_data(bytearray(5)), Message)
    assert_type(Message.init_data(b"x", on_free=freed, tracker=tracker), Message)
    assert_type(message.data(), memoryview)
    assert_type(message.size(), int)
    assert_type(message.more(), bool)
    assert_type(message.get(zraw.ZMQ_SHARED), int)
    assert_type(message.gets("Socket-Type"), str)
    assert_type(message.group(), str)
    assert_type(message.routing_id(), int)
    assert_type(message.send(socket), int)
    assert_type(message.recv(socket, zraw.ZMQ_DONTWAIT), int)
    assert_type(bytes(message), bytes)
    assert_type(memoryview(message), memoryview)
    assert_type(len(message), int)
    assert_type(message == b"x", bool)
    message.copy(Message())
    message.move(message)
    message.close()

    Message("text")  # type: ignore[arg-type]
    Message.init_size(b"x")  # type: ignore[arg-type]
    Message.init_data(b"x", on_free=5)  # type: ignore[arg-type]
    message.copy(b"x")  # type: ignore[arg-type]
    message.send(b"x")  # type: ignore[arg-type]
    message.data = None  # type: ignore[method-assign, assignment]


def trackers() -> None:
    tracker = Tracker()
    assert_type(tracker.done, bool)
    assert_type(tracker.wait(100), bool)
    Tracker(5)  # type: ignore[call-arg]


def errors() -> None:
    try:
        assert_type(zraw.version(), tuple[int, int, int])
    except zraw.Again as error:
        assert_type(error, zraw.Again)
        waits: BlockingIOError = error
        base: zraw.ZMQError = error
        print(waits, base)
    missing: FileNotFoundError = zraw.NotFound()
    late: TimeoutError = zraw.TimedOut()
    early: BlockingIOError = zraw.InvalidState()  # type: ignore[assignment]
    print(missing, late, early)


def library() -> None:
    assert_type(zraw.has("curve"), bool)
    assert_type(zraw.has(b"curve"), bool)
    assert_type(zraw.errno(), int)
    assert_type(zraw.strerror(11), str)
    assert_type(zraw.get_include(), str)
    number: int = zraw.ZMQ_PUSH + zraw.EFSM
    text: str = zraw.ZMQ_MSG_PROPERTY_USER_ID
    print(number, text, zraw.__version__)

    zraw.has(5)  # type: ignore[arg-type]
    zraw.strerror("11")  # type: ignore[arg-type]
    print(zraw.ZMQ_NO_SUCH_NAME)  # type: ignore[attr-defined]


def peers(socket: Socket) -> None:
    assert_type(socket.connect_peer("tcp://127.0.0.1:1"), int)
    assert_type(socket.get_peer_state(b"id"), int)
    socket.disconnect_peer(1)
    socket.join("group")
    socket.leave(b"group")

    socket.join(1)  # type: ignore[arg-type]
    socket.disconnect_peer(b"1")  # type: ignore[arg-type]
    socket.get_peer_state("id")  # type: ignore[arg-type]


def monitors(socket: Socket) -> None:
    assert_type(socket.monitor(), Socket)
    assert_type(socket.monitor("inproc://m", zraw.ZMQ_EVENT_CONNECTED), Socket)
    assert_type(socket.monitor_versioned(event_version=1, type=zraw.ZMQ_PUB), Socket)
    assert_type(zraw.recv_event(socket), MonitorEvent)
    assert_type(zraw.recv_event_v2(socket, zraw.ZMQ_DONTWAIT), MonitorEventV2)
    event, name, value, address = zraw.recv_event(socket)
    assert_type((event, name, value, address), tuple[int, str, int, str])
    assert_type(zraw.recv_event_v2(socket).values, tuple[int, ...])
    socket.monitor(None)
    socket.monitor_versioned(None)
    socket.monitor_pipes_stats()

    socket.monitor(5)  # type: ignore[call-overload]
    zraw.recv_event(b"x")  # type: ignore[arg-type]


def polling(socket: Socket, file: FileIO, fd: int) -> None:
    assert_type(zraw.poll([(socket, zraw.ZMQ_POLLIN)], 100), list[tuple[Socket, int]])
    assert_type(zraw.poll([(fd, zraw.ZMQ_POLLIN)]), list[tuple[int, int]])
    assert_type(zraw.ppoll([(file, 1)], sigmask=[2]), list[tuple[FileIO, int]])
    with Poller() as poller:
        assert_type(poller, Poller)
        poller.add(socket, zraw.ZMQ_POLLIN, user_data="x")
        poller.add_fd(file)
        poller.modify(socket, 0)
        poller.modify_fd(file.fileno(), zraw.ZMQ_POLLOUT)
        assert_type(poller.size(), int)
        assert_type(poller.fd(), int)
        assert_type(len(poller), int)
        for item, user_data, events in poller.wait_all(5, timeout=100):
            print(item, user_data)
            assert_type(events, int)
        assert_type(poller.wait()[2], int)
        poller.remove(socket)
        poller.remove_fd(file)

        poller.add(5)  # type: ignore[arg-type]
        poller.wait_all()  # type: ignore[call-arg]
    zraw.poll([socket])  # type: ignore[arg-type]


def proxies(socket: Socket) -> None:
    zraw.proxy(socket, socket)
    zraw.proxy(socket, socket, capture=socket)
    zraw.proxy_steerable(socket, socket, None, socket)

    zraw.proxy(socket)  # type: ignore[call-arg]


def due(timer_id: int) -> None:
    """What the handler of a timer may look like."""


def small_things() -> None:
    with Timers() as timers:
        assert_type(timers.add(5, due), int)
        assert_type(timers.timeout(), int)
        timers.set_interval(1, 5)
        timers.reset(1)
        timers.cancel(1)
        timers.execute()
        timers.add(5, freed)  # type: ignore[arg-type]
    with AtomicCounter() as counter:
        counter.set(5)
        assert_type(counter.inc(), int)
        assert_type(counter.dec(), bool)
        assert_type(counter.value(), int)
    with Stopwatch() as watch:
        assert_type(watch.intermediate(), int)
        assert_type(watch.stop(), int)
    assert_type(zraw.z85_encode(b"1234"), str)
    assert_type(zraw.z85_decode("12345"), bytes)
    assert_type(zraw.curve_keypair(), tuple[str, str])
    assert_type(zraw.curve_public("x"), str)
    assert_type(zraw.live().pins, int)
    print(zraw.live().contexts[0].sockets[0].bound)
    zraw.sleep(1)

    zraw.z85_encode("1234")  # type: ignore[arg-type]
    zraw.sleep(0.5)  # type: ignore[arg-type]
