# The sockets under those of zraw.pyzmq.

from libc.stdint cimport uintptr_t

from zraw.context cimport Context
from zraw.libzmq cimport zmq_fd_t
from zraw.socket cimport Socket


cdef class Core(Socket):
    cdef bint ending     # close() came while another thread was inside
    cdef void *fd_poller  # whose descriptor stands for that of a thread-safe socket

    cdef int end(self, bint given, int linger) except -1
    cdef int put_linger(self, int linger) noexcept
    cdef zmq_fd_t poller_fd(self) except? <zmq_fd_t> -1
    cdef int drop_poller(self) noexcept


cdef Core core_at(uintptr_t address)
cdef Core make_core(Context context, int type)
