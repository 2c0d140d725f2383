# Python memory that libzmq reads, and its release without the GIL.

from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t

from zraw.libzmq cimport zmq_msg_t

cdef extern from *:
    """
    #ifndef ZRAW_RELEASE_H
    #define ZRAW_RELEASE_H
    /* What another thread may put there at any time.  A plain read is as good, and
       leaves the compiler a register more. */
    #if defined(Py_GIL_DISABLED) && !defined(_MSC_VER)
    #define zraw_peek(list) __atomic_load_n((void **)(list), __ATOMIC_RELAXED)
    #else
    #define zraw_peek(list) (*(void **)(list))
    #endif
    #endif
    """
    void *zraw_peek(void *list) noexcept nogil

cdef struct pin_t:
    pin_t *next           # first: see zraw_push() in release.pyx
    Py_buffer view
    PyObject *on_free     # or NULL
    PyObject *tracker     # or NULL
    uint32_t generation   # fork_generation of the process that lent the memory

# Pins that libzmq is done with, newest first.
cdef pin_t *finished


cdef class Tracker:
    cdef readonly Py_ssize_t pending
    cdef uint32_t generation
    cdef list waiters


cdef int pin(zmq_msg_t *msg, object data, object on_free, Tracker tracker) except -1
cdef void release_finished() noexcept
cdef int stop() except -1


cdef inline void drain() noexcept:
    """Release what libzmq is done with; the last act of a call."""
    if zraw_peek(&finished) != NULL:
        release_finished()
