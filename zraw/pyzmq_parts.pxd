# What is sent and received by zraw.pyzmq.

from libc.stddef cimport size_t

from zraw.pyzmq_core cimport Core


cdef object send_part(Core core, object data, int flags, bint copy, bint tracked,
                      size_t threshold)
cdef object recv_part(Core core, int flags, bint tracked)
cdef object send_message(Core core, object parts, int flags, bint copy, bint tracked,
                         size_t threshold)
cdef list recv_message(Core core, int flags, bint copy, bint tracked)
