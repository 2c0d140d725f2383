"""The guard of a socket: closed, forked, in use by another thread, or free.

Every call on a socket takes the guard, works, and gives it back.  While a call
waits without the GIL the guard stays taken, so a second thread is refused before
libzmq, which would be corrupted, is entered.
"""

import sys
from _weakrefset import WeakSet

cimport cython
from cpython.exc cimport (
    PyErr_CheckSignals,
    PyErr_Fetch,
    PyErr_Restore,
    PyErr_SetObject,
    PyErr_WriteUnraisable,
)
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EBUSY, EHOSTUNREACH, EINTR
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uintptr_t

from zraw.error cimport fail, fail_forked
from zraw.libzmq cimport (
    EFSM,
    ENOTSOCK,
    ENOTSUP,
    ETERM,
    ZMQ_DONTWAIT,
    ZMQ_EVENTS,
    ZMQ_FD,
    ZMQ_LINGER,
    ZMQ_POLLIN,
    ZMQ_POLLOUT,
    ZMQ_PUB,
    ZMQ_PULL,
    ZMQ_PUSH,
    ZMQ_RCVTIMEO,
    ZMQ_REP,
    ZMQ_REQ,
    ZMQ_ROUTER,
    ZMQ_SNDMORE,
    ZMQ_SUB,
    ZMQ_TYPE,
    zmq_close,
    zmq_errno,
    zmq_fd_t,
    zmq_getsockopt,
    zmq_poller_add,
    zmq_poller_destroy,
    zmq_poller_event_t,
    zmq_poller_new,
    zmq_poller_wait,
    zmq_setsockopt,
    zmq_socket_monitor,
)
from zraw.process cimport (
    fork_generation,
    is_exiting,
    monotonic_ns,
    nap,
    sleep_for_good,
)


from zraw import constants

cdef extern from "Python.h":
    int Py_AddPendingCall(int (*function)(void *) except -1, void *argument)

cdef extern from *:
    """
    #define zraw_set(busy, to) zraw_put((volatile uint32_t *)(busy), (to))
    """
    void zraw_set(uint32_t *busy, uint32_t to) noexcept nogil

cdef dict TYPE_NAMES = {
    getattr(constants, name): name
    for name in (
        "ZMQ_PAIR", "ZMQ_PUB", "ZMQ_SUB", "ZMQ_REQ", "ZMQ_REP", "ZMQ_DEALER",
        "ZMQ_ROUTER", "ZMQ_PULL", "ZMQ_PUSH", "ZMQ_XPUB", "ZMQ_XSUB", "ZMQ_STREAM",
        "ZMQ_SERVER", "ZMQ_CLIENT", "ZMQ_RADIO", "ZMQ_DISH", "ZMQ_GATHER",
        "ZMQ_SCATTER", "ZMQ_DGRAM", "ZMQ_PEER", "ZMQ_CHANNEL",
    )
    if hasattr(constants, name)
}


cdef int socket_int(void *socket, int option) noexcept nogil:
    """Return an option of C type int, or -1 (a value that ETERM gives too)."""
    cdef int value = -1
    cdef size_t size = sizeof(value)
    zmq_getsockopt(socket, option, &value, &size)
    return value


cdef zmq_fd_t socket_fd(void *socket) noexcept nogil:
    """Return ZMQ_FD; NO_FD of a thread-safe socket, and after ETERM."""
    cdef zmq_fd_t fd = NO_FD
    cdef size_t size = sizeof(fd)
    zmq_getsockopt(socket, ZMQ_FD, &fd, &size)
    return fd


cdef str type_name(int type):
    """Return ZMQ_PUSH for 8, and so on."""
    return TYPE_NAMES.get(type, f"socket type {type}")


