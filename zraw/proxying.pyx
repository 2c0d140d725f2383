"""zmq_proxy() and zmq_proxy_steerable()."""

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR

from zraw.error cimport fail
from zraw.guard cimport GuardedSocket, check_not_terminated, hold, release_all
from zraw.libzmq cimport (
    ENOTSUP,
    ZMQ_DONTWAIT,
    ZMQ_IO_THREADS,
    ZMQ_PAIR,
    zmq_bind,
    zmq_close,
    zmq_connect,
    zmq_ctx_new,
    zmq_ctx_set,
    zmq_ctx_term,
    zmq_errno,
    zmq_has,
    zmq_proxy,
    zmq_proxy_steerable,
    zmq_send,
    zmq_socket,
    zmq_version,
)

import _signal
import os

cdef extern from *:
    """
    #ifdef _WIN32
    #include <fcntl.h>
    #include <io.h>
    #include <process.h>
    #include <windows.h>
    typedef struct {
        int ends[2];
        unsigned char number;
        HANDLE thread;
        void (*wake)(void *);
        void *argument;
    } zraw_waker;

    static unsigned __stdcall zraw_waker_run(void *argument)
    {
        zraw_waker *waker = argument;
        if (_read(waker->ends[0], &waker->number, 1) == 1 && waker->number)
            waker->wake(waker->argument);
        return 0;
    }

    static int zraw_waker_start(zraw_waker *waker, void (*wake)(void *), void *argument)
    {
        waker->wake = wake;
        waker->argument = argument;
        waker->number = 0;
        if (_pipe(waker->ends, 4096, _O_BINARY | _O_NOINHERIT) < 0)
            return -1;
        waker->thread = (HANDLE)_beginthreadex(NULL, 0, zraw_waker_run, waker, 0, NULL);
        if (waker->thread != NULL)
            return 0;
        _close(waker->ends[0]);
        _close(waker->ends[1]);
        return -1;
    }

    static void zraw_waker_stop(zraw_waker *waker)
    {
        (void)!_write(waker->ends[1], "", 1);
        WaitForSingleObject(waker->thread, INFINITE);
        CloseHandle(waker->thread);
    }

    /* Nobody else is told: there, no event loop gets signals by their numbers. */
    static void zraw_waker_close(zraw_waker *waker, int told)
    {
        (void)told;
        _close(waker->ends[0]);
        _close(waker->ends[1]);
    }
    #else
    #include <errno.h>
    #include <fcntl.h>
    #include <pthread.h>
    #include <signal.h>
    #include <unistd.h>
    typedef struct {
        int ends[2];    /* of the pipe that Python writes signal numbers into */
        unsigned char number;   /* the first one */
        pthread_t thread;
        void (*wake)(void *);
        void *argument;
    } zraw_waker;

    static void *zraw_waker_run(void *argument)
    {
        zraw_waker *waker = argument;
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        /* 0 is no signal, but the end. */
        if (read(waker->ends[0], &waker->number, 1) == 1 && waker->number)
            waker->wake(waker->argument);
        return NULL;
    }

    static int zraw_waker_start(zraw_waker *waker, void (*wake)(void *), void *argument)
    {
        waker->wake = wake;
        waker->argument = argument;
        waker->number = 0;
        if (pipe(waker->ends) < 0)
            return -1;
        fcntl(waker->ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(waker->ends[1], F_SETFD, FD_CLOEXEC);
        fcntl(waker->ends[1], F_SETFL, O_NONBLOCK);
        int err = pthread_create(&waker->thread, NULL, zraw_waker_run, waker);
        if (err == 0)
            return 0;
        close(waker->ends[0]);
        close(waker->ends[1]);
        errno = err;
        return -1;
    }

    static void zraw_waker_stop(zraw_waker *waker)
    {
        (void)!write(waker->ends[1], "", 1);
        pthread_join(waker->thread, NULL);
    }

    /* The numbers are meant for the descriptor that the program has set. */
    static void zraw_waker_close(zraw_waker *waker, int told)
    {
        unsigned char number = waker->number;
        close(waker->ends[1]);
        /* A forked child may hold the other end open. */
        fcntl(waker->ends[0], F_SETFL, O_NONBLOCK);
        do
            if (number && told >= 0)
                (void)!write(told, &number, 1);
        while (read(waker->ends[0], &number, 1) == 1);
        close(waker->ends[0]);
    }
    #endif
    """
    ctypedef struct zraw_waker:
        int ends[2]
    int zraw_waker_start(zraw_waker *waker, void (*wake)(void *) noexcept nogil,
                         void *argument) nogil
    void zraw_waker_stop(zraw_waker *waker) nogil
    void zraw_waker_close(zraw_waker *waker, int told)

