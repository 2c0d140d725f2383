/* Preloaded into a child, between zraw and libzmq: does something before a certain
   call, slows calls down, and tells how they were made.  shim.py is the other end. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <time.h>

enum { DONTWAIT = 1, SENDS = 0, RECEIVES = 1 };

struct {
    long countdown[2];            /* calls until `action`; 0: none */
    void (*action)(int argument);
    int argument;
    long pause_us;                /* what a send takes in addition */
    long calls[2];
    long with_gil[2];             /* those among `calls` made with the GIL held */
    volatile long waiting;        /* calls that may wait, and are inside now */
} shim;

static void before(int kind, int flags)
{
    static int (*gil)(void);
    if (!gil)
        gil = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Check");
    struct timespec span = {0, shim.pause_us * 1000};
    shim.calls[kind]++;
    shim.with_gil[kind] += gil();
    if (shim.countdown[kind] && !--shim.countdown[kind])
        shim.action(shim.argument);
    if (kind == SENDS && shim.pause_us)
        nanosleep(&span, NULL);
    __atomic_fetch_add(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);
}

/* errno is what the caller asks for next: nothing may follow the call proper
   but the subtraction. */
#define WRAP(kind, name, parameters, arguments)                                     \
    int name parameters                                                             \
    {                                                                               \
        static int(*next) parameters;                                               \
        if (!next)                                                                  \
            next = (int(*) parameters)dlsym(RTLD_NEXT, #name);                      \
        before(kind, flags);                                                        \
        int rc = next arguments;                                                    \
        __atomic_fetch_sub(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);   \
        return rc;                                                                  \
    }

WRAP(SENDS, zmq_send, (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, zmq_send_const, (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, zmq_msg_send, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, zmq_msg_recv, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, zmq_recv, (void *socket, void *data, size_t size, int flags),
     (socket, data, size, flags))
