"""Exceptions: one class per errno, each also the builtin that Python gives it."""

import errno as _errno

from libc.errno cimport (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EALREADY,
    EBUSY,
    ECHILD,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EEXIST,
    EFAULT,
    EHOSTUNREACH,
    EINPROGRESS,
    EINVAL,
    EISDIR,
    EMFILE,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    EPERM,
    EPIPE,
    EPROTONOSUPPORT,
    ESRCH,
    ETIMEDOUT,
)

from zraw.libzmq cimport (
    EFSM,
    EMTHREAD,
    ENOCOMPATPROTO,
    ENOTSOCK,
    ENOTSUP,
    ETERM,
    zmq_strerror,
)
from zraw.process cimport is_exiting, sleep_for_good

cdef extern from *:
    """
    #ifdef _MSC_VER
    static __declspec(thread) int zraw_last_errno;
    #else
    static __thread int zraw_last_errno;
    #endif
    """
    int zraw_last_errno


class ZMQError(OSError):
    """A failed call: `errno` is libzmq's, the text names the call.

    `except OSError` catches all of them.  An errno that has a class of its own
    here raises that class; any other raises ZMQError itself.
    """

    __module__ = "zraw"


class Again(ZMQError, BlockingIOError):
    """EAGAIN: the call would wait, or ZMQ_RCVTIMEO or ZMQ_SNDTIMEO is over."""

    __module__ = "zraw"


class ContextTerminated(ZMQError):
    """ETERM: the context was shut down or terminated."""

    __module__ = "zraw"


class InvalidState(ZMQError):
    """EFSM: the call is not allowed in this state, as recv() twice on ZMQ_REP."""

    __module__ = "zraw"


class NotASocket(ZMQError):
    """ENOTSOCK: the socket was closed, or never opened."""

    __module__ = "zraw"


class NotSupported(ZMQError):
    """ENOTSUP: the socket type, transport or libzmq at hand cannot do it."""

    __module__ = "zraw"


class SocketInUse(ZMQError):
    """EBUSY: another thread is inside a call on this object."""

    __module__ = "zraw"


class ForkError(ZMQError, PermissionError):
    """EPERM: the object belongs to the process that this one was forked from."""

    __module__ = "zraw"


class AddressInUse(ZMQError):
    """EADDRINUSE: the endpoint is bound already."""

    __module__ = "zraw"


class AddressNotAvailable(ZMQError):
    """EADDRNOTAVAIL: the address is not one of this machine's."""

    __module__ = "zraw"


class HostUnreachable(ZMQError):
    """EHOSTUNREACH: no peer has this routing id."""

    __module__ = "zraw"


class InvalidArgument(ZMQError):
    """EINVAL: libzmq refused a value."""

    __module__ = "zraw"


class InvalidHandle(ZMQError):
    """EFAULT: the object was closed or destroyed: a Message, Poller, Timers."""

    __module__ = "zraw"


class NotFound(ZMQError, FileNotFoundError):
    """ENOENT: the endpoint is not bound or connected, or its path is missing."""

    __module__ = "zraw"


class PermissionDenied(ZMQError, PermissionError):
    """EACCES, EPERM: the system does not allow this address, path or option."""

    __module__ = "zraw"


class TooManySockets(ZMQError):
    """EMFILE: ZMQ_MAX_SOCKETS or the limit of open files is reached."""

    __module__ = "zraw"


class ProtocolNotSupported(ZMQError):
    """EPROTONOSUPPORT: libzmq lacks this transport."""

    __module__ = "zraw"


class IncompatibleProtocol(ZMQError):
    """ENOCOMPATPROTO: the socket type cannot use this transport."""

    __module__ = "zraw"


class NoIOThread(ZMQError):
    """EMTHREAD: the context has no I/O thread (ZMQ_IO_THREADS is 0)."""

    __module__ = "zraw"


class ConnectionRefused(ZMQError, ConnectionRefusedError):
    """ECONNREFUSED: nobody listens there."""

    __module__ = "zraw"


