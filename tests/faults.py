"""Calls into libzmq that fail on purpose; see faults.c.

The test builds the library and runs a child with it; faults_run.py runs there.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zraw

MODULES = ("faults_sockets", "faults_objects", "faults_waiting", "faults_drafts")
SOURCES = Path(__file__).resolve().parent.parent / "zraw"
DRAFT = zraw.has("draft")

SEND = "EAGAIN EFSM EHOSTUNREACH EINTR EINVAL ENOTSOCK ENOTSUP ETERM"
RECEIVE = "EAGAIN EFSM EINTR ENOTSOCK ENOTSUP ETERM"
OPTION = "EINTR EINVAL ENOTSOCK ETERM"
CONNECT = "EINTR EINVAL EMTHREAD ENOCOMPATPROTO ENOTSOCK EPROTONOSUPPORT ETERM"
MONITOR = "EADDRINUSE EINVAL EMFILE ENOTSOCK EPROTONOSUPPORT ETERM"
ITEM = "EFAULT EINVAL ENOTSOCK"
FD = "EBADF EFAULT EINVAL"
WAIT = "EAGAIN EFAULT EINTR ENOMEM ETERM"

# What libzmq's manual says of each function that can fail, or else its source.
FUNCTIONS = {
    "zmq_ctx_new": "EMFILE ENOMEM",
    "zmq_ctx_term": "EFAULT EINTR",
    "zmq_ctx_shutdown": "EFAULT",
    "zmq_ctx_set": "EFAULT EINVAL",
    "zmq_ctx_get": "EFAULT EINVAL",
    "zmq_msg_init_size": "ENOMEM",
    "zmq_msg_init_data": "ENOMEM",
    "zmq_msg_send": SEND + " EFAULT",
    "zmq_msg_recv": RECEIVE + " EFAULT",
    "zmq_msg_close": "EFAULT",
    "zmq_msg_move": "EFAULT",
    "zmq_msg_copy": "EFAULT",
    "zmq_msg_get": "EINVAL",
    "zmq_msg_more": "",  # wrapped, for it ends with zmq_msg_get()
    "zmq_msg_set": "EINVAL",
    "zmq_msg_gets": "EINVAL",
    "zmq_socket": "EFAULT EINVAL EMFILE ETERM",
    "zmq_close": "ENOTSOCK",
    "zmq_setsockopt": OPTION,
    "zmq_getsockopt": OPTION,
    "zmq_bind": CONNECT + " EADDRINUSE EADDRNOTAVAIL ENAMETOOLONG ENODEV ENOENT",
    "zmq_connect": CONNECT,
    "zmq_unbind": "EINTR EINVAL ENOENT ENOTSOCK ETERM",
    "zmq_disconnect": "EINTR EINVAL ENOENT ENOTSOCK ETERM",
    "zmq_send": SEND,
    "zmq_send_const": SEND,
    "zmq_recv": RECEIVE,
    "zmq_socket_monitor": MONITOR,
    "zmq_poll": "EFAULT EINTR EINVAL ENOTSOCK ETERM",
    "zmq_proxy": "EFAULT EINTR ETERM",
    "zmq_proxy_steerable": "EFAULT EINTR ETERM",
    "zmq_z85_encode": "EINVAL",
    "zmq_z85_decode": "EINVAL",
    "zmq_curve_keypair": "ENOTSUP",
    "zmq_curve_public": "EINVAL ENOTSUP",
    "zmq_atomic_counter_new": "ENOMEM",
    "zmq_timers_new": "ENOMEM",
    "zmq_timers_destroy": "EFAULT",
    "zmq_timers_add": "EFAULT",
    "zmq_timers_cancel": "EFAULT EINVAL",
    "zmq_timers_set_interval": "EFAULT EINVAL",
    "zmq_timers_reset": "EFAULT EINVAL",
    "zmq_timers_timeout": "EFAULT",
    "zmq_timers_execute": "EFAULT",
    "zmq_stopwatch_start": "ENOMEM",
    # Drafts
    "zmq_ctx_set_ext": "EFAULT EINVAL",
    "zmq_ctx_get_ext": "EFAULT EINVAL",
    "zmq_join": "EINVAL ENOTSOCK ENOTSUP",
    "zmq_leave": "EINVAL ENOTSOCK ENOTSUP",
    "zmq_connect_peer": CONNECT + " EFAULT ENOTSUP",
    "zmq_disconnect_peer": "EHOSTUNREACH ENOTSOCK ENOTSUP ETERM",
    "zmq_msg_set_routing_id": "EINVAL",
    "zmq_msg_set_group": "EINVAL",
    "zmq_msg_init_buffer": "ENOMEM",
    "zmq_poller_new": "ENOMEM",
    "zmq_poller_destroy": "EFAULT",
    "zmq_poller_size": "EFAULT",
    "zmq_poller_add": ITEM + " EMFILE ENOMEM",
    "zmq_poller_modify": ITEM,
    "zmq_poller_remove": ITEM,
    "zmq_poller_wait": WAIT,
    "zmq_poller_wait_all": WAIT,
    "zmq_poller_fd": "EFAULT EINVAL",
    "zmq_poller_add_fd": FD + " ENOMEM",
    "zmq_poller_modify_fd": FD,
    "zmq_poller_remove_fd": FD,
    "zmq_socket_get_peer_state": "EHOSTUNREACH ENOTSOCK ENOTSUP",
    "zmq_socket_monitor_versioned": MONITOR,
    "zmq_socket_monitor_pipes_stats": "EAGAIN EINVAL ENOTSOCK",
    "zmq_ppoll": "EFAULT EINTR EINVAL ENOTSOCK ENOTSUP ETERM",
}
# These return what was asked for, or nothing; none has an errno.
SURE = frozenset(
    {
        *("zmq_errno", "zmq_strerror", "zmq_version", "zmq_has", "zmq_sleep"),
        *("zmq_msg_init", "zmq_msg_data", "zmq_msg_size"),
        *("zmq_msg_routing_id", "zmq_msg_group"),
        *("zmq_stopwatch_intermediate", "zmq_stopwatch_stop"),
        *(
            f"zmq_atomic_counter_{name}"
            for name in ("set", "inc", "dec", "value", "destroy")
        ),
    }
)


# Call sites that no scenario reaches, by file, enclosing function and function.
UNREACHED: dict[tuple[str, str, str], str] = {
    ("context.pyx", "close_sockets", "zmq_setsockopt"): "while another thread waits",
    ("socket.pyx", "adopt", "zmq_close"): "when another thread was faster",
    ("batch.pyx", "recv_batch", "zmq_msg_close"): "after a signal handler has raised",
    ("context.pyx", "at_exit", "zmq_ctx_shutdown"): "at exit",
    ("release.pyx", "copy_instead", "zmq_msg_init_size"): "at exit",
    ("release.pyx", "pin", "zmq_msg_close"): "after a fault that ended the call",
    ("proxying.pyx", "terminate", "zmq_send"): "in a thread, when a signal has come",
    ("sending.pyx", "writable", "zmq_poll"): "while a datagram has no room",
    ("poller.pyx", "look", "zmq_poll"): "without drafts",
}
if DRAFT:
    UNREACHED |= {
        ("proxying.pyx", inside, f"zmq_{name}"): "without drafts"
        for inside, names in {
            "run": "proxy",
            "run_wakeable": "ctx_new ctx_set ctx_term socket bind connect close "
            "proxy_steerable",
        }.items()
        for name in names.split()
    }


@functools.cache
def libzmq() -> ctypes.CDLL:
    """The libzmq that zraw uses; one of its modules finds it."""
    return ctypes.CDLL(sys.modules["zraw.sending"].__file__)


def number_of(name: str) -> int:
    """Return the errno of a name, libzmq's own among them."""
    return getattr(errno, name, None) or getattr(zraw, name)


