"""Context, and the end of everything.  Functions of the form zmq_ctx_xxx()."""

import os
from _weakrefset import WeakSet

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, EINVAL
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memset

from zraw.error cimport fail, fail_draft, fail_forked
from zraw.guard cimport (
    ZRAW_CLOSING,
    ZRAW_PARKED,
    GuardedSocket,
    is_held,
    members,
    socket_int,
    to_address,
    to_int,
    to_milliseconds,
    zraw_put,
    zraw_put_bool,
    zraw_put_int,
    zraw_put_ptr,
    zraw_seen,
    zraw_seen_bool,
    zraw_seen_int,
    zraw_seen_ptr,
    zraw_take,
)
from zraw.libzmq cimport (
    ENOTSUP,
    ETERM,
    ZMQ_IO_THREADS,
    ZMQ_LINGER,
    ZMQ_MAX_SOCKETS,
    zmq_ctx_get,
    zmq_ctx_get_ext,
    zmq_ctx_new,
    zmq_ctx_set,
    zmq_ctx_set_ext,
    zmq_ctx_shutdown,
    zmq_ctx_term,
    zmq_errno,
    zmq_setsockopt,
)
from zraw.option cimport c_string, context_option, of_sockets
from zraw.process cimport begin_exit, block_signals, fork_generation, monotonic_ns, nap
from zraw.release cimport drain, stop

cdef extern from "errno.h" nogil:
    int errno

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_start_new_thread(void (*function)(void *) noexcept nogil,
                                            void *argument)
    const unsigned long PYTHREAD_INVALID_THREAD_ID

cdef extern from *:
    """
    #ifdef _MSC_VER
    #include <intrin.h>
    #define zraw_count(n, by) _InterlockedExchangeAdd((volatile long *)(n), (by))
    #else
    #define zraw_count(n, by) __atomic_fetch_add((n), (by), __ATOMIC_SEQ_CST)
    #endif
    """
    int zraw_count(int *number, int by) noexcept nogil

cdef enum:
    SCHED_POLICY = 4                # ZMQ_THREAD_SCHED_POLICY
    CPU_ADD = 7                     # ZMQ_THREAD_AFFINITY_CPU_ADD
cdef int MOST_THREADS = 1000        # libzmq aborts if it cannot start them
cdef int MOST_SOCKETS = 2000000000  # and if its table of both overflows
cdef object CPUS = getattr(os, "sched_getaffinity", None)
cdef frozenset POLICIES = frozenset(
    value for name, value in vars(os).items()
    if name.startswith("SCHED_") and name != "SCHED_RESET_ON_FORK") | {-1}
# Socket, which is below: at the end of the interpreter there is no import any more.
cdef object socket_type = None
cdef object contexts = WeakSet()    # the open ones
cdef int terminating = 0            # contexts inside zmq_ctx_term()
cdef int longest_exit_linger = 0    # of those contexts
cdef uint32_t helpers_generation = 1  # of the process that the two above count for


cdef void set_socket_type(object type) noexcept:
    """Tell what Context.socket() makes."""
    global socket_type
    socket_type = type


cdef void term_on_helper(void *context) noexcept nogil:
    block_signals()
    while zmq_ctx_term(context) < 0 and zmq_errno() == EINTR:
        pass
    zraw_count(&terminating, -1)


cdef void count_anew_after_fork(int exit_linger) noexcept:
    """Note an exit_linger; helper threads stay behind in the parent."""
    global terminating, longest_exit_linger, helpers_generation
    if helpers_generation != fork_generation:
        terminating = longest_exit_linger = 0
        helpers_generation = fork_generation
    longest_exit_linger = max(longest_exit_linger, exit_linger)


cdef void term_in_background(void *context, int exit_linger) noexcept:
    """zmq_ctx_term() on a thread of its own that knows nothing of Python."""
    count_anew_after_fork(exit_linger)
    zraw_count(&terminating, 1)
    if PyThread_start_new_thread(term_on_helper, context) == PYTHREAD_INVALID_THREAD_ID:
        zraw_count(&terminating, -1)  # no thread to be had: the context is leaked


