"""Options by their names: NAME=VALUE, with what libzmq calls them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import zraw
from zraw.cli_errors import CommandError, UsageError, guess, reason

# All that zraw's table of options has; the types are known there.
SOCKET_NAMES = """
    AFFINITY ROUTING_ID SUBSCRIBE UNSUBSCRIBE RATE RECOVERY_IVL SNDBUF RCVBUF RCVMORE FD
    EVENTS TYPE LINGER RECONNECT_IVL BACKLOG RECONNECT_IVL_MAX MAXMSGSIZE SNDHWM RCVHWM
    MULTICAST_HOPS RCVTIMEO SNDTIMEO IPV4ONLY LAST_ENDPOINT ROUTER_MANDATORY
    TCP_KEEPALIVE TCP_KEEPALIVE_CNT TCP_KEEPALIVE_IDLE TCP_KEEPALIVE_INTVL
    TCP_ACCEPT_FILTER IMMEDIATE XPUB_VERBOSE ROUTER_RAW IPV6 MECHANISM PLAIN_SERVER
    PLAIN_USERNAME PLAIN_PASSWORD CURVE_SERVER CURVE_PUBLICKEY CURVE_SECRETKEY
    CURVE_SERVERKEY PROBE_ROUTER REQ_CORRELATE REQ_RELAXED CONFLATE ZAP_DOMAIN
    ROUTER_HANDOVER TOS IPC_FILTER_PID IPC_FILTER_UID IPC_FILTER_GID CONNECT_ROUTING_ID
    GSSAPI_SERVER GSSAPI_PRINCIPAL GSSAPI_SERVICE_PRINCIPAL GSSAPI_PLAINTEXT
    HANDSHAKE_IVL SOCKS_PROXY XPUB_NODROP XPUB_MANUAL XPUB_WELCOME_MSG STREAM_NOTIFY
    INVERT_MATCHING HEARTBEAT_IVL HEARTBEAT_TTL HEARTBEAT_TIMEOUT XPUB_VERBOSER
    CONNECT_TIMEOUT TCP_MAXRT THREAD_SAFE MULTICAST_MAXTPDU VMCI_BUFFER_SIZE
    VMCI_BUFFER_MIN_SIZE VMCI_BUFFER_MAX_SIZE VMCI_CONNECT_TIMEOUT USE_FD
    GSSAPI_PRINCIPAL_NAMETYPE GSSAPI_SERVICE_PRINCIPAL_NAMETYPE BINDTODEVICE
    ZAP_ENFORCE_DOMAIN LOOPBACK_FASTPATH METADATA MULTICAST_LOOP ROUTER_NOTIFY
    XPUB_MANUAL_LAST_VALUE SOCKS_USERNAME SOCKS_PASSWORD IN_BATCH_SIZE OUT_BATCH_SIZE
    WSS_KEY_PEM WSS_CERT_PEM WSS_TRUST_PEM WSS_HOSTNAME WSS_TRUST_SYSTEM
    ONLY_FIRST_SUBSCRIBE RECONNECT_STOP HELLO_MSG DISCONNECT_MSG PRIORITY BUSY_POLL
    HICCUP_MSG XSUB_VERBOSE_UNSUBSCRIBE TOPICS_COUNT NORM_MODE NORM_UNICAST_NACK
    NORM_BUFFER_SIZE NORM_SEGMENT_SIZE NORM_BLOCK_SIZE NORM_NUM_PARITY
    NORM_NUM_AUTOPARITY NORM_PUSH
"""
CONTEXT_NAMES = """
    IO_THREADS MAX_SOCKETS SOCKET_LIMIT THREAD_PRIORITY THREAD_SCHED_POLICY MAX_MSGSZ
    MSG_T_SIZE THREAD_AFFINITY_CPU_ADD THREAD_AFFINITY_CPU_REMOVE THREAD_NAME_PREFIX
    ZERO_COPY_RECV BLOCKY
"""
SOCKET, CONTEXT = frozenset(SOCKET_NAMES.split()), frozenset(CONTEXT_NAMES.split())
CONTEXT_STRINGS = {"THREAD_NAME_PREFIX"}
SECRET = {"PLAIN_PASSWORD", "CURVE_SECRETKEY", "SOCKS_PASSWORD", "WSS_KEY_PEM"}
OURS = {
    "LINGER": "--linger",
    "RCVTIMEO": "--timeout",
    "SNDTIMEO": "--timeout",
    "SUBSCRIBE": "--subscribe",
}
WORDS = {"true": 1, "yes": 1, "on": 1, "false": 0, "no": 0, "off": 0}


class Option:
    """An option and its value, of NAME=VALUE, NAME=0xBYTES or NAME=@FILE."""

    def __init__(self, text: str) -> None:
        word, equals, value = text.partition("=")
        self.name = name = word.strip().upper().removeprefix("ZMQ_")
        if name not in SOCKET | CONTEXT:
            near = guess(name, SOCKET | CONTEXT)
            raise UsageError(f"--option: {word!r} is no option of libzmq{near}")
        if name in OURS:
            raise UsageError(f"--option: for ZMQ_{name} there is {OURS[name]}")
        if not equals:
            raise UsageError(f"--option: ZMQ_{name}=VALUE, not {text!r}")
        number = getattr(zraw, f"ZMQ_{name}", None)
        if not isinstance(number, int):
            raise CommandError(f"--option: zraw was built without ZMQ_{name}")
        self.number = number
        self.of_context = name in CONTEXT
        if value.startswith("@"):
            with open(value[1:], "rb") as stream:
                value = os.fsdecode(stream.read().removesuffix(b"\n"))
        elif name in SECRET:
            raise UsageError(
                f"--option: ZMQ_{name}=@FILE, or the list of processes shows it"
            )
        self.value = value

    def values(self) -> Iterator[Any]:
        """The value as each type that an option can have: zraw refuses the others."""
        yield self.value
        try:
            yield bytes.fromhex(self.value[2:] if self.value[:2] == "0x" else "no")
        except ValueError:
            yield os.fsencode(self.value)
        try:
            word = self.value.strip().lower()
            yield WORDS[word] if word in WORDS else int(word, 0)
        except ValueError:
            raise UsageError(
                f"--option: ZMQ_{self.name} is an integer, not {self.value[:40]!r}"
            ) from None

    def apply(self, where: zraw.Socket | zraw.Context) -> None:
        """Set it."""
        set_it: Callable[[int, Any], None]
        if isinstance(where, zraw.Socket):
            set_it = where.setsockopt
        elif self.name in CONTEXT_STRINGS:
            set_it = where.set_ext  # a draft
        else:
            set_it = where.set
        for value in self.values():
            try:
                return set_it(self.number, value)
            except TypeError:
                continue
            except zraw.InvalidArgument as error:
                raise UsageError(f"--option: {reason(error)}") from None
            except (ValueError, OverflowError) as error:
                said = reason(error).partition(": value: ")[2] or reason(error)
                raise UsageError(f"--option: ZMQ_{self.name}: {said}") from None
        raise AssertionError(self.name)  # zraw's table has no other types