class TimedOut(ZMQError, TimeoutError):
    """ETIMEDOUT: the system gave up."""

    __module__ = "zraw"


class ConnectionReset(ZMQError, ConnectionResetError):
    """ECONNRESET: the peer broke the connection."""

    __module__ = "zraw"


class ConnectionAborted(ZMQError, ConnectionAbortedError):
    """ECONNABORTED: the connection was broken on this side."""

    __module__ = "zraw"


class BrokenPipe(ZMQError, BrokenPipeError):
    """EPIPE, ESHUTDOWN: nobody reads at the other end any more."""

    __module__ = "zraw"


class InProgress(ZMQError, BlockingIOError):
    """EINPROGRESS, EALREADY: the system is still at it."""

    __module__ = "zraw"


class FileExists(ZMQError, FileExistsError):
    """EEXIST: the path is taken."""

    __module__ = "zraw"


class IsADirectory(ZMQError, IsADirectoryError):
    """EISDIR: the path is a folder."""

    __module__ = "zraw"


class NotADirectory(ZMQError, NotADirectoryError):
    """ENOTDIR: part of the path is no folder."""

    __module__ = "zraw"


class ProcessNotFound(ZMQError, ProcessLookupError):
    """ESRCH: the process does not exist."""

    __module__ = "zraw"


class NoChildProcess(ZMQError, ChildProcessError):
    """ECHILD: the process has no such child."""

    __module__ = "zraw"


# By C's numbers, which are libzmq's: on Windows Python's errno has others for sockets.
cdef dict CLASSES = {
    EAGAIN: Again,
    ETERM: ContextTerminated,
    EFSM: InvalidState,
    ENOTSOCK: NotASocket,
    ENOTSUP: NotSupported,
    EBUSY: SocketInUse,
    EPERM: PermissionDenied,
    EADDRINUSE: AddressInUse,
    EADDRNOTAVAIL: AddressNotAvailable,
    EHOSTUNREACH: HostUnreachable,
    EINVAL: InvalidArgument,
    EFAULT: InvalidHandle,
    ENOENT: NotFound,
    EACCES: PermissionDenied,
    EMFILE: TooManySockets,
    EPROTONOSUPPORT: ProtocolNotSupported,
    ENOCOMPATPROTO: IncompatibleProtocol,
    EMTHREAD: NoIOThread,
    ECONNREFUSED: ConnectionRefused,
    ETIMEDOUT: TimedOut,
    ECONNRESET: ConnectionReset,
    ECONNABORTED: ConnectionAborted,
    EPIPE: BrokenPipe,
    _errno.ESHUTDOWN: BrokenPipe,
    EINPROGRESS: InProgress,
    EALREADY: InProgress,
    EEXIST: FileExists,
    EISDIR: IsADirectory,
    ENOTDIR: NotADirectory,
    ESRCH: ProcessNotFound,
    ECHILD: NoChildProcess,
}


cdef int fail(int err, object call) except -1:
    """Raise the class of `err`; `call` names the call and its object."""
    global zraw_last_errno
    zraw_last_errno = err
    if (err == ETERM or err == ENOTSOCK) and is_exiting():
        with nogil:
            sleep_for_good()
    if err == ENOMEM:
        raise MemoryError(call)
    text = (<bytes> zmq_strerror(err)).decode("utf-8", "surrogateescape")
    raise CLASSES.get(err, ZMQError)(err, f"{text}: {call}")


cdef int fail_forked(object call) except -1:
    """Raise ForkError, which is zraw's own EPERM and not the system's."""
    global zraw_last_errno
    zraw_last_errno = EPERM
    raise ForkError(EPERM, "made before the fork, by the parent; the child needs a "
                    f"context and sockets of its own: {call}")


cdef int fail_draft(object call) except -1:
    """Raise NotSupported for a function that this libzmq lacks."""
    return fail(ENOTSUP, f"{call}: this libzmq is built without its draft API, or "
                "too old")


cdef int last_errno() noexcept:
    return zraw_last_errno
