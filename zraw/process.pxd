# What concerns the whole process: its time, its forks, its end.

from libc.stdint cimport int64_t, uint32_t

# Counts forks: an object whose number differs belongs to another process.
cdef uint32_t fork_generation


cdef int64_t monotonic_ns() noexcept nogil
cdef void nap(long microseconds) noexcept nogil
cdef void block_signals() noexcept nogil
cdef void begin_exit() noexcept
cdef bint is_exiting() noexcept nogil
cdef void sleep_for_good() noexcept nogil
