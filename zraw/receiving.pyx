"""How a frame is taken from libzmq, and turned into bytes."""

from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_CheckExact
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR
from libc.limits cimport INT_MAX
from libc.string cimport memcpy

from zraw.guard cimport GuardedSocket, enter, leave
from zraw.libzmq cimport (
    ZMQ_DONTWAIT,
    ZMQ_RCVTIMEO,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_recv,
    zmq_msg_size,
    zmq_recv,
)
from zraw.option cimport refuse_buffer
from zraw.release cimport drain

cdef int get(void *ptr, void *argument, int flags) noexcept nogil:
    return zmq_msg_recv(<zmq_msg_t *> argument, ptr, flags)


cdef int after_trial(GuardedSocket socket, zmq_msg_t *msg, int flags,
                     str call) except -1:
    """Wait for a frame if the trial that just failed says so; see recv_frame()."""
    cdef int err = zmq_errno()
    if err == EINTR or (err == EAGAIN and not flags & ZMQ_DONTWAIT):
        err = socket.block(get, msg, flags, ZMQ_RCVTIMEO, call)
    return err


cdef int copy_memory(void *target, const void *source, size_t size) except -1:
    """memcpy(), without the GIL where that pays."""
    if size <= LARGE:
        memcpy(target, source, size)
    else:
        with nogil:
            memcpy(target, source, size)
    return 0


cdef bytes body(zmq_msg_t *msg):
    """Return a copy of a message's body."""
    cdef size_t size = zmq_msg_size(msg)
    cdef bytes copy
    if size <= LARGE:
        return PyBytes_FromStringAndSize(<char *> zmq_msg_data(msg), size)
    copy = PyBytes_FromStringAndSize(NULL, size)
    copy_memory(PyBytes_AS_STRING(copy), zmq_msg_data(msg), size)
    return copy


cdef bytes recv_bytes(GuardedSocket socket, int flags, int *err, str call):
    """Receive one frame as bytes; None and the errno on failure, guard free."""
    cdef zmq_msg_t msg
    cdef bytes data
    cdef int size
    zmq_msg_init(&msg)
    enter(socket, call)
    size = zmq_msg_recv(&msg, socket.ptr, flags | ZMQ_DONTWAIT)
    if size < 0:
        err[0] = after_trial(socket, &msg, flags, call)
    leave(socket)
    if err[0]:
        return None
    try:
        if 0 <= size <= LARGE:
            data = PyBytes_FromStringAndSize(<char *> zmq_msg_data(&msg), size)
        else:
            data = body(&msg)
    finally:
        zmq_msg_close(&msg)
    drain()
    return data


cdef struct target_t:
    void *data
    size_t size
    size_t received


cdef int get_into(void *ptr, void *argument, int flags) noexcept nogil:
    cdef target_t *target = <target_t *> argument
    cdef zmq_msg_t msg
    cdef int rc
    if target.size < INT_MAX:
        rc = zmq_recv(ptr, target.data, target.size, flags)
        target.received = <size_t> rc
        return rc
    # zmq_recv() would copy no more than its result can say.
    zmq_msg_init(&msg)
    if zmq_msg_recv(&msg, ptr, flags) < 0:
        return -1
    target.received = zmq_msg_size(&msg)
    memcpy(target.data, zmq_msg_data(&msg), min(target.received, target.size))
    zmq_msg_close(&msg)
    return 0


cdef int lend(object buffer, Py_buffer *view) except -1:
    """Take memory to receive into; but not where Python's own pointers are."""
    cdef int flags = PyBUF_SIMPLE | PyBUF_WRITABLE
    try:
        if not PyByteArray_CheckExact(buffer):
            try:
                PyObject_GetBuffer(buffer, view, flags | PyBUF_ND | PyBUF_FORMAT)
            except (BufferError, ValueError):  # NumPy cannot say what its times are
                PyObject_GetBuffer(buffer, view, flags)
        else:
            PyObject_GetBuffer(buffer, view, flags)
    except Exception as error:
        if isinstance(error, TypeError):
            raise TypeError("recv_into(): buffer: writable and contiguous: "
                            f"{error}") from None
        refuse_buffer(error, buffer, "recv_into(): buffer: writable and contiguous")
    if view.format != NULL and holds_objects(view.format):
        PyBuffer_Release(view)
        raise TypeError("recv_into(): buffer: its memory holds Python objects")
    return 0


cdef bint holds_objects(const char *format) noexcept:
    """Whether an O stands in a format, and not in a name, which is between colons."""
    cdef bint named = False
    while format[0]:
        if format[0] == c":":
            named = not named
        elif format[0] == c"O" and not named:
            return True
        format += 1
    return False


cdef Py_ssize_t recv_buffer(GuardedSocket socket, object buffer, int flags) except -1:
    """Receive one frame into memory; return the frame's size."""
    cdef Py_buffer view
    cdef target_t target
    cdef int rc, err = 0
    lend(buffer, &view)
    try:
        target.data = view.buf
        target.size = view.len
        enter(socket, "recv_into()")
        if target.size > LARGE:
            with nogil:
                rc = get_into(socket.ptr, &target, flags | ZMQ_DONTWAIT)
                err = zmq_errno() if rc < 0 else 0
        elif get_into(socket.ptr, &target, flags | ZMQ_DONTWAIT) < 0:
            err = zmq_errno()
        if err == EINTR or (err == EAGAIN and not flags & ZMQ_DONTWAIT):
            err = socket.block(get_into, &target, flags, ZMQ_RCVTIMEO, "recv_into()")
        leave(socket)
        if err:
            socket.raise_errno(err, "recv_into()")
    finally:
        PyBuffer_Release(&view)
    drain()
    return target.received
