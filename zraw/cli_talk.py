"""A socket that talks: wait for peers, send a message, wait for one, and end well."""

from __future__ import annotations

import os
import sys
import time

import zraw
from zraw.cli_errors import CommandError, RefusedError, UsageError
from zraw.cli_frames import Output
from zraw.cli_sockets import Deadline, Side, linger_is_over, milliseconds, say

# Neither waits for subscribers, nor could it: nobody shakes hands there.
WITHOUT_HANDSHAKE = ("udp:", "pgm:", "epgm:", "norm:")
# zmq_poll() does not take them.
THREAD_SAFE = {
    *("SERVER", "CLIENT", "RADIO", "DISH", "GATHER", "SCATTER", "PEER", "CHANNEL"),
}
# What they have for one peer may be full, and poll() does not tell.
ALWAYS_WRITABLE = {"ROUTER", "XPUB"}
JOINING = 0.1  # seconds: nothing tells a RADIO that a group of a new peer has come


# After these libzmq drops what is for that server, and does not go there again.
FOR_GOOD = {
    zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: "status {value}",
    zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: "no common mechanism, or type of socket",
}


class Watch:
    """What the monitor of a socket tells: who has come, and whether it is refused."""

    EVENTS = (
        zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
        | zraw.ZMQ_EVENT_DISCONNECTED
        | zraw.ZMQ_EVENT_MONITOR_STOPPED
    )

    def __init__(self, socket: zraw.Socket, is_client: bool) -> None:
        self.reader = socket.monitor(events=self.EVENTS)
        self.is_client = is_client
        self.peers = 0
        self.failed = 0  # handshakes, whose connections will be counted as ended
        self.stopped = False
        self.shaken = False  # whether there ever was a peer

    def look(self) -> None:
        """Take all events."""
        while self.reader.poll(0):
            event, _, value, address = zraw.recv_event(self.reader)
            if event == zraw.ZMQ_EVENT_MONITOR_STOPPED:
                self.stopped = True
                return
            if event == zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                self.peers += 1
                self.shaken = True
            elif event != zraw.ZMQ_EVENT_DISCONNECTED:
                self.failed += 1
            elif self.failed:
                self.failed -= 1
            else:
                self.peers = max(self.peers - 1, 0)
            if self.is_client and event in FOR_GOOD:
                why = FOR_GOOD[event].format(value=value)
                raise RefusedError(f"{address} refuses this client: {why}")


