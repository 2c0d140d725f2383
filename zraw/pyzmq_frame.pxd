# pyzmq's Frame, for zraw.pyzmq.

from zraw.libzmq cimport zmq_msg_t


cdef class Flat:
    cdef Py_buffer view
    cdef Py_ssize_t size


cdef class BaseFrame:
    cdef zmq_msg_t msg
    cdef bint fixed              # its body is the caller's memory, and read-only
    cdef bint own                # its body is the caller's memory, and writable
    cdef object data             # the caller's object, or None
    cdef object view             # weak reference to the memoryview handed out
    cdef object copy             # the body as bytes, once somebody wanted it
    cdef public bint more
    cdef public object tracker
    cdef public object tracker_event

    cdef int refuse_without_draft(self) except -1


cdef BaseFrame new_frame(bint tracked)
cdef int share(BaseFrame frame, zmq_msg_t *msg) except -1
cdef int copy_into(zmq_msg_t *msg, object data) except -1
cdef object lend(zmq_msg_t *msg, object data, bint tracked)
cdef Py_ssize_t size_of(object data) except -1
cdef object flat(object data)
cdef object finished()
cdef object tracker_of(object watched)
