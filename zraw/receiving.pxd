# One frame: how it is taken from libzmq.

from zraw.guard cimport GuardedSocket
from zraw.libzmq cimport zmq_msg_t

cdef enum:
    LARGE = 1 << 20  # bytes; a longer copy gives up the GIL


cdef int recv_frame(GuardedSocket socket, zmq_msg_t *msg, int flags,
                    str call) except -1
cdef bytes body(zmq_msg_t *msg)
cdef bytes recv_bytes(GuardedSocket socket, int flags, int *err, str call)
cdef int copy_memory(void *target, const void *source, size_t size) except -1
cdef int recv_buffer(GuardedSocket socket, object buffer, int flags) except -1
