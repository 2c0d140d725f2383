"""zmq_poll(), zmq_ppoll(), and the wait that Poller shares with them."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.tuple cimport PyTuple_CheckExact
from libc.errno cimport EINTR
from libc.stdint cimport int64_t, uint64_t

from zraw.error cimport fail, fail_draft
from zraw.guard cimport (
    ZRAW_SLICE,
    GuardedSocket,
    Watcher,
    check_not_terminated,
    enter,
    hold,
    leave,
    release_all,
    socket_fd,
    to_int,
    to_milliseconds,
    to_number,
)
from zraw.libzmq cimport (
    ZMQ_POLLERR,
    ZMQ_POLLIN,
    ZMQ_POLLOUT,
    ZMQ_POLLPRI,
    zmq_errno,
    zmq_fd_t,
    zmq_poll,
    zmq_pollitem_t,
    zmq_ppoll,
)
from zraw.process cimport monotonic_ns
from zraw.release cimport drain

cdef extern from *:
    """
    #ifdef _WIN32
    typedef int zraw_sigset;
    #define zraw_no_signals(set) (*(set) = 0)
    #define zraw_add_signal(set, number) 0
    #define zraw_open_max() 0x7fffffffL
    #define ZRAW_SETSIZE 0x7fffffff  /* zmq_ppoll() is not for Windows */
    #define ZRAW_FD_MAX ((uint64_t)(zmq_fd_t)-1 - 1)
    #else
    #include <signal.h>
    #include <sys/select.h>
    #include <unistd.h>
    typedef sigset_t zraw_sigset;
    #define zraw_no_signals(set) sigemptyset(set)
    #define zraw_add_signal(set, number) sigaddset(set, number)
    #define zraw_open_max() sysconf(_SC_OPEN_MAX)
    #define ZRAW_SETSIZE FD_SETSIZE
    #define ZRAW_FD_MAX 0x7fffffff
    #endif
    """
    ctypedef struct zraw_sigset:
        pass
    int zraw_no_signals(zraw_sigset *signals)
    int zraw_add_signal(zraw_sigset *signals, int number)
    long zraw_open_max()
    const int ZRAW_SETSIZE
    const uint64_t ZRAW_FD_MAX

cdef int EVENTS = ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLERR | ZMQ_POLLPRI
# libzmq sleeps in microseconds of 32 bits if it has nothing to wait for.
cdef long LONGEST = 1000000


cdef long cut(long left) noexcept nogil:
    """Return how long to wait at a time, in milliseconds, if `left` are left."""
    cdef long longest = LONGEST if ZRAW_SLICE < 0 else ZRAW_SLICE
    if left < 0:
        return ZRAW_SLICE
    return min(left, longest)


cdef class Waiter(Watcher):
    """A wait for any of several sockets; the derived class knows how to look."""

    cdef int look(self, long timeout) noexcept nogil:
        """Wait at most `timeout` ms; return the number of ready items, or -1."""
        return 0

    cdef int take(self, str call) except -1:
        """Take the guard of every socket, or raise."""
        self.held = hold(self.sockets, call)
        if self.native:
            check_not_terminated(self.held, call)
        return 0

    cdef void give(self) noexcept:
        release_all(self.held)
        self.held = None

    cdef int run(self, int timeout, str call) except -1:
        """Wait; return the number of ready items, 0 if the time is over.

        The first look keeps the GIL.  Signal handlers run with every guard free:
        they may use, close, and register sockets.
        """
        cdef int64_t end = monotonic_ns() + timeout * <int64_t> 1000000
        cdef long left = timeout
        cdef int rc, err
        self.take(call)
        rc = self.look(0)
        err = zmq_errno() if rc < 0 else 0
        while err == EINTR or (rc == 0 and left):
            self.give()
            PyErr_CheckSignals()
            self.take(call)
            if timeout > 0:
                left = max(0, (end - monotonic_ns() + 999999) // 1000000)
            with nogil:
                rc = self.look(cut(left))
                err = zmq_errno() if rc < 0 else 0
        self.give()
        if err:
            fail(err, call)
        return rc


@cython.final
cdef class Items(Waiter):
    """The items of one zmq_poll()."""
    cdef zmq_pollitem_t *items
    cdef int count
    cdef list given           # what the caller calls them
    cdef bint masked
    cdef const void *mask

    def __dealloc__(self):
        PyMem_Free(self.items)

    cdef int look(self, long timeout) noexcept nogil:
        if self.masked:
            return zmq_ppoll(self.items, self.count, timeout, self.mask)
        return zmq_poll(self.items, self.count, timeout)

    cdef int take(self, str call) except -1:
        cdef int i
        cdef zmq_fd_t fd
        Waiter.take(self, call)
        for i in range(self.count if self.masked else 0):
            fd = self.items[i].fd
            if self.items[i].socket != NULL:
                fd = socket_fd(self.items[i].socket)
            if fd >= ZRAW_SETSIZE or self.count > ZRAW_SETSIZE:
                # libzmq would write beyond the end of an fd_set, or abort.
                self.give()
                raise ValueError(f"{call}: items: at most {ZRAW_SETSIZE}, with "
                                 f"descriptors below that, as select() has it")
        return 0

    cdef int read(self, object pairs, str call) except -1:
        """Fill in the items from (socket or fd, events) pairs."""
        cdef GuardedSocket socket
        cdef zmq_pollitem_t *item
        cdef Py_ssize_t i
        try:
            iterator = iter(pairs)
        except TypeError:
            raise TypeError(f"{call}: items: an iterable of (socket or fd, events), "
                            f"not {type(pairs).__name__}") from None
        pairs = list(iterator)
        check_count(len(pairs), call)
        self.items = <zmq_pollitem_t *> PyMem_Malloc(
            max(1, len(pairs)) * sizeof(zmq_pollitem_t))
        if self.items == NULL:
            raise MemoryError(call)
        self.given = []
        self.sockets = []
        for i in range(len(pairs)):
            pair = pairs[i]
            if PyTuple_CheckExact(pair) and len(<tuple> pair) == 2:
                what, events = (<tuple> pair)[0], (<tuple> pair)[1]
            else:
                try:
                    what, events = pair
                except (TypeError, ValueError):
                    raise TypeError(f"{call}: items[{i}]: (socket or fd, events), not "
                                    f"{pair!r}") from None
            item = &self.items[i]
            item.socket = NULL
            item.fd = 0
            item.revents = 0
            item.events = plain_events(events)
            if item.events < 0:  # only now, for making the text takes its time
                item.events = to_events(events, f"{call}: items[{i}]: events")
            if isinstance(what, GuardedSocket):
                socket = what
                item.socket = socket.ptr
                self.sockets.append(socket)
                self.native |= socket.shared
            else:
                item.fd = to_fd(what, f"{call}: items[{i}]")
            self.given.append(what)
        self.count = <int> len(pairs)
        return 0

    cdef list ready(self):
        cdef Py_ssize_t i
        return [(self.given[i], self.items[i].revents) for i in range(self.count)
                if self.items[i].revents]


cdef short plain_events(object events):
    """Return a set of events that is an int and nothing else, or -1."""
    cdef int overflow
    cdef long wanted
    if not PyLong_CheckExact(events):
        return -1
    wanted = PyLong_AsLongAndOverflow(events, &overflow)
    return <short> (wanted if not overflow and not wanted & ~EVENTS else -1)


cdef short to_events(object events, str what) except -1:
    """Return a set of events as libzmq's short."""
    cdef int wanted = to_int(events, what)
    if wanted & ~EVENTS:
        raise ValueError(f"{what}: of ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR and "
                         f"ZMQ_POLLPRI, not {wanted}")
    return <short> wanted


