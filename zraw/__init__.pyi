from typing import Final

from zraw.constants import *
from zraw.context import Context as Context
from zraw.error import (
    AddressInUse as AddressInUse,
    AddressNotAvailable as AddressNotAvailable,
    Again as Again,
    ConnectionRefused as ConnectionRefused,
    ContextTerminated as ContextTerminated,
    ForkError as ForkError,
    HostUnreachable as HostUnreachable,
    IncompatibleProtocol as IncompatibleProtocol,
    InvalidArgument as InvalidArgument,
    InvalidMessage as InvalidMessage,
    InvalidState as InvalidState,
    NoIOThread as NoIOThread,
    NotASocket as NotASocket,
    NotFound as NotFound,
    NotSupported as NotSupported,
    PermissionDenied as PermissionDenied,
    ProtocolNotSupported as ProtocolNotSupported,
    SocketInUse as SocketInUse,
    TimedOut as TimedOut,
    TooManySockets as TooManySockets,
    ZMQError as ZMQError,
)
from zraw.library import (
    errno as errno,
    has as has,
    strerror as strerror,
    version as version,
)
from zraw.message import Message as Message
from zraw.release import Tracker as Tracker
from zraw.socket import Socket as Socket

__version__: Final[str]

def get_include() -> str: ...
