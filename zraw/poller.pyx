"""Poller: functions of the form zmq_poller_xxx().

libzmq has zmq_poller only in builds with the draft API.  Elsewhere zmq_poll() does
the same over an array that is kept between the waits.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EBUSY, EFAULT, EINVAL

from zraw.error cimport fail, fail_forked
from zraw.guard cimport (
    FREE_THREADED,
    NO_FD,
    GuardedSocket,
    Watcher,
    enter,
    leave,
    to_milliseconds,
    to_size,
    zraw_give,
    zraw_put,
    zraw_seen,
    zraw_take,
)
from zraw.libzmq cimport (
    zmq_errno,
    zmq_fd_t,
    zmq_poll,
    zmq_poller_add,
    zmq_poller_add_fd,
    zmq_poller_destroy,
    zmq_poller_event_t,
    zmq_poller_fd,
    zmq_poller_modify,
    zmq_poller_modify_fd,
    zmq_poller_new,
    zmq_poller_remove,
    zmq_poller_remove_fd,
    zmq_poller_size,
    zmq_poller_wait,
    zmq_poller_wait_all,
    zmq_pollitem_t,
)
from zraw.polling cimport Waiter, check_count, to_events, to_fd
from zraw.process cimport fork_generation, nap
from zraw.release cimport drain

cdef extern from "Python.h" nogil:
    PyObject *PyList_GET_ITEM(PyObject *items, Py_ssize_t index)


@cython.final
cdef class Entry:
    """What is registered."""
    cdef object item             # a Socket, a descriptor, or what has one
    cdef GuardedSocket socket    # None for a descriptor
    cdef zmq_fd_t fd
    cdef object user_data
    cdef short events


@cython.final
cdef class Wait(Waiter):
    """One zmq_poller_wait() or zmq_poller_wait_all()."""
    cdef Poller poller
    cdef list entries                # of the poller; they stay alive
    cdef PyObject *list              # the same
    cdef bint endless
    cdef int wanted                  # 0: one event, by zmq_poller_wait()
    cdef zmq_poller_event_t first
    cdef zmq_poller_event_t *found   # room for `wanted` events

    def __dealloc__(self):
        if self.wanted:
            PyMem_Free(self.found)

    cdef int take(self, str call) except -1:
        self.poller.begin(call)
        try:
            self.sockets = self.poller.sockets
            self.entries = self.poller.entries
            self.list = <PyObject *> self.entries
            self.poller.arrange(call)
            if self.endless and not self.poller.wakeable:
                raise ValueError(f"{call}: timeout: -1, but there is nothing to wait "
                                 "for")
            self.native = self.poller.ptr != NULL or not self.poller.wakeable
            Waiter.take(self, call)
        except BaseException:
            self.poller.end()
            raise
        return 0

    cdef void give(self) noexcept:
        Waiter.give(self)
        self.poller.end()

    cdef int look(self, long timeout) noexcept nogil:
        cdef int rc, i, count = 0
        if not self.poller.wakeable:
            # zmq_poller would sleep, too, and then say that it failed.
            nap(timeout * 1000)
            return 0
        if self.poller.ptr == NULL:
            rc = zmq_poll(self.poller.items, self.poller.count, timeout)
            i = 0
            while count < min(rc, max(1, self.wanted)):
                if self.poller.items[i].revents:
                    self.found[count].user_data = PyList_GET_ITEM(self.list, i)
                    self.found[count].events = self.poller.items[i].revents
                    count += 1
                i += 1
            return min(rc, count)
        if self.wanted:
            rc = zmq_poller_wait_all(self.poller.ptr, self.found, self.wanted, timeout)
        else:
            rc = zmq_poller_wait(self.poller.ptr, self.found, timeout)
            rc = 1 if rc == 0 else rc
        return 0 if rc < 0 and zmq_errno() == EAGAIN else rc

    cdef list events(self, int count):
        """Return what was found."""
        cdef Entry entry
        cdef list events = []
        for i in range(count):
            entry = <Entry> self.found[i].user_data
            events.append((entry.item, entry.user_data, self.found[i].events))
        return events


# A reference to an Entry is libzmq's user_data: they are to outlive the poller.
@cython.no_gc_clear
cdef class Poller(Watcher):
    """Poller(): a set of sockets and descriptors to wait for.

    C call: zmq_poller_new() (draft); zmq_poll() where libzmq lacks it

    What is registered stays alive; a socket that is closed is removed.  `with` ends
    with destroy().

    Raises: MemoryError.
    """

    def __cinit__(self):
        self.entries = []
        self.sockets = []
        if <void *> zmq_poller_new != NULL:
            self.ptr = zmq_poller_new()
            if self.ptr == NULL:
                fail(zmq_errno(), "Poller()")
        self.generation = fork_generation

    def __init__(self):
        pass  # it refuses arguments, which __cinit__ alone would ignore

    def __dealloc__(self):
        if self.ptr != NULL and self.generation == fork_generation:
            zmq_poller_destroy(&self.ptr)
        PyMem_Free(self.items)

    cdef int closing(self, GuardedSocket socket) except -1:
        """Remove a socket that is about to be closed."""
        cdef Entry entry = self.find(socket, "close()")
        if entry is None or zraw_seen(&self.generation) != fork_generation:
            return 0
        if FREE_THREADED:
            # A thread that is inside does not wait for this socket: it is busy.
            while not zraw_take(&self.busy, 1):
                with nogil:
                    nap(50)
                if self.find(socket, "close()") is None:
                    return 0
        if self.ptr != NULL:
            zmq_poller_remove(self.ptr, socket.ptr)
        self.change([other for other in self.current() if other is not entry])
        if FREE_THREADED:
            self.end()
        return 0

    cdef list current(self):
        """Return the entries; another thread may be changing them."""
        with cython.critical_section(self):
            return self.entries

    def destroy(self):
        """Let go of everything registered, and make the poller unusable.

        C call: zmq_poller_destroy() (draft)

        A second destroy() does nothing.  Collection destroys too.

        Raises: SocketInUse (EBUSY) if another thread waits with it.
        """
        cdef uint32_t generation = zraw_seen(&self.generation)
        if not generation:
            return
        if generation == fork_generation:
            self.begin("Poller.destroy()")
            try:
                if self.ptr != NULL:
                    zmq_poller_destroy(&self.ptr)
                zraw_put(&self.generation, 0)
                self.change([])
            finally:
                self.end()
        else:
            self.ptr = NULL
            self.generation = 0
            self.change([])

    def size(self):
        """Return the number of sockets and descriptors registered.

        C call: zmq_poller_size() (draft)

        Raises: InvalidHandle (EFAULT) if the poller is destroyed; SocketInUse (EBUSY).
        """
        self.begin("Poller.size()")
        cdef int size = <int> len(self.entries)
        cdef int err = 0
        if self.ptr != NULL and <void *> zmq_poller_size != NULL:
            size = zmq_poller_size(self.ptr)
            err = zmq_errno() if size < 0 else 0
        self.end()
        if err:
            fail(err, "Poller.size()")
        return size

    def add(self, socket, events=1, user_data=None):
        """Register a socket.

        C call: zmq_poller_add() (draft)

        events: ZMQ_POLLIN (the default), ZMQ_POLLOUT, or both; 0 for none at present.
        user_data: anything; the events of this socket bring it along.

        Raises: InvalidArgument (EINVAL) if it is registered; NotASocket (ENOTSOCK);
            SocketInUse (EBUSY); InvalidHandle (EFAULT) if the poller is destroyed.
        """
        if not isinstance(socket, GuardedSocket):
            raise TypeError("Poller.add(): socket: Socket, not "
                            f"{type(socket).__name__}; for a descriptor there is "
                            "add_fd()")
        self.register(socket, events, user_data, "Poller.add()")

    def modify(self, GuardedSocket socket not None, events):
        """Wait for other events of a socket.

        C call: zmq_poller_modify() (draft)

        events: as for add().

        Raises: InvalidArgument (EINVAL) if it is not registered; otherwise as add().
        """
        self.set_events(socket, events, "Poller.modify()")

    def remove(self, GuardedSocket socket not None):
        """Register a socket no longer.

        C call: zmq_poller_remove() (draft)

        Raises: as modify().
        """
        self.unregister(socket, "Poller.remove()")

    def add_fd(self, fd, events=1, user_data=None):
        """Register a descriptor.

        C call: zmq_poller_add_fd() (draft)

        fd: int, or an object with fileno().
        events: of ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_POLLERR and ZMQ_POLLPRI.
        user_data: as for add().

        Raises: InvalidArgument (EINVAL) if it is registered; otherwise as add().
        """
        self.register(fd, events, user_data, "Poller.add_fd()")

    def modify_fd(self, fd, events):
        """Wait for other events of a descriptor.

        C call: zmq_poller_modify_fd() (draft)

        Raises: as modify().
        """
        self.set_events(fd, events, "Poller.modify_fd()")

    def remove_fd(self, fd):
        """Register a descriptor no longer.

        C call: zmq_poller_remove_fd() (draft)

        Raises: as modify().
        """
        self.unregister(fd, "Poller.remove_fd()")

    def fd(self):
        """Return a descriptor that is readable when a thread-safe socket may be ready.

        C call: zmq_poller_fd() (draft)

        Raises: InvalidArgument (EINVAL) unless a socket of a thread-safe type was
            added; InvalidHandle (EFAULT) if the poller is destroyed; SocketInUse
            (EBUSY).
        Since: libzmq 4.3.2
        """
        cdef zmq_fd_t fd = NO_FD
        cdef int err = EINVAL
        self.begin("Poller.fd()")
        if self.ptr != NULL:
            err = zmq_errno() if zmq_poller_fd(self.ptr, &fd) < 0 else 0
        self.end()
        if err:
            fail(err, "Poller.fd(): no thread-safe socket was added")
        return fd

    def wait(self, timeout=-1):
        """Wait until something registered is ready; return the first such event.

        C call: zmq_poller_wait() (draft)

        timeout: milliseconds; -1 waits for ever, 0 not at all.

        No other thread can use the sockets meanwhile.

        Returns: (socket or fd, user_data, events).
        Raises: Again (EAGAIN) on time-out; ContextTerminated (ETERM); SocketInUse
            (EBUSY); InvalidHandle (EFAULT) if the poller is destroyed; ValueError
            for -1 if there is nothing to wait for.
        """
        return self.wait_for(0, to_milliseconds(timeout, "Poller.wait(): timeout"),
                             "Poller.wait()")[0]

    def wait_all(self, n, timeout=-1):
        """Wait until something registered is ready; return at most `n` such events.

        C call: zmq_poller_wait_all() (draft)

        n: 1 or more.  The events come in the order of registration: those beyond the
            nth may starve.
        timeout: as for wait().

        Returns: a list of (socket or fd, user_data, events), never empty.
        Raises: as wait().
        """
        cdef Py_ssize_t wanted = to_size(n, "Poller.wait_all(): n", 1)
        return self.wait_for(
            min(wanted, 2**31 - 1),
            to_milliseconds(timeout, "Poller.wait_all(): timeout"), "Poller.wait_all()")

    cdef int begin(self, str call) except -1:
        """Take the poller for a call, or raise."""
        cdef uint32_t generation = zraw_seen(&self.generation)
        if not generation:
            fail(EFAULT, f"{call}: the poller is destroyed")
        if generation != fork_generation:
            fail_forked(call)
        if not zraw_take(&self.busy, 1):
            fail(EBUSY, f"{call}: another thread is using the poller")
        if not self.generation:
            self.end()
            fail(EFAULT, f"{call}: the poller is destroyed")
        return 0

    cdef void end(self) noexcept:
        zraw_give(&self.busy)

    cdef object find(self, object item, str call):
        """Return the entry of a Socket or a descriptor, or None."""
        cdef Entry entry
        cdef bint is_socket = isinstance(item, GuardedSocket)
        cdef zmq_fd_t fd = NO_FD if is_socket else to_fd(item, f"{call}: fd")
        for candidate in self.current():
            entry = candidate
            if entry.socket is item if is_socket else entry.fd == fd:
                return entry
        return None

    cdef int change(self, list entries) except -1:
        """Replace the entries."""
        sockets = [(<Entry> entry).socket for entry in entries
                   if (<Entry> entry).socket is not None]
        with cython.critical_section(self):
            self.sockets, self.entries = sockets, entries
        self.wakeable = False
        for entry in entries:
            self.wakeable |= (<Entry> entry).events != 0
        self.changed = True
        return 0

    cdef int arrange(self, str call) except -1:
        """Make the array for zmq_poll() anew if the entries have changed."""
        cdef Entry entry
        cdef zmq_pollitem_t *items
        cdef Py_ssize_t i
        if not self.changed:
            return 0
        check_count(len(self.entries), call)
        if self.ptr == NULL:
            items = <zmq_pollitem_t *> PyMem_Realloc(
                self.items, max(1, len(self.entries)) * sizeof(zmq_pollitem_t))
            if items == NULL:
                raise MemoryError(call)
            self.items = items
            for i in range(len(self.entries)):
                entry = self.entries[i]
                items[i].socket = NULL if entry.socket is None else entry.socket.ptr
                items[i].fd = entry.fd
                items[i].events = entry.events
                items[i].revents = 0
            self.count = <int> len(self.entries)
        self.changed = False
        return 0

    cdef int register(self, object item, object events, object user_data,
                      str call) except -1:
        """Add an entry."""
        cdef Entry entry = Entry.__new__(Entry)
        cdef GuardedSocket socket = None
        cdef int err = 0
        entry.item = item
        entry.user_data = user_data
        entry.events = to_events(events, f"{call}: events")
        if isinstance(item, GuardedSocket):
            entry.fd = NO_FD
            entry.socket = socket = item
        else:
            entry.fd = to_fd(item, f"{call}: fd")
        self.begin(call)
        try:
            if self.find(item, call) is not None:
                fail(EINVAL, f"{call}: registered already")
            if socket is None:
                if self.ptr != NULL and zmq_poller_add_fd(
                        self.ptr, entry.fd, <void *> entry, entry.events) < 0:
                    fail(zmq_errno(), call)
                self.change([*self.entries, entry])
            else:
                # First, for it is Python, where the handler of a signal may raise.
                socket.watch(self, True)
                enter(socket, call)
                try:
                    entries = [*self.entries, entry]
                    if self.ptr != NULL and zmq_poller_add(
                            self.ptr, socket.ptr, <void *> entry, entry.events) < 0:
                        err = zmq_errno()
                    else:
                        self.change(entries)
                finally:
                    leave(socket)
                if err:
                    socket.raise_errno(err, call)
        finally:
            self.end()
        return 0

    cdef object entry_of(self, object item, str call):
        """Return the entry of a Socket or a descriptor, or raise."""
        cdef GuardedSocket socket
        entry = self.find(item, call)
        if entry is None:
            if isinstance(item, GuardedSocket):
                socket = item
                if not zraw_seen(&socket.generation):
                    socket.refuse(call)
            fail(EINVAL, f"{call}: not registered")
        return entry

    cdef int set_events(self, object item, object events, str call) except -1:
        """Change what an entry waits for."""
        cdef Entry entry
        cdef short wanted = to_events(events, f"{call}: events")
        cdef int rc = 0
        self.begin(call)
        try:
            entry = self.entry_of(item, call)
            if self.ptr != NULL:
                if entry.socket is not None:
                    rc = zmq_poller_modify(self.ptr, entry.socket.ptr, wanted)
                else:
                    rc = zmq_poller_modify_fd(self.ptr, entry.fd, wanted)
                if rc < 0:
                    fail(zmq_errno(), call)
            entry.events = wanted
            self.change(self.entries)
        finally:
            self.end()
        return 0

    cdef int unregister(self, object item, str call) except -1:
        """Remove an entry."""
        cdef Entry entry
        cdef int rc = 0
        self.begin(call)
        try:
            entry = self.entry_of(item, call)
            if self.ptr != NULL:
                if entry.socket is not None:
                    rc = zmq_poller_remove(self.ptr, entry.socket.ptr)
                else:
                    rc = zmq_poller_remove_fd(self.ptr, entry.fd)
                if rc < 0:
                    fail(zmq_errno(), call)
            if entry.socket is not None:
                entry.socket.watch(self, False)
            self.change([other for other in self.entries if other is not entry])
        finally:
            self.end()
        return 0

    cdef list wait_for(self, int wanted, int milliseconds, str call):
        """Wait for at most `wanted` events; 0: for one."""
        cdef Wait waiter = Wait.__new__(Wait)
        waiter.poller = self
        waiter.endless = milliseconds < 0
        waiter.found = &waiter.first
        if wanted:
            wanted = <int> min(wanted, max(1, <int> len(self.current())))
            waiter.found = <zmq_poller_event_t *> PyMem_Malloc(
                <size_t> wanted * sizeof(zmq_poller_event_t))
            if waiter.found == NULL:
                raise MemoryError(call)
            waiter.wanted = wanted
        events = waiter.events(waiter.run(milliseconds, call))
        if not events:
            fail(EAGAIN, call)
        drain()
        return events

    def __len__(self):
        return len(self.current())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.destroy()

    def __reduce__(self):
        raise TypeError("a Poller belongs to this process: not to be pickled or "
                        "copied")

    def __repr__(self):
        if not zraw_seen(&self.generation):
            return "<zraw.Poller destroyed>"
        return f"<zraw.Poller of {len(self.current())}>"
