from libc.stdint cimport uint32_t

from zraw.guard cimport Watcher
from zraw.libzmq cimport zmq_pollitem_t


cdef class Poller(Watcher):
    cdef void *ptr                # a zmq_poller, where libzmq has it
    cdef zmq_pollitem_t *items    # where not; made of the entries before a wait
    cdef int count                # of `items`
    cdef list entries             # replaced by every change, never changed
    cdef list sockets             # of the entries
    cdef bint changed             # since `items` was made
    cdef bint wakeable            # some entry waits for some event
    cdef uint32_t busy
    cdef uint32_t generation      # fork_generation at making; 0: destroyed

    cdef int begin(self, str call) except -1
    cdef void end(self) noexcept
    cdef list current(self)
    cdef object find(self, object item, str call)
    cdef int change(self, list entries) except -1
    cdef int arrange(self, str call) except -1
    cdef int register(self, object item, object events, object user_data,
                      str call) except -1
    cdef object entry_of(self, object item, str call)
    cdef int set_events(self, object item, object events, str call) except -1
    cdef int unregister(self, object item, str call) except -1
    cdef list wait_for(self, int wanted, int milliseconds, str call)
