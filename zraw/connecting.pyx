"""The half of Socket that sets it up: options, endpoints, peers, groups."""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from libc.errno cimport EADDRINUSE, EINTR, EINVAL
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

from zraw.endpoint cimport endpoint_bytes, endpoint_call, part, refuse_zap_abort
from zraw.error cimport fail, fail_draft
from zraw.guard cimport (
    UDP,
    UNBOUND,
    WHOLE,
    GuardedSocket,
    enter,
    leave,
    partings,
    socket_int,
    to_int,
    to_number,
    zraw_next,
    zraw_seen,
)
from zraw.libzmq cimport (
    EFSM,
    ENOCOMPATPROTO,
    ZMQ_CONFLATE,
    ZMQ_CONNECT_ROUTING_ID,
    ZMQ_FD,
    ZMQ_LAST_ENDPOINT,
    ZMQ_LINGER,
    ZMQ_RCVHWM,
    ZMQ_SNDHWM,
    ZMQ_STREAM,
    zmq_bind,
    zmq_connect,
    zmq_connect_peer,
    zmq_disconnect,
    zmq_disconnect_peer,
    zmq_errno,
    zmq_getsockopt,
    zmq_has,
    zmq_join,
    zmq_leave,
    zmq_socket_get_peer_state,
    zmq_unbind,
)
from zraw.monitoring cimport MonitoredSocket
from zraw.option cimport (
    c_string,
    get_option,
    option_name,
    refuse_buffer,
    set_option,
)

from zraw import library

cdef enum:
    DGRAM = 18  # ZMQ_DGRAM and the like: drafts
    WSS_KEY_PEM = 103
    WSS_CERT_PEM = 104

cdef bint HWM_REACHES_THE_LIVING = library.version() >= (4, 3, 6)


cdef str as_str(object endpoint):
    return (endpoint if isinstance(endpoint, str)
            else bytes(endpoint).decode("utf-8", "surrogateescape"))


cdef bint is_inproc(object endpoint) except -1:
    """Whether no connection of it can break; other objects are refused later."""
    return isinstance(endpoint, (str, bytes)) and as_str(endpoint).startswith("inproc:")


cdef int note_end(GuardedSocket socket, str verb, object given, str actual) except -1:
    """Remember an endpoint, for whoever looks for a hang.

    Without the guard, which would stay taken if no memory is left for it.

    given: what the caller will name it by: an endpoint, or a peer's routing id.
    """
    socket.ends.append((verb, given, actual))
    return 0


cdef int forget_end(GuardedSocket socket, str verb, object given) except -1:
    for end in list(socket.ends):
        if end[0] == verb and (end[1] == given or end[2] == given):
            with cython.critical_section(socket):
                if end in socket.ends:  # another thread may have been faster
                    socket.ends.remove(end)
            break
    return 0


