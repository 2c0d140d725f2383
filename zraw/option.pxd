# C types of options, and the values and endpoints that never reach libzmq.

from zraw.guard cimport GuardedSocket


cdef object get_option(GuardedSocket socket, int option, type kind)
cdef int set_option(GuardedSocket socket, int option, object value,
                    type kind) except -1
cdef bytes c_string(object value, str what)
cdef bytes endpoint_bytes(object endpoint, str call)
cdef str option_name(int option)
