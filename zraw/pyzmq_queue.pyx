"""proxy(), proxy_steerable(), device() and monitored_queue() of zraw.pyzmq."""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR
from libc.stddef cimport size_t

from zraw.guard cimport hold, release_all
from zraw.libzmq cimport (
    ZMQ_POLLIN,
    ZMQ_ROUTER,
    ZMQ_SNDMORE,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_init,
    zmq_msg_more,
    zmq_msg_recv,
    zmq_msg_send,
    zmq_msg_t,
    zmq_poll,
    zmq_pollitem_t,
    zmq_send,
)
from zraw.pyzmq_core cimport Core
from zraw.pyzmq_error cimport translated
from zraw.pyzmq_socket cimport BaseSocket, core_of

from zraw import proxying
from zraw.error import ZMQError

cdef struct way_t:
    void *source
    void *target
    void *side          # gets a copy of every message,
    const char *prefix  # with this frame before it
    size_t prefix_size
    bint swap           # both are ROUTERs: the second frame says who it is for


cdef int go_on() except -1 nogil:
    """After a failure in mid-message: the errno; 0 for a signal, handled by now."""
    cdef int err = zmq_errno()
    if err != EINTR:
        return err
    with gil:
        PyErr_CheckSignals()
    return 0


cdef int take(void *socket, zmq_msg_t *msg) except -1 nogil:
    """Receive a frame; return 0 or the errno, as the functions below do."""
    cdef int err
    while zmq_msg_recv(msg, socket, 0) < 0:
        err = go_on()
        if err:
            return err
    return 0


cdef int give(void *socket, zmq_msg_t *msg, int flags) except -1 nogil:
    """Send a frame."""
    cdef int err
    while zmq_msg_send(msg, socket, flags) < 0:
        err = go_on()
        if err:
            return err
    return 0


cdef int pass_on(way_t *way, zmq_msg_t *msg, bint more) except -1 nogil:
    """Send a frame on, and a copy of it to the side."""
    cdef zmq_msg_t copy
    cdef int flags = ZMQ_SNDMORE if more else 0, err
    zmq_msg_init(&copy)
    try:
        if zmq_msg_copy(&copy, msg) < 0:
            return zmq_errno()
        err = give(way.target, &copy, flags)
    finally:
        zmq_msg_close(&copy)
    return err if err else give(way.side, msg, flags)


cdef int pass_message(way_t *way) except -1 nogil:
    """Pass on the message that is there."""
    cdef zmq_msg_t msg, second
    cdef bint more = True
    cdef int err
    while zmq_send(way.side, way.prefix, way.prefix_size, ZMQ_SNDMORE) < 0:
        err = go_on()
        if err:
            return err
    zmq_msg_init(&msg)
    zmq_msg_init(&second)
    try:
        if way.swap:
            err = take(way.source, &msg) or take(way.source, &second)
            if err:
                return err
            more = zmq_msg_more(&second)
            err = pass_on(way, &second, True) or pass_on(way, &msg, more)
            if err:
                return err
        while more:
            err = take(way.source, &msg)
            if err:
                return err
            more = zmq_msg_more(&msg)
            err = pass_on(way, &msg, more)
            if err:
                return err
    finally:
        zmq_msg_close(&msg)
        zmq_msg_close(&second)
    return 0


cdef int pass_messages(way_t *ways) except -1 nogil:
    """Pass on messages in both directions, until something fails."""
    cdef zmq_pollitem_t items[2]
    cdef int i, err
    for i in range(2):
        items[i].socket = ways[i].source
        items[i].fd = 0
        items[i].events = ZMQ_POLLIN
    while True:
        if zmq_poll(items, 2, -1) < 0:
            return zmq_errno()
        for i in range(2):
            if items[i].revents:
                err = pass_message(&ways[i])
                if err:
                    return err


def monitored_queue(in_socket, out_socket, mon_socket, in_prefix=b"in",
                    out_prefix=b"out"):
    """Forward messages between two sockets; a third one gets each, after a prefix.

    Between two ROUTERs the second frame of a message says which peer it is for.

    Waits: until the context is terminated; it never returns.
    """
    cdef Core first = core_of(in_socket), second = core_of(out_socket)
    cdef Core side = core_of(mon_socket)
    cdef bytes there = bytes(in_prefix), back = bytes(out_prefix)
    cdef bint swap = first.type == ZMQ_ROUTER and second.type == ZMQ_ROUTER
    cdef way_t ways[2]
    cdef list held
    cdef int err = EINTR
    while err == EINTR:
        # With every guard free: handlers may use the sockets, and close them.
        PyErr_CheckSignals()
        held = hold([first, second, side], "monitored_queue()")
        ways[0] = way_t(first.ptr, second.ptr, side.ptr, there, len(there), swap)
        ways[1] = way_t(second.ptr, first.ptr, side.ptr, back, len(back), swap)
        try:
            with nogil:
                err = pass_messages(ways)
        finally:
            release_all(held)
    first.raise_errno(err, "monitored_queue()")


def proxy(frontend, backend, capture=None):
    """Forward messages between two sockets until their context is terminated."""
    try:
        proxying.proxy(core_of(frontend), core_of(backend), maybe(capture))
    except ZMQError as error:
        raise translated(error) from None


def proxy_steerable(frontend, backend, capture=None, control=None):
    """Forward messages as proxy() does, and obey commands from a control socket."""
    try:
        proxying.proxy_steerable(core_of(frontend), core_of(backend), maybe(capture),
                                 maybe(control))
    except (ZMQError, ValueError) as error:
        raise translated(error) from None
    return 0


def device(device_type, frontend, backend=None):
    """Run proxy(), whatever the type; pyzmq 25 has it."""
    proxy(frontend, frontend if backend is None else backend)


cdef object maybe(object socket):
    """Return the core of an argument that may be missing."""
    return core_of(socket) if isinstance(socket, BaseSocket) else None
