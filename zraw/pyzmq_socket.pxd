# pyzmq's Socket, for zraw.pyzmq.

from zraw.pyzmq_core cimport Core


cdef class BaseSocket:
    cdef Core core
    cdef public object context
    cdef public int copy_threshold
    cdef object __weakref__

    cdef int refuse_without_draft(self) except -1


cdef Core core_of(object socket)