cdef int refuse_abort(int option, int value, str call) except -1:
    """Refuse what libzmq takes, and aborts for when the first socket is made."""
    if (option == ZMQ_IO_THREADS and value > MOST_THREADS
            or option == ZMQ_MAX_SOCKETS and value > MOST_SOCKETS
            or option == SCHED_POLICY and len(POLICIES) > 1 and value not in POLICIES
            or option == CPU_ADD and CPUS is not None and value not in CPUS(0)):
        fail(EINVAL, call)
    return 0


cdef class Context:
    """Context(io_threads=1): what sockets are made in.

    C call: zmq_ctx_new(), zmq_ctx_set() with ZMQ_IO_THREADS

    io_threads: 0 to 1000; inproc needs none.

    Threads may share a Context.  `with` ends with close().  At exit, the sockets
    that are still open are closed with a LINGER of at most `exit_linger`
    milliseconds (default 1000), which may be set to another number.
    """

    def __cinit__(self):
        self.open_sockets = WeakSet()
        self.linger_at_exit = 1000

    def __init__(self, io_threads=1):
        cdef int threads = to_int(io_threads, "Context(): io_threads")
        with cython.critical_section(self):
            if self.generation or self.terminating:
                raise RuntimeError("Context.__init__(): called before")
            if not 0 <= threads <= MOST_THREADS:
                raise ValueError(f"Context(): io_threads: 0 to {MOST_THREADS}, "
                                 f"not {threads}")
            self.ptr = zmq_ctx_new()
            if self.ptr == NULL:
                fail(zmq_errno(), "Context()")
            zraw_put(&self.generation, fork_generation)
        contexts.add(self)
        if zmq_ctx_set(self.ptr, ZMQ_IO_THREADS, threads) < 0:
            fail(zmq_errno(), f"Context({threads})")

    def __dealloc__(self):
        self.destruct()

    cdef int destruct(self) noexcept:
        """Let go of the context without waiting; no socket of it is open."""
        if (self.ptr != NULL and self.generation == fork_generation
                and not self.borrowed):
            zmq_ctx_shutdown(self.ptr)
            term_in_background(self.ptr, self.linger_at_exit)
        self.ptr = NULL
        self.generation = 0
        return 0

    cdef int check(self, str call) except -1:
        """Raise unless the context is open and this process's own."""
        cdef uint32_t generation = zraw_seen(&self.generation)
        cdef bint terminating = zraw_seen_bool(&self.terminating)
        if generation == fork_generation and zraw_seen_ptr(&self.ptr) != NULL:
            if not terminating:
                return 0
        elif generation and generation != fork_generation:
            fail_forked(f"Context.{call}")
        elif not generation and not terminating:
            fail(ETERM, f"Context.{call}: Context.__init__ was not called")
        return fail(ETERM, f"Context.{call}")

    cdef int add(self, object socket) except -1:
        self.open_sockets.add(socket)
        return 0

    cdef int discard(self, object socket) except -1:
        self.open_sockets.discard(socket)
        return 0

    @staticmethod
    def from_handle(address):
        """Return a Context for a libzmq context that others own.

        address: of the context, as int; a wrong one crashes the interpreter.

        close() closes the sockets made through it, once no thread is inside a call
        on them, and leaves the context alone; term() and shutdown() raise
        NotSupported.
        """
        cdef Context context = Context.__new__(Context)
        cdef uintptr_t pointer = to_address(address, "Context.from_handle(): address")
        context.ptr = <void *> pointer
        context.generation = fork_generation
        context.borrowed = True
        contexts.add(context)
        return context

    def term(self):
        """Wait until every socket is closed and sent messages are gone; then end.

        C call: zmq_ctx_term()

        Calls that wait in other threads end with ContextTerminated.  A second
        term() waits for the first.  After Ctrl-C, another term() goes on.

        Waits: for ever, if a socket stays open or a LINGER of -1 finds no peer.
        Raises: NotSupported (ENOTSUP) on a borrowed context; ForkError (EPERM).
        """
        if self.borrowed:
            fail(ENOTSUP, "Context.term(): the context is borrowed")
        if zraw_seen(&self.generation) not in (0, fork_generation):
            self.check("term()")
        self.end()

    cdef int end(self) except -1:
        """Terminate, or wait for the thread that is at it."""
        cdef void *ptr
        cdef int err = EINTR
        cdef bint running
        while err == EINTR:
            # Handlers may do anything, terminate this very context too.
            PyErr_CheckSignals()
            with cython.critical_section(self):
                running, ptr = self.running, self.ptr
                if ptr != NULL and not running:
                    # Nobody is to see the pointer while zmq_ctx_term() may free it.
                    zraw_put_ptr(&self.ptr, NULL)
                    zraw_put_bool(&self.terminating, True)
                    self.running = True
                    # Counted at once: the exit waits for daemon threads too.
                    count_anew_after_fork(zraw_seen_int(&self.linger_at_exit))
                    zraw_count(&terminating, 1)
            if running:
                with nogil:
                    nap(1000)
                continue
            if ptr == NULL:
                return 0
            with nogil:
                err = zmq_errno() if zmq_ctx_term(ptr) < 0 else 0
                zraw_count(&terminating, -1)
            with cython.critical_section(self):
                self.running = False
                if err == EINTR:
                    zraw_put_ptr(&self.ptr, ptr)
        zraw_put(&self.generation, 0)
        contexts.discard(self)
        if err:
            fail(err, "Context.term()")
        drain()
        return 0

    def shutdown(self):
        """Make every call on the context's sockets fail with ContextTerminated.

        C call: zmq_ctx_shutdown()

        Threads that wait in a call come back.  The sockets still have to be
        closed, and the context terminated.  Does nothing once term() has begun.

        Raises: NotSupported (ENOTSUP) on a borrowed context; ContextTerminated
            (ETERM) if it was never opened; ForkError (EPERM).
        """
        if self.borrowed:
            fail(ENOTSUP, "Context.shutdown(): the context is borrowed")
        with cython.critical_section(self):
            if self.terminating:
                return
            self.check("shutdown()")
            if zmq_ctx_shutdown(self.ptr) < 0:
                fail(zmq_errno(), "Context.shutdown()")

    def close(self, linger=None):
        """Close every socket, then terminate the context.

        C call: zmq_close(), zmq_ctx_shutdown(), zmq_ctx_term()

        linger: milliseconds for unsent messages of sockets still open, -1 for
            ever; None leaves every socket its own ZMQ_LINGER.

        A socket that another thread waits in is closed as soon as that thread has
        come back with ContextTerminated.  A second close() does nothing.  In a
        process forked after the context was made it does nothing either.

        Waits: for the threads inside calls, and for LINGER.
        Raises: SocketInUse (EBUSY) if an extension holds one of the sockets.
        """
        cdef int milliseconds = -1
        if linger is not None:
            milliseconds = to_milliseconds(linger, "Context.close(): linger")
        if zraw_seen(&self.generation) != fork_generation:
            return
        spare_held(self)
        close_sockets(self, linger is not None, milliseconds, False)
        with cython.critical_section(self):
            if not self.borrowed and self.ptr != NULL:
                zmq_ctx_shutdown(self.ptr)
        while close_sockets(self, linger is not None, milliseconds, False):
            spare_held(self)
            with nogil:
                nap(500)
            PyErr_CheckSignals()
        if self.borrowed:
            zraw_put_bool(&self.terminating, True)
            zraw_put_ptr(&self.ptr, NULL)
            zraw_put(&self.generation, 0)
            contexts.discard(self)
        else:
            self.end()

    def socket(self, type):
        """Return Socket(self, type).

        C call: zmq_socket()

        Raises: as Socket().
        """
        return socket_type(self, type)

    @property
    def exit_linger(self):
        """The longest LINGER of open sockets at exit, in milliseconds: 1000."""
        return zraw_seen_int(&self.linger_at_exit)

    @exit_linger.setter
    def exit_linger(self, milliseconds):
        cdef int linger = to_int(milliseconds, "exit_linger")
        if linger < 0:
            raise ValueError(f"exit_linger: 0 or more milliseconds, not {linger}")
        zraw_put_int(&self.linger_at_exit, linger)

    @property
    def sockets(self):
        """The open sockets of the context, as a list."""
        return [item for item in members(self.open_sockets)
                if zraw_seen(&(<GuardedSocket> item).generation)]

    @property
    def closed(self):
        """True once the context is terminated, or being terminated."""
        return (zraw_seen_bool(&self.terminating) != 0
                or not zraw_seen(&self.generation))

    @property
    def handle(self):
        """The address of libzmq's context, as int.

        Raises: ContextTerminated (ETERM); ForkError (EPERM).
        """
        cdef void *ptr = zraw_seen_ptr(&self.ptr)  # first: another thread may end it
        self.check("handle")
        return <uintptr_t> ptr

    @cython.critical_section
    def get(self, option):
        """Return a context option: ZMQ_IO_THREADS, ZMQ_MAX_SOCKETS, ZMQ_IPV6, ...

        C call: zmq_ctx_get()

        Raises: InvalidArgument (EINVAL) if libzmq does not know it or cannot read
            it; ContextTerminated (ETERM); ForkError (EPERM).
        """
        global errno
        cdef bint is_string
        cdef int number = to_int(option, "Context.get(): option")
        self.check("get()")
        # -1 is a value too: the default of ZMQ_THREAD_SCHED_POLICY.
        errno = 0
        cdef int value = zmq_ctx_get(self.ptr, number)
        cdef int err = errno
        if value < 0 and err:
            fail(err, f"Context.get({context_option(number, 'r', &is_string)})"
                 + of_sockets(number))
        return value

    @cython.critical_section
    def set(self, option, value):
        """Set a context option; most count only before the first socket.

        C call: zmq_ctx_set()

        Raises: InvalidArgument (EINVAL); OverflowError if value is no C int;
            ContextTerminated (ETERM); ForkError (EPERM).
        """
        cdef bint is_string
        cdef int number = to_int(option, "Context.set(): option")
        cdef str name = context_option(number, "w", &is_string)
        cdef int wanted = to_int(value, f"Context.set({name}): value")
        self.check("set()")
        refuse_abort(number, wanted, f"Context.set({name}, {wanted})")
        if zmq_ctx_set(self.ptr, number, wanted) < 0:
            fail(zmq_errno(), f"Context.set({name}, {wanted})" + of_sockets(number))

    @cython.critical_section
    def get_ext(self, option):
        """Return a context option; ZMQ_THREAD_NAME_PREFIX as str.

        C call: zmq_ctx_get_ext() (draft)

        Raises: InvalidArgument (EINVAL); ContextTerminated (ETERM); NotSupported
            (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.3.3
        """
        cdef int number = to_int(option, "Context.get_ext(): option")
        cdef bint is_string
        cdef str name = context_option(number, "r", &is_string)
        cdef char text[256]
        cdef int value = 0
        cdef size_t size = sizeof(text) if is_string else sizeof(value)
        cdef int rc
        self.check("get_ext()")
        if <void *> zmq_ctx_get_ext == NULL:
            fail_draft("Context.get_ext()")
        # libzmq writes neither the length nor a NUL.
        memset(text, 0, sizeof(text))
        if is_string:
            rc = zmq_ctx_get_ext(self.ptr, number, text, &size)
        else:
            rc = zmq_ctx_get_ext(self.ptr, number, &value, &size)
        if rc < 0:
            fail(zmq_errno(), f"Context.get_ext({name})")
        if is_string:
            return (<bytes> (<char *> text)).decode("utf-8", "surrogateescape")
        return value

    @cython.critical_section
    def set_ext(self, option, value):
        """Set a context option to an int, or ZMQ_THREAD_NAME_PREFIX to a str.

        C call: zmq_ctx_set_ext() (draft)

        value: int; or str or bytes of 1 to 16 bytes, but not 4: libzmq would take
            those for an int.

        Raises: InvalidArgument (EINVAL); ContextTerminated (ETERM); NotSupported
            (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.3.3
        """
        cdef int number = to_int(option, "Context.set_ext(): option")
        cdef bint is_string
        cdef str name = context_option(number, "w", &is_string)
        cdef str what = f"Context.set_ext({name}): value"
        cdef int wanted
        cdef bytes text = None
        cdef int rc
        self.check("set_ext()")
        if is_string and isinstance(value, (str, bytes)):
            text = c_string(value, what)
            if len(text) == 4:
                raise ValueError(f"{what}: not 4 bytes, which libzmq takes for an int")
        else:
            wanted = to_int(value, what)
        if <void *> zmq_ctx_set_ext == NULL:
            fail_draft("Context.set_ext()")
        if text is None:
            refuse_abort(number, wanted, f"Context.set_ext({name}, {wanted})")
            rc = zmq_ctx_set_ext(self.ptr, number, &wanted, sizeof(wanted))
        else:
            rc = zmq_ctx_set_ext(self.ptr, number, <char *> text, len(text))
        if rc < 0:
            fail(zmq_errno(), f"Context.set_ext({name}, {value!r})")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __reduce__(self):
        raise TypeError("a Context belongs to this process: not to be pickled or "
                        "copied; pass endpoints, and make a Context there")

    def __repr__(self):
        if self.closed:
            return "<zraw.Context closed>"
        return f"<zraw.Context with {len(self.open_sockets)} open socket(s)>"


