"""Zero-copy: Python memory lent to libzmq, and how it comes back.

`pin()` makes a message whose body is a Python buffer.  When libzmq is done with
it, some thread of libzmq's, or of ours inside libzmq, calls `let_go`, which may
neither take the GIL nor run Python: it pushes the pin on a lock-free list.
The list is emptied by the next zraw call at its very end, or, when the program
is idle, by a thread that sleeps without the GIL until there is something to do.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_WriteUnraisable
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport ENOMEM
from libc.string cimport memcpy

from zraw.error cimport fail, fail_forked
from zraw.guard cimport (
    to_milliseconds,
    zraw_put,
    zraw_put_bool,
    zraw_put_size,
    zraw_seen,
    zraw_seen_bool,
    zraw_seen_size,
)
from zraw.libzmq cimport (
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_init_data,
    zmq_msg_init_size,
)
from zraw.option cimport refuse_buffer
from zraw.process cimport block_signals, fork_generation, monotonic_ns, nap

import _thread

cdef extern from *:
    """
    /* libzmq hands a pin from thread to thread, and ThreadSanitizer does not see it. */
    #ifdef __SANITIZE_THREAD__
    void __tsan_acquire(void *), __tsan_release(void *);
    #define zraw_handed_over(item) __tsan_release(item)
    #define zraw_taken_over(item) __tsan_acquire(item)
    #else
    #define zraw_handed_over(item) ((void)0)
    #define zraw_taken_over(item) ((void)0)
    #endif
    /* Lists of any struct that begins with the pointer to the next. */
    #ifdef _MSC_VER
    #include <intrin.h>
    static void zraw_push(void *list, void *item) {
        void *head;
        do {
            *(void **)item = head = *(void *volatile *)list;
        } while (_InterlockedCompareExchangePointer(list, item, head) != head);
    }
    static void *zraw_take_all(void *list) {
        return _InterlockedExchangePointer(list, NULL);
    }
    static int zraw_swap(int *flag, int value) {
        return _InterlockedExchange((volatile long *)flag, value);
    }
    static void zraw_add(Py_ssize_t *number, Py_ssize_t by) {
    #ifdef _WIN64
        _InterlockedExchangeAdd64(number, by);
    #else
        _InterlockedExchangeAdd((volatile long *)number, by);
    #endif
    }
    #else
    static void zraw_push(void *list, void *item) {
        void *head = __atomic_load_n((void **)list, __ATOMIC_RELAXED);
        do
            *(void **)item = head;
        while (!__atomic_compare_exchange_n((void **)list, &head, item, 1,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    }
    static void *zraw_take_all(void *list) {
        return __atomic_exchange_n((void **)list, NULL, __ATOMIC_SEQ_CST);
    }
    static int zraw_swap(int *flag, int value) {
        return __atomic_exchange_n(flag, value, __ATOMIC_SEQ_CST);
    }
    static void zraw_add(Py_ssize_t *number, Py_ssize_t by) {
        __atomic_fetch_add(number, by, __ATOMIC_RELAXED);
    }
    #endif
    """
    void zraw_handed_over(void *item) noexcept nogil
    void zraw_taken_over(void *item) noexcept nogil
    void zraw_push(void *list, void *item) noexcept nogil
    void *zraw_take_all(void *list) noexcept nogil
    int zraw_swap(int *flag, int value) noexcept nogil
    void zraw_add(Py_ssize_t *number, Py_ssize_t by) noexcept nogil

cdef extern from "pythread.h" nogil:
    ctypedef void *PyThread_type_lock
    PyThread_type_lock PyThread_allocate_lock()
    int PyThread_acquire_lock(PyThread_type_lock lock, int waitflag)
    void PyThread_release_lock(PyThread_type_lock lock)
    void PyThread_free_lock(PyThread_type_lock lock)

cdef extern from "Python.h":
    void PyErr_Fetch(PyObject **type, PyObject **value, PyObject **traceback)
    PyObject *PyObject_CallObject(object function, PyObject *arguments)
    void PyErr_Restore(PyObject *type, PyObject *value, PyObject *traceback)

# The release thread waits this long after the first push: a program that sends
# on drains by itself meanwhile, and the thread does not fight it for the GIL.
cdef enum:
    GRACE_US = 5000

cdef pin_t *finished = NULL
cdef pin_t *with_callback = NULL       # finished too; their on_free has to run
cdef int asleep = 0                    # the thread waits for `alarm`
cdef PyThread_type_lock alarm = NULL   # a binary semaphore, posted by release
cdef bint stopping = False
cdef uint32_t thread_generation = 0    # of the process that the thread runs in
cdef object starting = object()
cdef object thread = None
cdef Py_ssize_t pins = 0               # that libzmq reads, or that are to be freed
cdef uint32_t pins_generation = 0      # of the process that they are counted in
cdef char nothing = 0                  # an address for empty bodies


cdef void wake() noexcept nogil:
    if zraw_swap(&asleep, 0):
        PyThread_release_lock(alarm)


cdef void let_go(void *data, void *hint) noexcept nogil:
    """libzmq's free function: any thread, with or without the GIL."""
    zraw_taken_over(hint)
    zraw_push(&finished, hint)
    wake()


cdef class Tracker:
    """Tell when libzmq is done with the memory of the messages it was given to.

    Pass one Tracker to any number of Message.init_data() calls: it is done when
    libzmq has let go of all of them.
    """

    def __cinit__(self):
        self.generation = fork_generation
        self.waiters = []

    @property
    def done(self):
        """True when no memory is lent any more."""
        release_finished()
        with cython.critical_section(self):
            return self.pending == 0

    def wait(self, timeout=-1):
        """Wait until libzmq is done with all memory; return False on time-out.

        timeout: milliseconds; -1 waits for ever.

        Raises: ForkError (EPERM) in a process forked while memory was lent.
        """
        cdef int limit = to_milliseconds(timeout, "Tracker.wait(): timeout")
        cdef long long deadline = monotonic_ns() + limit * 1000000LL
        while not self.done:
            if zraw_seen(&self.generation) != fork_generation:
                fail_forked("Tracker.wait()")
            left = -1 if limit < 0 else (deadline - monotonic_ns()) / 1e9
            if limit >= 0 and left <= 0:
                return False
            # A lock of one's own, not an event: whoever drains only releases it,
            # and can never wait for a thread that a signal stopped in here.
            lock = _thread.allocate_lock()
            lock.acquire()
            with cython.critical_section(self):
                pending = self.pending
                self.waiters.append(lock)
            try:
                if pending:
                    lock.acquire(timeout=left)
            finally:
                with cython.critical_section(self):
                    self.waiters = [other for other in self.waiters
                                    if other is not lock]
        return True

    def __reduce__(self):
        raise TypeError("a Tracker counts memory of this process: not to be pickled")

    def __repr__(self):
        return f"<zraw.Tracker pending={zraw_seen_size(&self.pending)}>"


cdef void free_pin(pin_t *pin) noexcept:
    """Give the buffer back and tell the tracker; on_free has been seen to."""
    if pin.generation == zraw_seen(&pins_generation):
        zraw_add(&pins, -1)
    PyBuffer_Release(&pin.view)
    if pin.tracker != NULL:
        tracker = <Tracker> pin.tracker
        waiters = ()
        with cython.critical_section(tracker):
            zraw_put_size(&tracker.pending, tracker.pending - 1)
            if tracker.pending == 0:
                waiters, tracker.waiters = tracker.waiters, []
        for lock in waiters:
            lock.release()
        Py_DECREF(tracker)
    PyMem_RawFree(pin)


cdef pin_t *oldest_first(pin_t *newest) noexcept:
    cdef pin_t *ordered = NULL
    cdef pin_t *following
    while newest != NULL:
        following = newest.next
        newest.next = ordered
        ordered, newest = newest, following
    return ordered


cdef void release_finished() noexcept:
    """Release every finished pin, but leave those with an on_free to the thread.

    Dropping a reference may run any destructor, so the exception that may be on
    its way is put aside meanwhile.
    """
    cdef pin_t *pin = oldest_first(<pin_t *> zraw_take_all(&finished))
    cdef pin_t *following
    cdef PyObject *type
    cdef PyObject *value
    cdef PyObject *traceback
    if pin == NULL:
        return
    PyErr_Fetch(&type, &value, &traceback)
    while pin != NULL:
        following = pin.next
        if pin.on_free == NULL:
            free_pin(pin)
        else:
            zraw_push(&with_callback, pin)
            wake()
        pin = following
    PyErr_Restore(type, value, traceback)


cdef void call(object on_free) noexcept:
    cdef PyObject *result = PyObject_CallObject(on_free, NULL)
    if result == NULL:
        PyErr_WriteUnraisable(on_free)
    else:
        Py_DECREF(<object> result)


cdef void run_callbacks() noexcept:
    """Call the on_free of every finished pin that has one."""
    cdef pin_t *pin = oldest_first(<pin_t *> zraw_take_all(&with_callback))
    cdef pin_t *following
    while pin != NULL:
        following = pin.next
        on_free = <object> pin.on_free
        Py_DECREF(on_free)
        own = pin.generation == fork_generation
        free_pin(pin)
        if own:  # else it was due at the fork, and the parent calls it
            call(on_free)
        del on_free
        pin = following


def release_loop():
    """The release thread: sleep without the GIL, release, call the on_frees."""
    global asleep
    block_signals()
    while True:
        with nogil:
            zraw_swap(&asleep, 1)
            if (zraw_peek(&finished) == NULL and zraw_peek(&with_callback) == NULL
                    and not zraw_seen_bool(&stopping)):
                PyThread_acquire_lock(alarm, 1)
            elif not zraw_swap(&asleep, 0):
                PyThread_acquire_lock(alarm, 1)  # a post is under way: take it
            if not zraw_seen_bool(&stopping):
                nap(GRACE_US)
        release_finished()
        run_callbacks()
        if zraw_seen_bool(&stopping):
            return


cdef bint ensure_thread() except -1:
    """Start the release thread of this process; False when it is too late to.

    Or if threads are greenlets, as gevent can make them: this one would wait, and all
    others with it.
    """
    global thread, thread_generation, alarm, asleep, stopping
    if zraw_seen(&thread_generation) == fork_generation:
        return not zraw_seen_bool(&stopping)
    try:
        import threading  # not needed before, and a large part of `import zraw`
    except ImportError:
        return False
    start = (getattr(threading, "_start_joinable_thread", None)
             or threading._start_new_thread)
    if start.__module__ != "_thread":
        return False
    with cython.critical_section(starting):
        if zraw_seen(&thread_generation) == fork_generation:
            return not zraw_seen_bool(&stopping)
        asleep = 0
        stopping = False
        thread = None
        alarm = PyThread_allocate_lock()
        if alarm == NULL:
            raise MemoryError
        PyThread_acquire_lock(alarm, 1)
        # Noted before the start, which lets other threads run: they may pin meanwhile.
        zraw_put(&thread_generation, fork_generation)
    try:
        thread = threading.Thread(target=release_loop, name="zraw-release",
                                  daemon=True)
        thread.start()
    except RuntimeError:
        with cython.critical_section(starting):
            PyThread_free_lock(alarm)  # no thread, and so nobody posts it
            zraw_put(&thread_generation, 0)
        return False
    except BaseException:
        if thread is None or thread.ident is None:
            zraw_put(&thread_generation, 0)
        raise
    return True


cdef int stop() except -1:
    """Release what is left and end the thread, if this process has one."""
    cdef bint running = zraw_seen(&thread_generation) == fork_generation and (
        not zraw_seen_bool(&stopping))
    zraw_put_bool(&stopping, True)
    zraw_put(&thread_generation, fork_generation)
    if not running:
        return 0
    wake()
    if thread is not None and thread.is_alive():
        thread.join(1.0)
    return 0


cdef int copy_instead(zmq_msg_t *msg, pin_t *pin) except -1:
    cdef int rc = zmq_msg_init_size(msg, pin.view.len)
    if rc == 0 and pin.view.len:
        memcpy(zmq_msg_data(msg), pin.view.buf, pin.view.len)
    on_free = <object> pin.on_free if pin.on_free != NULL else None
    free_pin(pin)
    if rc < 0:
        zmq_msg_init(msg)
        raise MemoryError
    if on_free is not None:
        call(on_free)
    return 0


def pinned():
    """Return the number of pins that are not free yet."""
    if zraw_seen(&pins_generation) != fork_generation:
        return 0
    return zraw_seen_size(&pins)


cdef int pin(zmq_msg_t *msg, object data, object on_free, Tracker tracker) except -1:
    """Make `msg`, which holds nothing, a message whose body is the buffer `data`."""
    global pins
    cdef zmq_msg_t scratch
    cdef int err
    cdef bint threaded = ensure_thread()
    cdef pin_t *pin = <pin_t *> PyMem_RawMalloc(sizeof(pin_t))
    if pin == NULL:
        raise MemoryError
    pin.on_free = NULL
    pin.tracker = NULL
    pin.generation = fork_generation
    try:
        PyObject_GetBuffer(data, &pin.view, PyBUF_SIMPLE)
    except BaseException as error:
        PyMem_RawFree(pin)
        refuse_buffer(error, data, "Message.init_data(): buffer")
    if zraw_seen(&pins_generation) != fork_generation:
        with cython.critical_section(starting):  # another may be faster, and count
            if zraw_seen(&pins_generation) != fork_generation:
                pins = 0  # the parent's, which stay pinned here
                zraw_put(&pins_generation, fork_generation)
    zraw_add(&pins, 1)
    if tracker is not None:
        with cython.critical_section(tracker):
            if tracker.pending == 0:
                zraw_put(&tracker.generation, fork_generation)
            zraw_put_size(&tracker.pending, tracker.pending + 1)
        Py_INCREF(tracker)
        pin.tracker = <PyObject *> tracker
    zraw_handed_over(pin)
    if not threaded:
        pin.on_free = <PyObject *> on_free if on_free is not None else NULL
        return copy_instead(msg, pin)
    if zmq_msg_init_data(msg, pin.view.buf if pin.view.buf != NULL else &nothing,
                         pin.view.len, let_go, pin) < 0:
        free_pin(pin)
        zmq_msg_init(msg)
        fail(ENOMEM, "zmq_msg_init_data()")
    if on_free is not None:
        Py_INCREF(on_free)
        pin.on_free = <PyObject *> on_free
        zraw_handed_over(pin)
    # Once copied, a message counts as shared, and libzmq does not write into a
    # shared body.  (Its ws client masks an unshared one in place.)
    zmq_msg_init(&scratch)
    if zmq_msg_copy(&scratch, msg) < 0:
        err = zmq_errno()
        zmq_msg_close(msg)
        zmq_msg_init(msg)
        fail(err, "zmq_msg_copy()")
    zmq_msg_close(&scratch)
    return 0
