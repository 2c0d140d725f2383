/*  zraw for other extensions, in C, C++ and whatever reads C headers.

    Include it instead of zmq.h, or before; call import_zraw() once in every file
    that does, when the module is initialized and before anything else of this
    header.  All of it needs the GIL, or a thread that is attached to the interpreter;
    libzmq's own functions do not.

    libzmq's functions are reached through zraw, so that an extension uses the very
    library that zraw uses, wherever that came from, and is not linked to one itself.
    With ZRAW_LINKED defined it is linked to libzmq, and import_zraw() refuses to work
    with two of them.  */

#ifndef ZRAW_H
#define ZRAW_H

#if defined(ZMQ_VERSION) && !defined(ZRAW_ZMQ_COMPAT_H)
#error "include zraw.h before zmq.h"
#endif

#include <Python.h>

#include "zmq_compat.h"

#define ZRAW_API_VERSION 1
#define ZRAW_API_CAPSULE "zraw.capi.API"

/*  What is in the capsule.  Entries are added at the end, and nothing is changed
    without a new ZRAW_API_VERSION; a new zraw works with what older headers made.  */

/*  Every function of zmq.h, deprecated ones left out: those that every libzmq has, and
    draft functions, NULL if the running one has not got them.  */
#define ZRAW_STABLE(X) \
    X(int, zmq_errno, (void)) \
    X(const char *, zmq_strerror, (int errnum)) \
    X(void, zmq_version, (int *major, int *minor, int *patch)) \
    X(void *, zmq_ctx_new, (void)) \
    X(int, zmq_ctx_term, (void *context)) \
    X(int, zmq_ctx_shutdown, (void *context)) \
    X(int, zmq_ctx_set, (void *context, int option, int optval)) \
    X(int, zmq_ctx_get, (void *context, int option)) \
    X(int, zmq_msg_init, (zmq_msg_t *msg)) \
    X(int, zmq_msg_init_size, (zmq_msg_t *msg, size_t size)) \
    X(int, zmq_msg_init_data, \
      (zmq_msg_t *msg, void *data, size_t size, zmq_free_fn *ffn, void *hint)) \
    X(int, zmq_msg_send, (zmq_msg_t *msg, void *s, int flags)) \
    X(int, zmq_msg_recv, (zmq_msg_t *msg, void *s, int flags)) \
    X(int, zmq_msg_close, (zmq_msg_t *msg)) \
    X(int, zmq_msg_move, (zmq_msg_t *dest, zmq_msg_t *src)) \
    X(int, zmq_msg_copy, (zmq_msg_t *dest, zmq_msg_t *src)) \
    X(void *, zmq_msg_data, (zmq_msg_t *msg)) \
    X(size_t, zmq_msg_size, (const zmq_msg_t *msg)) \
    X(int, zmq_msg_more, (const zmq_msg_t *msg)) \
    X(int, zmq_msg_get, (const zmq_msg_t *msg, int property)) \
    X(int, zmq_msg_set, (zmq_msg_t *msg, int property, int optval)) \
    X(const char *, zmq_msg_gets, (const zmq_msg_t *msg, const char *property)) \
    X(void *, zmq_socket, (void *context, int type)) \
    X(int, zmq_close, (void *s)) \
    X(int, zmq_setsockopt, \
      (void *s, int option, const void *optval, size_t optvallen)) \
    X(int, zmq_getsockopt, (void *s, int option, void *optval, size_t *optvallen)) \
    X(int, zmq_bind, (void *s, const char *addr)) \
    X(int, zmq_connect, (void *s, const char *addr)) \
    X(int, zmq_unbind, (void *s, const char *addr)) \
    X(int, zmq_disconnect, (void *s, const char *addr)) \
    X(int, zmq_send, (void *s, const void *buf, size_t len, int flags)) \
    X(int, zmq_send_const, (void *s, const void *buf, size_t len, int flags)) \
    X(int, zmq_recv, (void *s, void *buf, size_t len, int flags)) \
    X(int, zmq_socket_monitor, (void *s, const char *addr, int events)) \
    X(int, zmq_poll, (zmq_pollitem_t *items, int nitems, long timeout)) \
    X(int, zmq_proxy, (void *frontend, void *backend, void *capture)) \
    X(int, zmq_proxy_steerable, \
      (void *frontend, void *backend, void *capture, void *control)) \
    X(int, zmq_has, (const char *capability)) \
    X(char *, zmq_z85_encode, (char *dest, const uint8_t *data, size_t size)) \
    X(uint8_t *, zmq_z85_decode, (uint8_t *dest, const char *string)) \
    X(int, zmq_curve_keypair, (char *z85_public_key, char *z85_secret_key)) \
    X(int, zmq_curve_public, (char *z85_public_key, const char *z85_secret_key)) \
    X(void *, zmq_atomic_counter_new, (void)) \
    X(void, zmq_atomic_counter_set, (void *counter, int value)) \
    X(int, zmq_atomic_counter_inc, (void *counter)) \
    X(int, zmq_atomic_counter_dec, (void *counter)) \
    X(int, zmq_atomic_counter_value, (void *counter)) \
    X(void, zmq_atomic_counter_destroy, (void **counter_p)) \
    X(void *, zmq_timers_new, (void)) \
    X(int, zmq_timers_destroy, (void **timers_p)) \
    X(int, zmq_timers_add, \
      (void *timers, size_t interval, zmq_timer_fn handler, void *arg)) \
    X(int, zmq_timers_cancel, (void *timers, int timer_id)) \
    X(int, zmq_timers_set_interval, (void *timers, int timer_id, size_t interval)) \
    X(int, zmq_timers_reset, (void *timers, int timer_id)) \
    X(long, zmq_timers_timeout, (void *timers)) \
    X(int, zmq_timers_execute, (void *timers)) \
    X(void *, zmq_stopwatch_start, (void)) \
    X(unsigned long, zmq_stopwatch_intermediate, (void *watch)) \
    X(unsigned long, zmq_stopwatch_stop, (void *watch)) \
    X(void, zmq_sleep, (int seconds))