cdef zmq_fd_t to_fd(object item, str what) except? <zmq_fd_t> -1:
    """Return the descriptor that an int or an object with fileno() stands for."""
    if not hasattr(item, "__index__"):
        if not hasattr(item, "fileno"):
            raise TypeError(f"{what}: a Socket, a descriptor or an object with "
                            f"fileno(), not {type(item).__name__}")
        item = item.fileno()
    return to_number(item, f"{what}: descriptor", 0, ZRAW_FD_MAX)


cdef int check_count(Py_ssize_t count, str call) except -1:
    """Refuse more items than poll(2) takes: libzmq would abort the process."""
    if count > 4 and count > zraw_open_max():
        raise ValueError(f"{call}: at most {zraw_open_max()} items, as many as files "
                         f"may be open, not {count}")
    return 0


cdef list wait_for(Items waiter, object items, int milliseconds, str call):
    waiter.read(items, call)
    if milliseconds < 0 and not waiter.count:
        raise ValueError(f"{call}: items: nothing to wait for, and for ever")
    cdef int count = waiter.run(milliseconds, call)
    cdef list ready = waiter.ready() if count else []
    drain()
    return ready


def poll(items, timeout=-1):
    """Wait until some of several sockets and descriptors are ready.

    C call: zmq_poll()

    items: pairs (what, events): what is a Socket, a descriptor or an object with
        fileno(); events are ZMQ_POLLIN, ZMQ_POLLOUT, for descriptors also
        ZMQ_POLLERR and ZMQ_POLLPRI, joined by |.
    timeout: milliseconds; -1 waits for ever, 0 not at all.  Without items it is a
        sleep that signals can interrupt.

    No other thread can use the sockets meanwhile.

    Returns: a list of pairs (what, events), those that are ready; empty on time-out.
    Raises: ContextTerminated (ETERM); NotASocket (ENOTSOCK) if one is closed;
        SocketInUse (EBUSY); ValueError for -1 without items.
    """
    return wait_for(Items.__new__(Items), items,
                    to_milliseconds(timeout, "poll(): timeout"), "poll()")


