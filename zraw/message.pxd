from libc.stdint cimport uint32_t

from zraw.guard cimport GuardedSocket, zraw_give, zraw_seen, zraw_take
from zraw.libzmq cimport zmq_msg_t


cdef class Message:
    cdef zmq_msg_t msg
    cdef uint32_t busy         # a call is using it; see guard.pxd
    cdef uint32_t exports      # views alive
    cdef bint live             # not closed
    cdef bint writable         # made by init_size, neither sent nor copied

    cdef int refuse(self, str call) except -1
    cdef int reset(self) except -1


cdef inline int look(Message message, str call) except -1:
    """Take the message for a call that leaves the body alone, or raise."""
    if not zraw_take(&message.busy, 1):
        return message.refuse(call)
    if not message.live:
        zraw_give(&message.busy)
        return message.refuse(call)
    return 0


cdef inline bint claimed(Message message) noexcept:
    """Take the message, if it can be had, for a call that may change the body."""
    if not zraw_take(&message.busy, 1):
        return False
    if zraw_seen(&message.exports) or not message.live:
        zraw_give(&message.busy)
        return False
    return True


cdef inline int claim(Message message, str call) except -1:
    """Take the message for a call that changes or hands over the body, or raise."""
    return 0 if claimed(message) else message.refuse(call)


cdef inline void unclaim(Message message) noexcept nogil:
    zraw_give(&message.busy)


cdef Message empty_message()
cdef Py_ssize_t recv_message(GuardedSocket socket, Message message, int flags,
                             str call) except -1
