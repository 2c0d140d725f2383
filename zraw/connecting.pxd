from libc.stdint cimport uint32_t

from zraw.monitoring cimport MonitoredSocket


cdef class ConnectingSocket(MonitoredSocket):
    cdef set routing_ids          # given to peers by ZMQ_CONNECT_ROUTING_ID
    cdef bytes next_routing_id    # that the next connect() gives, or None
    cdef uint32_t wss_keys        # 1: ZMQ_WSS_KEY_PEM is set, 2: ZMQ_WSS_CERT_PEM
    cdef bint linked              # an endpoint other than of inproc was given to it
    cdef object __weakref__

    cdef str transport_of(self, object endpoint, str call)
    cdef int link(self, str transport) except -1
    cdef int spare_the_gone(self, str call) except -1
