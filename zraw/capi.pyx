"""What other extensions are given: the capsule of zraw.h, and its guards from Python.

zraw itself does not import it.  zraw.h says what each function promises.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport size_t
from libc.stdint cimport uintptr_t

from zraw.context cimport Context
from zraw.error cimport fail
from zraw.guard cimport (
    ZRAW_HELD,
    is_held,
    tell,
    zraw_drop,
    zraw_is_armed,
    zraw_join,
    zraw_put_long,
    zraw_seen,
    zraw_take,
    zraw_this_thread,
)
from zraw.libzmq cimport zmq_msg_t
from zraw.message cimport Message, empty_message, look, unclaim
from zraw.process cimport fork_generation
from zraw.socket cimport Socket

cdef extern from *:
    """
    #include "zraw.h"

    #ifndef _WIN32  /* for which zraw.h has the same, with drafts looked up */
    #define ZRAW_ENTRY(result, name, arguments) (result(*) arguments) name,
    static const zraw_libzmq_t zraw_table = {ZRAW_LIBZMQ(ZRAW_ENTRY)};
    static const zraw_libzmq_t *zraw_filled_table(void) { return &zraw_table; }
    #endif
    """
    const int ZRAW_API_VERSION
    const char *ZRAW_API_CAPSULE
    ctypedef struct zraw_libzmq_t:
        pass
    ctypedef struct zraw_api_t:
        int version
        size_t size
        size_t libzmq_size
        const zraw_libzmq_t *libzmq
        void *(*socket_acquire)(object socket) except NULL
        int (*socket_release)(object socket) except -1
        void *(*context_handle)(object context) except NULL
        zmq_msg_t *(*message_ptr)(object message) except NULL
        zmq_msg_t *(*message_acquire)(object message) except NULL
        int (*message_release)(object message) except -1
        object (*message_new)()
        int (*raise_errno)(int errnum, const char *call) except -1
    const zraw_libzmq_t *zraw_filled_table()


cdef int mistaken(object item, str expected, str call) except -1:
    raise TypeError(f"{call}: a zraw.{expected}, not {type(item).__name__}")


cdef void *acquire_socket(object item) except NULL:
    cdef Socket socket
    if not isinstance(item, Socket):
        mistaken(item, "Socket", "zraw_socket_acquire()")
    socket = <Socket> item
    if (zraw_seen(&socket.generation) != fork_generation
            or not zraw_take(&socket.busy, ZRAW_HELD) and not (
                socket.shared and zraw_join(&socket.busy, ZRAW_HELD))):
        socket.reject("zraw_socket_acquire()")
    return socket.ptr


cdef int release_socket(object item) except -1:
    cdef Socket socket
    if not isinstance(item, Socket):
        mistaken(item, "Socket", "zraw_socket_release()")
    socket = <Socket> item
    if not is_held(&socket.busy):
        raise RuntimeError(f"zraw_socket_release(): {socket!r} was not acquired")
    zraw_put_long(&socket.thread, zraw_this_thread())
    zraw_drop(&socket.busy)
    if zraw_is_armed(&socket.armed):
        tell(socket)
    return 0


cdef void *context_handle(object item) except NULL:
    cdef Context context
    if not isinstance(item, Context):
        mistaken(item, "Context", "zraw_context_handle()")
    context = <Context> item
    return <void *> <uintptr_t> context.handle


cdef zmq_msg_t *message_ptr(object item) except NULL:
    cdef Message message
    if not isinstance(item, Message):
        mistaken(item, "Message", "zraw_message_ptr()")
    message = <Message> item
    look(message, "zraw_message_ptr()")
    unclaim(message)
    return &message.msg


cdef zmq_msg_t *acquire_message(object item) except NULL:
    cdef Message message
    if not isinstance(item, Message):
        mistaken(item, "Message", "zraw_message_acquire()")
    message = <Message> item
    if not zraw_take(&message.busy, ZRAW_HELD):
        message.refuse("zraw_message_acquire()")
    if zraw_seen(&message.exports) or not message.live:
        zraw_drop(&message.busy)
        message.refuse("zraw_message_acquire()")
    # What it is given may be shared, with libzmq or with a copy.
    message.writable = False
    return &message.msg


cdef int release_message(object item) except -1:
    cdef Message message
    if not isinstance(item, Message):
        mistaken(item, "Message", "zraw_message_release()")
    message = <Message> item
    if not zraw_drop(&message.busy):
        raise RuntimeError("zraw_message_release(): the message was not acquired")
    return 0


cdef object message_new():
    return empty_message()


cdef int raise_errno(int errnum, const char *call) except -1:
    return fail(errnum, call.decode("utf-8", "replace"))


def socket_acquire(socket):
    """Return the address of libzmq's socket, and keep all others off it.

    socket: a Socket.  Until socket_release(), every other use of it raises
        SocketInUse.  The address is for ctypes, cffi and the like; see get_library().

    Raises: TypeError; NotASocket (ENOTSOCK) if it is closed; SocketInUse (EBUSY) if
        it is in use; ForkError (EPERM).
    """
    return <uintptr_t> acquire_socket(socket)


def socket_release(socket):
    """Give back what socket_acquire() has taken.

    Raises: TypeError; RuntimeError if it was not acquired.
    """
    release_socket(socket)


def message_acquire(message):
    """Return the address of a Message's zmq_msg_t, and keep all others off it.

    message: a Message without views.  Until message_release(), every other use of it
        raises SocketInUse.  Its body is read-only from now on.

    Raises: TypeError; BufferError if views are alive; InvalidHandle (EFAULT) if it is
        closed; SocketInUse (EBUSY) if it is in use.
    """
    return <uintptr_t> acquire_message(message)


def message_release(message):
    """Give back what message_acquire() has taken.

    Raises: TypeError; RuntimeError if it was not acquired.
    """
    release_message(message)


cdef zraw_api_t api
api.version = ZRAW_API_VERSION
api.size = sizeof(zraw_api_t)
api.libzmq_size = sizeof(zraw_libzmq_t)
api.libzmq = zraw_filled_table()
api.socket_acquire = acquire_socket
api.socket_release = release_socket
api.context_handle = context_handle
api.message_ptr = message_ptr
api.message_acquire = acquire_message
api.message_release = release_message
api.message_new = message_new
api.raise_errno = raise_errno

API = PyCapsule_New(&api, ZRAW_API_CAPSULE, NULL)
