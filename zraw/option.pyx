"""Options by their C types, and what has to be refused before libzmq sees it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EINTR, EINVAL
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport strlen

from zraw.error cimport fail
from zraw.guard cimport (
    GuardedSocket,
    enter,
    leave,
    to_number,
    type_name,
)
from zraw.libzmq cimport (
    ZMQ_FD,
    ZMQ_PUB,
    ZMQ_REP,
    ZMQ_ROUTING_ID,
    ZMQ_SUBSCRIBE,
    ZMQ_UNSUBSCRIBE,
    zmq_errno,
    zmq_fd_t,
    zmq_getsockopt,
    zmq_setsockopt,
)

# C types.  KEY: a CURVE key, 32 raw bytes or 40 characters of Z85.
cdef enum:
    INT
    UINT
    INT64
    UINT64
    BINARY
    STRING
    KEY

# Access: r readable, w writable, 0 None clears it, s the value is a secret.
cdef tuple TABLE = (
    (4, "AFFINITY", UINT64, "rw"),
    (5, "ROUTING_ID", BINARY, "rw"),
    (6, "SUBSCRIBE", BINARY, "w"),
    (7, "UNSUBSCRIBE", BINARY, "w"),
    (8, "RATE", INT, "rw"),
    (9, "RECOVERY_IVL", INT, "rw"),
    (11, "SNDBUF", INT, "rw"),
    (12, "RCVBUF", INT, "rw"),
    (13, "RCVMORE", INT, "r"),
    (14, "FD", INT, "r"),
    (15, "EVENTS", INT, "r"),
    (16, "TYPE", INT, "r"),
    (17, "LINGER", INT, "rw"),
    (18, "RECONNECT_IVL", INT, "rw"),
    (19, "BACKLOG", INT, "rw"),
    (21, "RECONNECT_IVL_MAX", INT, "rw"),
    (22, "MAXMSGSIZE", INT64, "rw"),
    (23, "SNDHWM", INT, "rw"),
    (24, "RCVHWM", INT, "rw"),
    (25, "MULTICAST_HOPS", INT, "rw"),
    (27, "RCVTIMEO", INT, "rw"),
    (28, "SNDTIMEO", INT, "rw"),
    (31, "IPV4ONLY", INT, "rw"),
    (32, "LAST_ENDPOINT", STRING, "r"),
    (33, "ROUTER_MANDATORY", INT, "w"),
    (34, "TCP_KEEPALIVE", INT, "rw"),
    (35, "TCP_KEEPALIVE_CNT", INT, "rw"),
    (36, "TCP_KEEPALIVE_IDLE", INT, "rw"),
    (37, "TCP_KEEPALIVE_INTVL", INT, "rw"),
    (38, "TCP_ACCEPT_FILTER", STRING, "w0"),
    (39, "IMMEDIATE", INT, "rw"),
    (40, "XPUB_VERBOSE", INT, "w"),
    (41, "ROUTER_RAW", INT, "w"),
    (42, "IPV6", INT, "rw"),
    (43, "MECHANISM", INT, "r"),
    (44, "PLAIN_SERVER", INT, "rw"),
    (45, "PLAIN_USERNAME", STRING, "rw0"),
    (46, "PLAIN_PASSWORD", STRING, "rw0s"),
    (47, "CURVE_SERVER", INT, "rw"),
    (48, "CURVE_PUBLICKEY", KEY, "rw"),
    (49, "CURVE_SECRETKEY", KEY, "rws"),
    (50, "CURVE_SERVERKEY", KEY, "rw"),
    (51, "PROBE_ROUTER", INT, "w"),
    (52, "REQ_CORRELATE", INT, "w"),
    (53, "REQ_RELAXED", INT, "w"),
    (54, "CONFLATE", INT, "rw"),
    (55, "ZAP_DOMAIN", STRING, "rw"),
    (56, "ROUTER_HANDOVER", INT, "w"),
    (57, "TOS", INT, "rw"),
    (58, "IPC_FILTER_PID", INT, "w0"),
    (59, "IPC_FILTER_UID", UINT, "w0"),
    (60, "IPC_FILTER_GID", UINT, "w0"),
    (61, "CONNECT_ROUTING_ID", BINARY, "w"),
    (62, "GSSAPI_SERVER", INT, "rw"),
    (63, "GSSAPI_PRINCIPAL", STRING, "rw"),
    (64, "GSSAPI_SERVICE_PRINCIPAL", STRING, "rw"),
    (65, "GSSAPI_PLAINTEXT", INT, "rw"),
    (66, "HANDSHAKE_IVL", INT, "rw"),
    (68, "SOCKS_PROXY", STRING, "rw0"),
    (69, "XPUB_NODROP", INT, "w"),
    (70, "BLOCKY", INT, "w"),
    (71, "XPUB_MANUAL", INT, "w"),
    (72, "XPUB_WELCOME_MSG", BINARY, "w0"),
    (73, "STREAM_NOTIFY", INT, "w"),
    (74, "INVERT_MATCHING", INT, "rw"),
    (75, "HEARTBEAT_IVL", INT, "rw"),
    (76, "HEARTBEAT_TTL", INT, "rw"),
    (77, "HEARTBEAT_TIMEOUT", INT, "rw"),
    (78, "XPUB_VERBOSER", INT, "w"),
    (79, "CONNECT_TIMEOUT", INT, "rw"),
    (80, "TCP_MAXRT", INT, "rw"),
    (81, "THREAD_SAFE", INT, "r"),
    (84, "MULTICAST_MAXTPDU", INT, "rw"),
    (85, "VMCI_BUFFER_SIZE", UINT64, "w"),
    (86, "VMCI_BUFFER_MIN_SIZE", UINT64, "w"),
    (87, "VMCI_BUFFER_MAX_SIZE", UINT64, "w"),
    (88, "VMCI_CONNECT_TIMEOUT", INT, "w"),
    (89, "USE_FD", INT, "rw"),
    (90, "GSSAPI_PRINCIPAL_NAMETYPE", INT, "rw"),
    (91, "GSSAPI_SERVICE_PRINCIPAL_NAMETYPE", INT, "rw"),
    (92, "BINDTODEVICE", STRING, "rw0"),
    (93, "ZAP_ENFORCE_DOMAIN", INT, "rw"),
    (94, "LOOPBACK_FASTPATH", INT, "rw"),
    (95, "METADATA", STRING, "w"),
    (96, "MULTICAST_LOOP", INT, "rw"),
    (97, "ROUTER_NOTIFY", INT, "rw"),
    (98, "XPUB_MANUAL_LAST_VALUE", INT, "w"),
    (99, "SOCKS_USERNAME", STRING, "rw0"),
    (100, "SOCKS_PASSWORD", STRING, "rw0s"),
    (101, "IN_BATCH_SIZE", INT, "rw"),
    (102, "OUT_BATCH_SIZE", INT, "rw"),
    (103, "WSS_KEY_PEM", STRING, "ws"),
    (104, "WSS_CERT_PEM", STRING, "w"),
    (105, "WSS_TRUST_PEM", STRING, "w"),
    (106, "WSS_HOSTNAME", STRING, "w"),
    (107, "WSS_TRUST_SYSTEM", INT, "w"),
    (108, "ONLY_FIRST_SUBSCRIBE", INT, "w"),
    (109, "RECONNECT_STOP", INT, "rw"),
    (110, "HELLO_MSG", BINARY, "w0"),
    (111, "DISCONNECT_MSG", BINARY, "w0"),
    (112, "PRIORITY", INT, "rw"),
    (113, "BUSY_POLL", INT, "w"),
    (114, "HICCUP_MSG", BINARY, "w0"),
    (115, "XSUB_VERBOSE_UNSUBSCRIBE", INT, "w"),
    (116, "TOPICS_COUNT", INT, "r"),
    (117, "NORM_MODE", INT, "rw"),
    (118, "NORM_UNICAST_NACK", INT, "rw"),
    (119, "NORM_BUFFER_SIZE", INT, "rw"),
    (120, "NORM_SEGMENT_SIZE", INT, "rw"),
    (121, "NORM_BLOCK_SIZE", INT, "rw"),
    (122, "NORM_NUM_PARITY", INT, "rw"),
    (123, "NORM_NUM_AUTOPARITY", INT, "rw"),
    (124, "NORM_PUSH", INT, "rw"),
)
cdef dict OPTIONS = {number: (name, kind, access)
                     for number, name, kind, access in TABLE}

# Of contexts and of messages.  The number 3 is one option to read, another to set.
cdef tuple CONTEXT_TABLE = (
    ("IO_THREADS", 1, INT, "rw"),
    ("MAX_SOCKETS", 2, INT, "rw"),
    ("SOCKET_LIMIT", 3, INT, "r"),
    ("THREAD_PRIORITY", 3, INT, "w"),
    ("THREAD_SCHED_POLICY", 4, INT, "rw"),
    ("MAX_MSGSZ", 5, INT, "rw"),
    ("MSG_T_SIZE", 6, INT, "r"),
    ("THREAD_AFFINITY_CPU_ADD", 7, INT, "w"),
    ("THREAD_AFFINITY_CPU_REMOVE", 8, INT, "w"),
    ("THREAD_NAME_PREFIX", 9, STRING, "rw"),
    ("ZERO_COPY_RECV", 10, INT, "rw"),
    ("IPV6", 42, INT, "rw"),
    ("BLOCKY", 70, INT, "rw"),
)
cdef dict CONTEXT_OPTIONS = {(number, letter): (name, kind)
                             for name, number, kind, access in CONTEXT_TABLE
                             for letter in access}
cdef dict MESSAGE_PROPERTIES = {1: "MORE", 2: "SRCFD", 3: "SHARED"}

# libzmq takes these, and later aborts the process or hoards messages unread.
cdef frozenset NOT_ON_REP = frozenset({33, 41, 51, 56, 61, 97})
cdef frozenset NOT_ON_PUB = frozenset({71, 98})

cdef str option_name(int option):
    entry = OPTIONS.get(option)
    return f"ZMQ_{entry[0]}" if entry else str(option)


cdef str context_option(int option, str access, bint *is_string):
    """Return the name of a context option, and whether it may be a string."""
    entry = (CONTEXT_OPTIONS.get((option, access))
             or CONTEXT_OPTIONS.get((option, "r" if access == "w" else "w")))
    is_string[0] = entry is not None and entry[1] == STRING
    return f"ZMQ_{entry[0]}" if entry else str(option)


cdef str of_sockets(int option):
    """Return what to add to a complaint about a number that contexts do not know."""
    if (option, "r") in CONTEXT_OPTIONS or (option, "w") in CONTEXT_OPTIONS:
        return ""
    entry = OPTIONS.get(option)
    return f": ZMQ_{entry[0]} is of sockets, each by setsockopt()" if entry else ""


cdef str message_property(int property):
    name = MESSAGE_PROPERTIES.get(property)
    return f"ZMQ_{name}" if name else str(property)


cdef int refuse_buffer(object error, object data, str what) except -1:
    """Raise anew what PyObject_GetBuffer() raised, and name the argument."""
    if isinstance(error, TypeError):
        raise TypeError(f"{what}: bytes or another buffer, not {type(data).__name__}"
                        + (": encode it" if isinstance(data, str) else "")) from None
    if isinstance(error, (BufferError, ValueError)):  # the second is NumPy's
        kind = BufferError if isinstance(error, BufferError) else ValueError
        raise kind(f"{what}: {error}") from None
    raise error


cdef bytes c_string(object value, str what):
    """Return a str or bytes as the bytes of a C string."""
    cdef bytes text
    if isinstance(value, str):
        try:
            text = (<str> value).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            text = None
        if text is None:  # raised out here: that error holds the value, maybe a secret
            raise ValueError(f"{what}: a lone surrogate that is no byte")
    elif isinstance(value, bytes):
        text = value
    else:
        raise TypeError(f"{what}: str or bytes, not {type(value).__name__}")
    if b"\0" in text:
        raise ValueError(f"{what}: no NUL allowed")
    return text


cdef tuple find(int option, type kind, str call):
    """Return (name, C type, access) of an option, known or declared by `kind`."""
    entry = OPTIONS.get(option)
    if entry is not None:
        return entry
    if kind is int:
        return str(option), INT, "rw"
    if kind is bytes:
        return str(option), BINARY, "rw"
    for access in "wr":
        known = CONTEXT_OPTIONS.get((option, access))
        if known is not None:
            raise ValueError(f"{call}: option: {option} is ZMQ_{known[0]}, of "
                             "contexts: Context.set() and get()")
    raise ValueError(f"{call}: option: {option} is not one that zraw knows; "
                     "say type=int or type=bytes")


cdef object get_option(GuardedSocket socket, int option, type kind):
    """zmq_getsockopt() by the option's C type."""
    cdef str access
    cdef int c_type, rc, err
    _, c_type, access = find(option, kind, "getsockopt()")
    cdef char buffer[8192]
    cdef size_t size = sizeof(buffer)
    buffer[0] = 0
    if option == ZMQ_FD and sizeof(zmq_fd_t) > sizeof(int):
        c_type = UINT64  # a SOCKET of Windows
    if c_type == INT:
        size = sizeof(int)
    elif c_type == INT64 or c_type == UINT64:
        size = sizeof(int64_t)
    elif c_type == KEY:
        size = 41
    enter(socket, "getsockopt()")
    rc = zmq_getsockopt(socket.ptr, option, buffer, &size)
    err = zmq_errno() if rc < 0 else 0
    while err == EINTR:
        err = socket.run_handlers("getsockopt()")
        if not err:
            rc = zmq_getsockopt(socket.ptr, option, buffer, &size)
            err = zmq_errno() if rc < 0 else 0
    leave(socket)
    if err:
        fail(err, socket.describe(f"getsockopt({option_name(option)})")
             + (": it can only be set" if "r" not in access else ""))
    if c_type == INT:
        return (<int *> buffer)[0]
    if c_type == INT64:
        return (<int64_t *> buffer)[0]
    if c_type == UINT64:
        return (<uint64_t *> buffer)[0]
    if c_type == BINARY:
        return buffer[:size]
    return buffer[:strlen(buffer)].decode("utf-8", "surrogateescape")


