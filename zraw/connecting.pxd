from libc.stdint cimport uint32_t, uint64_t

from zraw.context cimport Context
from zraw.guard cimport GuardedSocket


cdef class ConnectingSocket(GuardedSocket):
    cdef readonly Context context
    cdef set routing_ids          # given to peers by ZMQ_CONNECT_ROUTING_ID
    cdef bytes next_routing_id    # that the next connect() gives, or None
    cdef uint32_t wss_keys        # 1: ZMQ_WSS_KEY_PEM is set, 2: ZMQ_WSS_CERT_PEM
    cdef bint linked              # an endpoint other than of inproc was given to it
    cdef object __weakref__

    cdef str transport_of(self, object endpoint, str call)
    cdef int link(self, str transport) except -1
    cdef int keep_reading(self, str call) except -1
    cdef int spare_the_gone(self, str call) except -1
    cdef object start_monitor(self, object endpoint, uint64_t events, int version,
                              int kind, str call)
