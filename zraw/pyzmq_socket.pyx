"""Socket of zraw.pyzmq, over a socket of zraw that its shadows share.

pyzmq derives its Socket from this one, and repeats send(), send_multipart() and
recv_multipart() in Python.  Those are taken out of its class: here they need no call
per frame.  A class of the program's own, whose send() or recv() they would pass by,
has pyzmq's again.
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_GET_SIZE,
)
from libc.errno cimport EINTR, ENAMETOOLONG, ENOENT
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uintptr_t

from zraw.endpoint cimport refuse_zap_endpoint
from zraw.guard cimport (
    NO_FD,
    enter,
    leave,
    zraw_next,
    zraw_seen,
    zraw_seen_len,
)
from zraw.libzmq cimport (
    ENOTSOCK,
    ZMQ_AFFINITY,
    ZMQ_DONTWAIT,
    ZMQ_EVENTS,
    ZMQ_FD,
    ZMQ_LINGER,
    ZMQ_PAIR,
    ZMQ_SNDMORE,
    ZMQ_TYPE,
    zmq_errno,
    zmq_fd_t,
    zmq_getsockopt,
    zmq_send,
    zmq_socket_monitor,
)
from zraw.option cimport c_string
from zraw.process cimport fork_generation
from zraw.pyzmq_context cimport Context
from zraw.pyzmq_core cimport Core, core_at, make_core
from zraw.pyzmq_error cimport fail_zmq, translated
from zraw.pyzmq_frame cimport Flat, finished, size_of
from zraw.pyzmq_parts cimport recv_message, recv_part, send_message, send_part
from zraw.receiving cimport recv_buffer, recv_bytes
from zraw.release cimport drain
from zraw.sending cimport note_more, on_short_path

import warnings
from weakref import WeakValueDictionary

from zraw.error import ZMQError

cdef enum:
    ROUTING_ID = 5
    RCVMORE = 13
    TEXT = 1    # C types of options, as pyzmq has them; 0 is int
    WIDE = 2

cdef dict option_types = None   # of those that are no int
cdef object zmq = None          # pyzmq, when it was needed first
# What stands in pyzmq's class: send(), send_multipart(), recv_multipart().
cdef dict replaced = {}
cdef object monitors = WeakValueDictionary()  # monitored sockets, by the endpoint
cdef uint32_t serial = 0                      # of their monitors


cdef object package():
    global zmq
    if zmq is None:
        import zmq
    return zmq


cdef int type_of(int option) except -1:
    """Return the C type of an option."""
    global option_types
    if option_types is None:
        known = {"bytes": TEXT, "int64": WIDE}
        option_types = {
            int(each): known[each._opt_type.name]
            for each in package().constants.SocketOption
            if each._opt_type.name in known}
    return option_types.get(option, 0)


cdef inline Core opened(BaseSocket socket):
    """Return what the socket is over, whether it is open or not."""
    if socket.core is None:
        fail_zmq(ENOTSOCK)
    return socket.core


cdef Core ready(BaseSocket socket, str call):
    """As opened(), and refuse a socket that cannot be used, before the arguments."""
    cdef Core core = opened(socket)
    enter(core, call)
    leave(core)
    return core


cdef Core core_of(object socket):
    """As opened(), for arguments."""
    if not isinstance(socket, BaseSocket):
        raise TypeError(f"a zmq.Socket, not {type(socket).__name__}")
    return opened(<BaseSocket> socket)


cdef bint is_own(BaseSocket socket, str name) except -1:
    """Whether a method is the one of this module, and not one of the program's."""
    return getattr(type(socket), name) is METHODS[name]