def ppoll(items, timeout=-1, sigmask=None):
    """As poll(), with another set of blocked signals while it waits.

    C call: zmq_ppoll() (draft)

    items, timeout: as for poll().
    sigmask: numbers of the signals to block during the wait; None leaves them.  A
        signal that is blocked otherwise, and not here, is handled at once.

    Returns: as poll().
    Raises: as poll(); InvalidArgument (EINVAL) for thread-safe sockets; ValueError
        for a descriptor that select() cannot take; NotSupported (ENOTSUP) without
        libzmq's draft API, or on Windows.
    Since: libzmq 4.3.5
    """
    cdef Items waiter = Items()
    cdef zraw_sigset signals
    if <void *> zmq_ppoll == NULL:
        fail_draft("ppoll()")
    if sigmask is not None:
        zraw_no_signals(&signals)
        try:
            numbers = iter(sigmask)
        except TypeError:
            raise TypeError("ppoll(): sigmask: an iterable of signal numbers, or None, "
                            f"not {type(sigmask).__name__}") from None
        for number in numbers:
            if zraw_add_signal(&signals, to_int(number, "ppoll(): sigmask")) < 0:
                raise ValueError(f"ppoll(): sigmask: no signal has number {number}")
        waiter.mask = &signals
    waiter.masked = True
    return wait_for(waiter, items, to_milliseconds(timeout, "ppoll(): timeout"),
                    "ppoll()")


cdef short poll_socket(GuardedSocket socket, int timeout, short events) except -1:
    """Wait for one socket; a first look keeps the GIL."""
    cdef zmq_pollitem_t item
    cdef int64_t end = monotonic_ns() + timeout * <int64_t> 1000000
    cdef long left = timeout
    cdef int rc, err
    enter(socket, "poll()")
    item.socket = socket.ptr
    item.fd = 0
    item.events = events
    item.revents = 0
    rc = zmq_poll(&item, 1, 0)
    err = zmq_errno() if rc < 0 else 0
    while err == EINTR or (rc == 0 and left):
        # Those of signals that came before the wait, too.
        err = socket.run_handlers("poll()")
        if err:
            break
        if timeout > 0:
            left = max(0, (end - monotonic_ns() + 999999) // 1000000)
        with nogil:
            rc = zmq_poll(&item, 1, cut(left))
            err = zmq_errno() if rc < 0 else 0
    leave(socket)
    if err:
        socket.raise_errno(err, "poll()")
    drain()
    return item.revents
