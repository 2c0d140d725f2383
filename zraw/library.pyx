"""What libzmq says of itself: version, capabilities, errno and its texts."""

from zraw.error cimport last_errno
from zraw.guard cimport to_int
from zraw.libzmq cimport zmq_has, zmq_strerror, zmq_version
from zraw.option cimport c_string


def version():
    """Return the version of the running libzmq as (major, minor, patch).

    C call: zmq_version()
    """
    cdef int major, minor, patch
    zmq_version(&major, &minor, &patch)
    return major, minor, patch


def has(capability):
    """Return True if libzmq was built with a capability.

    C call: zmq_has()

    capability: "ipc", "pgm", "tipc", "norm", "curve", "gssapi", "vmci", "draft",
        "WS" or "WSS", in this spelling; others give False.

    Raises: TypeError if it is neither str nor bytes; ValueError with a NUL.
    Since: libzmq 4.1.0
    """
    cdef bytes name = c_string(capability, "has(): capability")
    return zmq_has(name) == 1


def errno():
    """Return the errno of the last zraw call of this thread that failed; 0: none.

    C call: zmq_errno(), right after each call
    """
    return last_errno()


def strerror(errnum):
    """Return libzmq's text for an errno.

    C call: zmq_strerror()
    """
    cdef int number = to_int(errnum, "strerror(): errnum")
    return (<bytes> zmq_strerror(number)).decode("utf-8", "surrogateescape")
