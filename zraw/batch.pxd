# Messages of several frames, and many messages, in one call.

from libc.stddef cimport size_t

from zraw.guard cimport GuardedSocket


cdef int send_one(GuardedSocket socket, object data, int flags, str call,
                  size_t *size) except -1
cdef int send_parts(GuardedSocket socket, object parts, int flags) except -1
cdef Py_ssize_t send_batch(GuardedSocket socket, object messages, int flags) except -1
cdef list recv_parts(GuardedSocket socket, int flags, bint copy, bint trying, str call)
cdef list recv_batch(GuardedSocket socket, Py_ssize_t max_messages, int flags,
                     bint copy, bint multipart)
