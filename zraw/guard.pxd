# A libzmq socket and the guard that every call on it passes.
#
# The guard costs one compare for "open, and opened by this process" and one
# test-and-set for "no other thread is inside".  On a build with the GIL the
# plain test-and-set is enough: nothing else runs between test and set.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uintptr_t

from zraw.libzmq cimport zmq_fd_t
from zraw.process cimport fork_generation

cdef extern from *:
    """
    #ifndef ZRAW_GUARD_H
    #define ZRAW_GUARD_H
    #ifdef _WIN32
    #define ZRAW_SLICE 100
    #else
    #define ZRAW_SLICE -1
    #endif
    #define ZRAW_CLOSING 0x80000000u  /* taken for good, by close() */
    #define ZRAW_PARKED 0x80000001u   /* its thread sleeps until the process ends */
    #define ZRAW_HELD 0x10000u        /* one extension has taken it; see capi.pyx */
    #define ZRAW_NO_FD ((zmq_fd_t)-1)  /* on Windows it is unsigned, wider than int */
    /* threading.get_ident(), in one instruction where it is one. */
    #if defined(__GLIBC__) && defined(__x86_64__) && __GNUC__ >= 11
    #define zraw_this_thread() ((unsigned long)__builtin_thread_pointer())
    #else
    #define zraw_this_thread() PyThread_get_thread_ident()
    #endif
    /* What another thread may change, or look at, meanwhile: read and written whole. */
    #ifdef Py_GIL_DISABLED
    #if defined(_MSC_VER) && !defined(__clang__)
    #error "zraw for free-threaded Python on Windows: compile it with clang-cl"
    #endif
    #define ZRAW_FREE_THREADED 1
    #define zraw_seen(word) __atomic_load_n((word), __ATOMIC_ACQUIRE)
    #define zraw_put(word, to) __atomic_store_n((word), (to), __ATOMIC_RELEASE)
    #define zraw_next(number) __atomic_add_fetch((number), 1, __ATOMIC_RELAXED)
    static inline int zraw_take(uint32_t *busy, uint32_t as) {
        uint32_t idle = 0;
        return __atomic_compare_exchange_n(busy, &idle, as, 0, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED);
    }
    static inline void zraw_give(uint32_t *busy) {
        /* Whoever arms the hook of a busy socket counts on its being seen next. */
        __atomic_fetch_sub(busy, 1, __ATOMIC_SEQ_CST);
    }
    static inline int zraw_join(uint32_t *busy, uint32_t as) {
        uint32_t seen = __atomic_load_n(busy, __ATOMIC_RELAXED);
        while (seen < ZRAW_CLOSING)
            if (__atomic_compare_exchange_n(busy, &seen, seen + as, 0,
                                            __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return 1;
        return 0;
    }
    static inline int zraw_drop(uint32_t *busy) {
        uint32_t seen = __atomic_load_n(busy, __ATOMIC_RELAXED);
        while (ZRAW_HELD <= seen && seen < ZRAW_CLOSING)
            if (__atomic_compare_exchange_n(busy, &seen, seen - ZRAW_HELD, 0,
                                            __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
                return 1;
        return 0;
    }
    static inline uint32_t zraw_arm(uint32_t *armed, uint32_t to) {
        return __atomic_exchange_n(armed, to, __ATOMIC_SEQ_CST);
    }
    static inline int zraw_is_armed(uint32_t *armed) {
        return __atomic_load_n(armed, __ATOMIC_SEQ_CST) != 0;
    }
    #else
    #define ZRAW_FREE_THREADED 0
    #define zraw_seen(word) (*(word))
    #define zraw_put(word, to) ((void)(*(word) = (to)))
    #define zraw_next(number) (++*(number))
    static inline int zraw_take(uint32_t *busy, uint32_t as) {
        if (*busy)
            return 0;
        *busy = as;
        return 1;
    }
    static inline void zraw_give(uint32_t *busy) { --*busy; }
    static inline int zraw_join(uint32_t *busy, uint32_t as) {
        return *busy < ZRAW_CLOSING ? (*busy += as, 1) : 0;
    }
    static inline int zraw_drop(uint32_t *busy) {
        return ZRAW_HELD <= *busy && *busy < ZRAW_CLOSING
               ? (*busy -= ZRAW_HELD, 1) : 0;
    }
    static inline uint32_t zraw_arm(uint32_t *armed, uint32_t to) {
        uint32_t before = *armed;
        *armed = to;
        return before;
    }
    static inline int zraw_is_armed(uint32_t *armed) { return *armed != 0; }
    #endif
    #endif
    """
    const int ZRAW_SLICE  # milliseconds of a wait that signals do not interrupt
    const uint32_t ZRAW_CLOSING
    const uint32_t ZRAW_PARKED
    const uint32_t ZRAW_HELD
    const bint FREE_THREADED "ZRAW_FREE_THREADED"
    const zmq_fd_t NO_FD "ZRAW_NO_FD"
    unsigned long zraw_this_thread() noexcept nogil
    uint32_t zraw_seen(uint32_t *word) noexcept nogil
    bint zraw_seen_bool "zraw_seen"(bint *word) noexcept nogil
    unsigned long zraw_seen_long "zraw_seen"(unsigned long *word) noexcept nogil
    Py_ssize_t zraw_seen_size "zraw_seen"(Py_ssize_t *word) noexcept nogil
    int zraw_seen_int "zraw_seen"(int *word) noexcept nogil
    size_t zraw_seen_len "zraw_seen"(size_t *word) noexcept nogil
    void *zraw_seen_ptr "zraw_seen"(void **word) noexcept nogil
    void zraw_put(uint32_t *word, uint32_t to) noexcept nogil
    void zraw_put_bool "zraw_put"(bint *word, bint to) noexcept nogil
    void zraw_put_long "zraw_put"(unsigned long *word, unsigned long to) noexcept nogil
    void zraw_put_size "zraw_put"(Py_ssize_t *word, Py_ssize_t to) noexcept nogil
    void zraw_put_int "zraw_put"(int *word, int to) noexcept nogil
    void zraw_put_len "zraw_put"(size_t *word, size_t to) noexcept nogil
    void zraw_put_ptr "zraw_put"(void **word, void *to) noexcept nogil
    uint32_t zraw_next(uint32_t *number) noexcept nogil
    bint zraw_take(uint32_t *busy, uint32_t value) noexcept nogil
    void zraw_give(uint32_t *busy) noexcept nogil
    bint zraw_join(uint32_t *busy, uint32_t value) noexcept nogil
    bint zraw_drop(uint32_t *busy) noexcept nogil
    uint32_t zraw_arm(uint32_t *armed, uint32_t to) noexcept nogil
    bint zraw_is_armed(uint32_t *armed) noexcept nogil