cdef int set_option(GuardedSocket socket, int option, object value,
                    type kind) except -1:
    """zmq_setsockopt() by the option's C type."""
    cdef str access, call, what
    cdef int c_type, rc, err, number = 0
    cdef int64_t wide = 0
    cdef uint64_t unsigned_wide = 0
    cdef Py_buffer view
    cdef bint held = False
    cdef const void *data = &number
    cdef object given = value
    cdef size_t size = sizeof(int)
    _, c_type, access = find(option, kind, "setsockopt()")
    call = f"setsockopt({option_name(option)})"
    if socket.type == ZMQ_REP and option in NOT_ON_REP or (
            socket.type == ZMQ_PUB and option in NOT_ON_PUB):
        fail(EINVAL, f"{call}: not an option of {type_name(socket.type)}")
    if value is None:
        if "0" not in access:
            raise TypeError(f"{call}: value: None clears other options, not this one")
        data = NULL
        size = 0
    elif c_type == INT:
        number = to_number(value, f"{call}: value", -2**31, 2**31 - 1)
    elif c_type == UINT:
        number = <int> <unsigned int> to_number(value, f"{call}: value", 0, 2**32 - 1)
    elif c_type == INT64:
        wide = to_number(value, f"{call}: value", -2**63, 2**63 - 1)
        data, size = &wide, sizeof(wide)
    elif c_type == UINT64:
        unsigned_wide = to_number(value, f"{call}: value", 0, 2**64 - 1)
        data, size = &unsigned_wide, sizeof(unsigned_wide)
    else:
        if c_type == STRING or c_type == KEY and isinstance(value, str):
            value = c_string(value, f"{call}: value")
        try:
            PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
        except Exception as error:
            refuse_buffer(error, value, f"{call}: value")
        if c_type == KEY and view.len != 32 and view.len != 40:
            PyBuffer_Release(&view)
            raise ValueError(f"{call}: value: 32 raw bytes or 40 characters of Z85")
        held = True
        # Not NULL, even if empty: libzmq gives NULL a meaning of its own.
        data, size = view.buf, view.len
        if size == 0:
            data = <const char *> b""
    try:
        enter(socket, call)
        rc = zmq_setsockopt(socket.ptr, option, data, size)
        err = zmq_errno() if rc < 0 else 0
        while err == EINTR:
            err = socket.run_handlers(call)
            if not err:
                rc = zmq_setsockopt(socket.ptr, option, data, size)
                err = zmq_errno() if rc < 0 else 0
        leave(socket)
    finally:
        if held:
            PyBuffer_Release(&view)
    if err:
        what = "" if "s" in access else f" = {given!r}"
        fail(err, socket.describe(call + what)
             + (": it can only be read" if "w" not in access
                else advice(err, option, size)))
    if option == ZMQ_SUBSCRIBE:
        socket.subscribed = True
    return 0


cdef str advice(int err, int option, size_t size):
    """Return what an option is for, where libzmq only says that it is not for this."""
    if err == EINVAL and (option == ZMQ_SUBSCRIBE or option == ZMQ_UNSUBSCRIBE):
        return ": it is for ZMQ_SUB"
    if err == EINVAL and option == ZMQ_ROUTING_ID and not 0 < size < 256:
        return ": 1 to 255 bytes"
    return ""