cdef str advice(GuardedSocket socket, int err, bint sending):
    """Return what to do about the mistakes that everybody makes once."""
    cdef int type = socket.type
    if err == EAGAIN:
        # Whose endpoints are not its own affair may have a peer all the same.
        if socket.borrowed or socket.monitor_serial:
            return ""
        if not socket.ends:
            return ": it has no endpoint; bind() or connect() first"
        if type == ZMQ_SUB and not socket.subscribed:
            return ": nothing is subscribed; setsockopt(ZMQ_SUBSCRIBE, b\"\") takes all"
        return ""
    if err == EHOSTUNREACH and type == ZMQ_ROUTER:
        return ": no peer has the routing id in the first frame"
    if err == EFSM and type == ZMQ_REQ:
        return ": recv() the reply first" if sending else ": send() a request first"
    if err == EFSM and type == ZMQ_REP:
        return (": recv() a whole request first" if sending
                else ": send() the whole reply first")
    if err == ENOTSUP and (type == ZMQ_SUB or type == ZMQ_PULL) and sending:
        return ": it only receives"
    if err == ENOTSUP and (type == ZMQ_PUB or type == ZMQ_PUSH) and not sending:
        return ": it only sends"
    return ""


cdef list raised_in_hooks = []


cdef int raise_one(void *unused) except -1:
    """Raise what the handler of a signal raised while a hook ran."""
    raise raised_in_hooks.pop(0)


cdef void call_hook(object hook, bint closing) noexcept:
    """Call a hook, whatever it takes: who waits must not miss it.

    A hook is Python, and so the handler of a signal may run in it, and raise.  The
    hook is called again then, and the exception raised as soon as the main thread,
    where handlers run, is back in Python.
    """
    cdef PyObject *type
    cdef PyObject *value
    cdef PyObject *traceback
    PyErr_Fetch(&type, &value, &traceback)
    try:
        try:
            hook(closing)
        except BaseException as error:
            hook(closing)
            raised_in_hooks.append(error)
            if Py_AddPendingCall(raise_one, NULL) < 0:
                raised_in_hooks.remove(error)
                raise
    except BaseException as error:
        PyErr_SetObject(error.__class__, error)
        PyErr_WriteUnraisable(hook)
    PyErr_Restore(type, value, traceback)


cdef void tell(GuardedSocket socket) noexcept:
    """Call the hook of zraw.aio, once: something was done with the socket.

    ZMQ_FD is edge-triggered, and whatever enters libzmq swallows the edge that
    somebody on an event loop waits for.  The hook only schedules a new look; it
    may be called by any thread, in the middle of what a signal handler interrupts.
    """
    with cython.critical_section(socket):
        hook = socket.hook
    if zraw_arm(&socket.armed, False) and hook is not None:
        call_hook(hook, False)


def look_at(GuardedSocket socket not None):
    """Return (type, in use, ZMQ_FD, bound, connected, thread); None if it is closed.

    It does not enter libzmq, and takes no guard that another thread could miss.
    """
    if zraw_seen(&socket.generation) != fork_generation:
        return None
    return (type_name(socket.type), zraw_seen(&socket.busy) != 0,
            socket.fd if socket.fd != NO_FD else None, *socket.endpoints(),
            zraw_seen_long(&socket.thread))


cdef str meant(object value, str what):
    """Return what to add to a complaint about a value that is no int."""
    if isinstance(value, str):
        name = f"ZMQ_{value.upper().removeprefix('ZMQ_')}"
        return f"; it is zraw.{name}" if hasattr(constants, name) else ""
    if what.endswith((": timeout", ": linger")):
        return ": milliseconds, or -1 for ever"
    return ": milliseconds" if what.endswith(": interval") else ""


cdef object to_number(object value, str what, object low, object high):
    """Return an int, a bool or the like as int; what is a float is none."""
    if PyLong_CheckExact(value) and low <= value <= high:
        return value
    if isinstance(value, (float, str, bytes)) or not hasattr(value, "__index__"):
        raise TypeError(f"{what}: int, not {type(value).__name__}"
                        + meant(value, what))
    number = value.__index__()
    if not low <= number <= high:
        raise OverflowError(f"{what}: {low} to {high}, not {number}")
    return number


cdef int to_int(object value, str what) except? -1:
    """Return an argument as a C int; `what` names the call and the argument."""
    cdef int overflow
    cdef long number
    if PyLong_CheckExact(value):
        number = PyLong_AsLongAndOverflow(value, &overflow)
        if not overflow and number == <int> number:
            return <int> number
    return to_number(value, what, -2**31, 2**31 - 1)


