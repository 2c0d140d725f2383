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
    long copied_with_gil;         /* zmq_send() of more than 1 MiB, GIL held */
    long waiting;                 /* calls that may wait, and are inside now */
    long returned;                /* calls that have come back */
    long stalled;                 /* shim_stall() has begun */
} shim;

/* Only calls of threads that asked for it count: libzmq's own threads send the events
   of monitors, and come by here too. */
static __thread int counted;

void shim_count(void)
{
    counted = 1;
}

/* Frees a message: keeps libzmq's I/O thread until one more call has come back, or
   two seconds are over. */
void shim_stall(void *data, void *hint)
{
    struct timespec span = {0, 100000};
    long mark = __atomic_load_n(&shim.returned, __ATOMIC_SEQ_CST);
    (void)data, (void)hint;
    __atomic_store_n(&shim.stalled, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20000; i++)
        if (__atomic_load_n(&shim.returned, __ATOMIC_SEQ_CST) == mark)
            nanosleep(&span, NULL);
}

static void before(int kind, int flags, size_t copied)
{
    struct timespec span = {0, shim.pause_us * 1000};
    int held = shim.gil();
    shim.calls[kind]++;
    shim.with_gil[kind] += held;
    shim.copied_with_gil += held && copied > 1 << 20;
    if (shim.countdown[kind] && !--shim.countdown[kind])
        shim.action(shim.argument);
    if (kind == SENDS && shim.pause_us)
        nanosleep(&span, NULL);
    __atomic_fetch_add(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);
}

/* The caller reads errno next: nothing may follow the call but the counting. */
#define WRAP(kind, copied, name, parameters, arguments)                             \
    int zmq_##name parameters                                                       \
    {                                                                               \
        if (!counted)                                                               \
            return shim.name arguments;                                             \
        before(kind, flags, copied);                                                \
        int rc = shim.name arguments;                                               \
        __atomic_fetch_sub(&shim.waiting, !(flags & DONTWAIT), __ATOMIC_SEQ_CST);   \
        __atomic_fetch_add(&shim.returned, 1, __ATOMIC_SEQ_CST);                    \
        return rc;                                                                  \
    }

WRAP(SENDS, size, send, (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, 0, send_const,
     (void *socket, const void *data, size_t size, int flags),
     (socket, data, size, flags))
WRAP(SENDS, 0, msg_send, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, 0, msg_recv, (void *message, void *socket, int flags),
     (message, socket, flags))
WRAP(RECEIVES, 0, recv, (void *socket, void *data, size_t size, int flags),
     (socket, data, size, flags))
