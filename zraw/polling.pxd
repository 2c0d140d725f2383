from zraw.guard cimport GuardedSocket


cdef short poll_socket(GuardedSocket socket, int timeout, short events) except -1
