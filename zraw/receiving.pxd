# One frame: how it is taken from libzmq.

from zraw.guard cimport GuardedSocket
from zraw.libzmq cimport ZMQ_DONTWAIT, zmq_msg_recv, zmq_msg_t

cdef enum:
    LARGE = 1 << 20  # bytes; a longer copy gives up the GIL


cdef int after_trial(GuardedSocket socket, zmq_msg_t *msg, int flags,
                     str call) except -1


cdef inline int recv_frame(GuardedSocket socket, zmq_msg_t *msg, int flags,
                           str call) except -1:
    """Receive one frame into `msg`; return 0 or the errno, guard held.

    libzmq looks at its commands before it answers EAGAIN to a receiver, so one
    trial with the GIL held is enough to know that the call has to wait.
    """
    if zmq_msg_recv(msg, socket.ptr, flags | ZMQ_DONTWAIT) >= 0:
        return 0
    return after_trial(socket, msg, flags, call)


cdef bytes body(zmq_msg_t *msg)
cdef bytes recv_bytes(GuardedSocket socket, int flags, int *err, str call)
cdef int copy_memory(void *target, const void *source, size_t size) except -1
cdef Py_ssize_t recv_buffer(GuardedSocket socket, object buffer, int flags) except -1
