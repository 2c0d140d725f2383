# For other extensions in Cython; zraw.h says what each function does.
#
#     from zraw.capi cimport import_zraw, zraw_socket_acquire, zraw_socket_release
#     import_zraw()

from zraw.libzmq cimport zmq_msg_t

cdef extern from "zraw.h":
    int import_zraw() except -1
    void *zraw_socket_acquire(object socket) except NULL
    int zraw_socket_release(object socket) except -1
    void *zraw_context_handle(object context) except NULL
    zmq_msg_t *zraw_message_ptr(object message) except NULL
    zmq_msg_t *zraw_message_acquire(object message) except NULL
    int zraw_message_release(object message) except -1
    object zraw_message_new()
    int zraw_raise_errno(int errnum, const char *call) except -1
