"""A backend for pyzmq: PYZMQ_BACKEND=zraw.pyzmq, and its programs run on zraw.

pyzmq imports this module and derives its own classes from those here; which names
there are, and what they do, is up to pyzmq, from 25 to 27.  The rest of zraw knows
nothing of it, and neither does a program that does not ask for it.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stddef cimport size_t

from zraw.libzmq cimport zmq_poll as c_poll
from zraw.libzmq cimport zmq_fd_t, zmq_pollitem_t
from zraw.polling cimport Waiter, check_count
from zraw.pyzmq_core cimport Core
from zraw.pyzmq_error cimport last_zmq_errno, translated
from zraw.pyzmq_socket cimport BaseSocket, core_of
from zraw.release cimport drain

import sys
from types import ModuleType

from zraw import crypto, library
from zraw.error import ZMQError
from zraw.pyzmq_context import Context
from zraw.pyzmq_frame import Frame
from zraw.pyzmq_queue import device, monitored_queue, proxy, proxy_steerable
from zraw.pyzmq_socket import Socket

cdef extern from *:
    """
    #ifdef _WIN32
    #define zraw_ipc_path_max 0
    #else
    #include <sys/un.h>
    #define zraw_ipc_path_max (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
    #endif
    """
    const size_t zraw_ipc_path_max

__all__ = [
    "Context",
    "Frame",
    "IPC_PATH_MAX_LEN",
    "Message",
    "PYZMQ_DRAFT_API",
    "Socket",
    "curve_keypair",
    "curve_public",
    "device",
    "has",
    "monitored_queue",
    "proxy",
    "proxy_steerable",
    "strerror",
    "zmq_errno",
    "zmq_poll",
    "zmq_version_info",
]

Message = Frame
IPC_PATH_MAX_LEN = zraw_ipc_path_max
PYZMQ_DRAFT_API = True  # whether libzmq has them is seen when it runs

# pyzmq 25 wants device(), and has monitored_queue() in a module that was compiled for
# its own backend.
if "device" in getattr(sys.modules.get("zmq.backend.select"), "public_api", ()):
    instead = ModuleType("zmq.devices.monitoredqueue")
    instead.monitored_queue = monitored_queue
    instead.__all__ = ["monitored_queue"]
    sys.modules[instead.__name__] = instead


cdef class Items(Waiter):
    """The items of one zmq_poll()."""
    cdef zmq_pollitem_t *items
    cdef int count

    def __dealloc__(self):
        PyMem_Free(self.items)

    cdef int look(self, long timeout) noexcept nogil:
        return c_poll(self.items, self.count, timeout)

    cdef int read(self, object pairs) except -1:
        """Fill in the items."""
        cdef zmq_pollitem_t *item
        cdef Core core
        cdef int events
        self.sockets = []
        for what, wanted in pairs:
            item = &self.items[self.count]
            item.socket = NULL
            item.fd = 0
            item.revents = 0
            events = wanted
            item.events = <short> events
            if isinstance(what, BaseSocket):
                core = core_of(what)
                item.socket = core.ptr
                self.sockets.append(core)
                self.native |= core.shared
            else:
                item.fd = descriptor(what)
            self.count += 1
        return 0


cdef zmq_fd_t descriptor(object what) except? <zmq_fd_t> -1:
    if isinstance(what, int):
        return what
    if not hasattr(what, "fileno"):
        raise TypeError("Socket must be a 0MQ socket, an integer fd or have a fileno() "
                        f"method: {what!r}")
    try:
        return int(what.fileno())
    except Exception:
        raise ValueError("fileno() must return a valid integer fd") from None


def zmq_poll(sockets, int timeout=-1):
    """Wait until some of several sockets and descriptors are ready.

    sockets: pairs (socket, descriptor or object with fileno(), events).
    timeout: milliseconds; below 0 for ever.

    Returns: pairs (socket or descriptor, events) of those that are ready.
    """
    cdef Items items
    cdef list pairs = list(sockets)
    cdef int i
    if not pairs:
        return []
    check_count(len(pairs), "zmq_poll()")
    items = Items.__new__(Items)
    items.items = <zmq_pollitem_t *> PyMem_Malloc(len(pairs) * sizeof(zmq_pollitem_t))
    if items.items == NULL:
        raise MemoryError("zmq_poll()")
    items.read(pairs)
    try:
        items.run(timeout if timeout >= 0 else -1, "zmq_poll()")
    except ZMQError as error:
        raise translated(error) from None
    ready = [(pairs[i][0] if items.items[i].socket != NULL else items.items[i].fd,
              items.items[i].revents)
             for i in range(items.count) if items.items[i].revents]
    drain()
    return ready


def zmq_errno():
    """Return the errno of the last call that failed in this thread."""
    return last_zmq_errno()


def strerror(int errno):
    """Return the text of an errno."""
    return library.strerror(errno)


def zmq_version_info():
    """Return the version of libzmq as three ints."""
    return library.version()


def has(capability):
    """Return whether libzmq can do something: "ipc", "curve", ..."""
    return library.has(capability)


def curve_keypair():
    """Return a new CURVE key pair, public and secret, as bytes of Z85."""
    try:
        public, secret = crypto.curve_keypair()
    except ZMQError as error:
        raise translated(error) from None
    return public.encode(), secret.encode()


def curve_public(secret_key):
    """Return the public key of a secret one, as bytes of Z85."""
    if len(secret_key) != 40:
        raise ValueError("secret key must be a 40 byte z85 encoded string")
    try:
        return crypto.curve_public(secret_key).encode()
    except (ZMQError, ValueError) as error:
        raise translated(error) from None