cdef Py_ssize_t to_size(object value, str what, Py_ssize_t low) except? -2:
    """Return a size or count, at least `low`."""
    cdef Py_ssize_t number = to_number(value, what, -sys.maxsize, sys.maxsize)
    if number < low:
        raise ValueError(f"{what}: {low} or more, not {number}")
    return number


cdef uintptr_t to_address(object value, str what) except 0:
    """Return the address of one of libzmq's objects."""
    return to_number(value, what, 1, 2 * sys.maxsize + 1)


cdef int to_milliseconds(object value, str what) except? -2:
    """Return a time in milliseconds, or -1 for ever."""
    cdef int number = to_int(value, what)
    if number < -1:
        raise ValueError(f"{what}: milliseconds, or -1 for ever, not {number}")
    return number


cdef int check_flags(object flags, int allowed, str call) except -1:
    """Return flags as int, without those that libzmq would ignore in silence."""
    cdef int number = to_int(flags, f"{call}: flags")
    if number & ~allowed:
        names = "ZMQ_DONTWAIT or ZMQ_SNDMORE" if allowed & ZMQ_SNDMORE else \
            "ZMQ_DONTWAIT"
        limit = "ZMQ_SNDTIMEO" if allowed & ZMQ_SNDMORE else "ZMQ_RCVTIMEO"
        raise ValueError(f"{call}: flags: {names}, not {number}; the limit of a wait "
                         f"is {limit}")
    return number


cdef bint wait_ready(void *socket, short events, long timeout) noexcept nogil:
    """Wait for a thread-safe socket; return False if the wait took its time."""
    cdef zmq_poller_event_t event
    cdef void *poller = zmq_poller_new()
    cdef int err = 0
    if poller != NULL:
        if (zmq_poller_add(poller, socket, NULL, events) < 0
                or zmq_poller_wait(poller, &event, timeout) < 0):
            err = zmq_errno()
        zmq_poller_destroy(&poller)
    return err != EAGAIN and err != EINTR


