from zraw.connecting cimport ConnectingSocket
from zraw.context cimport Context


cdef class Socket(ConnectingSocket):
    cdef int adopt(self, Context context, void *ptr) except -1
