"""zmq_proxy() and zmq_proxy_steerable()."""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR

from zraw.error cimport fail
from zraw.guard cimport GuardedSocket, check_not_terminated, hold, release_all
from zraw.libzmq cimport zmq_errno, zmq_proxy, zmq_proxy_steerable


cdef void *pointer(GuardedSocket socket) noexcept:
    return NULL if socket is None else socket.ptr


cdef int forward(list sockets, bint steerable, str call) except -1:
    """Run a proxy over [frontend, backend, capture, control], None for one missing."""
    cdef list given = [socket for socket in sockets if socket is not None]
    cdef list held
    cdef void *frontend
    cdef void *backend
    cdef void *capture
    cdef void *control
    cdef int rc, err = EINTR
    while err == EINTR:
        # With every guard free: handlers may use the sockets, and close them.
        PyErr_CheckSignals()
        held = hold(given, call)
        check_not_terminated(held, call)
        frontend, backend = pointer(sockets[0]), pointer(sockets[1])
        capture, control = pointer(sockets[2]), pointer(sockets[3])
        with nogil:
            if steerable:
                rc = zmq_proxy_steerable(frontend, backend, capture, control)
            else:
                rc = zmq_proxy(frontend, backend, capture)
            err = zmq_errno() if rc < 0 else 0
        release_all(held)
    if err:
        fail(err, call)
    return 0


def proxy(GuardedSocket frontend not None, GuardedSocket backend not None,
          GuardedSocket capture=None):
    """Forward messages between two sockets until their context is terminated.

    C call: zmq_proxy()

    frontend, backend: ZMQ_ROUTER and ZMQ_DEALER, ZMQ_XSUB and ZMQ_XPUB, ZMQ_PULL
        and ZMQ_PUSH, or one socket twice.
    capture: gets a copy of every message: ZMQ_PUB, ZMQ_PUSH, ZMQ_DEALER or ZMQ_PAIR.

    Signal handlers run, and the proxy goes on; libzmq may drop the message that it
    is forwarding at that moment.  Context.shutdown() in another thread ends it.

    Waits: until the context is shut down; it never returns.
    Raises: ContextTerminated (ETERM); NotASocket (ENOTSOCK); NotSupported (ENOTSUP)
        if one cannot send or receive what it has to; SocketInUse (EBUSY).
    """
    forward([frontend, backend, capture, None], False, "proxy()")


def proxy_steerable(GuardedSocket frontend not None, GuardedSocket backend not None,
                    GuardedSocket capture=None, GuardedSocket control=None):
    """Forward messages as proxy() does, and obey commands from a control socket.

    C call: zmq_proxy_steerable()

    frontend, backend, capture: as for proxy().
    control: ZMQ_PAIR, ZMQ_PULL or ZMQ_SUB, or ZMQ_REP and ZMQ_DEALER where replies
        are wanted.  It receives b"PAUSE", b"RESUME", b"TERMINATE", and b"STATISTICS",
        which is answered with eight frames of eight bytes, native unsigned integers:
        messages and bytes received and sent by the frontend, then by the backend.

    libzmq 4.3.4 aborts the process on any other command, and answers none but
    STATISTICS, so that ZMQ_REP is stuck.  4.3.5 has PAUSE and RESUME broken: PAUSE
    does not pause, RESUME stops the flow; it answers every command with an empty
    message, on any type, and ends with an error on types that cannot send.  Both
    count differently: 4.3.4 messages, later ones frames.

    Waits: until TERMINATE comes, or the context is shut down.
    Raises: as proxy().
    """
    forward([frontend, backend, capture, control], True, "proxy_steerable()")