cdef class GuardedSocket:
    """What Socket and the functions below it share; not for use by itself."""

    def __cinit__(self):
        self.type = -1
        self.ends = []

    cdef str describe(self, str call):
        return f"{call} on {type_name(self.type)}"

    cdef int raise_errno(self, int err, str call) except -1:
        """Raise the exception of `err`; the guard is free."""
        return fail(err, self.describe(call) + advice(self, err, "send" in call))

    cdef int refuse(self, str call) except -1:
        """Join, where the type allows it, or say why the guard was not to be had."""
        if (self.shared and zraw_seen(&self.generation) == fork_generation
                and zraw_join(&self.busy, 1)):
            return 0
        return self.reject(call)

    cdef int reject(self, str call) except -1:
        """Say why the guard was not to be had."""
        cdef uint32_t generation = zraw_seen(&self.generation)
        if generation == fork_generation:
            if zraw_seen(&self.busy) == ZRAW_CLOSING:
                fail(ENOTSOCK, f"{call}: the socket is being closed")
            who = "an extension holds it" if is_held(&self.busy) \
                else "another thread is using it; let each have a socket of its own"
            fail(EBUSY, f"{self.describe(call)}: {who}")
        if generation:
            fail_forked(self.describe(call))
        return fail(ENOTSOCK, f"{call}: the socket is closed" if self.type >= 0
                    else f"{call}: Socket.__init__ was not called")

    cdef int run_handlers(self, str call) except -1:
        """Run signal handlers with the guard free: they may use the socket.

        Return ENOTSOCK if one closed it; to leave() the guard then does no harm.
        """
        leave(self)
        PyErr_CheckSignals()
        if not zraw_seen(&self.generation):
            return ENOTSOCK
        enter(self, call)
        return 0

    cdef int block(self, operation op, void *argument, int flags, int timeout_option,
                   str call) except -1:
        """Let `op` wait without the GIL; return 0 or its errno, guard held.

        A signal handler runs in between, and the wait goes on with the time
        left (PEP 475).  What a handler raises leaves with the guard given back.
        """
        cdef int limit = -1, left = -1, slice = ZRAW_SLICE, wait, rc, err
        cdef bint cut = False
        cdef int64_t start = monotonic_ns()
        # A signal that came before the wait does not interrupt it.
        zraw_put_long(&self.thread, zraw_this_thread())
        err = self.run_handlers(call)
        if err:
            return err
        if self.shared:
            return self.block_shared(op, argument, flags, timeout_option, call)
        if slice >= 0:
            left = limit = socket_int(self.ptr, timeout_option)
        while True:
            # A shorter wait is asked for through the option itself, which is put
            # back before anything else can read it: the guard is held.
            wait = left if slice < 0 or 0 <= left < slice else slice
            cut = wait >= 0 and wait != limit
            with nogil:
                if cut:
                    zmq_setsockopt(self.ptr, timeout_option, &wait, sizeof(wait))
                rc = op(self.ptr, argument, flags)
                err = zmq_errno() if rc < 0 else 0
                if cut:
                    zmq_setsockopt(self.ptr, timeout_option, &limit, sizeof(limit))
                if err == ETERM and is_exiting():
                    zraw_set(&self.busy, ZRAW_PARKED)
                    sleep_for_good()
            if rc >= 0:
                return 0
            if err != EINTR and not (err == EAGAIN and cut and wait != left):
                return err
            err = self.run_handlers(call)
            if err:
                return err
            left = limit = socket_int(self.ptr, timeout_option)
            if limit >= 0:
                left = limit - <int> ((monotonic_ns() - start) // 1000000)
                if left <= 0:
                    return EAGAIN

    cdef int block_shared(self, operation op, void *argument, int flags,
                          int timeout_option, str call) except -1:
        """As block(), for the thread-safe types.

        libzmq waits for those on a condition variable, which no signal interrupts;
        and their options are everybody's.
        """
        cdef int limit = socket_int(self.ptr, timeout_option), rc, err
        cdef short events = <short> (ZMQ_POLLIN if timeout_option == ZMQ_RCVTIMEO
                                     else ZMQ_POLLOUT)
        cdef int64_t start = monotonic_ns()
        cdef long left = limit, pause = 25
        while True:
            with nogil:
                rc = op(self.ptr, argument, flags | ZMQ_DONTWAIT)
                err = zmq_errno() if rc < 0 else 0
                if err == ETERM and is_exiting():
                    zraw_set(&self.busy, ZRAW_PARKED)
                    sleep_for_good()
                if err == EAGAIN and wait_ready(
                        self.ptr, events, left if ZRAW_SLICE < 0 else ZRAW_SLICE):
                    # Ready, and still it has to wait: another thread was faster, or
                    # the peer that the message is for is not the one that is ready.
                    pause = min(pause * 2, 5000)
                    nap(pause)
            if rc >= 0:
                return 0
            if err != EAGAIN and err != EINTR:
                return err
            if limit >= 0:
                left = limit - <long> ((monotonic_ns() - start) // 1000000)
                if left <= 0:
                    return EAGAIN
            err = self.run_handlers(call)
            if err:
                return err

    cdef tuple endpoints(self):
        """Return what it is bound to, and what it is connected to."""
        ends = list(self.ends)
        return tuple([end[2] for end in ends if end[0] == "bind"]), \
            tuple([end[2] for end in ends if end[0] == "connect"])

    cdef int stop_monitor(self) noexcept:
        """Stop the monitor that this socket reads, while it can still be read.

        libzmq would wait for ever to hand an event to a reader that is gone, and
        stall its I/O thread.  It has a lock of its own here: the monitored socket
        may be in use by another thread.
        """
        cdef GuardedSocket monitored = self.monitored
        self.monitored = None
        if monitored is None:
            return 0
        with cython.critical_section(monitored):
            if (monitored.generation == fork_generation and monitored.ptr != NULL
                    and monitored.monitor_serial == self.monitor_serial):
                monitored.monitor_serial = 0
                zmq_socket_monitor(monitored.ptr, NULL, 0)
        return 0

    @property
    def _hook(self):
        """What zraw.aio has told when the socket is used; see tell().

        It is called with False once after _arm(), by the next call on the socket,
        and with True when the socket is about to be closed.
        """
        with cython.critical_section(self):
            return self.hook

    @_hook.setter
    def _hook(self, hook):
        with cython.critical_section(self):
            self.hook = hook

    def _arm(self):
        """Have the hook called by the next call on the socket; return ZMQ_EVENTS.

        -1 while another thread is inside: the hook is called when it comes out.
        """
        cdef int events
        zraw_arm(&self.armed, True)
        if zraw_seen(&self.generation) != fork_generation:
            self.refuse("getsockopt(ZMQ_EVENTS)")
        if not zraw_take(&self.busy, 1) and not (
                self.shared and zraw_join(&self.busy, 1)):
            return -1
        events = socket_int(self.ptr, ZMQ_EVENTS)
        zraw_give(&self.busy)
        # After ETERM every call has something to say.
        return events if events >= 0 else ZMQ_POLLIN | ZMQ_POLLOUT

    cdef int detach(self) except -1:
        """Tell whoever has to know that the socket is about to be closed."""
        cdef Watcher watcher
        self.stop_monitor()
        with cython.critical_section(self):
            hook, self.hook = self.hook, None
            watchers, self.watchers = self.watchers, None
        zraw_arm(&self.armed, False)
        if hook is not None:
            call_hook(hook, True)
        if watchers is not None:
            for item in members(watchers):
                watcher = item
                watcher.closing(self)
        return 0

    cdef int shut(self, bint given, int linger, bint exiting) noexcept:
        """Close libzmq's socket; nobody is inside, and nobody will be.

        given: whether `linger` is to be set; exiting: a shorter one stays.
        """
        cdef void *ptr
        cdef int own
        # Not while another thread stops the monitor of this socket.
        with cython.critical_section(self):
            ptr, self.ptr = self.ptr, NULL
            zraw_put(&self.generation, 0)
            if self.borrowed:
                return 0
            own = socket_int(ptr, ZMQ_LINGER) if exiting else -1
            if given and not 0 <= own < linger:
                zmq_setsockopt(ptr, ZMQ_LINGER, &linger, sizeof(linger))
            if self.linked_inside:
                zraw_next(&partings)
            zmq_close(ptr)
        return 0

    cdef int watch(self, Watcher watcher, bint on) except -1:
        """Have a Watcher told when the socket closes, or no longer."""
        with cython.critical_section(self):
            if self.watchers is None and on:
                self.watchers = WeakSet()
            watchers = self.watchers
        if on:
            watchers.add(watcher)
        elif watchers is not None:
            watchers.discard(watcher)
        return 0


cdef class Watcher:
    """What is told when a socket closes: a Poller, for one."""

    cdef int closing(self, GuardedSocket socket) except -1:
        return 0


cdef list members(object items):
    """Return what is in a WeakSet; another thread may change it meanwhile."""
    return [item for item in [ref() for ref in list(items.data)]
            if item is not None]


cdef list hold(list sockets, str call):
    """Take the guards of several sockets, of each once; of all or of none."""
    cdef GuardedSocket socket
    cdef list held = []
    cdef int times
    try:
        for item in sockets:
            socket = item
            held.append(socket)  # first: who cannot be noted is not to be taken
            if (zraw_seen(&socket.generation) == fork_generation
                    and zraw_take(&socket.busy, 1)):
                continue
            times = 0
            for other in held:
                times += other is item
            if times > 1:
                held.pop()
                continue
            try:
                socket.refuse(call)  # or it joins, and the guard is held
            except BaseException:
                held.pop()
                raise
    except BaseException:
        release_all(held)
        raise
    return held


cdef void release_all(list held) noexcept:
    """Give back the guards that hold() took."""
    for item in held:
        leave(<GuardedSocket> item)


cdef int check_not_terminated(list held, str call) except -1:
    """Raise ContextTerminated, with the guards given back, if a socket knows of it.

    zmq_poller and what libzmq builds on it would abort the process.
    """
    cdef GuardedSocket socket
    for item in held:
        socket = item
        if not socket.shared and socket_int(socket.ptr, ZMQ_TYPE) < 0:
            release_all(held)
            fail(ETERM, socket.describe(call))
    return 0