cdef class ConnectingSocket(MonitoredSocket):
    """What Socket has beside sending and receiving; not for use by itself."""

    def getsockopt(self, option, type type=None):
        """Return an option: int, bytes or str, by its C type.

        C call: zmq_getsockopt()

        type: int or bytes, for an option that zraw does not know.

        Raises: InvalidArgument (EINVAL) if libzmq or the socket type lacks the
            option, or it can only be set; ContextTerminated (ETERM); NotASocket
            (ENOTSOCK); SocketInUse (EBUSY).
        """
        return get_option(self, to_int(option, "getsockopt(): option"), type)

    def setsockopt(self, option, value, type type=None):
        """Set an option.

        C call: zmq_setsockopt()

        value: by the option's C type: int; bytes or another buffer; str or bytes
            without NUL; a CURVE key as 32 raw bytes or 40 characters of Z85.
            None clears an option where C's NULL does.
        type: int or bytes, for an option that zraw does not know.

        Raises: TypeError; OverflowError if an int does not fit the C type;
            InvalidArgument (EINVAL) if libzmq or the socket type lacks the option,
            or refuses the value; AddressInUse (EADDRINUSE) for a
            ZMQ_CONNECT_ROUTING_ID that a peer has already; InvalidState (EFSM) on
            the reader of a monitor, and for ZMQ_SNDHWM and ZMQ_RCVHWM of a socket
            with an endpoint of inproc after any other left inproc (libzmq before
            4.3.6 would write into freed memory); ContextTerminated (ETERM); NotASocket
            (ENOTSOCK); SocketInUse (EBUSY).
        """
        cdef int number = to_int(option, "setsockopt(): option")
        if number == ZMQ_CONNECT_ROUTING_ID and self.routing_ids is not None:
            # libzmq would abort the process at the next connect.
            if PyObject_CheckBuffer(value) and bytes(value) in self.routing_ids:
                fail(EADDRINUSE, self.describe("setsockopt(ZMQ_CONNECT_ROUTING_ID)")
                     + ": a peer has this routing id")
        if number == ZMQ_RCVHWM or number == ZMQ_SNDHWM:
            self.keep_reading(f"setsockopt({option_name(number)})")
            self.spare_the_gone(f"setsockopt({option_name(number)})")
        set_option(self, number, value, type)
        if number == ZMQ_CONNECT_ROUTING_ID:
            self.next_routing_id = bytes(value)
        elif number == ZMQ_CONFLATE:
            self.detour &= ~<uint32_t> WHOLE
            if to_int(value, ""):
                self.detour |= WHOLE
        elif number == WSS_KEY_PEM or number == WSS_CERT_PEM:
            self.wss_keys |= <uint32_t> (1 if number == WSS_KEY_PEM else 2)

    def bind(self, endpoint):
        """Accept connections on an endpoint; return the endpoint really bound.

        C call: zmq_bind(); zmq_getsockopt() with ZMQ_LAST_ENDPOINT

        endpoint: str or bytes, as "tcp://*:5555", "tcp://127.0.0.1:*",
            "ipc:///tmp/x", "inproc://x".

        Returns: "tcp://127.0.0.1:54321" for "tcp://127.0.0.1:*", and so on.
        Raises: AddressInUse (EADDRINUSE), AddressNotAvailable (EADDRNOTAVAIL),
            ProtocolNotSupported (EPROTONOSUPPORT), IncompatibleProtocol
            (ENOCOMPATPROTO), InvalidArgument (EINVAL), NoIOThread (EMTHREAD),
            ContextTerminated (ETERM), NotASocket (ENOTSOCK), SocketInUse (EBUSY),
            InvalidState (EFSM) on the reader of a monitor; FileExists (EEXIST) for an
            ipc path where a file is that is no socket, which libzmq would remove;
            ValueError for an endpoint that libzmq would misread.  Whatever else the
            system says of an address comes as ZMQError or the class of its errno:
            NotFound (ENOENT) for a folder that is missing, for one.
        """
        cdef char last[1024]
        cdef size_t size = sizeof(last)
        cdef int rc
        cdef str transport = self.transport_of(endpoint, "bind()")
        if transport == "wss" and self.wss_keys != 3 and zmq_has("WSS"):
            fail(EINVAL, f"bind({endpoint!r}): ZMQ_WSS_KEY_PEM and ZMQ_WSS_CERT_PEM "
                 "come first")  # libzmq would abort the process
        self.link(transport)
        endpoint_call(self, zmq_bind, endpoint, "bind")
        self.detour &= ~<uint32_t> UNBOUND
        rc = zmq_getsockopt(self.ptr, ZMQ_LAST_ENDPOINT, last, &size)
        leave(self)
        bound = as_str(endpoint if rc < 0 else <bytes> (<char *> last))
        if "://" not in bound:  # libzmq leaves it out for udp
            bound = f"{transport}://{bound}"
        note_end(self, "bind", endpoint, bound)
        return bound

    def connect(self, endpoint):
        """Connect to an endpoint, now and whenever the connection breaks.

        C call: zmq_connect()

        endpoint: str or bytes, as "tcp://localhost:5555".

        Success says nothing about the peer: libzmq connects in the background.

        Raises: as bind().
        """
        cdef str transport = self.transport_of(endpoint, "connect()")
        self.link(transport)
        endpoint_call(self, zmq_connect, endpoint, "connect")
        if transport == "udp":
            self.detour |= UDP
        try:
            if self.next_routing_id is not None:
                if self.routing_ids is None:
                    self.routing_ids = set()
                self.routing_ids.add(self.next_routing_id)
                self.next_routing_id = None
        finally:
            leave(self)
        note_end(self, "connect", endpoint, as_str(endpoint))

    cdef str transport_of(self, object endpoint, str call):
        """Return "tcp" and so on, if the socket's type can have the endpoint."""
        cdef bytes text = endpoint_bytes(endpoint, call)
        cdef str transport = text.partition(b"://")[0].decode("latin-1")
        if (self.type == DGRAM and transport != "udp"
                or self.type == ZMQ_STREAM and transport == "inproc"):
            # libzmq takes it, and aborts the process later: at the next send on a
            # DGRAM, and at the first message of several frames for a STREAM.
            fail(ENOCOMPATPROTO, f"{self.describe(call)}: {endpoint!r}")
        return transport

    cdef int link(self, str transport) except -1:
        """Note that it has connections now, or soon; see spare_the_gone()."""
        if transport != "inproc":
            self.linked = True
        elif not self.linked_inside:
            self.linked_inside = True
            self.partings_then = zraw_seen(&partings)
        return 0

    def unbind(self, endpoint):
        """Stop accepting connections on an endpoint.

        C call: zmq_unbind()

        endpoint: as bind() returned it.

        It takes about 0.2 ms: until its connections are taken down.

        Raises: NotFound (ENOENT) if it is not bound; otherwise as bind().
        """
        cdef bint remote = not is_inproc(endpoint)
        cdef void *context
        self.keep_reading("unbind()")
        endpoint_call(self, zmq_unbind, endpoint, "unbind")
        if remote:
            context = self.context.ptr
            with nogil:
                part(self.ptr, context, 2)
        else:
            zraw_next(&partings)
        if self.type == DGRAM:
            self.detour |= UNBOUND
        leave(self)
        forget_end(self, "bind", endpoint)

    def disconnect(self, endpoint):
        """Disconnect from an endpoint; messages queued for it obey ZMQ_LINGER.

        C call: zmq_disconnect()

        endpoint: as given to connect().

        With a ZMQ_LINGER of 0 it takes about 0.2 ms: until libzmq has done it.

        Raises: NotFound (ENOENT) if it is not connected; otherwise as bind().
        """
        cdef bint remote = not is_inproc(endpoint)
        cdef void *context
        self.keep_reading("disconnect()")
        endpoint_call(self, zmq_disconnect, endpoint, "disconnect")
        # Otherwise what is queued may still be sent, and nothing is to be parted yet.
        if not remote:
            zraw_next(&partings)
        elif socket_int(self.ptr, ZMQ_LINGER) == 0:
            context = self.context.ptr
            with nogil:
                part(self.ptr, context, 2)
        leave(self)
        forget_end(self, "connect", endpoint)

    def connect_peer(self, endpoint):
        """Connect a ZMQ_PEER, and return the routing id of the peer there.

        C call: zmq_connect_peer() (draft)

        endpoint: as for connect().

        Returns: the number to give to Message.set_routing_id(), valid at once.
        Raises: NotSupported (ENOTSUP) on other types, or without libzmq's draft API;
            InvalidHandle (EFAULT) with ZMQ_IMMEDIATE; otherwise as bind().
        Since: libzmq 4.3.3
        """
        cdef bytes text = endpoint_bytes(endpoint, "connect_peer()")
        cdef str call = f"connect_peer({endpoint!r})"
        cdef const char *address = text
        cdef uint32_t routing_id
        cdef int err = EINTR
        if <void *> zmq_connect_peer == NULL:
            fail_draft(call)
        enter(self, call)
        refuse_zap_abort(self, call)
        while err == EINTR:
            with nogil:
                routing_id = zmq_connect_peer(self.ptr, address)
                err = zmq_errno() if routing_id == 0 else 0
            if err == EINTR:
                err = self.run_handlers(call) or EINTR
        leave(self)
        if err:
            self.raise_errno(err, call)
        note_end(self, "connect", routing_id, as_str(endpoint))
        return routing_id

    def disconnect_peer(self, routing_id):
        """Give up a peer of a ZMQ_SERVER or ZMQ_PEER.

        C call: zmq_disconnect_peer() (draft)

        routing_id: 1 to 2**32 - 1, as connect_peer() or Message.routing_id() gave it.

        The connection itself may stay: libzmq gives up the queues alone.

        Raises: HostUnreachable (EHOSTUNREACH) if no peer has it; NotSupported
            (ENOTSUP) on other types, or without libzmq's draft API; NotASocket
            (ENOTSOCK); SocketInUse (EBUSY).
        Since: libzmq 4.3.6
        """
        cdef int rc, err
        cdef uint32_t number = to_number(
            routing_id, "disconnect_peer(): routing_id", 1, 2**32 - 1)
        if <void *> zmq_disconnect_peer == NULL:
            fail_draft("disconnect_peer()")
        enter(self, "disconnect_peer()")
        rc = zmq_disconnect_peer(self.ptr, number)
        err = zmq_errno() if rc < 0 else 0
        leave(self)
        if err:
            self.raise_errno(err, f"disconnect_peer({number})")
        forget_end(self, "connect", number)

    def join(self, group):
        """Receive the messages of a group on a ZMQ_DISH.

        C call: zmq_join() (draft)

        group: str or bytes of at most ZMQ_GROUP_MAX_LENGTH bytes, no NUL.

        Raises: InvalidArgument (EINVAL) if it is joined already, or too long;
            NotSupported (ENOTSUP) on other types, or without libzmq's draft API;
            NotASocket (ENOTSOCK); SocketInUse (EBUSY).
        Since: libzmq 4.2.0
        """
        group_call(self, zmq_join, group, "join()")

    def leave(self, group):
        """Receive the messages of a group no longer.

        C call: zmq_leave() (draft)

        group: as for join().

        Raises: InvalidArgument (EINVAL) if it is not joined; NotSupported (ENOTSUP)
            and others as join().
        Since: libzmq 4.2.0
        """
        group_call(self, zmq_leave, group, "leave()")

    def get_peer_state(self, routing_id):
        """Return whether a ZMQ_ROUTER can send to a peer: ZMQ_POLLOUT or 0.

        C call: zmq_socket_get_peer_state() (draft)

        routing_id: bytes or another buffer.

        Raises: HostUnreachable (EHOSTUNREACH) if no peer has it; NotSupported
            (ENOTSUP) on other types, or without libzmq's draft API; NotASocket
            (ENOTSOCK); SocketInUse (EBUSY).
        Since: libzmq 4.2.3
        """
        cdef Py_buffer view
        cdef int state, err
        try:
            PyObject_GetBuffer(routing_id, &view, PyBUF_SIMPLE)
        except Exception as error:
            refuse_buffer(error, routing_id, "get_peer_state(): routing_id")
        try:
            if <void *> zmq_socket_get_peer_state == NULL:
                fail_draft("get_peer_state()")
            enter(self, "get_peer_state()")
            state = zmq_socket_get_peer_state(self.ptr, view.buf, view.len)
            err = zmq_errno() if state < 0 else 0
            leave(self)
        finally:
            PyBuffer_Release(&view)
        if err:
            self.raise_errno(err, "get_peer_state()")
        return state

    cdef int spare_the_gone(self, str call) except -1:
        """See to it that peers that are leaving do not hear of a new HWM.

        libzmq before 4.3.6 tells them even after their memory was freed.  What its
        own threads have of them is gone for good after part(); of one over inproc that
        has left, nobody knows when its thread notices.
        """
        cdef void *context
        if HWM_REACHES_THE_LIVING:
            return 0
        if self.linked_inside and self.partings_then != zraw_seen(&partings):
            fail(EFSM, f"{self.describe(call)}: a peer over inproc may have left; set "
                 "it before bind() and connect()")
        if self.linked:
            enter(self, call)
            context = self.context.ptr
            with nogil:
                part(self.ptr, context, 0)
            leave(self)
        return 0

    def fileno(self):
        """Return ZMQ_FD, which becomes readable when ZMQ_EVENTS may have changed.

        C call: zmq_getsockopt() with ZMQ_FD

        It is edge-triggered: look at ZMQ_EVENTS after it was readable and after
        every send and receive.  Not for select() on its own; poll() is.

        Raises: InvalidArgument (EINVAL) on thread-safe socket types; otherwise as
            getsockopt().
        """
        return get_option(self, ZMQ_FD, None)


ctypedef int (*group_function)(void *, const char *) noexcept nogil


cdef int group_call(GuardedSocket socket, group_function function, object group,
                    str call) except -1:
    """Call zmq_join() or zmq_leave()."""
    cdef bytes name = c_string(group, f"{call}: group")
    cdef int rc, err
    if <void *> function == NULL:
        fail_draft(call)
    enter(socket, call)
    rc = function(socket.ptr, name)
    err = zmq_errno() if rc < 0 else 0
    leave(socket)
    if err:
        socket.raise_errno(err, f"{call}: {group!r}")
    return 0
