/*  zmq.h with its draft block, every draft function weak.

    One build of an extension then runs with a libzmq that has the drafts and
    with one that has not: an absent function has the address NULL.  Include
    this header instead of zmq.h and before anything that includes zmq.h.

    Nothing is weak on Windows, where zraw.h has these functions looked up.  */

#ifndef ZRAW_ZMQ_COMPAT_H
#define ZRAW_ZMQ_COMPAT_H

#ifndef ZMQ_BUILD_DRAFT_API
#define ZMQ_BUILD_DRAFT_API
#endif
#include <zmq.h>

#if ZMQ_VERSION < ZMQ_MAKE_VERSION(4, 3, 2)
#error "zraw needs libzmq 4.3.2 or newer"
#endif

#ifndef _WIN32
#include <signal.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*  Draft functions that older headers lack.  */
#if ZMQ_VERSION < ZMQ_MAKE_VERSION(4, 3, 3)
int zmq_ctx_set_ext(void *context, int option, const void *optval,
                    size_t optvallen);
int zmq_ctx_get_ext(void *context, int option, void *optval, size_t *optvallen);
uint32_t zmq_connect_peer(void *s, const char *addr);
int zmq_msg_init_buffer(zmq_msg_t *msg, const void *buf, size_t size);
int zmq_poller_size(void *poller);
#endif
#if ZMQ_VERSION < ZMQ_MAKE_VERSION(4, 3, 5)
#ifdef _WIN32
int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout,
              const void *sigmask);
#else
int zmq_ppoll(zmq_pollitem_t *items, int nitems, long timeout,
              const sigset_t *sigmask);
#endif
#endif
#if ZMQ_VERSION < ZMQ_MAKE_VERSION(4, 3, 6)
int zmq_disconnect_peer(void *s, uint32_t routing_id);
#endif

#ifdef __cplusplus
}
#endif

#ifndef _WIN32
#pragma weak zmq_ctx_set_ext
#pragma weak zmq_ctx_get_ext
#pragma weak zmq_join
#pragma weak zmq_leave
#pragma weak zmq_connect_peer
#pragma weak zmq_disconnect_peer
#pragma weak zmq_msg_set_routing_id
#pragma weak zmq_msg_routing_id
#pragma weak zmq_msg_set_group
#pragma weak zmq_msg_group
#pragma weak zmq_msg_init_buffer
#pragma weak zmq_poller_new
#pragma weak zmq_poller_destroy
#pragma weak zmq_poller_size
#pragma weak zmq_poller_add
#pragma weak zmq_poller_modify
#pragma weak zmq_poller_remove
#pragma weak zmq_poller_wait
#pragma weak zmq_poller_wait_all
#pragma weak zmq_poller_fd
#pragma weak zmq_poller_add_fd
#pragma weak zmq_poller_modify_fd
#pragma weak zmq_poller_remove_fd
#pragma weak zmq_socket_get_peer_state
#pragma weak zmq_socket_monitor_versioned
#pragma weak zmq_socket_monitor_pipes_stats
#pragma weak zmq_ppoll
#endif

/*  zraw's own modules are linked to libzmq; what others compile reaches it through
    zraw.  */
#if !defined(ZRAW_BUILD) || defined(_WIN32)
#include "zraw.h"
#endif

#endif