class Talker:
    """A socket of a side, with its endpoints.

    watched: whether peers will be counted; what only connects is watched in any case.
    """

    def __init__(
        self, context: zraw.Context, side: Side, watched: bool = False
    ) -> None:
        self.kind = side.name
        # A ROUTER would drop in silence what is for nobody.
        defaults = {"ROUTER_MANDATORY": 1} if self.kind == "ROUTER" else {}
        self.socket = side.make(context, defaults)
        self.sent = False
        self.shakes_hands = not any(
            end.startswith(WITHOUT_HANDSHAKE) for end in side.connect_to
        )
        # Of a socket that binds, too, nobody knows whom an event is about.
        is_client = not side.bind_to
        self.watch = Watch(self.socket, is_client) if watched or is_client else None
        side.attach(self.socket)

    # ---- receiving

    def receive(
        self, seconds: float | None, output: Output | None = None
    ) -> tuple[list[bytes], int]:
        """Return a message, and the routing id of who has sent it, or 0.

        output: flushed before it waits; when its reader has gone, that is the end.
        """
        if self.kind in THREAD_SAFE:
            return self.receive_draft(seconds, output)
        frames = self.socket.try_recv_multipart()
        if frames is not None:
            return frames, 0
        deadline = Deadline(seconds)
        while (frames := self.socket.try_recv_multipart()) is None:
            if not self.wait(deadline, output):
                raise deadline.over("no message came")
        return frames, 0

    def wait(self, deadline: Deadline, output: Output | None = None) -> bool:
        """Wait for a message, or for news of the peers; return False if time is up."""
        if not wait(self.socket, deadline, also=self.reader, output=output):
            return False
        self.look()
        return True

    def look(self) -> None:
        if self.watch is not None:
            self.watch.look()

    @property
    def reader(self) -> zraw.Socket | None:
        return None if self.watch is None else self.watch.reader

    def receive_draft(
        self, seconds: float | None, output: Output | None
    ) -> tuple[list[bytes], int]:
        """receive() for the types that zmq_poll() does not take."""
        message = zraw.Message()
        if not self.socket.try_recv_msg(message):
            if output is not None:
                output.flush()
            deadline = Deadline(seconds)
            self.socket.setsockopt(zraw.ZMQ_RCVTIMEO, deadline.slice())
            while not self.tried(message):
                self.look()
                if not deadline.left():
                    raise deadline.over("no message came")
        if self.kind == "DISH":
            return [message.group().encode(), bytes(message)], 0
        return [bytes(message)], message.routing_id()

    def tried(self, message: zraw.Message) -> bool:
        try:
            self.socket.recv_msg(message)
        except zraw.Again:
            return False
        return True

    # ---- sending

    def send(
        self,
        frames: list[bytes],
        seconds: float | None,
        group: str | None = None,
        routing_id: int = 0,
    ) -> None:
        """Send a message, when there is room for it.

        group: of a ZMQ_RADIO; without it the first frame is one.
        """
        deadline = None
        self.sent = True
        while not self.try_send(frames, group, routing_id):
            deadline = deadline or Deadline(seconds)
            if not self.wait_for_room(deadline):
                raise deadline.over("no peer could take the message")
            self.look()

    def wait_for_room(self, deadline: Deadline) -> bool:
        """Wait until a message can be sent, or for news; return False if time is up."""
        if self.kind in THREAD_SAFE or self.kind in ALWAYS_WRITABLE:
            time.sleep(0.01)
            return deadline.left() != 0
        return wait(self.socket, deadline, zraw.ZMQ_POLLOUT, also=self.reader)

    def try_send(self, frames: list[bytes], group: str | None, routing_id: int) -> bool:
        """Send a message; return False if there is no room."""
        try:
            if self.kind == "RADIO" and group is None:
                if len(frames) != 2:
                    raise CommandError(
                        "RADIO needs --group, or two frames: group, body"
                    )
                group, frames = os.fsdecode(frames[0]), frames[1:]
            if len(frames) > 1:
                self.socket.send_multipart(frames, zraw.ZMQ_DONTWAIT)
            elif group is not None or routing_id:
                message = zraw.Message(frames[0])
                if group is not None:
                    message.set_group(group)
                else:
                    message.set_routing_id(routing_id)
                self.socket.send(message, zraw.ZMQ_DONTWAIT)
            else:
                self.socket.send(frames[0], zraw.ZMQ_DONTWAIT)
        except zraw.Again:
            return False
        except zraw.HostUnreachable:
            name = os.fsdecode(frames[0])
            raise CommandError(
                f"the first frame names no peer of the {self.kind}: {name!r}"
            ) from None
        except zraw.InvalidArgument:
            if len(frames) == 1:
                raise
            raise CommandError(f"{self.kind} sends messages of one frame") from None
        return True

    def discard(self) -> None:
        """Take what nobody reads here: a ZMQ_XPUB keeps each subscription."""
        while self.socket.try_recv() is not None:
            pass

    # ---- who is there

    def wait_for_subscribers(self, number: int, deadline: Deadline) -> None:
        """Wait until so many connections of a ZMQ_XPUB have subscribed to something."""
        self.socket.setsockopt(zraw.ZMQ_XPUB_VERBOSE, True)
        tell(number, "subscriber")
        topics: dict[int, set[bytes]] = {}
        message = zraw.Message()
        while len(topics) < number:
            if not self.socket.try_recv_msg(message):
                if not self.wait(deadline):
                    came = f"only {len(topics)} of {number} subscribers came"
                    raise deadline.over(came)
                continue
            connection, said = message.get(zraw.ZMQ_SRCFD), bytes(message)
            if said[:1] == b"\1":
                topics.setdefault(connection, set()).add(said[1:])
            elif said[:1] == b"\0" and connection in topics:
                topics[connection].discard(said[1:])
                if not topics[connection]:
                    del topics[connection]

    def wait_for_peers(self, number: int, deadline: Deadline) -> None:
        assert self.watch is not None
        tell(number, "peer")
        while self.watch.peers < number:
            if not wait(self.watch.reader, deadline):
                raise deadline.over(f"only {self.watch.peers} of {number} peers came")
            self.watch.look()
        if self.kind == "RADIO":
            time.sleep(JOINING)

    # ---- the end

    def end(self, linger: float) -> None:
        """Close the socket, and see to it that all was sent, as far as one can see."""
        if self.watch is None:
            return  # close_in_time() does it
        start = time.monotonic()
        self.socket.close(linger=milliseconds(linger))
        deadline = Deadline(linger + 1)
        while not self.watch.stopped and wait(self.watch.reader, deadline):
            self.watch.look()
        # libzmq may give up earlier, if the last try to connect fails just then.
        lost = self.sent and self.watch.is_client and not self.watch.shaken
        lost = lost and self.shakes_hands
        if linger and (lost or time.monotonic() - start >= linger):
            raise linger_is_over(linger)


def wait(
    socket: zraw.Socket,
    deadline: Deadline,
    events: int = zraw.ZMQ_POLLIN,
    *,
    also: zraw.Socket | None = None,
    output: Output | None = None,
) -> bool:
    """Wait for a socket, and for another to be read; return False if time is up."""
    items: list[tuple[zraw.Socket | int, int]] = [(socket, events)]
    if also is not None:
        items.append((also, zraw.ZMQ_POLLIN))
    if output is not None:
        output.flush()
        items.append((output.fd, zraw.ZMQ_POLLERR))
    while not (ready := zraw.poll(items, deadline.slice())) and deadline.left():
        pass
    if output is not None and any(item == output.fd for item, _ in ready):
        raise BrokenPipeError
    return bool(ready)


def to_wait_for(asked: int | None, side: Side) -> int:
    """Return how many peers a sender waits for before its first message."""
    ends = (*side.bind_to, *side.connect_to)
    shakes_hands = not any(end.startswith(WITHOUT_HANDSHAKE) for end in ends)
    if asked and not shakes_hands:
        raise UsageError("--wait-for: nobody shakes hands over udp, pgm and norm")
    if asked is None:
        return int(shakes_hands and side.name in ("PUB", "XPUB", "RADIO"))
    return asked


def tell(number: int, what: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        say(f"waiting for {number} {what}{'s' if number > 1 else ''}")
