/* Preloaded into a child, between zraw and libzmq: records the calls that zraw makes,
   lets chosen ones fail without libzmq, and counts the blocks of memory that are in
   use.  faults.py is the other end. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS = 1024, FAULTS = 4, MESSAGE = 64 };

struct call {
    const char *function;
    const char *module;     /* the file that the call was made from */
    long offset;            /* of the return address in it */
    int flags;              /* of those that have some */
    int err;                /* the errno that was made up, or 0 */
};

struct {
    long on;
    unsigned long only;     /* the thread whose calls count; 0: all */
    long numbers[FAULTS];   /* of the calls that fail, counted from 1; 0: none */
    int errs[FAULTS];
    long count;             /* calls made while it was on; the first are recorded */
    long blocks;            /* of malloc() and its kind, in use */
    struct call calls[CALLS];
} faults;

/* RTLD_NEXT does not see what Python's import loads, but the first who calls does. */
static void *find(const char *name, const char *module)
{
    static void *libzmq;
    Dl_info info;
    void *handle = libzmq ? libzmq : dlopen(module, RTLD_LAZY | RTLD_NOLOAD);
    void *found = handle ? dlsym(handle, name) : NULL;
    if (!found || !dladdr(found, &info))
        abort();
    if (!libzmq)
        libzmq = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    return found;
}

/* libzmq's calls of itself do not count: those of its threads, those below a call of
   zraw's, and the tail of one that is not wrapped otherwise. */
static __thread int inside;

/* Return the errno to be made up; 0: go on. */
static int before(const char *name, void **real, void *from, int flags)
{
    Dl_info caller, callee;
    long number;
    if (*real && (inside || !faults.on))
        return 0;
    if (!dladdr(from, &caller))
        abort();
    if (!*real)
        *real = find(name, caller.dli_fname);
    if (!dladdr(*real, &callee))
        abort();
    if (inside || !faults.on || caller.dli_fbase == callee.dli_fbase)
        return 0;
    if (faults.only && faults.only != (unsigned long)pthread_self())
        return 0;
    number = __atomic_add_fetch(&faults.count, 1, __ATOMIC_SEQ_CST);
    if (number > CALLS)
        return 0;
    struct call *call = &faults.calls[number - 1];
    *call = (struct call){name, caller.dli_fname,
                          (char *)from - (char *)caller.dli_fbase, flags, 0};
    for (int i = 0; i < FAULTS; i++)
        if (faults.numbers[i] == number)
            call->err = faults.errs[i];
    if (call->err == EINTR) /* so that there is less time left */
        nanosleep(&(struct timespec){0, 1500000}, NULL);
    return call->err;
}