#define ZRAW_DRAFTS(X) \
    X(int, zmq_ctx_set_ext, \
      (void *context, int option, const void *optval, size_t optvallen)) \
    X(int, zmq_ctx_get_ext, \
      (void *context, int option, void *optval, size_t *optvallen)) \
    X(int, zmq_join, (void *s, const char *group)) \
    X(int, zmq_leave, (void *s, const char *group)) \
    X(uint32_t, zmq_connect_peer, (void *s, const char *addr)) \
    X(int, zmq_disconnect_peer, (void *s, uint32_t routing_id)) \
    X(int, zmq_msg_set_routing_id, (zmq_msg_t *msg, uint32_t routing_id)) \
    X(uint32_t, zmq_msg_routing_id, (zmq_msg_t *msg)) \
    X(int, zmq_msg_set_group, (zmq_msg_t *msg, const char *group)) \
    X(const char *, zmq_msg_group, (zmq_msg_t *msg)) \
    X(int, zmq_msg_init_buffer, (zmq_msg_t *msg, const void *buf, size_t size)) \
    X(void *, zmq_poller_new, (void)) \
    X(int, zmq_poller_destroy, (void **poller_p)) \
    X(int, zmq_poller_size, (void *poller)) \
    X(int, zmq_poller_add, \
      (void *poller, void *socket, void *user_data, short events)) \
    X(int, zmq_poller_modify, (void *poller, void *socket, short events)) \
    X(int, zmq_poller_remove, (void *poller, void *socket)) \
    X(int, zmq_poller_wait, (void *poller, zmq_poller_event_t *event, long timeout)) \
    X(int, zmq_poller_wait_all, \
      (void *poller, zmq_poller_event_t *events, int n_events, long timeout)) \
    X(int, zmq_poller_fd, (void *poller, zmq_fd_t *fd)) \
    X(int, zmq_poller_add_fd, \
      (void *poller, zmq_fd_t fd, void *user_data, short events)) \
    X(int, zmq_poller_modify_fd, (void *poller, zmq_fd_t fd, short events)) \
    X(int, zmq_poller_remove_fd, (void *poller, zmq_fd_t fd)) \
    X(int, zmq_socket_get_peer_state, \
      (void *socket, const void *routing_id, size_t routing_id_size)) \
    X(int, zmq_socket_monitor_versioned, \
      (void *s, const char *addr, uint64_t events, int event_version, int type)) \
    X(int, zmq_socket_monitor_pipes_stats, (void *s)) \
    X(int, zmq_ppoll, \
      (zmq_pollitem_t *items, int nitems, long timeout, const void *sigmask))

#define ZRAW_LIBZMQ(X) ZRAW_STABLE(X) ZRAW_DRAFTS(X)

#define ZRAW_ENTRY(result, name, arguments) result(*name) arguments;
typedef struct {
    ZRAW_LIBZMQ(ZRAW_ENTRY)
} zraw_libzmq_t;
#undef ZRAW_ENTRY