class Site(NamedTuple):
    """A place in a .pyx or .pxd where a function of libzmq is called."""

    file: str
    line: int
    function: str
    inside: str


# Calls through a pointer: what is called there.
POINTERS = {
    "endpoint_call": ("zmq_bind", "zmq_connect", "zmq_unbind", "zmq_disconnect"),
    "group_call": ("zmq_join", "zmq_leave"),
}


def call_sites() -> Iterator[Site]:
    """Read every call site in zraw's sources; pyzmq's backend has pyzmq's tests."""
    for path in sorted(SOURCES.glob("*.p[xy][dx]")):
        if path.name == "libzmq.pxd" or path.name.startswith("pyzmq"):
            continue
        # Docstrings and C code go, their lines stay.
        code = re.sub(
            r'""".*?"""',
            lambda found: "\n" * found[0].count("\n"),
            path.read_text(),
            flags=re.DOTALL,
        )
        inside = ""
        for number, line in enumerate(code.splitlines(), 1):
            text = re.sub(r'"[^"]*"', '""', line).partition("#")[0]
            if found := re.match(r"\s*(?:cdef|def)\s[^=(]*?(\w+)\(", text):
                inside = found[1]
            names = re.findall(r"\b(zmq_\w+)\(", text)
            if inside in POINTERS and re.search(r"\bfunction\(", text):
                names += POINTERS[inside]
            for name in names:
                yield Site(path.name, number, name, inside)


class Call(ctypes.Structure):
    """A call that was made."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("module", ctypes.c_char_p),
        ("offset", ctypes.c_long),
        ("flags", ctypes.c_int),
        ("err", ctypes.c_int),
    ]

    @property
    def function(self) -> str:
        return self.name.decode()


class Faults(ctypes.Structure):
    """The variable `faults` of the library."""

    _fields_ = [
        ("on", ctypes.c_long),
        ("only", ctypes.c_ulong),
        ("numbers", ctypes.c_long * 4),
        ("errs", ctypes.c_int * 4),
        ("count", ctypes.c_long),
        ("blocks", ctypes.c_long),
        ("calls", Call * 1024),
    ]

    def arm(self, chain: tuple[tuple[int, int], ...], threads: bool = False) -> None:
        """Record from now on; let the nth call fail with an errno, for each pair.

        threads: whether those of other threads count, too.
        """
        self.only = 0 if threads else threading.get_ident()
        for i in range(4):
            self.numbers[i], self.errs[i] = chain[i] if i < len(chain) else (0, 0)
        self.count = 0
        self.on = 1

    def disarm(self) -> list[Call]:
        """Return copies of the calls made since arm()."""
        self.on = 0
        return [
            Call.from_buffer_copy(self.calls[i]) for i in range(min(self.count, 1024))
        ]


def attach() -> Faults:
    """Return the end of the library that was loaded into this process."""
    return Faults.in_dll(ctypes.CDLL(None), "faults")


@functools.cache
def build(folder: Path) -> Path:
    """Compile the library for the libzmq at hand."""
    library = folder / "faults.so"
    source = Path(__file__).with_suffix(".c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source]
    if DRAFT:
        command.append("-DDRAFT")
    if DRAFT and zraw.version() >= (4, 3, 5):
        command.append("-DHAVE_PPOLL")
    if DRAFT and zraw.version() >= (4, 3, 6):
        command.append("-DHAVE_DISCONNECT_PEER")
    subprocess.run(command, check=True)
    return library


def preloaded(library: Path) -> dict[str, str]:
    """The environment of a child that is to have the library."""
    return {"LD_PRELOAD": os.fspath(library)}