cdef bint waking = False    # a zraw_waker is at work


cdef void terminate(void *socket) noexcept nogil:
    zmq_send(socket, b"TERMINATE", 9, ZMQ_DONTWAIT)


cdef void *pointer(GuardedSocket socket) noexcept:
    return NULL if socket is None else socket.ptr


cdef int run(list sockets, bint steerable) noexcept:
    """Run a proxy until it ends; return its errno, 0 for TERMINATE."""
    cdef void *frontend = pointer(sockets[0])
    cdef void *backend = pointer(sockets[1])
    cdef void *capture = pointer(sockets[2])
    cdef void *control = pointer(sockets[3])
    cdef int rc
    with nogil:
        if steerable:
            rc = zmq_proxy_steerable(frontend, backend, capture, control)
        else:
            rc = zmq_proxy(frontend, backend, capture)
        return zmq_errno() if rc < 0 else 0


cdef int run_wakeable(list sockets) noexcept:
    """run() of a plain proxy in the main thread, which has the signals.

    While a message waits for room libzmq's proxy does not sleep, and a signal would
    interrupt it by chance only.  So it gets a control socket, of a context of its own,
    and is told to terminate when a signal has come: that counts as EINTR.
    """
    global waking
    cdef zraw_waker waker
    cdef void *context = zmq_ctx_new()
    cdef void *inner = NULL
    cdef void *outer = NULL
    cdef void *frontend = pointer(sockets[0])
    cdef void *backend = pointer(sockets[1])
    cdef void *capture = pointer(sockets[2])
    cdef int rc, err
    if context == NULL:
        return zmq_errno()
    zmq_ctx_set(context, ZMQ_IO_THREADS, 0)
    inner = zmq_socket(context, ZMQ_PAIR)
    outer = zmq_socket(context, ZMQ_PAIR)
    if (inner != NULL and outer != NULL and zmq_bind(inner, b"inproc://control") == 0
            and zmq_connect(outer, b"inproc://control") == 0
            and zraw_waker_start(&waker, terminate, outer) == 0):
        before = _signal.set_wakeup_fd(waker.ends[1], warn_on_full_buffer=False)
        waking = True
        with nogil:
            rc = zmq_proxy_steerable(frontend, backend, capture, inner)
            err = zmq_errno() if rc < 0 else EINTR
            zraw_waker_stop(&waker)
        waking = False
        try:
            _signal.set_wakeup_fd(before)
        except (OSError, ValueError):
            _signal.set_wakeup_fd(-1)
            before = -1  # it was closed meanwhile
        zraw_waker_close(&waker, before)
    else:
        err = zmq_errno()
    if inner != NULL:
        zmq_close(inner)
    if outer != NULL:
        zmq_close(outer)
    with nogil:
        while zmq_ctx_term(context) < 0 and zmq_errno() == EINTR:
            pass
    return err


