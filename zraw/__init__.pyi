from typing import Final

from zraw.atomic_counter import AtomicCounter as AtomicCounter
from zraw.constants import *
from zraw.context import Context as Context
from zraw.crypto import curve_keypair as curve_keypair
from zraw.crypto import curve_public as curve_public
from zraw.crypto import z85_decode as z85_decode
from zraw.crypto import z85_encode as z85_encode
from zraw.error import AddressInUse as AddressInUse
from zraw.error import AddressNotAvailable as AddressNotAvailable
from zraw.error import Again as Again
from zraw.error import BrokenPipe as BrokenPipe
from zraw.error import ConnectionAborted as ConnectionAborted
from zraw.error import ConnectionRefused as ConnectionRefused
from zraw.error import ConnectionReset as ConnectionReset
from zraw.error import ContextTerminated as ContextTerminated
from zraw.error import FileExists as FileExists
from zraw.error import ForkError as ForkError
from zraw.error import HostUnreachable as HostUnreachable
from zraw.error import IncompatibleProtocol as IncompatibleProtocol
from zraw.error import InProgress as InProgress
from zraw.error import InvalidArgument as InvalidArgument
from zraw.error import InvalidHandle as InvalidHandle
from zraw.error import InvalidState as InvalidState
from zraw.error import IsADirectory as IsADirectory
from zraw.error import NoChildProcess as NoChildProcess
from zraw.error import NoIOThread as NoIOThread
from zraw.error import NotADirectory as NotADirectory
from zraw.error import NotASocket as NotASocket
from zraw.error import NotFound as NotFound
from zraw.error import NotSupported as NotSupported
from zraw.error import PermissionDenied as PermissionDenied
from zraw.error import ProcessNotFound as ProcessNotFound
from zraw.error import ProtocolNotSupported as ProtocolNotSupported
from zraw.error import SocketInUse as SocketInUse
from zraw.error import TimedOut as TimedOut
from zraw.error import TooManySockets as TooManySockets
from zraw.error import ZMQError as ZMQError
from zraw.inventory import live as live
from zraw.library import errno as errno
from zraw.library import get_library as get_library
from zraw.library import has as has
from zraw.library import sleep as sleep
from zraw.library import strerror as strerror
from zraw.library import version as version
from zraw.message import Message as Message
from zraw.monitor import MonitorEvent as MonitorEvent
from zraw.monitor import MonitorEventV2 as MonitorEventV2
from zraw.monitor import recv_event as recv_event
from zraw.monitor import recv_event_v2 as recv_event_v2
from zraw.poller import Poller as Poller
from zraw.polling import poll as poll
from zraw.polling import ppoll as ppoll
from zraw.proxying import proxy as proxy
from zraw.proxying import proxy_steerable as proxy_steerable
from zraw.release import Tracker as Tracker
from zraw.socket import Socket as Socket
from zraw.stopwatch import Stopwatch as Stopwatch
from zraw.timers import Timers as Timers

__version__: Final[str]

def get_include() -> str: ...
