"""The part of Socket that monitors it: zmq_socket_monitor() and the like."""

cimport cython
from libc.errno cimport EINTR
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from zraw.endpoint cimport refuse_zap_endpoint
from zraw.error cimport fail, fail_draft
from zraw.guard cimport GuardedSocket, enter, leave, to_int, to_number, zraw_next
from zraw.libzmq cimport (
    EFSM,
    ZMQ_DEALER,
    ZMQ_LINGER,
    ZMQ_PAIR,
    ZMQ_PUB,
    ZMQ_PULL,
    ZMQ_PUSH,
    ZMQ_RCVHWM,
    ZMQ_SUB,
    ZMQ_SUBSCRIBE,
    zmq_bind,
    zmq_close,
    zmq_connect,
    zmq_errno,
    zmq_setsockopt,
    zmq_socket,
    zmq_socket_monitor,
    zmq_socket_monitor_pipes_stats,
    zmq_socket_monitor_versioned,
    zmq_unbind,
)
from zraw.option cimport c_string

# The type of the reader, by that of the monitor.
cdef dict READERS = {ZMQ_PAIR: ZMQ_PAIR, ZMQ_PUB: ZMQ_SUB, ZMQ_PUSH: ZMQ_PULL}
cdef uint32_t monitors = 0    # made so far; each has a name and a number of its own


cdef int set_plain(GuardedSocket socket, int option, const void *value,
                   size_t size) noexcept:
    """zmq_setsockopt(); return 0 or the errno."""
    cdef int rc = zmq_setsockopt(socket.ptr, option, value, size)
    while rc < 0 and zmq_errno() == EINTR:
        rc = zmq_setsockopt(socket.ptr, option, value, size)
    return zmq_errno() if rc < 0 else 0


