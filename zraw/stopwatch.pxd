cdef class Stopwatch:
    cdef void *ptr    # NULL: stopped

    cdef int check(self, str call) except -1
