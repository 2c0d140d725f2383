"""What libzmq says of itself: version, capabilities, errno and its texts."""

import os

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR
from libc.stdint cimport int64_t

from zraw.error cimport last_errno
from zraw.guard cimport ZRAW_SLICE, to_int
from zraw.libzmq cimport (
    ZMQ_MSG_T_SIZE,
    zmq_ctx_get,
    zmq_ctx_new,
    zmq_ctx_term,
    zmq_errno,
    zmq_has,
    zmq_msg_t,
    zmq_sleep,
    zmq_strerror,
    zmq_version,
)
from zraw.option cimport c_string
from zraw.process cimport monotonic_ns, nap

cdef extern from *:
    """
    #include "zmq_compat.h"

    #ifdef _WIN32
    #include <windows.h>
    static const char *zraw_library_path(void) {
        static char path[3 * 1024];  /* UTF-8, as os.fsdecode() takes it */
        wchar_t wide[1024];
        HMODULE library;
        DWORD size;
        if (!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS
                                | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                                (const char *) zmq_version, &library))
            return NULL;
        size = GetModuleFileNameW(library, wide, 1024);
        return size && size < 1024
               && WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof(path), NULL,
                                      NULL) ? path : NULL;
    }
    #else
    #include <dlfcn.h>
    static const char *zraw_library_path(void) {
        Dl_info found;
        return dladdr((void *) zmq_version, &found) ? found.dli_fname : NULL;
    }
    #endif
    """
    const char *zraw_library_path()

cdef tuple OLDEST = (4, 3, 2)


def check_library():
    """Refuse a libzmq that is too old, or whose messages have another size."""
    cdef void *context = zmq_ctx_new()
    cdef int size = zmq_ctx_get(context, ZMQ_MSG_T_SIZE)
    while zmq_ctx_term(context) < 0 and zmq_errno() == EINTR:
        pass
    if version() < OLDEST:
        raise ImportError(f"zraw needs libzmq {'.'.join(map(str, OLDEST))} or newer; "
                          f"this is {'.'.join(map(str, version()))}")
    if size != sizeof(zmq_msg_t):
        raise ImportError(f"this libzmq's zmq_msg_t has {size} bytes, the one that "
                          f"zraw was built with {sizeof(zmq_msg_t)}")


def version():
    """Return the version of the running libzmq as (major, minor, patch).

    C call: zmq_version()
    """
    cdef int major, minor, patch
    zmq_version(&major, &minor, &patch)
    return major, minor, patch


def get_library():
    """Return the path of the libzmq that zraw uses: for ctypes, cffi and the like.

    It may be another file than that of the system; None where it cannot be told.
    """
    cdef const char *path = zraw_library_path()
    return None if path == NULL else os.fsdecode(path)


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


def sleep(seconds):
    """Sleep; signal handlers run in between, and the sleep goes on.

    C call: zmq_sleep()

    seconds: whole ones, 0 or more.

    Raises: what a signal handler raises; ValueError if it is negative.
    """
    cdef int whole = to_int(seconds, "sleep(): seconds")
    cdef int64_t left = whole * <int64_t> 1000000000
    cdef int64_t end = monotonic_ns() + left
    if whole < 0:
        raise ValueError(f"sleep(): seconds: 0 or more, not {whole}")
    while left > 0:
        with nogil:
            # A signal ends it early, and it knows no parts of a second.
            if left >= 1000000000:
                zmq_sleep(<int> (left // 1000000000) if ZRAW_SLICE < 0 else 1)
            else:
                nap(left // 1000 + 1)
        PyErr_CheckSignals()
        left = end - monotonic_ns()


check_library()
