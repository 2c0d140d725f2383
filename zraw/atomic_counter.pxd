cdef class AtomicCounter:
    cdef void *ptr    # NULL: destroyed

    cdef int check(self, str call) except -1
