from zraw.context cimport Context
from zraw.guard cimport GuardedSocket


cdef class Socket(GuardedSocket):
    cdef readonly Context context
    cdef set routing_ids          # given to peers by ZMQ_CONNECT_ROUTING_ID
    cdef bytes next_routing_id    # that the next connect() gives, or None
    cdef object __weakref__

    cdef int adopt(self, Context context, void *ptr) except -1