# One libzmq call that may wait: 0 or more for success, -1 and errno.
ctypedef int (*operation)(void *socket, void *argument, int flags) noexcept nogil

# What makes a send leave the short path; `GuardedSocket.detour` is a set of these.
cdef enum:
    LB_TAIL = 1     # in mid-message on a type whose blocking tail libzmq discards
    TIMED = 2       # PUB, XPUB, RADIO: the cost of a send grows with the peers
    ENVELOPED = 4   # REQ: commands are looked at before every request
    BROKEN = 8      # REQ that lost its peer in mid-message: close is all it can do
    UNBOUND = 16    # DGRAM: libzmq aborts the process if it sends before it is bound
    UDP = 32        # DGRAM, and RADIO over udp: libzmq looks at no size, nor at a pipe
    WHOLE = 64      # ZMQ_CONFLATE: libzmq aborts over messages of several frames


cdef uint32_t partings            # sockets that gave up a connection over inproc


cdef class GuardedSocket:
    cdef void *ptr                # NULL: never opened, or closed
    cdef uint32_t busy            # threads inside a call, or one of ZRAW_CLOSING, ...
    cdef uint32_t generation      # fork_generation at opening; 0: not open
    cdef unsigned long thread     # that used it last, or that waits inside
    cdef readonly int type
    cdef zmq_fd_t fd              # ZMQ_FD, or NO_FD
    cdef uint32_t detour
    cdef bint shared              # ZMQ_THREAD_SAFE: any number of threads at once
    cdef bint borrowed
    cdef bint more                # a message is open: its last frame had SNDMORE
    cdef bint slow                # its last timed send took over 200 us
    cdef uint32_t untimed         # sends left before the next timed one
    cdef size_t pin_limit         # exact bytes of this size or more are pinned
    cdef size_t short_limit       # those below this are copied with the GIL held
    cdef void *constant           # of the last send_const(), which lives for good
    cdef list ends                # of its connections; see note_end()
    cdef object watchers          # WeakSet of Watchers, or None
    cdef object hook              # of zraw.aio, or None; see tell()
    cdef uint32_t armed           # whether the next call on the socket calls it
    cdef GuardedSocket monitored  # the one whose events this one reads, or None
    cdef uint32_t monitor_serial  # of the monitor it has, or that it reads
    cdef bint linked_inside       # an endpoint of inproc was given to it,
    cdef uint32_t partings_then   # and so many connections had been given up by then
    cdef bint subscribed          # ZMQ_SUBSCRIBE was set

    cdef int refuse(self, str call) except -1
    cdef int reject(self, str call) except -1
    cdef int block(self, operation op, void *argument, int flags, int timeout_option,
                   str call) except -1
    cdef int block_shared(self, operation op, void *argument, int flags,
                          int timeout_option, str call) except -1
    cdef int run_handlers(self, str call) except -1
    cdef int raise_errno(self, int err, str call) except -1
    cdef str describe(self, str call)
    cdef int stop_monitor(self) noexcept
    cdef int detach(self) except -1
    cdef int shut(self, bint given, int linger, bint exiting) noexcept
    cdef int watch(self, Watcher watcher, bint on) except -1
    cdef tuple endpoints(self)


