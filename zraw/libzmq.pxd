# zmq.h as Cython declarations, in the header's order.  Draft functions are weak
# (see zmq_compat.h): compare one with NULL before the first call.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "zmq_compat.h" nogil:

    # Errors and version

    int zmq_errno()
    const char *zmq_strerror(int errnum)
    void zmq_version(int *major, int *minor, int *patch)

    const int ZMQ_VERSION_MAJOR
    const int ZMQ_VERSION_MINOR
    const int ZMQ_VERSION_PATCH
    const int ENOTSUP
    const int ENOTSOCK
    const int EFSM
    const int ENOCOMPATPROTO
    const int ETERM
    const int EMTHREAD

    # Context

    const int ZMQ_IO_THREADS
    const int ZMQ_MAX_SOCKETS
    const int ZMQ_MSG_T_SIZE
    const int ZMQ_THREAD_SCHED_POLICY
    const int ZMQ_THREAD_NAME_PREFIX

    void *zmq_ctx_new()
    int zmq_ctx_term(void *context)
    int zmq_ctx_shutdown(void *context)
    int zmq_ctx_set(void *context, int option, int optval)
    int zmq_ctx_get(void *context, int option)

    # Message

    ctypedef struct zmq_msg_t:
        pass
    ctypedef void zmq_free_fn(void *data, void *hint)

    int zmq_msg_init(zmq_msg_t *msg)
    int zmq_msg_init_size(zmq_msg_t *msg, size_t size)
    int zmq_msg_init_data(zmq_msg_t *msg, void *data, size_t size,
                          zmq_free_fn *ffn, void *hint)
    int zmq_msg_send(zmq_msg_t *msg, void *s, int flags)
    int zmq_msg_recv(zmq_msg_t *msg, void *s, int flags)
    int zmq_msg_close(zmq_msg_t *msg)
    int zmq_msg_move(zmq_msg_t *dest, zmq_msg_t *src)
    int zmq_msg_copy(zmq_msg_t *dest, zmq_msg_t *src)
    void *zmq_msg_data(zmq_msg_t *msg)
    size_t zmq_msg_size(const zmq_msg_t *msg)
    int zmq_msg_more(const zmq_msg_t *msg)
    int zmq_msg_get(const zmq_msg_t *msg, int property)
    int zmq_msg_set(zmq_msg_t *msg, int property, int optval)
    const char *zmq_msg_gets(const zmq_msg_t *msg, const char *property)

    # Socket

    const int ZMQ_PAIR
    const int ZMQ_PUB
    const int ZMQ_SUB
    const int ZMQ_REQ
    const int ZMQ_REP
    const int ZMQ_DEALER
    const int ZMQ_ROUTER
    const int ZMQ_PULL
    const int ZMQ_PUSH
    const int ZMQ_XPUB
    const int ZMQ_XSUB
    const int ZMQ_STREAM

    const int ZMQ_ROUTING_ID
    const int ZMQ_SUBSCRIBE
    const int ZMQ_UNSUBSCRIBE
    const int ZMQ_FD
    const int ZMQ_EVENTS
    const int ZMQ_TYPE
    const int ZMQ_LINGER
    const int ZMQ_CONFLATE
    const int ZMQ_RCVHWM
    const int ZMQ_SNDHWM
    const int ZMQ_RCVTIMEO
    const int ZMQ_SNDTIMEO
    const int ZMQ_LAST_ENDPOINT
    const int ZMQ_AFFINITY
    const int ZMQ_PLAIN_SERVER
    const int ZMQ_HEARTBEAT_IVL
    const int ZMQ_MECHANISM
    const int ZMQ_NULL
    const int ZMQ_ZAP_DOMAIN
    const int ZMQ_CONNECT_ROUTING_ID
    const int ZMQ_THREAD_SAFE
    const int ZMQ_ZAP_ENFORCE_DOMAIN

    const int ZMQ_DONTWAIT
    const int ZMQ_SNDMORE

    void *zmq_socket(void *context, int type)
    int zmq_close(void *s)
    int zmq_setsockopt(void *s, int option, const void *optval, size_t optvallen)
    int zmq_getsockopt(void *s, int option, void *optval, size_t *optvallen)
    int zmq_bind(void *s, const char *addr)
    int zmq_connect(void *s, const char *addr)
    int zmq_unbind(void *s, const char *addr)
    int zmq_disconnect(void *s, const char *addr)
    int zmq_send(void *s, const void *buf, size_t len, int flags)
    int zmq_send_const(void *s, const void *buf, size_t len, int flags)
    int zmq_recv(void *s, void *buf, size_t len, int flags)
    int zmq_socket_monitor(void *s, const char *addr, int events)

    # Polling

    ctypedef int zmq_fd_t
    ctypedef struct zmq_pollitem_t:
        void *socket
        zmq_fd_t fd
        short events
        short revents

    const int ZMQ_POLLIN
    const int ZMQ_POLLOUT
    const int ZMQ_POLLERR
    const int ZMQ_POLLPRI
    int zmq_poll(zmq_pollitem_t *items, int nitems, long timeout)

    # Proxy

    int zmq_proxy(void *frontend, void *backend, void *capture)
    int zmq_proxy_steerable(void *frontend, void *backend, void *capture,
                            void *control)

    # Capabilities

    int zmq_has(const char *capability)

    # Encryption

    char *zmq_z85_encode(char *dest, const uint8_t *data, size_t size)
    uint8_t *zmq_z85_decode(uint8_t *dest, const char *string)
    int zmq_curve_keypair(char *z85_public_key, char *z85_secret_key)
    int zmq_curve_public(char *z85_public_key, const char *z85_secret_key)

    # Atomic counters

    void *zmq_atomic_counter_new()
    void zmq_atomic_counter_set(void *counter, int value)
    int zmq_atomic_counter_inc(void *counter)
    int zmq_atomic_counter_dec(void *counter)
    int zmq_atomic_counter_value(void *counter)
    void zmq_atomic_counter_destroy(void **counter_p)

    # Timers

    ctypedef void zmq_timer_fn(int timer_id, void *arg)

    void *zmq_timers_new()
    int zmq_timers_destroy(void **timers_p)
    int zmq_timers_add(void *timers, size_t interval, zmq_timer_fn handler, void *arg)
    int zmq_timers_cancel(void *timers, int timer_id)
    int zmq_timers_set_interval(void *timers, int timer_id, size_t interval)
    int zmq_timers_reset(void *timers, int timer_id)
    long zmq_timers_timeout(void *timers)
    int zmq_timers_execute(void *timers)

    # Stopwatch and sleep

    void *zmq_stopwatch_start()
    unsigned long zmq_stopwatch_intermediate(void *watch)
    unsigned long zmq_stopwatch_stop(void *watch)
    void zmq_sleep(int seconds)

    # Draft functions (weak)

    int zmq_ctx_set_ext(void *context, int option, const void *optval,
                        size_t optvallen)
    int zmq_ctx_get_ext(void *context, int option, void *optval, size_t *optvallen)
    int zmq_join(void *s, const char *group)
    int zmq_leave(void *s, const char *group)
    uint32_t zmq_connect_peer(void *s, const char *addr)
    int zmq_disconnect_peer(void *s, uint32_t routing_id)
    int zmq_msg_set_routing_id(zmq_msg_t *msg, uint32_t routing_id)
    uint32_t zmq_msg_routing_id(zmq_msg_t *msg)
    int zmq_msg_set_group(zmq_msg_t *msg, const char *group)
    const char *zmq_msg_group(zmq_msg_t *msg)
    int zmq_msg_init_buffer(zmq_msg_t *msg, const void *buf, size_t size)

    ctypedef struct zmq_poller_event_t:
        void *socket
        zmq_fd_t fd
        void *user_data
        short events

    void *zmq_poller_new()
    int zmq_poller_destroy(void **poller_p)
    int zmq_poller_size(void *poller)
    int zmq_poller_add(void *poller, void *socket, void *user_data, short events)
    int zmq_poller_modify(void *poller, void *socket, short events)
    int zmq_poller_remove(void *poller, void *socket)
    int zmq_poller_wait(void *poller, zmq_poller_event_t *event, long timeout)
    int zmq_poller_wait_all(void *poller, zmq_poller_event_t *events, int n_events,
                            long timeout)
    int zmq_poller_fd(void *poller, zmq_fd_t *fd)
    int zmq_poller_add_fd(void *poller, zmq_fd_t fd, void *user_data, short events)
    int zmq_poller_modify_fd(void *poller, zmq_fd_t fd, short events)
    int zmq_poller_remove_fd(void *poller, zmq_fd_t fd)
    int zmq_socket_get_peer_state(void *socket, const void *routing_id,
                                  size_t routing_id_size)
    int zmq_socket_monitor_versioned(void *s, const char *addr, uint64_t events,
                                     int event_version, int type)
    int zmq_socket_monitor_pipes_stats(void *s)
    int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout,
                  const void *sigmask)
