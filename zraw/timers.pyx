"""Timers: functions of the form zmq_timers_xxx()."""

from libc.errno cimport EBUSY, EFAULT, EINVAL
from libc.stddef cimport size_t

from zraw.error cimport fail
from zraw.guard cimport (
    to_int,
    to_size,
    zraw_give,
    zraw_put_bool,
    zraw_put_long,
    zraw_seen_bool,
    zraw_seen_long,
    zraw_take,
)
from zraw.libzmq cimport (
    EFSM,
    zmq_errno,
    zmq_timers_add,
    zmq_timers_cancel,
    zmq_timers_destroy,
    zmq_timers_execute,
    zmq_timers_new,
    zmq_timers_reset,
    zmq_timers_set_interval,
    zmq_timers_timeout,
)

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_get_thread_ident()


cdef void expired(int timer_id, void *timers) noexcept with gil:
    (<Timers> timers).handle(timer_id)


cdef int report(object error) noexcept:
    raise error  # noexcept: it goes to sys.unraisablehook


cdef class Timers:
    """Timers(): calls that are due after some time, again and again.

    C call: zmq_timers_new()

    Nothing runs by itself: wait timeout() ms, as in poll(), and call execute().
    `with` ends with destroy().

    Raises: InvalidHandle (EFAULT) from every method once it is destroyed.
    Since: libzmq 4.3.0
    """

    def __cinit__(self):
        self.handlers = {}
        self.deferred = {}
        self.ptr = zmq_timers_new()
        if self.ptr == NULL:
            raise MemoryError("Timers()")

    def __init__(self):
        pass  # it refuses arguments, which __cinit__ alone would ignore

    def __dealloc__(self):
        if self.ptr != NULL:
            zmq_timers_destroy(&self.ptr)

    cdef int begin(self, str call) except -1:
        """Take the timers for a call, or raise; handlers may make calls, too."""
        if (zraw_seen_bool(&self.executing)
                and zraw_seen_long(&self.owner) == PyThread_get_thread_ident()):
            return 0
        if not zraw_take(&self.busy, 1):
            fail(EBUSY, f"{call}: another thread is using the timers")
        if self.ptr == NULL:
            self.end()
            fail(EFAULT, f"{call}: the timers are destroyed")
        return 0

    cdef void end(self) noexcept:
        if not self.executing:
            zraw_give(&self.busy)

    cdef int known(self, int timer_id, str call) except -1:
        """Raise unless the timer is there, with the timers given back."""
        if timer_id not in self.handlers:
            self.end()
            fail(EINVAL, f"{call}: no timer has id {timer_id}")
        return 0

    def destroy(self):
        """Cancel every timer, and make the object unusable.

        C call: zmq_timers_destroy()

        A second destroy() does nothing.  Collection destroys too.

        Raises: InvalidState (EFSM) from a handler; SocketInUse (EBUSY).
        """
        if self.ptr == NULL:
            return
        self.begin("Timers.destroy()")
        if self.executing:
            fail(EFSM, "Timers.destroy(): from a handler")
        zmq_timers_destroy(&self.ptr)
        self.end()
        self.handlers.clear()

    def add(self, interval, handler):
        """Add a timer; return its id.

        C call: zmq_timers_add()

        interval: milliseconds, 1 or more.
        handler: called as handler(timer_id) by execute(), each time it is due.

        Raises: InvalidHandle (EFAULT); SocketInUse (EBUSY).
        """
        cdef Py_ssize_t milliseconds = to_size(interval, "Timers.add(): interval", 1)
        cdef int timer_id, err
        if not callable(handler):
            raise TypeError("Timers.add(): handler: a callable, not "
                            f"{type(handler).__name__}")
        self.begin("Timers.add()")
        timer_id = zmq_timers_add(self.ptr, milliseconds, expired, <void *> self)
        err = zmq_errno() if timer_id < 0 else 0
        if not err:
            self.handlers[timer_id] = handler
        self.end()
        if err:
            fail(err, "Timers.add()")
        return timer_id

    def cancel(self, timer_id):
        """Cancel a timer.

        C call: zmq_timers_cancel()

        Raises: InvalidArgument (EINVAL) if it is not there; InvalidHandle (EFAULT);
            SocketInUse (EBUSY).
        """
        cdef int number = to_int(timer_id, "Timers.cancel(): timer_id")
        cdef int err
        self.begin("Timers.cancel()")
        self.known(number, "Timers.cancel()")
        err = zmq_errno() if zmq_timers_cancel(self.ptr, number) < 0 else 0
        self.handlers.pop(number, None)
        self.deferred.pop(number, None)
        self.end()
        if err:
            fail(err, f"Timers.cancel({timer_id})")

    def set_interval(self, timer_id, interval):
        """Give a timer another interval, which begins now.

        C call: zmq_timers_set_interval()

        interval: milliseconds, 1 or more.  From a handler it begins after the round.

        Raises: as cancel().
        """
        self.restart(timer_id, to_size(interval, "Timers.set_interval(): interval", 1),
                     "Timers.set_interval()")

    def reset(self, timer_id):
        """Let the interval of a timer begin now.

        C call: zmq_timers_reset()

        From a handler it begins after the round.

        Raises: as cancel().
        """
        self.restart(timer_id, 0, "Timers.reset()")

    cdef int restart(self, object timer_id, Py_ssize_t interval, str call) except -1:
        """set_interval(), or reset() if `interval` is 0."""
        cdef int number = to_int(timer_id, f"{call}: timer_id")
        cdef int err = 0
        self.begin(call)
        self.known(number, call)
        if self.executing:
            # libzmq's execute() would go on with an iterator that is gone.
            self.deferred[number] = interval or self.deferred.get(number, 0)
        else:
            err = self.apply(number, interval, call)
        self.end()
        if err:
            fail(err, f"{call}: timer {number}")
        return 0

    cdef int apply(self, int timer_id, Py_ssize_t interval, str call) except -1:
        cdef int rc
        if interval:
            rc = zmq_timers_set_interval(self.ptr, timer_id, <size_t> interval)
        else:
            rc = zmq_timers_reset(self.ptr, timer_id)
        return zmq_errno() if rc < 0 else 0

    def timeout(self):
        """Return the milliseconds until a timer is due; -1 if there is none.

        C call: zmq_timers_timeout()

        Raises: InvalidState (EFSM) from a handler; InvalidHandle (EFAULT);
            SocketInUse (EBUSY).
        """
        self.begin("Timers.timeout()")
        if self.executing:
            fail(EFSM, "Timers.timeout(): from a handler")
        cdef long left = zmq_timers_timeout(self.ptr)
        self.end()
        return left

    def execute(self):
        """Call the handlers of the timers that are due.

        C call: zmq_timers_execute()

        The first exception that a handler raises leaves after the round, the others
        go to sys.unraisablehook.  From a handler it does nothing: the round goes on
        after that.

        Raises: InvalidHandle (EFAULT); SocketInUse (EBUSY).
        """
        cdef int err
        self.begin("Timers.execute()")
        if self.executing:
            return
        zraw_put_long(&self.owner, PyThread_get_thread_ident())
        zraw_put_bool(&self.executing, True)
        err = zmq_errno() if zmq_timers_execute(self.ptr) < 0 else 0
        for timer_id, interval in self.deferred.items():
            self.apply(timer_id, interval, "Timers.execute()")
        self.deferred.clear()
        error, self.error = self.error, None
        zraw_put_bool(&self.executing, False)
        zraw_put_long(&self.owner, 0)
        self.end()
        if error is not None:
            raise error
        if err:
            fail(err, "Timers.execute()")

    cdef int handle(self, int timer_id) noexcept:
        """Call the handler of a timer; below a frame of libzmq's nothing may raise."""
        handler = self.handlers.get(timer_id)
        try:
            if handler is not None:
                handler(timer_id)
        except BaseException as error:
            if self.error is None:
                self.error = error
            else:
                report(error)
        return 0

    def __len__(self):
        return len(self.handlers)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.destroy()

    def __reduce__(self):
        raise TypeError("Timers belong to this process: not to be pickled or copied")

    def __repr__(self):
        if self.ptr == NULL:
            return "<zraw.Timers destroyed>"
        return f"<zraw.Timers of {len(self.handlers)}>"