cdef class Watcher:
    cdef object __weakref__
    cdef int closing(self, GuardedSocket socket) except -1


cdef inline int enter(GuardedSocket socket, str call) except -1:
    """Take the guard, or raise."""
    if (zraw_seen(&socket.generation) != fork_generation
            or not zraw_take(&socket.busy, 1)):
        return socket.refuse(call)
    return 0


cdef void tell(GuardedSocket socket) noexcept


cdef inline void leave(GuardedSocket socket) noexcept:
    """Give the guard back, and tell who waits on an event loop."""
    zraw_put_long(&socket.thread, zraw_this_thread())
    zraw_give(&socket.busy)
    if zraw_is_armed(&socket.armed):
        tell(socket)


cdef inline bint is_held(uint32_t *busy) noexcept:
    """Tell whether an extension has taken the guard."""
    return ZRAW_HELD <= zraw_seen(busy) < ZRAW_CLOSING


cdef list members(object items)
cdef list hold(list sockets, str call)
cdef void release_all(list held) noexcept
cdef int check_not_terminated(list held, str call) except -1
cdef int socket_int(void *socket, int option) noexcept nogil
cdef zmq_fd_t socket_fd(void *socket) noexcept nogil
cdef str type_name(int type)
cdef object to_number(object value, str what, object low, object high)
cdef int to_int(object value, str what) except? -1
cdef Py_ssize_t to_size(object value, str what, Py_ssize_t low) except? -2
cdef uintptr_t to_address(object value, str what) except 0
cdef int to_milliseconds(object value, str what) except? -2
cdef int check_flags(object flags, int allowed, str call) except -1


cdef inline int to_flags(object flags, int allowed, str call) except -1:
    """check_flags(), for next to nothing where there are none."""
    return 0 if flags is 0 else check_flags(flags, allowed, call)