cdef int forward(list sockets, bint steerable, str call) except -1:
    """Run a proxy over [frontend, backend, capture, control], None for one missing."""
    import threading  # late: it would be a large part of `import zraw`
    cdef list given = [socket for socket in sockets if socket is not None]
    cdef list held
    cdef int err = EINTR
    cdef bint wakeable = (
        not steerable and sockets[0] is not sockets[1]
        and threading.get_ident() == threading.main_thread().ident)
    while err == EINTR:
        # With every guard free: handlers may use the sockets, and close them.
        PyErr_CheckSignals()
        held = hold(given, call)
        check_not_terminated(held, call)
        err = run_wakeable(sockets) if wakeable else run(sockets, steerable)
        release_all(held)
    if err:
        fail(err, call)
    return 0


def proxy(GuardedSocket frontend not None, GuardedSocket backend not None,
          GuardedSocket capture=None):
    """Forward messages between two sockets until their context is terminated.

    C call: zmq_proxy(); zmq_proxy_steerable() in the main thread

    frontend, backend: ZMQ_ROUTER and ZMQ_DEALER, ZMQ_XSUB and ZMQ_XPUB, ZMQ_PULL
        and ZMQ_PUSH, or one socket twice.
    capture: gets a copy of every message: ZMQ_PUB, ZMQ_PUSH, ZMQ_DEALER or ZMQ_PAIR.

    Signal handlers run, and the proxy begins anew: libzmq may drop the message that it
    is forwarding at that moment.  Context.shutdown() in another thread ends it.

    Waits: until the context is shut down; it never returns.
    Raises: ContextTerminated (ETERM); NotASocket (ENOTSOCK); NotSupported (ENOTSUP)
        if one cannot send or receive what it has to; Again (EAGAIN) if ZMQ_SNDTIMEO
        is over; InvalidState (EFSM), as Socket.send() and Socket.recv(); SocketInUse
        (EBUSY).
    """
    forward([frontend, backend, capture, None], False, "proxy()")


def proxy_steerable(GuardedSocket frontend not None, GuardedSocket backend not None,
                    GuardedSocket capture=None, GuardedSocket control=None):
    """Forward messages as proxy() does, and obey commands from a control socket.

    C call: zmq_proxy_steerable()

    frontend, backend, capture: as for proxy().
    control: ZMQ_PAIR, ZMQ_PULL or ZMQ_SUB, or ZMQ_REP and ZMQ_DEALER where replies
        are wanted.  It receives b"PAUSE", b"RESUME", b"TERMINATE", and b"STATISTICS",
        which is answered with eight frames of eight bytes, native unsigned integers:
        messages and bytes received and sent by the frontend, then by the backend.

    libzmq 4.3.4 aborts the process on any other command, and answers none but
    STATISTICS, so that ZMQ_REP is stuck.  4.3.5 has PAUSE and RESUME broken: PAUSE
    does not pause, RESUME stops the flow; it answers every command with an empty
    message, on any type, and ends with an error on types that cannot send.  Both
    count differently: 4.3.4 messages, later ones frames.

    While it is paused and a message waits, libzmq may spin: a signal is then noticed
    by chance, sooner or later.  A handler that returns makes the proxy begin anew,
    neither paused nor with the statistics it had.

    Waits: until TERMINATE comes, or the context is shut down.
    Raises: as proxy().
    """
    cdef int major, minor, patch
    if control is not None and (control is frontend or control is backend):
        # Every message would be a command, and mostly an unknown one.
        raise ValueError("proxy_steerable(): control: a socket of its own")
    if control is not None and frontend is backend and zmq_has("draft"):
        zmq_version(&major, &minor, &patch)
        if (major, minor, patch) >= (4, 3, 5):
            # It would add the control socket to a poller that it has not made.
            fail(ENOTSUP, "proxy_steerable(): one socket twice, and a control socket")
    forward([frontend, backend, capture, control], True, "proxy_steerable()")


def forget_waker():
    """In a forked child: the pipe is the parent's, and a signal would go there."""
    if waking:
        _signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_waker)