cdef class BaseSocket:
    """Socket(context, socket_type, shadow=0, copy_threshold=None).

    shadow: the address of libzmq's socket, if there is one.
    copy_threshold: bytes; what is shorter is copied, copy=False or not.
    """

    def __init__(self, context=None, int socket_type=-1, uintptr_t shadow=0,
                 copy_threshold=None):
        if copy_threshold is None:
            copy_threshold = package().COPY_THRESHOLD
        self.copy_threshold = copy_threshold
        self.context = context
        if shadow:
            self.core = core_at(shadow)
            return
        if context is None:
            raise TypeError("context must be specified")
        if not isinstance(context, Context):
            raise TypeError(f"context: a zmq.Context, not {type(context).__name__}")
        if socket_type < 0:
            raise TypeError("socket_type must be specified")
        self.core = make_core((<Context> context).core, socket_type)

    @property
    def underlying(self):
        """The address of libzmq's socket; 0 once it is closed."""
        return 0 if self.core is None else <uintptr_t> self.core.ptr

    @property
    def closed(self):
        """True once it is closed, by whomever."""
        return (self.core is None or self.core.ending
                or not zraw_seen(&self.core.generation))

    @property
    def _closed(self):
        return self.closed

    def close(self, linger=None):
        """Close the socket, or the one that it shadows.

        linger: milliseconds for unsent messages, -1 for ever.

        If another thread is inside a call, the socket is closed when it comes out.
        """
        if self.core is not None:
            self.core.end(linger is not None, -1 if linger is None else linger)

    def get(self, int option):
        """Return an option: int or bytes."""
        cdef Core core = opened(self)
        cdef int kind = 0 if option == ZMQ_EVENTS or option == RCVMORE \
            else type_of(option)
        cdef char text[256]
        cdef int64_t wide = 0
        cdef int number = 0, rc, err
        cdef zmq_fd_t fd = NO_FD
        cdef void *value = &number
        cdef size_t size = sizeof(number)
        if zraw_seen(&core.busy) and zraw_seen(&core.generation) == fork_generation:
            # What does not change may be asked by any thread.
            if option == ZMQ_TYPE:
                return core.type
            if option == ZMQ_FD and core.fd != NO_FD:
                return core.fd
        if kind == TEXT:
            # One byte more than their 40 characters is how libzmq knows Z85 keys.
            value, size = text, 41 if 48 <= option <= 50 else 255
        elif kind == WIDE:
            value, size = &wide, sizeof(wide)
        elif option == ZMQ_FD:
            value, size = &fd, sizeof(fd)
        enter(core, "get()")
        if option == ZMQ_FD and core.shared:
            fresh = core.fd_poller == NULL
            try:
                fd = core.poller_fd()
            finally:
                leave(core)
            if fresh and hasattr(package().error, "DraftFDWarning"):
                warnings.warn(package().error.DraftFDWarning(), stacklevel=2)
            return fd
        rc = zmq_getsockopt(core.ptr, option, value, &size)
        err = zmq_errno() if rc < 0 else 0
        while err == EINTR:
            err = core.run_handlers("get()")
            if not err:
                rc = zmq_getsockopt(core.ptr, option, value, &size)
                err = zmq_errno() if rc < 0 else 0
        leave(core)
        if err:
            core.raise_errno(err, "get()")
        if kind == WIDE:
            return wide
        if kind != TEXT:
            return fd if option == ZMQ_FD else number
        if option != ROUTING_ID and size and text[size - 1] == 0:
            size -= 1
        return text[:size]

    def set(self, int option, optval):
        """Set an option to an int or to bytes."""
        cdef Core core = opened(self)
        cdef int kind = type_of(option), err
        if isinstance(optval, str):
            raise TypeError("unicode not allowed, use setsockopt_string")
        wanted = bytes if kind == TEXT else int
        if not isinstance(optval, wanted):
            raise TypeError(f"expected {wanted.__name__}, got: {optval!r}")
        if (option == ZMQ_LINGER and zraw_seen(&core.busy)
                and zraw_seen(&core.generation) == fork_generation):
            # Context.destroy(linger) sets it whatever other threads do.
            err = core.put_linger(optval)
            if err:
                core.raise_errno(err, "set(ZMQ_LINGER)")
            return
        if option == ZMQ_AFFINITY:
            optval &= 0xFFFFFFFFFFFFFFFF  # pyzmq's is signed: -1 is every thread
        enter(core, "set()")
        leave(core)
        try:
            core.setsockopt(option, optval, wanted)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    def bind(self, addr):
        """Accept connections on an endpoint."""
        try:
            ready(self, "bind()").bind(addr)
        except ZMQError as error:
            path = str(addr).partition("//")[2]
            if error.errno == ENOENT:
                fail_zmq(ENOENT, f"No such file or directory for ipc path {path!r}")
            if error.errno == ENAMETOOLONG:
                fail_zmq(ENAMETOOLONG, f"ipc path {path!r}: at most "
                         f"{package().IPC_PATH_MAX_LEN} bytes, zmq.IPC_PATH_MAX_LEN")
            raise translated(error) from None
        except ValueError as error:
            raise translated(error) from None

    def connect(self, addr):
        """Connect to an endpoint."""
        cdef Core core = ready(self, "connect()"), source
        try:
            core.connect(addr)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None
        if core.type == ZMQ_PAIR:
            source = monitors.get(addr)
            if source is not None:
                # Its close() stops the monitor: libzmq would wait for a reader that
                # is gone, and stall its I/O thread.
                core.monitored, core.monitor_serial = source, source.monitor_serial

    def unbind(self, addr):
        """Undo a bind()."""
        try:
            ready(self, "unbind()").unbind(addr)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    def disconnect(self, addr):
        """Undo a connect()."""
        try:
            ready(self, "disconnect()").disconnect(addr)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    def monitor(self, addr, int events=0xFFFF):
        """Send what happens to the connections to an inproc endpoint; None stops it."""
        cdef Core core = opened(self)
        cdef bytes text = b"" if addr is None else c_string(addr, "monitor(): addr")
        cdef const char *address = NULL
        cdef int err
        if addr is not None:
            address = text
        global serial
        try:
            refuse_zap_endpoint(ZMQ_PAIR, text, "monitor()")
        except ZMQError as error:
            raise translated(error) from None
        if addr is not None:
            enter(core, "monitor()")
        # libzmq has a lock for the monitor, and any thread may stop it.
        with cython.critical_section(core):
            err = ENOTSOCK
            if core.ptr != NULL and zraw_seen(&core.generation) == fork_generation:
                err = 0
                if zmq_socket_monitor(core.ptr, address, events) < 0:
                    err = zmq_errno()
                else:
                    core.monitor_serial = zraw_next(&serial) if addr is not None else 0
        if addr is not None:
            leave(core)
        if err:
            core.raise_errno(err, "monitor()")
        if addr is not None:
            monitors[text.decode("utf-8", "surrogateescape")] = core

    def join(self, group):
        """Receive the messages of a group, on a DISH."""
        self.refuse_without_draft()
        try:
            ready(self, "join()").join(group)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    def leave(self, group):
        """Receive the messages of a group no longer, on a DISH."""
        self.refuse_without_draft()
        try:
            ready(self, "leave()").leave(group)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    cdef int refuse_without_draft(self) except -1:
        if not package().DRAFT_API:
            raise RuntimeError("libzmq and pyzmq must be built with draft support")
        return 0

    def send(self, data, int flags=0, bint copy=True, bint track=False,
             routing_id=None, group=None):
        """Send a frame; return a MessageTracker of it, or None if it was copied."""
        cdef Core core = opened(self)
        cdef size_t size
        if routing_id is not None or group is not None:
            return replaced["send"](self, data, flags, copy, track, routing_id, group)
        if PyBytes_CheckExact(data):
            size = PyBytes_GET_SIZE(data)
            if copy or size < <size_t> self.copy_threshold:
                if size < zraw_seen_len(&core.short_limit):
                    enter(core, "send()")
                    if on_short_path(core) and zmq_send(
                            core.ptr, PyBytes_AS_STRING(data), size,
                            flags | ZMQ_DONTWAIT) >= 0:
                        if flags & ZMQ_SNDMORE or core.more:
                            note_more(core, flags)
                        leave(core)
                        drain()
                        return None if copy else finished()
                    leave(core)
        return send_part(core, data, flags, copy, track,
                         <size_t> self.copy_threshold)

    def send_multipart(self, msg_parts, int flags=0, bint copy=True, bint track=False,
                       **kwargs):
        """Send a message, whole; return a MessageTracker of all its frames, or None."""
        if not msg_parts or not is_own(self, "send"):
            return replaced["send_multipart"](self, msg_parts, flags, copy, track,
                                              **kwargs)
        return send_message(opened(self), msg_parts, flags, copy, track,
                            <size_t> self.copy_threshold)

    def recv(self, int flags=0, bint copy=True, bint track=False):
        """Receive a frame as bytes, or as a Frame."""
        cdef Core core = opened(self)
        cdef int err = 0
        if not copy:
            return recv_part(core, flags, track)
        data = recv_bytes(core, flags, &err, "recv()")
        if err:
            core.raise_errno(err, "recv()")
        return data

    def recv_multipart(self, int flags=0, bint copy=True, bint track=False):
        """Receive a message as a list of bytes, or of Frames."""
        if not is_own(self, "recv"):
            return replaced["recv_multipart"](self, flags, copy, track)
        return recv_message(opened(self), flags, copy, track)

    def recv_into(self, buffer, /, *, Py_ssize_t nbytes=0, int flags=0):
        """Receive a frame into memory; return its size, even if it was cut."""
        cdef Py_ssize_t size
        cdef Core core = opened(self)
        if nbytes < 0:
            raise ValueError(f"{nbytes=} must be non-negative")
        size = size_of(buffer)
        if nbytes > size:
            raise ValueError(f"{nbytes=} too big for memoryview of {size}B")
        return recv_buffer(core, Flat(buffer, True, nbytes or size), flags)


cdef dict METHODS = {name: vars(BaseSocket)[name]
                     for name in ("send", "send_multipart", "recv", "recv_multipart")}


class Socket(BaseSocket):
    """What pyzmq derives its Socket from."""

    __slots__ = ()

    @classmethod
    def __init_subclass__(cls, **kwargs):
        super(Socket, cls).__init_subclass__(**kwargs)
        if cls.__module__ == "zmq.sugar.socket" and Socket in cls.__bases__:
            for name in METHODS:
                if name in vars(cls):
                    replaced[name] = vars(cls)[name]
                    delattr(cls, name)
