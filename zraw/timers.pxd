from libc.stdint cimport uint32_t


cdef class Timers:
    cdef void *ptr            # NULL: destroyed
    cdef dict handlers        # of the timers alive, by id
    cdef dict deferred        # id: new interval, or 0 to start anew; after the round
    cdef uint32_t busy
    cdef unsigned long owner  # the thread inside execute()
    cdef bint executing
    cdef object error         # the first one of the round

    cdef int begin(self, str call) except -1
    cdef void end(self) noexcept
    cdef int known(self, int timer_id, str call) except -1
    cdef int apply(self, int timer_id, Py_ssize_t interval, str call) except -1
    cdef int restart(self, object timer_id, Py_ssize_t interval, str call) except -1
    cdef int handle(self, int timer_id) noexcept
