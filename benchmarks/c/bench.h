/*  What the C programs of the benchmarks share.  */

#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zmq.h>

/*  Known by number, because only a header with drafts names them.  */
enum { IN_BATCH_SIZE = 101, OUT_BATCH_SIZE = 102 };

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

/*  No limit makes a fast sender of large messages measure the allocator.  */
static inline int high_water_mark(size_t size)
{
    if (size <= 16)
        return 0;
    return size < 1 << 20 ? 1000 : 16;
}

static inline void set_int(void *socket, int option, int value)
{
    need(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "zmq_setsockopt");
}

static inline void *open_socket(void *context, int kind, size_t size)
{
    void *socket = zmq_socket(context, kind);
    need(socket != NULL, "zmq_socket");
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_SNDHWM, high_water_mark(size));
    set_int(socket, ZMQ_RCVHWM, high_water_mark(size));
    return socket;
}

static inline void *open_context(int sockets)
{
    struct rlimit files;
    void *context = zmq_ctx_new();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    need(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, sockets) == 0, "zmq_ctx_set");
    return context;
}

static inline void bind_to(void *socket, const char *endpoint)
{
    need(zmq_bind(socket, endpoint) == 0, "zmq_bind");
}

static inline void connect_to(void *socket, const char *endpoint)
{
    need(zmq_connect(socket, endpoint) == 0, "zmq_connect");
}

static inline void send_frame(void *socket, const void *data, size_t size, int flags)
{
    need(zmq_send(socket, data, size, flags) >= 0, "zmq_send");
}

static inline void recv_frame(void *socket, void *target, size_t size)
{
    need(zmq_recv(socket, target, size, 0) >= 0, "zmq_recv");
}

/*  A message of any number of frames, each copied out as Python has to.  */
static inline void recv_parts(void *socket, void *target)
{
    int more = 1;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        need(zmq_msg_recv(&part, socket, 0) >= 0, "zmq_msg_recv");
        memcpy(target, zmq_msg_data(&part), zmq_msg_size(&part));
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
}

static inline void leave_alone(void *data, void *hint)
{
    (void)data;
    (void)hint;
}

/*  Send memory of ours without a copy.  */
static inline void send_lent(void *socket, void *data, size_t size)
{
    zmq_msg_t message;
    zmq_msg_init_data(&message, data, size, leave_alone, NULL);
    need(zmq_msg_send(&message, socket, 0) >= 0, "zmq_msg_send");
}

#endif
