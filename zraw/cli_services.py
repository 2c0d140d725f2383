"""The commands proxy, monitor and keygen."""

from __future__ import annotations

import argparse
import datetime
import errno
import itertools
import os

import zraw
from zraw import cli_certificates as certificates
from zraw.cli_errors import CommandError, UsageError
from zraw.cli_frames import Format, Output
from zraw.cli_sockets import Deadline, Side, opened, socket_type
from zraw.cli_talk import wait

# ---- proxy


def run_proxy(options: argparse.Namespace) -> int:
    """Forward messages both ways, until it is interrupted."""
    sides = [
        Side(options, socket_type("proxy", options.frontend), "frontend_"),
        Side(options, socket_type("proxy", options.backend), "backend_"),
    ]
    if options.capture is not None:
        sides.append(Side(options, socket_type("proxy", options.capture), "capture_"))
    elif options.capture_bind or options.capture_connect:
        raise UsageError("--capture-bind and --capture-connect need --capture TYPE")
    with opened(options, *sides) as context:
        sockets = [side.make(context, {}) for side in sides]
        for side, socket in zip(sides, sockets, strict=True):
            # Between XPUB and XSUB the subscriptions are the proxy's messages.
            side.attach(socket)
        zraw.proxy(*sockets)
    return 0


# ---- monitor

DESCRIPTORS = (
    *(zraw.ZMQ_EVENT_LISTENING, zraw.ZMQ_EVENT_ACCEPTED, zraw.ZMQ_EVENT_CONNECTED),
    *(zraw.ZMQ_EVENT_CLOSED, zraw.ZMQ_EVENT_DISCONNECTED),
)
ERRNOS = (
    *(zraw.ZMQ_EVENT_CONNECT_DELAYED, zraw.ZMQ_EVENT_BIND_FAILED),
    *(zraw.ZMQ_EVENT_ACCEPT_FAILED, zraw.ZMQ_EVENT_CLOSE_FAILED),
    zraw.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)


def meaning(event: int, value: int) -> str:
    """Return what the number of an event says."""
    if event in DESCRIPTORS:
        return f"descriptor {value}"
    if event in ERRNOS:
        name = errno.errorcode.get(value, str(value))
        return f"{name} ({zraw.strerror(value)})" if value else ""
    if event == zraw.ZMQ_EVENT_CONNECT_RETRIED:
        return f"in {value} ms"
    if event == zraw.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return protocol_errors().get(value, hex(value))
    if event == zraw.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return f"status {value}"
    return str(value) if value else ""


def protocol_errors() -> dict[int, str]:
    return {
        value: name
        for name, value in vars(zraw).items()
        if name.startswith("ZMQ_PROTOCOL_ERROR_")
    }


def run_monitor(options: argparse.Namespace) -> int:
    """Print what happens to a socket's connections."""
    side = Side(options, socket_type("monitor", options.type))
    output = Output(Format("lines", b" "))
    with opened(options, side) as context:
        socket = side.make(context, {})
        reader = socket.monitor()
        side.attach(socket)
        for number in itertools.count():
            if number == options.count:
                break
            deadline = Deadline(options.timeout)
            if not wait(reader, deadline, output=output):
                raise deadline.over("no event came")
            event = zraw.recv_event(reader)
            now = datetime.datetime.now().strftime("%H:%M:%S.%f")[:-3]
            words = [now, event.name, event.address, meaning(event.event, event.value)]
            output.write([os.fsencode(word) for word in words if word])
        output.flush()
    return 0


# ---- keygen


def run_keygen(options: argparse.Namespace) -> int:
    """Write a pair of certificates, and print the public key."""
    if not zraw.has("curve"):
        raise CommandError("this libzmq is built without CURVE")
    meta = {}
    for text in options.meta or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--meta: NAME=VALUE, not {text!r}")
        meta[name] = value
    print(certificates.create(options.name, meta, options.force))
    return 0
