# The sockets under those of zraw.pyzmq.

from libc.stdint cimport uintptr_t

from zraw.context cimport Context
from zraw.socket cimport Socket


cdef class Core(Socket):
    cdef bint ending     # close() came while another thread was inside

    cdef int end(self, bint given, int linger) except -1
    cdef int put_linger(self, int linger) noexcept


cdef Core core_at(uintptr_t address)
cdef Core make_core(Context context, int type)
