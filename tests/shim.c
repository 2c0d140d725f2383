/* Preloaded into a child, between zraw and libzmq: does something before a certain
   call, slows calls down, and tells how they were made.  shim.py is the other end,
   and fills in the addresses: RTLD_NEXT does not see what Python's import loads. */

#include <stddef.h>
#include <time.h>

enum { DONTWAIT = 1, SENDS = 0, RECEIVES = 1 };

struct {
    int (*send)(void *socket, const void *data, size_t size, int flags);
    int (*send_const)(void *socket, const void *data, size_t size, int flags);
    int (*msg_send)(void *message, void *socket, int flags);
    int (*msg_recv)(void *message, void *socket, int flags);
    int (*recv)(void *socket, void *data, size_t size, int flags);
    int (*gil)(void);
    long countdown[2];            /* calls until `action`; 0: none */
    void (*action)(int argument);
    int argument;
    long pause_us;                /* what a send takes in addition */
    long calls[2];
    long with_gil[2];             /* those among `calls` made with the GIL held */
    long waiting;                 /* calls that may wait, and are inside now */
} shim;

static void before(int kind, int flags)
{
    struct timespec span = {0, shim.pause_us * 1000};
    shim.calls[kind]++;
    shim.with_gil[kind] += shim.gil();
    if (shim.countdown[kind] && !--shim.countdown[kind])
        shim.action(shim.argument);
    if (kind == SENDS && shim.pause_us)
        nanosleep(&span, NULL);
    __atomic_fetch_add(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);
}

/* The caller reads errno next: nothing may follow the call but the subtraction. */
#define WRAP(kind, name, parameters, arguments)                                     \
    int zmq_##name parameters                                                       \
    {                                                                               \
        before(kind, flags);                                                        \
        int rc = shim.name arguments;                                               \
        __atomic_fetch_sub(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);   \
        return rc;                                                                  \
    }

WRAP(SENDS, send, (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, send_const, (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, msg_send, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, msg_recv, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, recv, (void *socket, void *data, size_t size, int flags),
     (socket, data, size, flags))
