"""Something done between two calls that zraw makes into libzmq; see shim.c.

The test builds the library and runs a child with it; the child calls attach().
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import zraw
from conftest import Finished, run_child

# A module of zraw, because that finds the libzmq that zraw uses.
libzmq = ctypes.CDLL(sys.modules["zraw.sending"].__file__)
ACTION = ctypes.CFUNCTYPE(None, ctypes.c_int)
SENDS, RECEIVES = 0, 1
CALLS = ("send", "send_const", "msg_send", "msg_recv", "recv")


class Shim(ctypes.Structure):
    """The variable `shim` of the library."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in CALLS),
        ("gil", ctypes.c_void_p),
        ("countdown", ctypes.c_long * 2),
        ("action", ACTION),
        ("argument", ctypes.c_int),
        ("pause_us", ctypes.c_long),
        ("calls", ctypes.c_long * 2),
        ("with_gil", ctypes.c_long * 2),
        ("copied_with_gil", ctypes.c_long),
        ("waiting", ctypes.c_long),
        ("returned", ctypes.c_long),
        ("stalled", ctypes.c_long),
    ]

    def before(
        self, nth: int, action: Callable[[int], object], argument: int = 0
    ) -> None:
        """Call `action` before the nth send from now on."""
        self.action = self.kept = ACTION(action)
        self.argument = argument
        self.countdown[SENDS] = nth

    def raise_signal(self, nth: int, number: int, kind: int = SENDS) -> None:
        """Raise a signal, as C does, before the nth call from now on."""
        self.action = ctypes.cast(ctypes.CDLL(None)["raise"], ACTION)
        self.argument = number
        self.countdown[kind] = nth


def attach() -> Shim:
    """Return the shim that was loaded; it sees the calls of this thread."""
    ctypes.CDLL(None)["shim_count"]()
    shim = Shim.in_dll(ctypes.CDLL(None), "shim")
    for name in CALLS:
        setattr(shim, name, address(libzmq[f"zmq_{name}"]))
    shim.gil = address(ctypes.pythonapi["PyGILState_Check"])
    return shim


def address(function: object) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


@functools.cache
def build(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source]
    subprocess.run(command, check=True)
    return library


def run_shimmed(
    library: Path, program: str, *args: str, timeout: float = 50
) -> Finished:
    """run_child() with the library between zraw and libzmq."""
    return run_child(program, *args, timeout=timeout, env={"LD_PRELOAD": str(library)})


class Witness:
    """Tells when a tcp peer of `socket` is gone, so that the next call sees it.

    libzmq's I/O thread reports the end of the connection first and tells the
    socket a few commands later.  A message sent through that thread and back
    comes after what it had to do before.  And a send looks at its commands only if
    it last did so 3 million clock ticks ago.

    When the socket confirms that a pipe is gone and the I/O thread answers before
    the socket has looked at all its commands, PUSH drops the rest of the message
    and says that it was sent.  So the I/O thread is kept from answering.
    """

    def __init__(self, socket: zraw.Socket):
        context = socket.context
        self.events = self.make(context, zraw.ZMQ_PAIR)
        name = f"inproc://events-{socket.handle}"
        assert not libzmq.zmq_socket_monitor(
            ctypes.c_void_p(socket.handle),
            name.encode(),
            zraw.ZMQ_EVENT_DISCONNECTED | zraw.ZMQ_EVENT_HANDSHAKE_SUCCEEDED,
        )
        self.events.connect(name)
        self.here = self.make(context, zraw.ZMQ_PAIR)
        self.there = self.make(context, zraw.ZMQ_PAIR)
        self.there.connect(self.here.bind("tcp://127.0.0.1:*"))
        self.round_trip()

    @staticmethod
    def make(context: zraw.Context, kind: int) -> zraw.Socket:
        socket = zraw.Socket(context, kind)
        for name in ("ZMQ_RCVTIMEO", "ZMQ_SNDTIMEO"):
            socket.setsockopt(getattr(zraw, name), 10000)
        socket.setsockopt(zraw.ZMQ_LINGER, 0)
        return socket

    def round_trip(self) -> None:
        for one, other in ((self.here, self.there), (self.there, self.here)):
            one.send(b"ping")
            while other.recv() != b"ping":  # but what see_the_end() sent
                pass

    def wait(self, event: int) -> None:
        """Wait for an event of the socket's monitor."""
        while (
            int.from_bytes(self.events.recv_multipart()[0][:2], sys.byteorder) != event
        ):
            pass

    def see_the_end(self, shim: Shim) -> None:
        self.wait(zraw.ZMQ_EVENT_DISCONNECTED)
        self.round_trip()
        self.round_trip()
        time.sleep(0.01)
        shim.stalled = 0
        message = ctypes.create_string_buffer(64)
        stall = ctypes.CDLL(None)["shim_stall"]
        libzmq.zmq_msg_init_data(message, message, ctypes.c_size_t(1), stall, None)
        libzmq.zmq_msg_send(message, ctypes.c_void_p(self.here.handle), 0)
        while not shim.stalled:
            time.sleep(0.0005)

    def close(self) -> None:
        for socket in (self.events, self.here, self.there):
            socket.close()


def when_waiting(shim: Shim, action: Callable[[], object]) -> threading.Thread:
    """Do something in a thread once a call waits inside libzmq."""

    def run() -> None:
        pause = threading.Event()
        while not shim.waiting:
            pause.wait(0.001)
        action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
