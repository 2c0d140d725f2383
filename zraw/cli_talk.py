"""One message, of any type of socket: wait for it, take it, send it."""

from __future__ import annotations

import os
import sys
import time

import zraw
from zraw.cli_errors import CommandError, UsageError
from zraw.cli_frames import Output
from zraw.cli_sockets import Deadline, Side, milliseconds, say

# Neither waits for subscribers, nor could it: nobody shakes hands there.
WITHOUT_HANDSHAKE = ("udp:", "pgm:", "epgm:", "norm:")
# zmq_poll() does not take them.
THREAD_SAFE = {
    *("SERVER", "CLIENT", "RADIO", "DISH", "GATHER", "SCATTER", "PEER", "CHANNEL"),
}
JOINING = 0.1  # seconds: nothing tells a RADIO that a group of a new peer has come


# ---- receiving


def receive(
    socket: zraw.Socket, kind: str, seconds: float | None, output: Output | None = None
) -> tuple[list[bytes], int]:
    """Return a message, and the routing id of who has sent it, or 0.

    output: flushed before it waits; when its reader has gone, that is the end.
    """
    deadline = Deadline(seconds)
    if kind in THREAD_SAFE:
        return receive_draft(socket, kind, deadline, output)
    while (frames := socket.try_recv_multipart()) is None:
        if not wait(socket, deadline, output):
            raise deadline.over("no message came")
    return frames, 0


def wait(socket: zraw.Socket, deadline: Deadline, output: Output | None) -> bool:
    """Wait for a message; return False if none came in time."""
    items: list[tuple[zraw.Socket | int, int]] = [(socket, zraw.ZMQ_POLLIN)]
    if output is not None:
        output.flush()
        items.append((output.fd, zraw.ZMQ_POLLERR))
    ready = zraw.poll(items, deadline.left())
    if output is not None and any(item == output.fd for item, _ in ready):
        raise BrokenPipeError
    return bool(ready)


def receive_draft(
    socket: zraw.Socket, kind: str, deadline: Deadline, output: Output | None
) -> tuple[list[bytes], int]:
    """receive() for the types that zmq_poll() does not take."""
    message = zraw.Message()
    if not socket.try_recv_msg(message):
        if output is not None:
            output.flush()
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, deadline.left())
        try:
            socket.recv_msg(message)
        except zraw.Again:
            raise deadline.over("no message came") from None
    if kind == "DISH":
        return [message.group().encode(), bytes(message)], 0
    return [bytes(message)], message.routing_id()


# ---- sending


def send(
    socket: zraw.Socket,
    kind: str,
    frames: list[bytes],
    seconds: float | None,
    *,
    group: str | None = None,
    routing_id: int = 0,
) -> None:
    """Send a message, when there is room for it.

    group: of a ZMQ_RADIO; without it the first frame is one.
    """
    socket.setsockopt(zraw.ZMQ_SNDTIMEO, milliseconds(seconds))
    try:
        if kind == "RADIO" and group is None:
            if len(frames) != 2:
                raise CommandError("RADIO needs --group, or two frames: group and body")
            group, frames = frames[0].decode(errors="surrogateescape"), frames[1:]
        if len(frames) > 1:
            socket.send_multipart(frames)
        elif group is not None or routing_id:
            message = zraw.Message(frames[0])
            if group is not None:
                message.set_group(group)
            else:
                message.set_routing_id(routing_id)
            socket.send(message)
        else:
            socket.send(frames[0])
    except zraw.Again:
        nobody = "no peer could take the message"
        raise Deadline(seconds).over(nobody) from None
    except zraw.HostUnreachable:
        raise CommandError(
            f"the first frame names no peer of the {kind}: {os.fsdecode(frames[0])!r}"
        ) from None
    except zraw.InvalidArgument:
        if len(frames) == 1:
            raise
        raise CommandError(f"{kind} sends messages of one frame") from None


# ---- who is there


def to_wait_for(asked: int | None, side: Side) -> int:
    """Return how many peers a sender waits for before its first message."""
    ends = (*side.bind_to, *side.connect_to)
    shakes_hands = not any(end.startswith(WITHOUT_HANDSHAKE) for end in ends)
    if asked and not shakes_hands:
        raise UsageError("--wait-for: nobody shakes hands over udp, pgm and norm")
    if asked is None:
        return int(shakes_hands and side.name in ("PUB", "XPUB", "RADIO"))
    return asked


def waiting(number: int, what: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        say(f"waiting for {number} {what}{'s' if number > 1 else ''}")


def wait_for_subscribers(socket: zraw.Socket, number: int, deadline: Deadline) -> None:
    """Wait until so many connections of a ZMQ_XPUB have subscribed to something."""
    socket.setsockopt(zraw.ZMQ_XPUB_VERBOSE, True)
    waiting(number, "subscriber")
    topics: dict[int, set[bytes]] = {}
    message = zraw.Message()
    while len(topics) < number:
        if not socket.try_recv_msg(message):
            if not wait(socket, deadline, None):
                raise deadline.over(f"only {len(topics)} of {number} subscribers came")
            continue
        connection = message.get(zraw.ZMQ_SRCFD)
        said = bytes(message)
        if said[:1] == b"\1":
            topics.setdefault(connection, set()).add(said[1:])
        elif said[:1] == b"\0" and connection in topics:
            topics[connection].discard(said[1:])
            if not topics[connection]:
                del topics[connection]


class PeerCount:
    """The peers of a socket, by its monitor, which begins before it connects."""

    EVENTS = (
        zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
        | zraw.ZMQ_EVENT_DISCONNECTED
    )

    def __init__(self, socket: zraw.Socket) -> None:
        self.reader = socket.monitor(events=self.EVENTS)
        self.socket = socket
        self.count = 0
        self.failed = 0  # handshakes, whose connections will be counted as ended

    def wait_for(self, number: int, deadline: Deadline, kind: str) -> None:
        waiting(number, "peer")
        while self.count < number:
            if not wait(self.reader, deadline, None):
                raise deadline.over(f"only {self.count} of {number} peers came")
            event = zraw.recv_event(self.reader).event
            if event == zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                self.count += 1
            elif event != zraw.ZMQ_EVENT_DISCONNECTED:
                self.failed += 1
            elif self.failed:
                self.failed -= 1
            else:
                self.count = max(self.count - 1, 0)
        self.socket.monitor(None)
        self.reader.close()
        if kind == "RADIO":
            time.sleep(JOINING)


def discard_subscriptions(socket: zraw.Socket) -> None:
    """Take what nobody reads here: an ZMQ_XPUB keeps it all."""
    while socket.try_recv() is not None:
        pass
