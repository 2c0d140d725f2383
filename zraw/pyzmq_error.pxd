# pyzmq's exceptions, for zraw.pyzmq.

cdef object zmq_error(int err, str text=*)
cdef object translated(object error)
cdef int fail_zmq(int err, str text=*) except -1
cdef int last_zmq_errno() noexcept
