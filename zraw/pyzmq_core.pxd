# The sockets under those of zraw.pyzmq.

from libc.stdint cimport uintptr_t

from zraw.context cimport Context
from zraw.socket cimport Socket


cdef class Core(Socket):
    cdef bint ending     # close() came while another thread was inside
    cdef bint lingering  # and so did a ZMQ_LINGER, which is to be set
    cdef int late_linger

    cdef int end(self, bint given, int linger) except -1
    cdef int linger_later(self, int linger) except -1
    cdef int call_me(self) except -1


cdef Core core_at(uintptr_t address)
cdef Core make_core(Context context, int type)
