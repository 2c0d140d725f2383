# Calls that take an endpoint.

from zraw.guard cimport GuardedSocket

ctypedef int (*endpoint_function)(void *, const char *) noexcept nogil


cdef int endpoint_call(GuardedSocket socket, endpoint_function function,
                       object endpoint, str name) except -1