cdef class MonitoredSocket(GuardedSocket):
    """What Socket has of monitors; not for use by itself."""

    def monitor(self, endpoint="", events=0xFFFF):
        """Report what happens to the socket's connections; return the reader.

        C call: zmq_socket_monitor()

        endpoint: "inproc://...", "" for a name that nobody else has; None stops the
            monitor.
        events: those wanted, joined by |: ZMQ_EVENT_CONNECTED, ...

        Returns: a ZMQ_PAIR, connected and without a limit; recv_event(reader) reads
            it.  Its close() stops the monitor.  None if `endpoint` is None.
        Raises: InvalidArgument (EINVAL) for an event that a monitor of this version
            does not know; ProtocolNotSupported (EPROTONOSUPPORT) unless the endpoint
            is inproc, IncompatibleProtocol (ENOCOMPATPROTO) if the socket could
            not have it either; AddressInUse (EADDRINUSE); TooManySockets (EMFILE);
            ContextTerminated (ETERM); NotASocket (ENOTSOCK); SocketInUse (EBUSY).
        """
        cdef int wanted = to_int(events, "monitor(): events")
        return self.start_monitor(endpoint, <uint32_t> wanted, 0, ZMQ_PAIR, "monitor()")

    def monitor_versioned(self, endpoint="", events=0x1FFFF, event_version=2,
                          type=0):
        """Report what happens to the socket's connections, in a form of choice.

        C call: zmq_socket_monitor_versioned() (draft)

        endpoint: as for monitor().
        events: those wanted, joined by |; ZMQ_EVENT_PIPES_STATS is one of version 2.
        event_version: 1 or 2; recv_event() reads the first, recv_event_v2() the other.
        type: of the monitor: ZMQ_PAIR, ZMQ_PUB or ZMQ_PUSH.

        Returns: the reader, a ZMQ_PAIR, ZMQ_SUB or ZMQ_PULL, as monitor() does.
        Raises: as monitor(); ValueError for another version or type; NotSupported
            (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.3.2
        """
        cdef uint64_t wanted = to_number(events, "monitor_versioned(): events", 0,
                                         2**64 - 1)
        cdef int version = to_int(event_version, "monitor_versioned(): event_version")
        cdef int kind = to_int(type, "monitor_versioned(): type")
        if version != 1 and version != 2:
            raise ValueError("monitor_versioned(): event_version: 1 or 2, not "
                             f"{version}")
        if kind not in READERS:
            raise ValueError("monitor_versioned(): type: ZMQ_PAIR, ZMQ_PUB or "
                             f"ZMQ_PUSH, not {kind}")
        if <void *> zmq_socket_monitor_versioned == NULL:
            fail_draft("monitor_versioned()")
        return self.start_monitor(endpoint, wanted, version, kind,
                                  "monitor_versioned()")

    def monitor_pipes_stats(self):
        """Ask the monitor for an event with the lengths of every pipe's queues.

        C call: zmq_socket_monitor_pipes_stats() (draft)

        The events, ZMQ_EVENT_PIPES_STATS, come while calls are made on the socket.

        Raises: InvalidArgument (EINVAL) unless a monitor waits for them; Again
            (EAGAIN) without a connection; NotSupported (ENOTSUP) without libzmq's
            draft API; NotASocket (ENOTSOCK); SocketInUse (EBUSY).
        Since: libzmq 4.3.2
        """
        cdef int rc, err
        if <void *> zmq_socket_monitor_pipes_stats == NULL:
            fail_draft("monitor_pipes_stats()")
        enter(self, "monitor_pipes_stats()")
        rc = zmq_socket_monitor_pipes_stats(self.ptr)
        err = zmq_errno() if rc < 0 else 0
        leave(self)
        if err:
            self.raise_errno(err, "monitor_pipes_stats()")

    cdef object start_monitor(self, object endpoint, uint64_t events, int version,
                              int kind, str call):
        """Start or stop a monitor; version 0 stands for zmq_socket_monitor()."""
        cdef MonitoredSocket reader = None
        cdef bytes text = b""
        cdef const char *address = NULL
        cdef void *scratch
        cdef uint32_t serial = 0
        cdef int rc, err, nothing = 0
        enter(self, call)  # refuses a closed one, and one that was never opened
        leave(self)
        if endpoint is not None:
            text = c_string(endpoint, f"{call}: endpoint")
            refuse_zap_endpoint(kind, text, call)
            serial = zraw_next(&monitors)
            if not text:
                text = b"inproc://zraw.monitor.%d" % serial
            address = text
        if text.startswith(b"inproc://"):
            # All that may fail for want of something comes before the monitor starts.
            reader = self.context.socket(READERS[kind])
            err = set_plain(reader, ZMQ_RCVHWM, &nothing, sizeof(nothing))
            err = err or set_plain(reader, ZMQ_LINGER, &nothing, sizeof(nothing))
            if kind == ZMQ_PUB:
                err = err or set_plain(reader, ZMQ_SUBSCRIBE, b"", 0)
            if err:
                reader.close()
                self.raise_errno(err, call)
        try:
            enter(self, call)
            if reader is not None:
                # Who connected to the name before would be the monitor's only peer.
                scratch = zmq_socket(self.context.ptr, ZMQ_DEALER)
                if scratch != NULL:
                    zmq_setsockopt(scratch, ZMQ_LINGER, &nothing, sizeof(nothing))
                    if zmq_bind(scratch, address) == 0:
                        while (zmq_unbind(scratch, address) < 0
                                and zmq_errno() == EINTR):
                            pass
                    zmq_close(scratch)
            # Whoever closes the reader before this one is not to stop this monitor.
            with cython.critical_section(self):
                if version:
                    rc = zmq_socket_monitor_versioned(self.ptr, address, events,
                                                      version, kind)
                else:
                    rc = zmq_socket_monitor(self.ptr, address, <int> events)
                err = zmq_errno() if rc < 0 else 0
                if not err:
                    self.monitor_serial = serial
            # Without a handler of signals in between: libzmq's threads wait for it.
            while not err and reader is not None and zmq_connect(
                    reader.ptr, address) < 0:
                err = zmq_errno() if zmq_errno() != EINTR else 0
            leave(self)
            if err:
                self.raise_errno(err, f"{call}: {endpoint!r}")
        except BaseException:
            if reader is not None:
                reader.close()
            raise
        if reader is not None:
            reader.monitored = self
            reader.monitor_serial = serial
        return reader

    cdef int keep_reading(self, str call) except -1:
        """Refuse what would let libzmq wait for the reader of a monitor."""
        if self.monitored is not None:
            fail(EFSM, self.describe(call)
                 + ": it reads a monitor, and stays as it is until close()")
        return 0
