# Calls that take an endpoint.

from zraw.guard cimport GuardedSocket

ctypedef int (*endpoint_function)(void *, const char *) noexcept nogil


cdef bytes endpoint_bytes(object endpoint, str call)
cdef int refuse_zap_endpoint(int type, bytes text, str call) except -1
cdef int refuse_zap_abort(GuardedSocket socket, str call) except -1
cdef int part(void *socket, void *context, int errands) noexcept nogil
cdef int endpoint_call(GuardedSocket socket, endpoint_function function,
                       object endpoint, str name) except -1
