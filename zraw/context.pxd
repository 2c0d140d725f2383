from libc.stdint cimport uint32_t


cdef class Context:
    cdef void *ptr                # NULL: never opened, being terminated, or gone
    cdef uint32_t generation      # fork_generation at opening; 0: not open
    cdef bint borrowed
    cdef bint terminating         # term() began; it may have been interrupted
    cdef bint running             # a thread is inside zmq_ctx_term()
    cdef int linger_at_exit
    cdef object open_sockets      # WeakSet
    cdef object __weakref__

    cdef int check(self, str call) except -1
    cdef int end(self) except -1
    cdef int destruct(self) noexcept
    cdef int add(self, object socket) except -1
    cdef int discard(self, object socket) except -1

cdef void set_socket_type(object type) noexcept