cdef list mine():
    """Return the contexts of this process that are not terminated."""
    return [context for context in members(contexts)
            if zraw_seen(&(<Context> context).generation) == fork_generation]


def open_contexts():
    """Return (context, its address) of those; None for one being terminated."""
    return [(context, <uintptr_t> zraw_seen_ptr(&(<Context> context).ptr) or None)
            for context in mine()]


cdef int close_sockets(Context context, bint given, int linger,
                       bint exiting) except -1:
    """Close the sockets that nobody is inside of; return how many are left.

    given: whether `linger` is to be set; exiting: a socket's own shorter one stays,
    and those whose threads sleep until the end count as idle.
    """
    cdef GuardedSocket socket
    cdef int left = 0, own
    for item in members(context.open_sockets):
        socket = <GuardedSocket> item
        if zraw_seen(&socket.generation) != fork_generation:
            context.open_sockets.discard(item)
            continue
        if not (exiting and zraw_seen(&socket.busy) == ZRAW_PARKED
                or zraw_take(&socket.busy, ZRAW_CLOSING)):
            left += 1
            # When its thread has come out it is too late: libzmq takes no option once
            # the context is shut down.  To it, this one is an atomic number.
            with cython.critical_section(socket):
                if given and socket.ptr != NULL and not socket.borrowed:
                    own = socket_int(socket.ptr, ZMQ_LINGER) if exiting else -1
                    if not 0 <= own < linger:
                        zmq_setsockopt(socket.ptr, ZMQ_LINGER, &linger, sizeof(linger))
            continue
        try:
            socket.detach()
        finally:
            # Whatever a signal handler raises: nobody could close it any more.
            socket.shut(given, linger, exiting)
        context.open_sockets.discard(item)
    return left


