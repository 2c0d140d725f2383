"""Endpoints: what is refused before libzmq sees it, and the calls that take one."""

import os
import stat

from libc.errno cimport (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EEXIST,
    EINTR,
    EINVAL,
    ENODEV,
    ENOENT,
    EPROTONOSUPPORT,
)
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from zraw.error cimport fail
from zraw.guard cimport GuardedSocket, enter, leave, socket_int
from zraw.libzmq cimport (
    ENOCOMPATPROTO,
    ZMQ_AFFINITY,
    ZMQ_DEALER,
    ZMQ_EVENTS,
    ZMQ_FD,
    ZMQ_HEARTBEAT_IVL,
    ZMQ_IO_THREADS,
    ZMQ_LINGER,
    ZMQ_MECHANISM,
    ZMQ_NULL,
    ZMQ_PLAIN_SERVER,
    ZMQ_POLLIN,
    ZMQ_REP,
    ZMQ_ROUTER,
    ZMQ_ZAP_DOMAIN,
    ZMQ_ZAP_ENFORCE_DOMAIN,
    zmq_bind,
    zmq_close,
    zmq_connect,
    zmq_ctx_get,
    zmq_disconnect,
    zmq_errno,
    zmq_getsockopt,
    zmq_has,
    zmq_poll,
    zmq_pollitem_t,
    zmq_setsockopt,
    zmq_socket,
)
from zraw.option cimport c_string

cdef extern from *:
    """
    /* Where nobody is, and nobody is asked over a network. */
    #ifdef _WIN32
    #define ZRAW_NOWHERE "tcp://127.0.0.1:1"  /* which may have no ipc */
    #else
    #define ZRAW_NOWHERE "ipc:///dev/null/zraw"
    #endif
    """
    const char *ZRAW_NOWHERE

cdef enum:
    SERVER = 12     # ZMQ_SERVER, a draft
    PATIENCE = 1000  # ms, with a thread of libzmq's

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


cdef int refuse_zap_endpoint(int type, bytes text, str call) except -1:
    """Refuse what cannot be a ZAP handler: libzmq aborts when a client shows up."""
    if text == b"inproc://zeromq.zap.01" and type not in (ZMQ_REP, ZMQ_ROUTER, SERVER):
        fail(ENOCOMPATPROTO, f"{call}: only a ZMQ_REP or a ZMQ_ROUTER can handle ZAP "
             f"at {text.decode()!r}")
    return 0


cdef int refuse_file(bytes text, str call) except -1:
    """Refuse the path of a file that is no socket: libzmq would remove it."""
    cdef bytes path = text[6:]
    if not text.startswith(b"ipc://") or path[:1] in (b"", b"@", b"*"):
        return 0
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return 0  # libzmq says what is wrong with it
    if not stat.S_ISSOCK(mode) and not stat.S_ISDIR(mode):
        fail(EEXIST, f"{call}: a file that is no socket is there, and would be removed")
    return 0


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


cdef int refuse_ws_abort(GuardedSocket socket, bytes endpoint, str call) except -1:
    """Refuse heartbeats to peers that may ask for no mechanism: libzmq aborts."""
    if (endpoint.startswith((b"ws://", b"wss://"))
            and socket_int(socket.ptr, ZMQ_HEARTBEAT_IVL) > 0
            and socket_int(socket.ptr, ZMQ_MECHANISM) == ZMQ_NULL):
        leave(socket)
        fail(EINVAL, f"{call}: ZMQ_HEARTBEAT_IVL over ws:// needs a mechanism other "
             "than ZMQ_NULL")
    return 0


cdef int visit(void *scratch, uint64_t thread) noexcept nogil:
    """Wait until one of libzmq's threads has done what it was told before.

    A connection to nowhere is its errand: giving that up needs an answer.
    """
    cdef uint64_t affinity = (<uint64_t> 1) << thread
    cdef zmq_pollitem_t item
    cdef size_t size = sizeof(item.fd)
    item.socket = NULL
    item.events = ZMQ_POLLIN
    # A signal that comes meanwhile has its handler run afterwards.
    while zmq_setsockopt(scratch, ZMQ_AFFINITY, &affinity, sizeof(affinity)) < 0:
        if zmq_errno() != EINTR:
            return 0
    while zmq_connect(scratch, ZRAW_NOWHERE) < 0:
        if zmq_errno() != EINTR:
            return 0
    while zmq_disconnect(scratch, ZRAW_NOWHERE) < 0:
        if zmq_errno() != EINTR:
            return 0
    if zmq_getsockopt(scratch, ZMQ_FD, &item.fd, &size) == 0:
        while zmq_poll(&item, 1, PATIENCE) < 0 and zmq_errno() == EINTR:
            pass
    return 0


