/*  The floor: the calls that the Python loops make, made from C.

    Usage: inproc SIZE ROUNDS.  Prints nanoseconds per call or message: send,
    recv, 3-part send and recv, each the best of ROUNDS rounds of 1000.  */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { COUNT = 1000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

static void record(double *best, double start)
{
    double each = (now() - start) / COUNT;
    if (each < *best)
        *best = each;
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 16;
    int rounds = argc > 2 ? atoi(argv[2]) : 200;
    double best[4] = {1e18, 1e18, 1e18, 1e18};
    char *body = calloc(1, size + 1);
    char *target = malloc(size + 1);
    void *context = zmq_ctx_new();
    void *push = zmq_socket(context, ZMQ_PUSH);
    void *pull = zmq_socket(context, ZMQ_PULL);
    int hwm = 0;

    zmq_setsockopt(push, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(pull, ZMQ_RCVHWM, &hwm, sizeof hwm);
    need(zmq_bind(push, "inproc://floor") == 0, "zmq_bind");
    need(zmq_connect(pull, "inproc://floor") == 0, "zmq_connect");
    for (int round = 0; round < rounds; ++round) {
        double start = now();
        for (int i = 0; i < COUNT; ++i)
            need(zmq_send(push, body, size, 0) >= 0, "zmq_send");
        record(&best[0], start);
        start = now();
        for (int i = 0; i < COUNT; ++i)
            need(zmq_recv(pull, target, size, 0) >= 0, "zmq_recv");
        record(&best[1], start);
        start = now();
        for (int i = 0; i < COUNT; ++i)
            for (int part = 0; part < 3; ++part)
                need(zmq_send(push, body, size, part < 2 ? ZMQ_SNDMORE : 0) >= 0,
                     "zmq_send");
        record(&best[2], start);
        start = now();
        for (int i = 0; i < COUNT; ++i) {
            int more = 1;
            while (more) {
                zmq_msg_t part;
                zmq_msg_init(&part);
                need(zmq_msg_recv(&part, pull, 0) >= 0, "zmq_msg_recv");
                memcpy(target, zmq_msg_data(&part), zmq_msg_size(&part));
                more = zmq_msg_more(&part);
                zmq_msg_close(&part);
            }
        }
        record(&best[3], start);
    }
    printf("%.1f %.1f %.1f %.1f\n", best[0], best[1], best[2], best[3]);
    zmq_close(push);
    zmq_close(pull);
    zmq_ctx_term(context);
    free(body);
    free(target);
    return 0;
}