typedef struct {
    int version;
    size_t size;
    size_t libzmq_size;
    const zraw_libzmq_t *libzmq;
    void *(*socket_acquire)(PyObject *socket);
    int (*socket_release)(PyObject *socket);
    void *(*context_handle)(PyObject *context);
    zmq_msg_t *(*message_ptr)(PyObject *message);
    zmq_msg_t *(*message_acquire)(PyObject *message);
    int (*message_release)(PyObject *message);
    PyObject *(*message_new)(void);
    int (*raise_errno)(int errnum, const char *call);
} zraw_api_t;

#ifndef ZRAW_BUILD

/*  What is called as long as import_zraw() was not.  */
static void zraw_not_imported(void)
{
    Py_FatalError("import_zraw() was not called in this file");
}

#define ZRAW_ENTRY(result, name, arguments) (result(*) arguments) zraw_not_imported,
static const zraw_libzmq_t zraw_no_libzmq = {ZRAW_LIBZMQ(ZRAW_ENTRY)};
#undef ZRAW_ENTRY

static const zraw_api_t zraw_no_api = {
    0,
    0,
    0,
    &zraw_no_libzmq,
    (void *(*) (PyObject *)) zraw_not_imported,
    (int (*)(PyObject *)) zraw_not_imported,
    (void *(*) (PyObject *)) zraw_not_imported,
    (zmq_msg_t * (*) (PyObject *)) zraw_not_imported,
    (zmq_msg_t * (*) (PyObject *)) zraw_not_imported,
    (int (*)(PyObject *)) zraw_not_imported,
    (PyObject * (*) (void) ) zraw_not_imported,
    (int (*)(int, const char *)) zraw_not_imported,
};

static const zraw_api_t *zraw_api = &zraw_no_api;
static const zraw_libzmq_t *zraw_libzmq = &zraw_no_libzmq;

/*  Return 0, or -1 with an exception set.  */
static inline int import_zraw(void)
{
    const zraw_api_t *api;
    PyObject *module = PyImport_ImportModule("zraw.capi");
    if (module == NULL)
        return -1;
    Py_DECREF(module);
    api = (const zraw_api_t *) PyCapsule_Import(ZRAW_API_CAPSULE, 0);
    if (api == NULL)
        return -1;
    if (api->version != ZRAW_API_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built with version %d of zraw.h, and zraw has "
                     "version %d: build it with the zraw that runs",
                     ZRAW_API_VERSION, api->version);
        return -1;
    }
    if (api->size < sizeof(zraw_api_t) || api->libzmq_size < sizeof(zraw_libzmq_t)) {
        PyErr_SetString(PyExc_ImportError,
                        "this extension was built with the zraw.h of a newer zraw: "
                        "upgrade zraw, or build the extension with this one");
        return -1;
    }
#ifdef ZRAW_LINKED
    if (api->libzmq->zmq_msg_send != zmq_msg_send) {
        PyErr_SetString(PyExc_ImportError,
                        "this extension is linked to another libzmq than zraw's: "
                        "build it without ZRAW_LINKED");
        return -1;
    }
#endif
    zraw_api = api;
    zraw_libzmq = api->libzmq;
    return 0;
}

/*  Return libzmq's socket of a zraw.Socket, and take its guard: until it is released,
    every other use of the Socket raises SocketInUse, and the Socket stays open.  The
    thread may release the GIL meanwhile.  The caller keeps a reference.  NULL with an
    exception: TypeError, NotASocket (closed), SocketInUse, ForkError.

    Release it between messages, not in the middle of one; set options and endpoints
    through the Socket, which keeps account of some of them.  */
#define zraw_socket_acquire (zraw_api->socket_acquire)

/*  Give the guard back; 0, or -1 with an exception if it was not taken.  It leaves an
    exception alone that is set already.  */
#define zraw_socket_release (zraw_api->socket_release)

/*  Return libzmq's context of a zraw.Context, which may not end meanwhile; NULL with
    an exception: TypeError, ContextTerminated, ForkError.  */
#define zraw_context_handle (zraw_api->context_handle)

/*  Return the zmq_msg_t of a zraw.Message, to look at: it is good for as long as the
    GIL is kept and no Python code runs.  NULL with an exception: TypeError,
    InvalidHandle (closed), SocketInUse (another thread is using it).  */
#define zraw_message_ptr (zraw_api->message_ptr)

/*  The same, to change it, send it, receive into it; also without the GIL, until it
    is released.  NULL with BufferError, too, if views of the body are alive.  The
    message has to be initialized when it is released, if with nothing in it.  */
#define zraw_message_acquire (zraw_api->message_acquire)

