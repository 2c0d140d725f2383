"""Endpoints: what is refused before libzmq sees it, and the calls that take one."""

from libc.errno cimport EAGAIN, EINTR, EINVAL
from libc.stddef cimport size_t
from libc.string cimport strncmp

from zraw.error cimport fail
from zraw.guard cimport GuardedSocket, enter, leave, socket_int
from zraw.libzmq cimport (
    ZMQ_EVENTS,
    ZMQ_FD,
    ZMQ_LINGER,
    ZMQ_PLAIN_SERVER,
    ZMQ_POLLIN,
    ZMQ_ZAP_DOMAIN,
    ZMQ_ZAP_ENFORCE_DOMAIN,
    zmq_bind,
    zmq_connect,
    zmq_disconnect,
    zmq_errno,
    zmq_getsockopt,
    zmq_poll,
    zmq_pollitem_t,
    zmq_unbind,
)
from zraw.option cimport c_string

cdef enum:
    FIRST_WORD = 5  # ms: of libzmq's threads, after an endpoint was given up
    LAST_WORD = 1   # ms: they have said all if nothing comes for so long

# Transports with a port, which libzmq reads with atoi() and cuts to 16 bits.
cdef frozenset WITH_PORT = frozenset(
    (b"tcp", b"udp", b"ws", b"wss", b"pgm", b"epgm", b"norm"))


cdef bytes endpoint_bytes(object endpoint, str call):
    """Return an endpoint as libzmq takes it, if it is what it seems to be."""
    cdef bytes text = c_string(endpoint, f"{call}: endpoint")
    transport, separator, rest = text.partition(b"://")
    if not separator:
        raise ValueError(f"{call}: endpoint: transport://address, not {endpoint!r}")
    if transport in WITH_PORT:
        # A source may come first, as in tcp://source;address, and a path last.
        source, semicolon, address = rest.partition(b";")
        address = (address if semicolon else source).partition(b"/")[0]
        _, colon, port = address.rpartition(b":")
        if colon and port not in (b"*", b"!") and (
                not port.isdigit() or len(port) > 5 or int(port) > 65535):
            raise ValueError(f"{call}: endpoint: a port from 0 to 65535, or *, "
                             f"not {port.decode(errors='replace')!r} "
                             f"in {endpoint!r}")
    return text


cdef int refuse_zap_abort(GuardedSocket socket, str call) except -1:
    """Refuse what makes libzmq abort as soon as a client shows up."""
    cdef char domain[256]
    cdef size_t size = sizeof(domain)
    if (socket_int(socket.ptr, ZMQ_PLAIN_SERVER) == 1
            and socket_int(socket.ptr, ZMQ_ZAP_ENFORCE_DOMAIN) == 1
            and zmq_getsockopt(socket.ptr, ZMQ_ZAP_DOMAIN, domain, &size) == 0
            and not domain[0]):
        leave(socket)
        fail(EINVAL, f"{call}: ZMQ_PLAIN_SERVER with ZMQ_ZAP_ENFORCE_DOMAIN needs a "
             "ZMQ_ZAP_DOMAIN")
    return 0


cdef void part(void *socket, bint listened) noexcept nogil:
    """Let the connections of an endpoint go that was just given up.

    libzmq's threads ask the socket for its consent, and it gives it when it is next
    used.  A connection that breaks before, with a message of several frames half on
    its way, makes libzmq abort the process.
    """
    cdef zmq_pollitem_t item
    cdef size_t size = sizeof(item.fd)
    cdef int rounds = 0
    # What was queued for a peer may still be sent: nothing to consent to as yet.
    if not listened and socket_int(socket, ZMQ_LINGER) != 0:
        return
    item.socket = NULL
    item.events = ZMQ_POLLIN
    if zmq_getsockopt(socket, ZMQ_FD, &item.fd, &size) < 0:
        return  # a thread-safe socket: its messages are of one frame
    while rounds < 100 and zmq_poll(
            &item, 1, LAST_WORD if rounds else FIRST_WORD) > 0:
        socket_int(socket, ZMQ_EVENTS)
        rounds += 1


cdef int endpoint_call(GuardedSocket socket, endpoint_function function,
                       object endpoint, str name) except -1:
    """Call zmq_bind() or one of its kind; the guard is held after."""
    cdef bytes text = endpoint_bytes(endpoint, f"{name}()")
    cdef str call = f"{name}({endpoint!r})"
    cdef const char *address = text
    cdef int rc, err = EINTR
    enter(socket, call)
    if function == zmq_bind or function == zmq_connect:
        refuse_zap_abort(socket, call)
    while err == EINTR:
        with nogil:
            rc = function(socket.ptr, address)
            err = zmq_errno() if rc < 0 else 0
        if err == EINTR:
            err = socket.run_handlers(call) or EINTR
    if err:
        leave(socket)
        # Left over: libzmq sets no errno for a malformed tipc address.
        if err == EAGAIN and text.startswith(b"tipc:"):
            err = EINVAL
        fail(err, call)
    if (function == zmq_unbind or function == zmq_disconnect) and (
            strncmp(address, b"inproc:", 7) != 0):
        with nogil:
            part(socket.ptr, function == zmq_unbind)
    return 0
