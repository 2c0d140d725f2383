"""Stopwatch: functions of the form zmq_stopwatch_xxx()."""

cimport cython
from libc.errno cimport EFAULT

from zraw.error cimport fail
from zraw.libzmq cimport (
    zmq_stopwatch_intermediate,
    zmq_stopwatch_start,
    zmq_stopwatch_stop,
)


cdef class Stopwatch:
    """Stopwatch(): measures from its making on, in microseconds.

    C call: zmq_stopwatch_start()

    `with` ends with stop(), if it is not stopped by then.
    """

    def __cinit__(self):
        self.ptr = zmq_stopwatch_start()
        if self.ptr == NULL:
            raise MemoryError("Stopwatch()")

    def __init__(self):
        pass  # it refuses arguments, which __cinit__ alone would ignore

    def __dealloc__(self):
        if self.ptr != NULL:
            zmq_stopwatch_stop(self.ptr)

    cdef int check(self, str call) except -1:
        if self.ptr == NULL:
            fail(EFAULT, f"Stopwatch.{call}: the stopwatch is stopped")
        return 0

    @cython.critical_section
    def intermediate(self):
        """Return the microseconds since the start.

        C call: zmq_stopwatch_intermediate()

        Raises: InvalidHandle (EFAULT) if it is stopped.
        Since: libzmq 4.3.0
        """
        self.check("intermediate()")
        return zmq_stopwatch_intermediate(self.ptr)

    @cython.critical_section
    def stop(self):
        """Return the microseconds since the start, and free the stopwatch.

        C call: zmq_stopwatch_stop()

        Raises: InvalidHandle (EFAULT) if it is stopped.
        """
        cdef void *ptr
        self.check("stop()")
        ptr, self.ptr = self.ptr, NULL
        return zmq_stopwatch_stop(ptr)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.ptr != NULL:
            self.stop()

    def __reduce__(self):
        raise TypeError("a Stopwatch belongs to this process: not to be pickled or "
                        "copied")

    def __repr__(self):
        return f"<zraw.Stopwatch {'stopped' if self.ptr == NULL else 'running'}>"
