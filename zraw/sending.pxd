# One frame, one whole message: how they are handed to libzmq.

from cpython.ref cimport PyObject
from libc.stddef cimport size_t

from zraw.guard cimport TIMED, GuardedSocket
from zraw.libzmq cimport zmq_msg_t

cdef struct frame_t:
    zmq_msg_t *msg          # or NULL: `data` is copied
    const void *data
    size_t size             # of the body, in every case
    bint constant           # `data` lives for good: zmq_send_const()
    bint keep               # send a copy of `msg`: it may be needed again
    bint own                # `msg` was made for this call
    PyObject *message       # the Message that `msg` lies in, or NULL
    Py_buffer *view         # exported for `data`, or NULL


cdef inline bint on_short_path(GuardedSocket socket) noexcept nogil:
    """True if a frame may just be offered to libzmq: nothing to watch, or time."""
    if not socket.detour:
        return True
    if socket.detour == TIMED and socket.untimed:
        socket.untimed -= 1
        return True
    return False


cdef int send_frame(GuardedSocket socket, frame_t *frame, int flags,
                    str call) except -1
cdef int send_frames(GuardedSocket socket, frame_t *frames, Py_ssize_t count,
                     int flags, str call) except -1
cdef int begin_again(GuardedSocket socket, frame_t *frames, Py_ssize_t count,
                     Py_ssize_t refused, int err, str call) except -1
cdef void note_more(GuardedSocket socket, int flags) noexcept nogil
cdef int refuse_open_message(GuardedSocket socket, int flags, str call) except -1
