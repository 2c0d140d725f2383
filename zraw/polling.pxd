from zraw.guard cimport GuardedSocket, Watcher
from zraw.libzmq cimport zmq_fd_t


cdef class Waiter(Watcher):
    cdef list sockets    # to be held while it waits
    cdef list held       # those of them that are held now, each once
    cdef bint native     # libzmq waits with a zmq_poller, or does not look at all

    cdef int look(self, long timeout) noexcept nogil
    cdef int take(self, str call) except -1
    cdef void give(self) noexcept
    cdef int run(self, int timeout, str call) except -1


cdef short poll_socket(GuardedSocket socket, int timeout, short events) except -1
cdef short to_events(object events, str call) except -1
cdef zmq_fd_t to_fd(object item, str what) except? <zmq_fd_t> -1
cdef int check_count(Py_ssize_t count, str call) except -1
