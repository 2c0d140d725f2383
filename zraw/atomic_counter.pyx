"""AtomicCounter: functions of the form zmq_atomic_counter_xxx()."""

cimport cython
from libc.errno cimport EFAULT

from zraw.error cimport fail
from zraw.guard cimport to_int
from zraw.libzmq cimport (
    zmq_atomic_counter_dec,
    zmq_atomic_counter_destroy,
    zmq_atomic_counter_inc,
    zmq_atomic_counter_new,
    zmq_atomic_counter_set,
    zmq_atomic_counter_value,
)


cdef class AtomicCounter:
    """AtomicCounter(): a number that threads may count up and down; it begins at 0.

    C call: zmq_atomic_counter_new()

    `with` ends with destroy().

    Raises: InvalidHandle (EFAULT) from every method once it is destroyed.
    Since: libzmq 4.2.0
    """

    def __cinit__(self):
        self.ptr = zmq_atomic_counter_new()
        if self.ptr == NULL:
            raise MemoryError("AtomicCounter()")

    def __init__(self):
        pass  # it refuses arguments, which __cinit__ alone would ignore

    def __dealloc__(self):
        if self.ptr != NULL:
            zmq_atomic_counter_destroy(&self.ptr)

    cdef int check(self, str call) except -1:
        if self.ptr == NULL:
            fail(EFAULT, f"AtomicCounter.{call}: the counter is destroyed")
        return 0

    @cython.critical_section
    def set(self, value):
        """Set the counter; not while other threads count.

        C call: zmq_atomic_counter_set()

        value: a C int.

        Raises: InvalidHandle (EFAULT); OverflowError.
        """
        cdef int number = to_int(value, "AtomicCounter.set(): value")
        self.check("set()")
        zmq_atomic_counter_set(self.ptr, number)

    @cython.critical_section
    def inc(self):
        """Count up; return the value before.

        C call: zmq_atomic_counter_inc()

        Raises: InvalidHandle (EFAULT).
        """
        self.check("inc()")
        return zmq_atomic_counter_inc(self.ptr)

    @cython.critical_section
    def dec(self):
        """Count down; return whether the value is still other than 0.

        C call: zmq_atomic_counter_dec()

        Raises: InvalidHandle (EFAULT).
        """
        self.check("dec()")
        return zmq_atomic_counter_dec(self.ptr) != 0

    @cython.critical_section
    def value(self):
        """Return the value.

        C call: zmq_atomic_counter_value()

        Raises: InvalidHandle (EFAULT).
        """
        self.check("value()")
        return zmq_atomic_counter_value(self.ptr)

    @cython.critical_section
    def destroy(self):
        """Free the counter, and make the object unusable.

        C call: zmq_atomic_counter_destroy()

        A second destroy() does nothing.  Collection destroys too.
        """
        if self.ptr != NULL:
            zmq_atomic_counter_destroy(&self.ptr)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.destroy()

    def __reduce__(self):
        raise TypeError("an AtomicCounter belongs to this process: not to be pickled "
                        "or copied")

    @cython.critical_section
    def __repr__(self):
        if self.ptr == NULL:
            return "<zraw.AtomicCounter destroyed>"
        return f"<zraw.AtomicCounter {zmq_atomic_counter_value(self.ptr)}>"