cdef int spare_held(Context context) except -1:
    """Refuse to close the context while an extension holds one of its sockets.

    It may do so for good; see zraw_socket_acquire() in zraw.h.
    """
    for item in members(context.open_sockets):
        if is_held(&(<GuardedSocket> item).busy):
            (<GuardedSocket> item).reject("Context.close()")
    return 0


def at_exit():
    """Close what is open, and do not let anything unsent keep the process alive.

    Every open idle socket is closed with a LINGER of at most its context's
    `exit_linger`.  Contexts are shut down: daemon threads inside calls come back,
    and are put to sleep.  zmq_ctx_term() runs on helper threads; they are
    waited for until the longest exit_linger is over, and 200 ms more.
    """
    cdef Context context
    cdef int left
    cdef int64_t start = monotonic_ns()
    cdef int64_t deadline
    cdef list all_mine = mine()
    begin_exit()
    count_anew_after_fork(0)
    for item in all_mine:
        context = item
        count_anew_after_fork(context.linger_at_exit)
        close_sockets(context, True, context.linger_at_exit, True)
        with cython.critical_section(context):
            if context.ptr != NULL and not context.borrowed:
                zmq_ctx_shutdown(context.ptr)
    for item in all_mine:
        context = item
        left = close_sockets(context, True, context.linger_at_exit, True)
        while left and monotonic_ns() < start + 200 * 1000000LL:
            with nogil:
                nap(1000)
            left = close_sockets(context, True, context.linger_at_exit, True)
        if not left:
            with cython.critical_section(context):
                context.destruct()
    deadline = start + (<int64_t> longest_exit_linger + 200) * 1000000
    try:
        while zraw_count(&terminating, 0) > 0 and monotonic_ns() < deadline:
            PyErr_CheckSignals()  # Ctrl-C gets through, and gives up what is unsent
            with nogil:
                nap(500)
    finally:
        stop()
