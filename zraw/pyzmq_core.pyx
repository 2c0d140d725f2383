"""The sockets under those of zraw.pyzmq: they raise pyzmq's exceptions.

A socket of pyzmq and its shadows have one of these in common, and so one guard.
"""

from weakref import WeakValueDictionary

cimport cython
from libc.errno cimport EAGAIN, EFAULT, EINVAL
from libc.stdint cimport uintptr_t

from zraw.context cimport Context
from zraw.guard cimport NO_FD, ZRAW_CLOSING, zraw_arm, zraw_seen
from zraw.libzmq cimport (
    ENOTSOCK,
    ZMQ_LINGER,
    ZMQ_POLLIN,
    ZMQ_POLLOUT,
    zmq_errno,
    zmq_fd_t,
    zmq_poller_add,
    zmq_poller_destroy,
    zmq_poller_fd,
    zmq_poller_new,
    zmq_setsockopt,
)
from zraw.process cimport fork_generation
from zraw.pyzmq_error cimport fail_zmq, translated
from zraw.socket cimport Socket

from zraw.error import ZMQError

cdef object cores = WeakValueDictionary()  # by the address of libzmq's socket
# Of sockets that others made, and nobody knows the context of.
cdef Context unknown = Context.__new__(Context)


@cython.auto_pickle(False)
cdef class Core(Socket):
    """A socket that several of pyzmq's may stand for."""

    def __del__(self):
        # Without the warning of Socket: pyzmq has given its own.
        self.stop_monitor()

    cdef int raise_errno(self, int err, str call) except -1:
        if err == EAGAIN:
            return fail_zmq(err)
        try:
            return Socket.raise_errno(self, err, call)
        except ZMQError as error:
            raise translated(error) from None

    cdef int reject(self, str call) except -1:
        if self.ending:
            return fail_zmq(ENOTSOCK)
        try:
            return Socket.reject(self, call)
        except ZMQError as error:
            raise translated(error) from None

    cdef int keep_reading(self, str call) except -1:
        """Refuse nothing: pyzmq lets a program do to a reader whatever it wants."""
        return 0

    def __dealloc__(self):
        self.drop_poller()

    cdef int detach(self) except -1:
        self.drop_poller()
        return Socket.detach(self)

    cdef zmq_fd_t poller_fd(self) except? <zmq_fd_t> -1:
        """Return the descriptor of a poller that has the socket; it must not move.

        libzmq has none for the thread-safe types themselves.
        """
        cdef void *poller
        cdef zmq_fd_t fd = NO_FD
        cdef int err = 0
        if <void *> zmq_poller_fd == NULL:
            fail_zmq(EINVAL)
        with cython.critical_section(self):
            poller = self.fd_poller
            if poller == NULL:
                poller = zmq_poller_new()
                if poller == NULL or zmq_poller_add(
                        poller, self.ptr, NULL, ZMQ_POLLIN | ZMQ_POLLOUT) < 0:
                    err = zmq_errno()
                self.fd_poller = poller
            if not err and zmq_poller_fd(poller, &fd) < 0:
                err = zmq_errno()
        if err:
            self.drop_poller()
            fail_zmq(err)
        return fd

    cdef int drop_poller(self) noexcept:
        cdef void *poller
        with cython.critical_section(self):
            poller, self.fd_poller = self.fd_poller, NULL
        if poller != NULL:
            zmq_poller_destroy(&poller)
        return 0

    cdef int end(self, bint given, int linger) except -1:
        """Close; if another thread is inside, then as soon as it comes out.

        Programs close sockets that their threads wait in, and call Context.term(),
        which makes the threads come back.
        """
        if zraw_seen(&self.generation) != fork_generation or self.ending:
            return 0
        self.borrowed = False  # pyzmq closes what it was lent, too
        if not zraw_seen(&self.busy):
            self.close(linger if given else None)
            return 0
        if given:
            self.put_linger(linger)
        self.ending = True
        hook = self.come_out
        with cython.critical_section(self):
            self.hook = hook
        zraw_arm(&self.armed, True)
        if not zraw_seen(&self.busy):  # it was faster
            self.come_out(False)
        return 0

    cdef int put_linger(self, int linger) noexcept:
        """Set ZMQ_LINGER whoever is inside; return 0 or the errno.

        To libzmq it is an atomic number.  When the thread comes out, because the
        context is being terminated, it would be too late.
        """
        with cython.critical_section(self):
            if self.ptr == NULL or zraw_seen(&self.generation) != fork_generation:
                return ENOTSOCK
            if zmq_setsockopt(self.ptr, ZMQ_LINGER, &linger, sizeof(linger)) < 0:
                return zmq_errno()
        return 0

    def come_out(self, closing):
        """Close, now that nobody is inside; the hook of the guard."""
        if closing or zraw_seen(&self.busy) == ZRAW_CLOSING:
            return
        if zraw_seen(&self.busy):  # one of several threads, on a thread-safe type
            zraw_arm(&self.armed, True)
        else:
            self.close()


cdef Core make_core(Context context, int type):
    """Return a new socket."""
    cdef Core core
    if context is None or not zraw_seen(&context.generation):
        fail_zmq(EFAULT)  # as libzmq says of what is no context any more
    try:
        core = Core(context, type)
    except (ZMQError, OverflowError) as error:
        raise translated(error) from None
    cores[<uintptr_t> core.ptr] = core
    return core


cdef Core core_at(uintptr_t address):
    """Return the socket at an address: one that is known, or one of others."""
    cdef Core core = cores.get(address)
    if core is None or core.ptr != <void *> address:
        core = Core.__new__(Core)
        core.borrowed = True
        core.adopt(unknown, <void *> address)
        cores[address] = core
    return core
