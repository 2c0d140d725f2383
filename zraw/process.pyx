"""What concerns the whole process: its time, its forks, its end."""

from libc.stdint cimport int64_t, uint32_t

cdef extern from *:
    """
    #ifdef _WIN32
    #include <windows.h>
    static int64_t zraw_monotonic_ns(void) {
        LARGE_INTEGER now, rate;
        QueryPerformanceCounter(&now);
        QueryPerformanceFrequency(&rate);
        return (int64_t)((double)now.QuadPart * 1e9 / (double)rate.QuadPart);
    }
    static void zraw_nap(long us) { Sleep((DWORD)((us + 999) / 1000)); }
    static void zraw_block_signals(void) {}
    static void zraw_at_fork(void (*child)(void)) { (void)child; }
    static uint64_t zraw_thread_id(void) { return GetCurrentThreadId(); }
    #else
    #include <pthread.h>
    #include <signal.h>
    #include <time.h>
    static int64_t zraw_monotonic_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static void zraw_nap(long us) {
        struct timespec span = {us / 1000000, us % 1000000 * 1000};
        nanosleep(&span, NULL);
    }
    static void zraw_block_signals(void) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    }
    static void zraw_at_fork(void (*child)(void)) {
        pthread_atfork(NULL, NULL, child);
    }
    static uint64_t zraw_thread_id(void) { return (uint64_t)pthread_self(); }
    #endif
    static volatile int zraw_exiting;

    /* Cython's modules ask this first of all, once per import; -1 refuses.  From then
       on the module would belong to the interpreter that was first. */
    static int64_t zraw_interpreter_id(PyInterpreterState *interpreter) {
        if (interpreter == PyInterpreterState_Main())
            return PyInterpreterState_GetID(interpreter);
        PyErr_SetString(PyExc_ImportError, "zraw does not support loading in "
                        "subinterpreters: import it in the main interpreter");
        return -1;
    }
    #define PyInterpreterState_GetID zraw_interpreter_id
    """
    int64_t zraw_monotonic_ns() noexcept nogil
    void zraw_nap(long us) noexcept nogil
    void zraw_block_signals() noexcept nogil
    void zraw_at_fork(void (*child)() noexcept nogil) noexcept
    unsigned long long zraw_thread_id() noexcept nogil
    int zraw_exiting

cdef uint32_t fork_generation = 1
cdef unsigned long long exit_thread = 0


cdef void forked() noexcept nogil:
    # pthread_atfork, not os.register_at_fork: C code forks too.
    global fork_generation
    fork_generation += 1


zraw_at_fork(forked)


cdef int64_t monotonic_ns() noexcept nogil:
    return zraw_monotonic_ns()


cdef void nap(long microseconds) noexcept nogil:
    zraw_nap(microseconds)


cdef void block_signals() noexcept nogil:
    """Leave signals to the other threads: a call they wait in is to see EINTR."""
    zraw_block_signals()


cdef void begin_exit() noexcept:
    """From here on, only the calling thread is to come back from zraw with an error.

    The others are daemon threads, about to be abandoned by Python; a traceback of
    theirs would only soil the last lines of the output.
    """
    global zraw_exiting, exit_thread
    exit_thread = zraw_thread_id()
    zraw_exiting = 1


cdef bint is_exiting() noexcept nogil:
    """True in the threads that are about to be abandoned."""
    return zraw_exiting and zraw_thread_id() != exit_thread


cdef void sleep_for_good() noexcept nogil:
    while True:
        zraw_nap(1000000)