/*  Give the message back; 0, or -1 with an exception if it was not taken.  */
#define zraw_message_release (zraw_api->message_release)

/*  Return a new reference to an empty zraw.Message, or NULL with an exception.  */
#define zraw_message_new (zraw_api->message_new)

/*  Raise the exception of an errno, as zraw does; `call` says what failed.  Return -1.
    For EINTR call PyErr_CheckSignals() instead, and go on if it returns 0.  */
#define zraw_raise_errno (zraw_api->raise_errno)

#endif /* !ZRAW_BUILD */

/*  Windows has no weak symbols: zraw's own modules look the draft functions up in the
    library that the others were linked from.  */
#if defined(ZRAW_BUILD) && defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

static zraw_libzmq_t zraw_table;

static BOOL CALLBACK zraw_fill_table(PINIT_ONCE once, void *unused, void **result)
{
    HMODULE library = NULL;
    (void) once, (void) unused, (void) result;
    GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS
                           | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       (const char *) zmq_version, &library);
#define ZRAW_ENTRY(result, name, arguments) zraw_table.name = name;
    ZRAW_STABLE(ZRAW_ENTRY)
#undef ZRAW_ENTRY
#define ZRAW_ENTRY(result, name, arguments) \
    zraw_table.name = \
        (result(*) arguments)(void (*)(void)) GetProcAddress(library, #name);
    if (library != NULL) {
        ZRAW_DRAFTS(ZRAW_ENTRY)
    }
#undef ZRAW_ENTRY
    return TRUE;
}

/*  A thread may ask without the GIL.  */
static inline const zraw_libzmq_t *zraw_filled_table(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, zraw_fill_table, NULL, NULL);
    return &zraw_table;
}
#define zraw_libzmq zraw_filled_table()
#endif

#if !defined(ZRAW_BUILD) && !defined(ZRAW_LINKED)
#define zmq_errno (zraw_libzmq->zmq_errno)
#define zmq_strerror (zraw_libzmq->zmq_strerror)
#define zmq_version (zraw_libzmq->zmq_version)
#define zmq_ctx_new (zraw_libzmq->zmq_ctx_new)
#define zmq_ctx_term (zraw_libzmq->zmq_ctx_term)
#define zmq_ctx_shutdown (zraw_libzmq->zmq_ctx_shutdown)
#define zmq_ctx_set (zraw_libzmq->zmq_ctx_set)
#define zmq_ctx_get (zraw_libzmq->zmq_ctx_get)
#define zmq_msg_init (zraw_libzmq->zmq_msg_init)
#define zmq_msg_init_size (zraw_libzmq->zmq_msg_init_size)
#define zmq_msg_init_data (zraw_libzmq->zmq_msg_init_data)
#define zmq_msg_send (zraw_libzmq->zmq_msg_send)
#define zmq_msg_recv (zraw_libzmq->zmq_msg_recv)
#define zmq_msg_close (zraw_libzmq->zmq_msg_close)
#define zmq_msg_move (zraw_libzmq->zmq_msg_move)
#define zmq_msg_copy (zraw_libzmq->zmq_msg_copy)
#define zmq_msg_data (zraw_libzmq->zmq_msg_data)
#define zmq_msg_size (zraw_libzmq->zmq_msg_size)
#define zmq_msg_more (zraw_libzmq->zmq_msg_more)
#define zmq_msg_get (zraw_libzmq->zmq_msg_get)
#define zmq_msg_set (zraw_libzmq->zmq_msg_set)
#define zmq_msg_gets (zraw_libzmq->zmq_msg_gets)
#define zmq_socket (zraw_libzmq->zmq_socket)
#define zmq_close (zraw_libzmq->zmq_close)
#define zmq_setsockopt (zraw_libzmq->zmq_setsockopt)
#define zmq_getsockopt (zraw_libzmq->zmq_getsockopt)
#define zmq_bind (zraw_libzmq->zmq_bind)
#define zmq_connect (zraw_libzmq->zmq_connect)
#define zmq_unbind (zraw_libzmq->zmq_unbind)
#define zmq_disconnect (zraw_libzmq->zmq_disconnect)
#define zmq_send (zraw_libzmq->zmq_send)
#define zmq_send_const (zraw_libzmq->zmq_send_const)
#define zmq_recv (zraw_libzmq->zmq_recv)
#define zmq_socket_monitor (zraw_libzmq->zmq_socket_monitor)
#define zmq_poll (zraw_libzmq->zmq_poll)
#define zmq_proxy (zraw_libzmq->zmq_proxy)
#define zmq_proxy_steerable (zraw_libzmq->zmq_proxy_steerable)
#define zmq_has (zraw_libzmq->zmq_has)
#define zmq_z85_encode (zraw_libzmq->zmq_z85_encode)
#define zmq_z85_decode (zraw_libzmq->zmq_z85_decode)
#define zmq_curve_keypair (zraw_libzmq->zmq_curve_keypair)
#define zmq_curve_public (zraw_libzmq->zmq_curve_public)
#define zmq_atomic_counter_new (zraw_libzmq->zmq_atomic_counter_new)
#define zmq_atomic_counter_set (zraw_libzmq->zmq_atomic_counter_set)
#define zmq_atomic_counter_inc (zraw_libzmq->zmq_atomic_counter_inc)
#define zmq_atomic_counter_dec (zraw_libzmq->zmq_atomic_counter_dec)
#define zmq_atomic_counter_value (zraw_libzmq->zmq_atomic_counter_value)
#define zmq_atomic_counter_destroy (zraw_libzmq->zmq_atomic_counter_destroy)
#define zmq_timers_new (zraw_libzmq->zmq_timers_new)
#define zmq_timers_destroy (zraw_libzmq->zmq_timers_destroy)
#define zmq_timers_add (zraw_libzmq->zmq_timers_add)
#define zmq_timers_cancel (zraw_libzmq->zmq_timers_cancel)
#define zmq_timers_set_interval (zraw_libzmq->zmq_timers_set_interval)
#define zmq_timers_reset (zraw_libzmq->zmq_timers_reset)
#define zmq_timers_timeout (zraw_libzmq->zmq_timers_timeout)
#define zmq_timers_execute (zraw_libzmq->zmq_timers_execute)
#define zmq_stopwatch_start (zraw_libzmq->zmq_stopwatch_start)
#define zmq_stopwatch_intermediate (zraw_libzmq->zmq_stopwatch_intermediate)
#define zmq_stopwatch_stop (zraw_libzmq->zmq_stopwatch_stop)
#define zmq_sleep (zraw_libzmq->zmq_sleep)
#endif

