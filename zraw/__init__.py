"""ZeroMQ for Python with nothing in between.

zraw binds libzmq's C API one to one: a function keeps its name, the prefix says
where it lives, and the first argument becomes `self`.

    zmq_ctx_xxx(ctx, ...)      Context.xxx(...)
    zmq_xxx(socket, ...)       Socket.xxx(...)
    zmq_msg_xxx(msg, ...)      Message.xxx(...)
    any other zmq_xxx(...)     zraw.xxx(...)
    ZMQ_XXX                    zraw.ZMQ_XXX
    -1 and errno               an exception whose class follows from errno
"""

import os.path as _path
import sys as _sys

try:
    # isort: off
    from zraw import constants
    from zraw import process as process  # before the others: it refuses subinterpreters
    from zraw import exiting as exiting

    # isort: on
    from zraw.atomic_counter import AtomicCounter
    from zraw.constants import *
    from zraw.context import Context
    from zraw.crypto import curve_keypair, curve_public, z85_decode, z85_encode
    from zraw.error import (
        AddressInUse,
        AddressNotAvailable,
        Again,
        BrokenPipe,
        ConnectionAborted,
        ConnectionRefused,
        ConnectionReset,
        ContextTerminated,
        FileExists,
        ForkError,
        HostUnreachable,
        IncompatibleProtocol,
        InProgress,
        InvalidArgument,
        InvalidHandle,
        InvalidState,
        IsADirectory,
        NoChildProcess,
        NoIOThread,
        NotADirectory,
        NotASocket,
        NotFound,
        NotSupported,
        PermissionDenied,
        ProcessNotFound,
        ProtocolNotSupported,
        SocketInUse,
        TimedOut,
        TooManySockets,
        ZMQError,
    )
    from zraw.inventory import live
    from zraw.library import errno as errno
    from zraw.library import get_library, has, sleep, strerror, version
    from zraw.message import Message
    from zraw.monitor import MonitorEvent, MonitorEventV2, recv_event, recv_event_v2
    from zraw.poller import Poller
    from zraw.polling import poll, ppoll
    from zraw.proxying import proxy, proxy_steerable
    from zraw.release import Tracker
    from zraw.socket import Socket
    from zraw.stopwatch import Stopwatch
    from zraw.timers import Timers
except ImportError as _error:
    # An extension that is there and cannot be loaded has a name of its own here.
    if _error.name != "zraw" and not (
        isinstance(_error, ModuleNotFoundError) and str(_error.name).startswith("zraw.")
    ):
        raise
    raise ImportError(
        f"zraw is not built in {_path.dirname(__file__)}: run 'pip install -e .' "
        "there, or start Python elsewhere to use the installed one"
    ) from _error

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    hint, plain = "", name.removeprefix("zmq_")
    if f"ZMQ_{name}" in __all__:
        hint = f"; it is zraw.ZMQ_{name}"
    elif plain != name and plain in __all__:
        hint = f"; it is zraw.{plain}"
    elif name == "aio":
        hint = "; import zraw.aio"
    raise AttributeError(
        f"module 'zraw' has no attribute {name!r}{hint}",
        name=name,
        obj=_sys.modules[__name__],
    )


def get_include() -> str:
    """Return the folder that holds zraw's C headers."""
    package = _path.dirname(_path.abspath(__file__))
    installed = _path.join(package, "include")
    if _path.isdir(installed):
        return installed
    return _path.join(_path.dirname(package), "include")


__all__ = [
    "AddressInUse",
    "AddressNotAvailable",
    "Again",
    "AtomicCounter",
    "BrokenPipe",
    "ConnectionAborted",
    "ConnectionRefused",
    "ConnectionReset",
    "Context",
    "ContextTerminated",
    "FileExists",
    "ForkError",
    "HostUnreachable",
    "InProgress",
    "IncompatibleProtocol",
    "InvalidArgument",
    "InvalidHandle",
    "InvalidState",
    "IsADirectory",
    "Message",
    "MonitorEvent",
    "MonitorEventV2",
    "NoChildProcess",
    "NoIOThread",
    "NotADirectory",
    "NotASocket",
    "NotFound",
    "NotSupported",
    "PermissionDenied",
    "Poller",
    "ProcessNotFound",
    "ProtocolNotSupported",
    "Socket",
    "SocketInUse",
    "Stopwatch",
    "TimedOut",
    "Timers",
    "TooManySockets",
    "Tracker",
    "ZMQError",
    "curve_keypair",
    "curve_public",
    "get_include",
    "get_library",
    "has",
    "live",
    "poll",
    "ppoll",
    "proxy",
    "proxy_steerable",
    "recv_event",
    "recv_event_v2",
    "sleep",
    "strerror",
    "version",
    "z85_decode",
    "z85_encode",
]
__all__ += [_name for _name in vars(constants) if _name.startswith(("E", "ZMQ_"))]
