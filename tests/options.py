"""The options of zmq_setsockopt() and zmq_getsockopt(): what each takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import zraw

STABLE = "PAIR PUB SUB REQ REP DEALER ROUTER PULL PUSH XPUB XSUB STREAM"
DRAFTS = "SERVER CLIENT RADIO DISH GATHER SCATTER DGRAM PEER CHANNEL"
TYPES = f"{STABLE} {DRAFTS if zraw.has('draft') else ''}".split()
Z85 = "2m.E*bpUAcksOvDtvIq=CyCm8LBwhzUEqc.+Hk84"


@dataclass
class Option:
    """A row of the table.

    access: as in zraw/option.pyx.
    kinds: the socket types that have it, if not all.
    needs: what zmq_has() must say; since: the first libzmq that has it.
    """

    name: str
    number: int
    c_type: str
    access: str
    default: Any = None
    good: tuple[Any, ...] = ()
    bad: tuple[Any, ...] = ()
    kinds: str = ""
    needs: str = ""
    since: tuple[int, int, int] = (4, 3, 2)

    @property
    def present(self) -> bool:
        return zraw.version() >= self.since and all(map(zraw.has, self.needs.split()))

    @property
    def types(self) -> list[str]:
        return [kind for kind in self.kinds.split() or TYPES if kind in TYPES]


def rows(c_type, access, entries, **common):
    """Rows of one C type; an entry is number, name, default, good and bad values."""
    return [
        Option(name, number, c_type, access, default, good, bad, **common)
        for number, name, default, good, bad in entries
    ]


SWITCH = (0, (1, 0, True), (2, -1))
LATER = (4, 3, 5)
LONG = "x" * 256

OPTIONS = [
    *rows("UINT64", "rw", [(4, "AFFINITY", 0, (1, 2**63, 2**64 - 1, True), ())]),
    *rows("INT64", "rw", [(22, "MAXMSGSIZE", -1, (0, 2**40, 2**63 - 1, -1), ())]),
    *rows(
        "BINARY",
        "rw",
        [(5, "ROUTING_ID", b"", (b"x", b"\0a\0", b"i" * 255), (b"", b"x" * 256))],
    ),
    *rows(
        "INT",
        "rw",
        [
            (8, "RATE", 100, (1, 2**31 - 1), (0, -1)),
            (9, "RECOVERY_IVL", 10000, (0, 5), (-1,)),
            (11, "SNDBUF", -1, (0, 16384, -1), (-2,)),
            (12, "RCVBUF", -1, (0, 16384, -1), (-2,)),
            (17, "LINGER", -1, (0, 100, 2**31 - 1, -1, True), (-2,)),
            (18, "RECONNECT_IVL", 100, (-1, 0, 7), (-2,)),
            (19, "BACKLOG", 100, (0, 8), (-1,)),
            (21, "RECONNECT_IVL_MAX", 0, (1000, 0), (-1,)),
            (23, "SNDHWM", 1000, (0, 1, 2**31 - 1), (-1,)),
            (24, "RCVHWM", 1000, (0, 1), (-1,)),
            (25, "MULTICAST_HOPS", 1, (3,), (0, -1)),
            (27, "RCVTIMEO", -1, (0, 50, -1), (-2,)),
            (28, "SNDTIMEO", -1, (0, 50, -1), (-2,)),
            (31, "IPV4ONLY", 1, (0, 1), (2, -1)),
            (34, "TCP_KEEPALIVE", -1, (0, 1, -1), (-2, 2)),
            (35, "TCP_KEEPALIVE_CNT", -1, (5, -1), (-2,)),
            (36, "TCP_KEEPALIVE_IDLE", -1, (5, -1), (-2,)),
            (37, "TCP_KEEPALIVE_INTVL", -1, (5, -1), (-2,)),
            (39, "IMMEDIATE", *SWITCH),
            (42, "IPV6", *SWITCH),
            (44, "PLAIN_SERVER", *SWITCH),
            (54, "CONFLATE", *SWITCH),
            (57, "TOS", 0, (16, 0x58), (-1,)),
            (66, "HANDSHAKE_IVL", 30000, (0, 10), (-1,)),
            (74, "INVERT_MATCHING", 0, (1, 0), ()),
            (75, "HEARTBEAT_IVL", 0, (1000, 0), (-1,)),
            (76, "HEARTBEAT_TTL", 0, (100, 6553500, 0), (6553600, -100)),
            (77, "HEARTBEAT_TIMEOUT", -1, (0, 500), (-1,)),
            (79, "CONNECT_TIMEOUT", 0, (500, 0), (-1,)),
            (80, "TCP_MAXRT", 0, (500, 0), (-1,)),
            (84, "MULTICAST_MAXTPDU", 1500, (1400,), (0, -1)),
            (89, "USE_FD", -1, (3, -1), (-2,)),
            (93, "ZAP_ENFORCE_DOMAIN", 0, (1, 0), ()),
            (94, "LOOPBACK_FASTPATH", 0, (1, 0), ()),
            (96, "MULTICAST_LOOP", 1, (0, 1), ()),
        ],
    ),
    *rows("INT", "rw", [(109, "RECONNECT_STOP", 0, (1, 2, 7, 0), ())], since=(4, 3, 3)),
    *rows("INT", "rw", [(47, "CURVE_SERVER", *SWITCH)], needs="curve"),
    *rows(
        "INT",
        "rw",
        [
            (62, "GSSAPI_SERVER", *SWITCH),
            (65, "GSSAPI_PLAINTEXT", *SWITCH),
            (90, "GSSAPI_PRINCIPAL_NAMETYPE", 0, (2, 1, 0), (3, -1)),
            (91, "GSSAPI_SERVICE_PRINCIPAL_NAMETYPE", 0, (2, 1, 0), (3, -1)),
        ],
        needs="gssapi",
    ),
    *rows(
        "INT",
        "rw",
        [
            (101, "IN_BATCH_SIZE", 8192, (100, 1), (0, -1)),
            (102, "OUT_BATCH_SIZE", 8192, (100, 1), (0, -1)),
        ],
        needs="draft",
    ),
    *rows(
        "INT",
        "rw",
        [(112, "PRIORITY", 0, (3, 0), (-1,))],
        needs="draft",
        since=(4, 3, 4),
    ),
    *rows(
        "INT",
        "rw",
        [
            (117, "NORM_MODE", 1, (0, 4), (5, -1)),
            (118, "NORM_UNICAST_NACK", *SWITCH),
            (119, "NORM_BUFFER_SIZE", 2048, (1024,), (0, -1)),
            (120, "NORM_SEGMENT_SIZE", 1400, (1000,), (0, -1)),
            (121, "NORM_BLOCK_SIZE", 16, (1, 255), (0, 256)),
            (122, "NORM_NUM_PARITY", 4, (0, 254), (-1, 255)),
            (123, "NORM_NUM_AUTOPARITY", 0, (254, 0), (-1, 255)),
            (124, "NORM_PUSH", *SWITCH),
        ],
        needs="draft norm",
        since=LATER,
    ),
    *rows(
        "INT",
        "rw",
        [(97, "ROUTER_NOTIFY", 0, (3, 1, 2, 0), (4, -1))],
        kinds="ROUTER",
        needs="draft",
    ),
    *rows(
        "STRING", "rw0", [(45, "PLAIN_USERNAME", "", ("user", "ü" * 100), ("", LONG))]
    ),
    *rows("STRING", "rw0s", [(46, "PLAIN_PASSWORD", "", ("word",), ("", LONG))]),
    *rows("STRING", "rw", [(55, "ZAP_DOMAIN", "", ("domain",), ("", LONG))]),
    *rows(
        "STRING",
        "rw",
        [
            (63, "GSSAPI_PRINCIPAL", "", ("who",), ("", LONG)),
            (64, "GSSAPI_SERVICE_PRINCIPAL", "", ("service",), ("", LONG)),
        ],
        needs="gssapi",
    ),
    *rows(
        "STRING",
        "rw0",
        [
            (68, "SOCKS_PROXY", "", ("127.0.0.1:1080", "h" * 8000), ("",)),
            (92, "BINDTODEVICE", "", ("lo", "testdev", "d" * 16), ("", "d" * 17)),
            (99, "SOCKS_USERNAME", "", ("user", "", "u" * 255), (LONG,)),
        ],
    ),
    *rows("STRING", "rw0s", [(100, "SOCKS_PASSWORD", "", ("", "w" * 255), (LONG,))]),
    *rows(
        "KEY",
        "rw",
        [
            (48, "CURVE_PUBLICKEY", "0" * 40, (Z85,), (b"\xff" * 40,)),
            (50, "CURVE_SERVERKEY", "0" * 40, (Z85,), (b"\xff" * 40,)),
        ],
        needs="curve",
    ),
    *rows(
        "KEY",
        "rws",
        [(49, "CURVE_SECRETKEY", "0" * 40, (Z85,), (b"\xff" * 40,))],
        needs="curve",
    ),
    # ---- that can only be set
    *rows(
        "BINARY",
        "w",
        [
            (6, "SUBSCRIBE", None, (b"topic", b"", b"t" * 1000), ()),
            (7, "UNSUBSCRIBE", None, (b"topic", b"", b"unknown"), ()),
        ],
        kinds="SUB",
    ),
    *rows(
        "BINARY",
        "w",
        [(61, "CONNECT_ROUTING_ID", None, (b"id", b"i" * 256), (b"",))],
        kinds="ROUTER STREAM",
    ),
    *rows(
        "BINARY",
        "w0",
        [(72, "XPUB_WELCOME_MSG", None, (b"hello", b""), ())],
        kinds="XPUB PUB",
    ),
    *rows(
        "BINARY",
        "w0",
        [
            (110, "HELLO_MSG", None, (b"hello", b""), ()),
            (111, "DISCONNECT_MSG", None, (b"bye", b""), ()),
        ],
        needs="draft",
        since=(4, 3, 3),
    ),
    *rows(
        "BINARY",
        "w0",
        [(114, "HICCUP_MSG", None, (b"hiccup", b""), ())],
        needs="draft",
        since=LATER,
    ),
    *rows(
        "INT",
        "w",
        [
            (33, "ROUTER_MANDATORY", None, (1, 0, 7), (-1,)),
            (41, "ROUTER_RAW", None, (1, 0), (-1,)),
            (56, "ROUTER_HANDOVER", None, (1, 0), (-1,)),
        ],
        kinds="ROUTER",
    ),
    *rows(
        "INT",
        "w",
        [
            (40, "XPUB_VERBOSE", None, (1, 0), (-1,)),
            (78, "XPUB_VERBOSER", None, (1, 0), (-1,)),
        ],
        kinds="XPUB PUB",
    ),
    *rows(
        "INT", "w", [(69, "XPUB_NODROP", None, (1, 0), (-1,))], kinds="XPUB PUB RADIO"
    ),
    *rows(
        "INT",
        "w",
        [
            (71, "XPUB_MANUAL", None, (1, 0), (-1,)),
            (98, "XPUB_MANUAL_LAST_VALUE", None, (1, 0), (-1,)),
        ],
        kinds="XPUB",
    ),
    *rows(
        "INT",
        "w",
        [(51, "PROBE_ROUTER", None, (1, 0), (-1,))],
        kinds="DEALER REQ ROUTER",
    ),
    *rows(
        "INT",
        "w",
        [
            (52, "REQ_CORRELATE", None, (1, 0), (-1,)),
            (53, "REQ_RELAXED", None, (1, 0), (-1,)),
        ],
        kinds="REQ",
    ),
    *rows("INT", "w", [(73, "STREAM_NOTIFY", None, (0, 1), (2, -1))], kinds="STREAM"),
    *rows(
        "INT",
        "w",
        [(108, "ONLY_FIRST_SUBSCRIBE", None, (1, 0), (-1,))],
        kinds="XPUB PUB XSUB",
        since=(4, 3, 3),
    ),
    *rows(
        "INT",
        "w",
        [(115, "XSUB_VERBOSE_UNSUBSCRIBE", None, (1, 0), ())],
        kinds="XSUB",
        needs="draft",
        since=LATER,
    ),
    *rows(
        "INT", "w", [(113, "BUSY_POLL", None, (1, 0), ())], needs="draft", since=LATER
    ),
    *rows("INT", "w0", [(58, "IPC_FILTER_PID", None, (1, 2**31 - 1), ())]),
    *rows(
        "UINT",
        "w0",
        [  # containers use the upper half
            (59, "IPC_FILTER_UID", None, (1, 2**32 - 2), ()),
            (60, "IPC_FILTER_GID", None, (1, 2**32 - 2), ()),
        ],
    ),
    *rows(
        "STRING",
        "w0",
        [
            (
                38,
                "TCP_ACCEPT_FILTER",
                None,
                ("127.0.0.0/8", "0.0.0.0/0"),
                ("foo", "1.2.3.4/"),
            )
        ],
    ),
    *rows(
        "STRING", "w", [(95, "METADATA", None, ("X-key:value",), ("no colon", "a:bc"))]
    ),
    *rows(
        "UINT64",
        "w",
        [
            (85, "VMCI_BUFFER_SIZE", None, (65536,), ()),
            (86, "VMCI_BUFFER_MIN_SIZE", None, (128,), ()),
            (87, "VMCI_BUFFER_MAX_SIZE", None, (262144,), ()),
        ],
        needs="vmci",
    ),
    *rows("INT", "w", [(88, "VMCI_CONNECT_TIMEOUT", None, (100,), ())], needs="vmci"),
    *rows("STRING", "ws", [(103, "WSS_KEY_PEM", None, ("key",), ())], needs="WSS"),
    *rows(
        "STRING",
        "w",
        [
            (104, "WSS_CERT_PEM", None, ("cert",), ()),
            (105, "WSS_TRUST_PEM", None, ("trust",), ()),
            (106, "WSS_HOSTNAME", None, ("host",), ()),
        ],
        needs="WSS",
    ),
    *rows("INT", "w", [(107, "WSS_TRUST_SYSTEM", None, (1, 0), (2, -1))], needs="WSS"),
    # ---- that can only be read, and what a fresh DEALER says
    *rows(
        "INT",
        "r",
        [
            (13, "RCVMORE", 0, (), ()),
            (15, "EVENTS", 0, (), ()),
            (16, "TYPE", zraw.ZMQ_DEALER, (), ()),
            (43, "MECHANISM", zraw.ZMQ_NULL, (), ()),
            (81, "THREAD_SAFE", 0, (), ()),
        ],
    ),
    *rows("INT", "r", [(14, "FD", None, (), ())], kinds=f"{STABLE} DGRAM"),
    *rows("STRING", "r", [(32, "LAST_ENDPOINT", "", (), ())]),
    *rows(
        "INT",
        "r",
        [(116, "TOPICS_COUNT", 0, (), ())],
        kinds="PUB XPUB SUB XSUB",
        since=LATER,
    ),
]
# A context option that zmq.h lists among these; no socket takes it.
BLOCKY = Option("BLOCKY", 70, "INT", "w", None, (0, 1), (), needs="no such feature")
OPTIONS.append(BLOCKY)
