"""zmq_poll()."""

from libc.errno cimport EINTR
from libc.stdint cimport int64_t

from zraw.guard cimport GuardedSocket, enter, leave
from zraw.libzmq cimport zmq_errno, zmq_poll, zmq_pollitem_t
from zraw.process cimport monotonic_ns
from zraw.release cimport drain


cdef short poll_socket(GuardedSocket socket, int timeout, short events) except -1:
    """Wait for one socket; a first look keeps the GIL."""
    cdef zmq_pollitem_t item
    cdef int64_t end = monotonic_ns() + timeout * <int64_t> 1000000
    cdef int64_t left = timeout
    cdef int rc, err
    enter(socket, "poll()")
    item.socket = socket.ptr
    item.fd = 0
    item.events = events
    item.revents = 0
    rc = zmq_poll(&item, 1, 0)
    err = zmq_errno() if rc < 0 else 0
    while err == EINTR or (rc == 0 and left):
        # Those of signals that came before the wait, too.
        err = socket.run_handlers("poll()")
        if err:
            break
        if timeout > 0:
            left = max(0, (end - monotonic_ns() + 999999) // 1000000)
        with nogil:
            rc = zmq_poll(&item, 1, <long> left)
            err = zmq_errno() if rc < 0 else 0
        if err != EINTR:
            break
    leave(socket)
    if err:
        socket.raise_errno(err, "poll()")
    drain()
    return item.revents