/* What `first` does happens before a call is made to fail. */
#define WRAP_(type, failed, name, parameters, arguments, flags, first)              \
    type name parameters                                                            \
    {                                                                               \
        static void *found;                                                         \
        int err = before(#name, &found, __builtin_return_address(0), flags);        \
        type(*real) parameters = (type(*) parameters)found;                         \
        if (!err) {                                                                 \
            inside++;                                                               \
            type rc = real arguments;                                               \
            inside--;                                                               \
            return rc;                                                              \
        }                                                                           \
        first;                                                                      \
        errno = err;                                                                \
        return failed;                                                              \
    }
#define WRAP(name, parameters, arguments)                                           \
    WRAP_(int, -1, name, parameters, arguments, 0, )
#define WRAP_FLAGS(name, parameters, arguments)                                     \
    WRAP_(int, -1, name, parameters, arguments, flags, )
/* What they are given is gone afterwards, whatever they return, except after EINTR. */
#define WRAP_END(name, parameters, arguments)                                       \
    WRAP_(int, -1, name, parameters, arguments, 0, if (err != EINTR) real arguments)
/* A message that could not be made is in no state to be used or closed. */
#define WRAP_MAKE(name, parameters, arguments)                                      \
    WRAP_(int, -1, name, parameters, arguments, 0, memset(msg, 0xff, MESSAGE))
#define WRAP_NULL(type, name, parameters, arguments)                                \
    WRAP_(type, NULL, name, parameters, arguments, 0, )

WRAP_NULL(void *, zmq_ctx_new, (void), ())
WRAP_END(zmq_ctx_term, (void *context), (context))
WRAP(zmq_ctx_shutdown, (void *context), (context))
WRAP(zmq_ctx_set, (void *context, int option, int value), (context, option, value))
WRAP(zmq_ctx_get, (void *context, int option), (context, option))

WRAP_MAKE(zmq_msg_init_size, (void *msg, size_t size), (msg, size))
WRAP_MAKE(zmq_msg_init_data,
          (void *msg, void *data, size_t size, void *free, void *hint),
          (msg, data, size, free, hint))
WRAP_FLAGS(zmq_msg_send, (void *msg, void *s, int flags), (msg, s, flags))
WRAP_FLAGS(zmq_msg_recv, (void *msg, void *s, int flags), (msg, s, flags))
WRAP_END(zmq_msg_close, (void *msg), (msg))
WRAP(zmq_msg_move, (void *to, void *from), (to, from))
WRAP(zmq_msg_copy, (void *to, void *from), (to, from))
WRAP(zmq_msg_more, (const void *msg), (msg))
WRAP(zmq_msg_get, (const void *msg, int property), (msg, property))
WRAP(zmq_msg_set, (void *msg, int property, int value), (msg, property, value))
WRAP_NULL(const char *, zmq_msg_gets, (const void *msg, const char *name), (msg, name))

WRAP_NULL(void *, zmq_socket, (void *context, int type), (context, type))
WRAP_END(zmq_close, (void *s), (s))
WRAP(zmq_setsockopt, (void *s, int option, const void *value, size_t size),
     (s, option, value, size))
WRAP(zmq_getsockopt, (void *s, int option, void *value, size_t *size),
     (s, option, value, size))
WRAP(zmq_bind, (void *s, const char *address), (s, address))
WRAP(zmq_connect, (void *s, const char *address), (s, address))
WRAP(zmq_unbind, (void *s, const char *address), (s, address))
WRAP(zmq_disconnect, (void *s, const char *address), (s, address))
WRAP_FLAGS(zmq_send, (void *s, const void *data, size_t size, int flags),
           (s, data, size, flags))
WRAP_FLAGS(zmq_send_const, (void *s, const void *data, size_t size, int flags),
           (s, data, size, flags))
WRAP_FLAGS(zmq_recv, (void *s, void *data, size_t size, int flags),
           (s, data, size, flags))
WRAP(zmq_socket_monitor, (void *s, const char *address, int events),
     (s, address, events))
WRAP(zmq_poll, (void *items, int count, long timeout), (items, count, timeout))
WRAP(zmq_proxy, (void *frontend, void *backend, void *capture),
     (frontend, backend, capture))
WRAP(zmq_proxy_steerable,
     (void *frontend, void *backend, void *capture, void *control),
     (frontend, backend, capture, control))

WRAP_NULL(char *, zmq_z85_encode, (char *to, const uint8_t *data, size_t size),
          (to, data, size))
WRAP_NULL(uint8_t *, zmq_z85_decode, (uint8_t *to, const char *text), (to, text))
WRAP(zmq_curve_keypair, (char *public, char *secret), (public, secret))
WRAP(zmq_curve_public, (char *public, const char *secret), (public, secret))

/* libzmq ends the process where it has no memory for these; others need not. */
WRAP_NULL(void *, zmq_atomic_counter_new, (void), ())
WRAP_NULL(void *, zmq_timers_new, (void), ())
WRAP_NULL(void *, zmq_stopwatch_start, (void), ())
WRAP_END(zmq_timers_destroy, (void **timers), (timers))
WRAP(zmq_timers_add, (void *timers, size_t interval, void *handler, void *argument),
     (timers, interval, handler, argument))
WRAP(zmq_timers_cancel, (void *timers, int id), (timers, id))
WRAP(zmq_timers_set_interval, (void *timers, int id, size_t interval),
     (timers, id, interval))
WRAP(zmq_timers_reset, (void *timers, int id), (timers, id))
WRAP_(long, -1, zmq_timers_timeout, (void *timers), (timers), 0, )
WRAP(zmq_timers_execute, (void *timers), (timers))

#ifdef DRAFT /* else zraw would take these for libzmq's */
WRAP(zmq_ctx_set_ext, (void *context, int option, const void *value, size_t size),
     (context, option, value, size))
WRAP(zmq_ctx_get_ext, (void *context, int option, void *value, size_t *size),
     (context, option, value, size))
WRAP(zmq_join, (void *s, const char *group), (s, group))
WRAP(zmq_leave, (void *s, const char *group), (s, group))
WRAP_(uint32_t, 0, zmq_connect_peer, (void *s, const char *address), (s, address), 0, )
WRAP(zmq_msg_set_routing_id, (void *msg, uint32_t id), (msg, id))
WRAP(zmq_msg_set_group, (void *msg, const char *group), (msg, group))
WRAP_MAKE(zmq_msg_init_buffer, (void *msg, const void *data, size_t size),
          (msg, data, size))
WRAP_NULL(void *, zmq_poller_new, (void), ())
WRAP_END(zmq_poller_destroy, (void **poller), (poller))
WRAP(zmq_poller_size, (void *poller), (poller))
WRAP(zmq_poller_add, (void *poller, void *s, void *data, short events),
     (poller, s, data, events))
WRAP(zmq_poller_modify, (void *poller, void *s, short events), (poller, s, events))
WRAP(zmq_poller_remove, (void *poller, void *s), (poller, s))
WRAP(zmq_poller_wait, (void *poller, void *event, long timeout),
     (poller, event, timeout))
WRAP(zmq_poller_wait_all, (void *poller, void *events, int count, long timeout),
     (poller, events, count, timeout))
WRAP(zmq_poller_fd, (void *poller, int *fd), (poller, fd))
WRAP(zmq_poller_add_fd, (void *poller, int fd, void *data, short events),
     (poller, fd, data, events))
WRAP(zmq_poller_modify_fd, (void *poller, int fd, short events), (poller, fd, events))
WRAP(zmq_poller_remove_fd, (void *poller, int fd), (poller, fd))
WRAP(zmq_socket_get_peer_state, (void *s, const void *id, size_t size), (s, id, size))
WRAP(zmq_socket_monitor_versioned,
     (void *s, const char *address, uint64_t events, int version, int type),
     (s, address, events, version, type))
WRAP(zmq_socket_monitor_pipes_stats, (void *s), (s))
#endif
#ifdef HAVE_PPOLL
WRAP(zmq_ppoll, (void *items, int count, long timeout, const void *mask),
     (items, count, timeout, mask))
#endif
#ifdef HAVE_DISCONNECT_PEER
WRAP(zmq_disconnect_peer, (void *s, uint32_t id), (s, id))
#endif

/* The memory of everybody: after a call that failed as much is in use as before. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static void *count(void *block)
{
    if (block)
        __atomic_add_fetch(&faults.blocks, 1, __ATOMIC_RELAXED);
    return block;
}

void *malloc(size_t size)
{
    return count(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
    return count(__libc_calloc(number, size));
}

void *realloc(void *block, size_t size)
{
    if (block && size)
        return __libc_realloc(block, size);
    free(block);
    return block ? NULL : malloc(size);
}

void *memalign(size_t alignment, size_t size)
{
    return count(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return count(__libc_memalign(alignment, size));
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *made = count(__libc_memalign(alignment, size));
    if (!made)
        return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block)
{
    if (block)
        __atomic_sub_fetch(&faults.blocks, 1, __ATOMIC_RELAXED);
    __libc_free(block);
}
