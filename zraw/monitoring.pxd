from libc.stdint cimport uint64_t

from zraw.context cimport Context
from zraw.guard cimport GuardedSocket


cdef class MonitoredSocket(GuardedSocket):
    cdef readonly Context context

    cdef int keep_reading(self, str call) except -1
    cdef object start_monitor(self, object endpoint, uint64_t events, int version,
                              int kind, str call)