#if (!defined(ZRAW_BUILD) && !defined(ZRAW_LINKED)) \
    || (defined(ZRAW_BUILD) && defined(_WIN32))
#define zmq_ctx_set_ext (zraw_libzmq->zmq_ctx_set_ext)
#define zmq_ctx_get_ext (zraw_libzmq->zmq_ctx_get_ext)
#define zmq_join (zraw_libzmq->zmq_join)
#define zmq_leave (zraw_libzmq->zmq_leave)
#define zmq_connect_peer (zraw_libzmq->zmq_connect_peer)
#define zmq_disconnect_peer (zraw_libzmq->zmq_disconnect_peer)
#define zmq_msg_set_routing_id (zraw_libzmq->zmq_msg_set_routing_id)
#define zmq_msg_routing_id (zraw_libzmq->zmq_msg_routing_id)
#define zmq_msg_set_group (zraw_libzmq->zmq_msg_set_group)
#define zmq_msg_group (zraw_libzmq->zmq_msg_group)
#define zmq_msg_init_buffer (zraw_libzmq->zmq_msg_init_buffer)
#define zmq_poller_new (zraw_libzmq->zmq_poller_new)
#define zmq_poller_destroy (zraw_libzmq->zmq_poller_destroy)
#define zmq_poller_size (zraw_libzmq->zmq_poller_size)
#define zmq_poller_add (zraw_libzmq->zmq_poller_add)
#define zmq_poller_modify (zraw_libzmq->zmq_poller_modify)
#define zmq_poller_remove (zraw_libzmq->zmq_poller_remove)
#define zmq_poller_wait (zraw_libzmq->zmq_poller_wait)
#define zmq_poller_wait_all (zraw_libzmq->zmq_poller_wait_all)
#define zmq_poller_fd (zraw_libzmq->zmq_poller_fd)
#define zmq_poller_add_fd (zraw_libzmq->zmq_poller_add_fd)
#define zmq_poller_modify_fd (zraw_libzmq->zmq_poller_modify_fd)
#define zmq_poller_remove_fd (zraw_libzmq->zmq_poller_remove_fd)
#define zmq_socket_get_peer_state (zraw_libzmq->zmq_socket_get_peer_state)
#define zmq_socket_monitor_versioned (zraw_libzmq->zmq_socket_monitor_versioned)
#define zmq_socket_monitor_pipes_stats (zraw_libzmq->zmq_socket_monitor_pipes_stats)
#define zmq_ppoll (zraw_libzmq->zmq_ppoll)
#endif

#endif
