"""pyzmq's exceptions, made from libzmq's errnos and from those of zraw.

pyzmq is imported when the first of them is wanted: it imports this module itself.
"""

from libc.errno cimport EAGAIN, EINVAL

from zraw.libzmq cimport ETERM, zmq_strerror

from zraw.error import AddressInUse, NotFound, NotSupported
from zraw.error import ZMQError as OwnError

cdef extern from *:
    """
    #ifdef _MSC_VER
    static __declspec(thread) int zraw_pyzmq_errno;
    #else
    static __thread int zraw_pyzmq_errno;
    #endif
    """
    int zraw_pyzmq_errno

cdef object pyzmq = None        # zmq.error
cdef object again_text = None
# What the errno alone says as well; the texts of the others are worth keeping.
cdef tuple PLAIN = (AddressInUse, NotFound, NotSupported)


cdef str text_of(int err):
    return (<bytes> zmq_strerror(err)).decode("utf-8", "replace")


cdef object zmq_error(int err, str text=None):
    """Return pyzmq's exception for an errno.

    Without its __init__, which takes longer than a trial to receive.
    """
    global pyzmq, again_text, zraw_pyzmq_errno
    if pyzmq is None:
        from zmq import error as pyzmq
        again_text = text_of(EAGAIN)
    zraw_pyzmq_errno = err
    if err == EAGAIN:
        kind, text = pyzmq.Again, again_text
    elif err == ETERM:
        kind, text = pyzmq.ContextTerminated, text_of(err)
    else:
        kind = pyzmq.ZMQError
    error = kind.__new__(kind, err)
    error.errno = err
    error.strerror = text_of(err) if text is None else text
    return error


cdef object translated(object error):
    """Return what pyzmq would raise for one of zraw's exceptions.

    A ValueError is about something that zraw refuses, and libzmq would, or should.
    """
    if not isinstance(error, OwnError):
        return zmq_error(EINVAL, f"{text_of(EINVAL)}: {error}")
    if type(error) is OwnError or isinstance(error, PLAIN):
        return zmq_error(error.errno)
    return zmq_error(error.errno, error.strerror)


cdef int fail_zmq(int err, str text=None) except -1:
    raise zmq_error(err, text)


cdef int last_zmq_errno() noexcept:
    return zraw_pyzmq_errno
