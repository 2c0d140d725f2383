"""Publish, Subscribe, XPublish, XSubscribe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, MutableSet
from typing import TYPE_CHECKING, Any, TypeVar

import zraw
from zraw import Context, Message, Socket
from zraw.aio.base import Endpoints, OnError, OnRead, only_frame
from zraw.aio.entries import Turn
from zraw.aio.patterns import Options, Sink, Source, TwoWay
from zraw.aio.writable import Writable, checked

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")


class Publisher(Writable):
    """What Publish and XPublish have in common."""

    def publish(self, data: Any, topic: Buffer | None = None) -> None:
        """Send a message to those who have subscribed to it, as push_write().

        data: bytes, any contiguous buffer, a Message, or a list of them.
        topic: if given, it is the first frame, of a message of several.
        """
        if topic is not None:
            data = [topic, *(data if isinstance(data, (list, tuple)) else [data])]
        self._check_open()
        self._push(checked(data, "publish()"))


class Publish(Sink, Publisher):
    """Publish(context, bind=, connect=, identity=, options={}): a ZMQ_PUB."""

    TYPE = zraw.ZMQ_PUB


def topic_of(value: Any) -> bytes:
    """Return a topic as bytes."""
    try:
        return value if isinstance(value, bytes) else bytes(memoryview(value))
    except TypeError:
        raise TypeError(
            f"topic: bytes, not {type(value).__name__}"
            + (": encode it" if isinstance(value, str) else "")
        ) from None


def topics_of(values: Iterable[Any]) -> set[bytes]:
    """Return topics as a set of bytes."""
    if isinstance(values, (bytes, bytearray, memoryview, str)):
        raise TypeError("topics: a list or set of bytes, not a single topic")
    return {topic_of(value) for value in values}


class Topics(MutableSet[bytes]):
    """The topics of a Subscribe: a change of the set changes the subscriptions."""

    def __init__(self, handle: Subscribe) -> None:
        self._handle = handle
        self._topics: set[bytes] = set()

    def add(self, value: Buffer) -> None:
        """Subscribe to what begins with `value`; b"" is everything."""
        topic = topic_of(value)
        if topic not in self._topics:
            self._handle._subscribe(topic)
            self._topics.add(topic)

    def discard(self, value: Buffer) -> None:
        """Unsubscribe, if it is in the set."""
        topic = topic_of(value)
        if topic in self._topics:
            self._handle._unsubscribe(topic)
            self._topics.discard(topic)

    @classmethod
    def _from_iterable(cls, it: Iterable[T]) -> set[T]:
        """What an operator makes of two sets is a plain one."""
        return set(it)

    def __contains__(self, value: object) -> bool:
        return value in self._topics

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self._topics))

    def __len__(self) -> int:
        return len(self._topics)

    def __repr__(self) -> str:
        return f"Topics({sorted(self._topics)})"


class Subscribe(Source):
    """Subscribe(context, topics=, bind=, connect=, identity=, options={}): a ZMQ_SUB.

    topics: bytes; what begins with one of them is received.
    """

    TYPE = zraw.ZMQ_SUB

    def __init__(
        self,
        context: Context,
        *,
        topics: Iterable[Buffer] = (),
        bind: Endpoints = (),
        connect: Endpoints = (),
        identity: Buffer | None = None,
        options: Options | None = None,
        on_read: OnRead | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._wanted = topics_of(topics)
        super().__init__(
            context,
            bind=bind,
            connect=connect,
            identity=identity,
            options=options,
            on_read=on_read,
            on_error=on_error,
        )

    def _prepare(self, socket: Socket) -> None:
        self._topics = Topics(self)
        for topic in self._wanted:
            self._topics.add(topic)

    @property
    def topics(self) -> MutableSet[bytes]:
        """The topics subscribed to; a change counts at once."""
        return self._topics

    @topics.setter
    def topics(self, topics: Iterable[Buffer]) -> None:
        wanted = topics_of(topics)
        self._topics &= wanted
        self._topics |= wanted

    def _subscribe(self, topic: bytes) -> None:
        self._socket.setsockopt(zraw.ZMQ_SUBSCRIBE, topic)

    def _unsubscribe(self, topic: bytes) -> None:
        self._socket.setsockopt(zraw.ZMQ_UNSUBSCRIBE, topic)


class XSubscribe(TwoWay):
    """XSubscribe(context, bind=, connect=, identity=, options={}): a ZMQ_XSUB.

    Subscriptions are messages that are sent: b"\\x01" and the topic, b"\\x00" and the
    topic to end one.
    """

    TYPE = zraw.ZMQ_XSUB

    async def subscribe(self, topic: Buffer) -> None:
        """Send a subscription."""
        await self.send(b"\x01" + topic_of(topic))

    async def unsubscribe(self, topic: Buffer) -> None:
        """Send the end of a subscription."""
        await self.send(b"\x00" + topic_of(topic))


class XPublish(TwoWay, Publisher):
    """XPublish(context, bind=, connect=, identity=, options={}): a ZMQ_XPUB.

    It receives the subscriptions: b"\\x01" and the topic, b"\\x00" and the topic when
    one ends.  ZMQ_XPUB_VERBOSER is set, so that there is one for every subscriber.
    """

    TYPE = zraw.ZMQ_XPUB

    def _prepare(self, socket: Socket) -> None:
        socket.setsockopt(zraw.ZMQ_XPUB_VERBOSER, 1)
        self._subscriptions: Counter[bytes] = Counter()
        self._counting: list[Counting] = []
        self._kept = self._edge.kept
        self._try_recv = self._next_frame
        self._try_recv_multipart = self._next_message

    @property
    def subscriptions(self) -> Counter[bytes]:
        """How many subscribers each topic has, as far as they have been received."""
        return +self._subscriptions

    async def wait_for_subscribers(
        self, n: int = 1, topic: Buffer | None = None
    ) -> None:
        """Wait until there are `n` subscriptions at least.

        topic: count those to exactly this one; None counts all, and who has
            subscribed to two topics counts twice.

        It receives subscriptions if nobody else does; messages that are none stay.
        Where the XPublish connects, a subscriber that was away subscribes anew, and
        counts anew: libzmq does not say that it went.

        Raises: ContextTerminated (ETERM), NotASocket (ENOTSOCK).
        """
        check_count(n, "wait_for_subscribers(): n")
        if topic is not None:
            topic = topic_of(topic)
        self._check_open()
        edge = self._edge
        edge.bind()
        await edge.loop.checkpoint()
        counting = Counting(self, n, topic)
        edge.readers.append(counting)
        self._counting.append(counting)
        try:
            while not self._has_subscribers(n, topic):
                counting.wakeup = edge.loop.wakeup()
                if edge.readers[0] is counting:
                    counting.serve()
                    edge.listen()
                await counting.wakeup
                if counting.error is not None:
                    raise counting.error
                self._check_open()
        finally:
            self._counting.remove(counting)
            edge.leave(edge.readers, counting)

    def _has_subscribers(self, n: int, topic: bytes | None) -> bool:
        """Whether there are `n` subscriptions that have been received."""
        counts = self._subscriptions
        return (counts.total() if topic is None else counts[topic]) >= n

    def _note(self, frames: list[bytes]) -> bool:
        """Count a subscription; return False if the message is none."""
        if len(frames) > 1 or frames[0][:1] not in (b"\x00", b"\x01"):
            return False
        self._subscriptions[frames[0][1:]] += 1 if frames[0][0] else -1
        for counting in self._counting:
            if self._has_subscribers(counting.n, counting.topic):
                counting.wake()
        return True

    def _next_message(self) -> list[bytes] | None:
        """Take a message for who wants to have it, and count it."""
        if self._kept:
            return self._kept.popleft()
        frames = self._socket.try_recv_multipart()
        if frames is not None:
            self._note(frames)
        return frames

    def _count(self) -> bool:
        """Take a message for nobody; return False if there is none."""
        frames = self._socket.try_recv_multipart()
        if frames is None:
            return False
        if not self._note(frames):
            self._kept.append(frames)
        return True

    def _next_frame(self) -> bytes | None:
        frames = self._next_message()
        if frames is None:
            return None
        frame = frames.pop(0)
        if frames:
            self._kept.appendleft(frames)
        return frame

    def _try_recv_msg(self, message: Message) -> Message | None:
        message.move(Message())  # if that cannot be, nothing may be taken
        frame = self._next_frame()
        if frame is None:
            return None
        message.move(Message(frame))
        return message

    def _try_recv_many(
        self, max_messages: int, copy: bool, multipart: bool
    ) -> list[Any] | None:
        check_count(max_messages, "recv_many(): max_messages")
        messages: list[Any] = []
        while len(messages) < max_messages:
            frames: list[Any] | None = self._next_message()
            if frames is None:
                break
            if not copy:
                frames = [Message(frame) for frame in frames]
            messages.append(frames if multipart else only_frame(frames))
        return messages or None


def check_count(number: Any, what: str) -> None:
    if type(number) is not int:
        raise TypeError(f"{what}: int, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{what}: 1 or more, not {number}")


class Counting(Turn):
    """A wait_for_subscribers() in the queue of readers."""

    __slots__ = ("_handle", "error", "n", "topic")

    def __init__(self, handle: XPublish, n: int, topic: bytes | None) -> None:
        super().__init__()
        self._handle = handle
        self.n = n
        self.topic = topic
        self.error: zraw.ZMQError | None = None

    def serve(self) -> bool:
        handle = self._handle
        try:
            while not handle._has_subscribers(self.n, self.topic):
                # If somebody reads, they are his.
                take = handle._count if handle.on_read is None else handle._consume
                if not take():
                    return False
        except zraw.ZMQError as error:
            self.error = error
        self.wake()
        return False