cdef int part(void *socket, void *context, int errands) noexcept nogil:
    """Let connections go whose end libzmq's threads wait to be agreed to.

    They ask the socket for its consent, and it gives it when it is next used.  A
    connection that breaks before, with a message of several frames half on its way,
    makes libzmq abort the process.

    errands: how often its threads have to talk among themselves before they ask.
    """
    cdef int threads = zmq_ctx_get(context, ZMQ_IO_THREADS), thread, step = 0
    cdef int nothing = 0
    cdef zmq_pollitem_t item
    cdef size_t size = sizeof(item.fd)
    cdef void *scratch
    item.socket = NULL
    item.events = ZMQ_POLLIN
    if zmq_getsockopt(socket, ZMQ_FD, &item.fd, &size) < 0:
        return 0  # a thread-safe socket: its messages are of one frame
    scratch = zmq_socket(context, ZMQ_DEALER)
    if scratch == NULL:
        return 0
    zmq_setsockopt(scratch, ZMQ_LINGER, &nothing, sizeof(nothing))
    while step < 100:
        for thread in range(min(threads, 64)):
            visit(scratch, <uint64_t> thread)
        if step >= errands and zmq_poll(&item, 1, 0) == 0:
            break  # they have heard the last answer, and ask nothing any more
        socket_int(socket, ZMQ_EVENTS)
        step += 1
    zmq_close(scratch)
    return 0


cdef int endpoint_call(GuardedSocket socket, endpoint_function function,
                       object endpoint, str name) except -1:
    """Call zmq_bind() or one of its kind; the guard is held after."""
    cdef bytes text = endpoint_bytes(endpoint, f"{name}()")
    cdef str call = f"{name}({endpoint!r})"
    cdef const char *address = text
    cdef int rc, err = EINTR
    if function == zmq_bind:
        refuse_zap_endpoint(socket.type, text, socket.describe(call))
        refuse_file(text, socket.describe(call))
    enter(socket, call)
    if function == zmq_bind or function == zmq_connect:
        refuse_zap_abort(socket, call)
        refuse_ws_abort(socket, text, call)
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
        fail(err, call + advice(err, text, name))
    return 0


cdef str advice(int err, bytes endpoint, str name):
    """Return what to do about the mistakes that everybody makes once."""
    transport, _, address = endpoint.partition(b"://")
    if err == EINVAL and not address and transport in (b"ipc", b"inproc"):
        return f": {'a path' if transport == b'ipc' else 'a name'} is missing"
    if err == EINVAL and transport in WITH_PORT:
        if b":" not in address:
            return ": a port is missing, as in tcp://127.0.0.1:5555"
        if name == "connect" and b"*" in address:
            return ": connect() needs an address and a port; * is for bind()"
    if err == EADDRNOTAVAIL or err == ENODEV:
        if name != "bind":
            return ""
        if transport in WITH_PORT and address.count(b":") > 1:
            return ": not an address of this machine; IPv6 needs ZMQ_IPV6 and brackets"
        return (": not an address of this machine; bind() takes an IP address, an "
                "interface or *, and no host name")
    if err == EADDRINUSE and transport in WITH_PORT:
        return ": a socket is bound there already; a * takes any port that is free"
    if err == EACCES and name == "bind":
        return (": a low port may need a right that this process lacks"
                if transport in WITH_PORT else ": the folder has to be writable")
    if err == ENOCOMPATPROTO:
        types = {b"udp": "ZMQ_RADIO, ZMQ_DISH and ZMQ_DGRAM"}
        for multicast in (b"pgm", b"epgm", b"norm"):
            types[multicast] = "ZMQ_PUB, ZMQ_SUB, ZMQ_XPUB and ZMQ_XSUB"
        if transport in types:
            return f": {transport.decode()} is for {types[transport]}"
    if err == ENOENT and name == "bind":
        return ": the folder has to exist"
    if err == EPROTONOSUPPORT:
        # By the names that zmq_has() knows them by.
        asked = {"ipc": b"ipc", "ws": b"WS", "wss": b"WSS", "tipc": b"tipc",
                 "pgm": b"pgm", "epgm": b"pgm", "norm": b"norm", "vmci": b"vmci"}
        known = ["tcp", "inproc"] + [key for key, has in asked.items() if zmq_has(has)]
        return f": this libzmq has {', '.join(known)}"
    if err == ENOENT and name in ("unbind", "disconnect"):
        return f": it is not {'bound' if name == 'unbind' else 'connected'} to that"
    return ""
