# pyzmq's Context, for zraw.pyzmq.

from zraw.context cimport Context as Core


cdef class Context:
    cdef Core core
    cdef bint over      # term() was called
    cdef bint shadows
    cdef object __weakref__

    cdef int refuse_closed(self) except -1
