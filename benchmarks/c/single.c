/*  The cases with one thread, over inproc, in C.

    Reads lines "CASE SIZE MILLISECONDS PARAMETER" from standard input; answers each
    with a JSON object of nanoseconds per call, the best burst of each.  */

#include "bench.h"

enum { MAX_SOCKETS = 20100 };

typedef struct {
    void *context;
    char endpoint[64];
    char *body;
    char *target;
    size_t size;
    int burst;
    int parameter;
    double deadline;
} run_t;

static int another(const run_t *run, int done)
{
    return done < 3 || now() < run->deadline;
}

/*  How often so many calls are repeated, to be worth a look at the clock.  */
static int times_of(const run_t *run, int calls)
{
    return run->burst > calls ? run->burst / calls : 1;
}

static void record(double *best, double start, long calls)
{
    double each = (now() - start) * 1e9 / (double)calls;
    if (*best == 0 || each < *best)
        *best = each;
}

/*  A receiver that is bound and a sender that is connected to it.  */
static void open_pair(run_t *run, int sends, int receives, void **from, void **to)
{
    *to = open_socket(run->context, receives, run->size);
    *from = open_socket(run->context, sends, run->size);
    bind_to(*to, run->endpoint);
    connect_to(*from, run->endpoint);
}

static void answer_two(double send, double recv)
{
    printf("{\"send\": %.1f, \"recv\": %.1f}\n", send, recv);
}

static void send_recv(run_t *run)
{
    double send = 0, recv = 0;
    void *push, *pull;
    open_pair(run, ZMQ_PUSH, ZMQ_PULL, &push, &pull);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < run->burst; ++i)
            send_frame(push, run->body, run->size, 0);
        record(&send, start, run->burst);
        start = now();
        for (int i = 0; i < run->burst; ++i)
            recv_frame(pull, run->target, run->size);
        record(&recv, start, run->burst);
    }
    answer_two(send, recv);
    zmq_close(push);
    zmq_close(pull);
}

/*  Both ways without a copy if `lend`; else the receiver's alone.  */
static void messages(run_t *run, int lend)
{
    double send = 0, recv = 0;
    void *push, *pull;
    zmq_msg_t message;
    open_pair(run, ZMQ_PUSH, ZMQ_PULL, &push, &pull);
    zmq_msg_init(&message);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < run->burst; ++i)
            if (lend)
                send_lent(push, run->body, run->size);
            else
                send_frame(push, run->body, run->size, 0);
        record(&send, start, run->burst);
        start = now();
        for (int i = 0; i < run->burst; ++i)
            need(zmq_msg_recv(&message, pull, 0) >= 0, "zmq_msg_recv");
        record(&recv, start, run->burst);
    }
    answer_two(send, recv);
    zmq_msg_close(&message);
    zmq_close(push);
    zmq_close(pull);
}

static void multipart(run_t *run)
{
    double send = 0, recv = 0;
    void *push, *pull;
    open_pair(run, ZMQ_PUSH, ZMQ_PULL, &push, &pull);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < run->burst; ++i)
            for (int part = 0; part < 3; ++part)
                send_frame(push, run->body, run->size, part < 2 ? ZMQ_SNDMORE : 0);
        record(&send, start, run->burst);
        start = now();
        for (int i = 0; i < run->burst; ++i)
            recv_parts(pull, run->target);
        record(&recv, start, run->burst);
    }
    answer_two(send, recv);
    zmq_close(push);
    zmq_close(pull);
}

static void try_recv(run_t *run)
{
    double best = 0;
    void *push, *pull;
    open_pair(run, ZMQ_PUSH, ZMQ_PULL, &push, &pull);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < run->burst; ++i)
            need(zmq_recv(pull, run->target, run->size, ZMQ_DONTWAIT) < 0, "zmq_recv");
        record(&best, start, run->burst);
    }
    printf("{\"call\": %.1f}\n", best);
    zmq_close(push);
    zmq_close(pull);
}

static void **open_many(run_t *run, int kind, int count)
{
    void **sockets = malloc(sizeof *sockets * (size_t)count);
    for (int i = 0; i < count; ++i)
        sockets[i] = open_socket(run->context, kind, run->size);
    return sockets;
}

static void close_many(void **sockets, int count)
{
    for (int i = 0; i < count; ++i)
        zmq_close(sockets[i]);
    free(sockets);
}

/*  PARAMETER subscribers; send is per message, recv per message and subscriber.  */
static void fan_out(run_t *run)
{
    int peers = run->parameter;
    int burst = peers > run->burst ? 1 : run->burst / peers;
    double send = 0, recv = 0;
    void *pub = open_socket(run->context, ZMQ_XPUB, run->size);
    void **subs = open_many(run, ZMQ_SUB, peers);
    bind_to(pub, run->endpoint);
    for (int i = 0; i < peers; ++i) {
        zmq_setsockopt(subs[i], ZMQ_SUBSCRIBE, "", 0);
        connect_to(subs[i], run->endpoint);
    }
    recv_frame(pub, run->target, run->size);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < burst; ++i)
            send_frame(pub, run->body, run->size, 0);
        record(&send, start, burst);
        start = now();
        for (int peer = 0; peer < peers; ++peer)
            for (int i = 0; i < burst; ++i)
                recv_frame(subs[peer], run->target, run->size);
        record(&recv, start, (long)burst * peers);
    }
    answer_two(send, recv);
    close_many(subs, peers);
    zmq_close(pub);
}

/*  PARAMETER dealers ask, a router answers each: one call is a round trip.  */
static void router(run_t *run)
{
    int peers = run->parameter;
    int times = times_of(run, peers);
    double best = 0;
    void *centre = open_socket(run->context, ZMQ_ROUTER, run->size);
    void **dealers = open_many(run, ZMQ_DEALER, peers);
    char id[256];
    bind_to(centre, run->endpoint);
    for (int i = 0; i < peers; ++i)
        connect_to(dealers[i], run->endpoint);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < peers * times; ++i)
            send_frame(dealers[i % peers], run->body, run->size, 0);
        for (int i = 0; i < peers * times; ++i) {
            int length = zmq_recv(centre, id, sizeof id, 0);
            recv_frame(centre, run->target, run->size);
            send_frame(centre, id, (size_t)length, ZMQ_SNDMORE);
            send_frame(centre, run->target, run->size, 0);
        }
        for (int i = 0; i < peers * times; ++i)
            recv_frame(dealers[i % peers], run->target, run->size);
        record(&best, start, peers * times);
    }
    printf("{\"call\": %.1f}\n", best);
    close_many(dealers, peers);
    zmq_close(centre);
}

/*  PARAMETER sockets, the last of them ready.  */
static void poll_many(run_t *run)
{
    int count = run->parameter;
    int times = times_of(run, 10 * count);
    double best = 0;
    void **pulls = open_many(run, ZMQ_PULL, count);
    void *push = open_socket(run->context, ZMQ_PUSH, run->size);
    zmq_pollitem_t *items = calloc((size_t)count, sizeof *items);
    for (int i = 0; i < count; ++i) {
        items[i].socket = pulls[i];
        items[i].events = ZMQ_POLLIN;
    }
    bind_to(pulls[count - 1], run->endpoint);
    connect_to(push, run->endpoint);
    send_frame(push, run->body, run->size, 0);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < times; ++i)
            need(zmq_poll(items, count, 1000) == 1, "zmq_poll");
        record(&best, start, times);
    }
    printf("{\"call\": %.1f}\n", best);
    free(items);
    zmq_close(push);
    close_many(pulls, count);
}

/*  Let `count` senders send in turn, and receive that: from as many, or from one.  */
static void exchange(run_t *run, void **pushes, void **pulls, int count, int one,
                     double *send, double *recv)
{
    int calls = count * times_of(run, count);
    for (int done = 0; another(run, done); ++done) {
        double start = now();
        for (int i = 0; i < calls; i += count)
            for (int k = 0; k < count; ++k)
                send_frame(pushes[k], run->body, run->size, 0);
        record(send, start, calls);
        start = now();
        for (int i = 0; i < calls; i += count)
            for (int k = 0; k < count; ++k)
                recv_frame(pulls[one ? 0 : k], run->target, run->size);
        record(recv, start, calls);
    }
}

/*  PARAMETER sockets in pairs (for 1, in one pair); all of them send, all receive.  */
static void many_sockets(run_t *run)
{
    int pairs = run->parameter > 1 ? run->parameter / 2 : 1;
    double open = 0, send = 0, recv = 0, close = 0;
    double start = now();
    void **pulls = open_many(run, ZMQ_PULL, pairs);
    void **pushes = open_many(run, ZMQ_PUSH, pairs);
    char endpoint[96];
    for (int i = 0; i < pairs; ++i) {
        snprintf(endpoint, sizeof endpoint, "%s-%d", run->endpoint, i);
        bind_to(pulls[i], endpoint);
        connect_to(pushes[i], endpoint);
    }
    record(&open, start, 2 * pairs);
    exchange(run, pushes, pulls, pairs, 0, &send, &recv);
    start = now();
    close_many(pushes, pairs);
    close_many(pulls, pairs);
    record(&close, start, 2 * pairs);
    printf("{\"open\": %.1f, \"send\": %.1f, \"recv\": %.1f, \"close\": %.1f}\n", open,
           send, recv, close);
}

/*  PARAMETER senders to one receiver.  */
static void many_peers(run_t *run)
{
    int peers = run->parameter;
    double send = 0, recv = 0;
    void *pull = open_socket(run->context, ZMQ_PULL, run->size);
    void **pushes = open_many(run, ZMQ_PUSH, peers);
    bind_to(pull, run->endpoint);
    for (int i = 0; i < peers; ++i)
        connect_to(pushes[i], run->endpoint);
    exchange(run, pushes, &pull, peers, 1, &send, &recv);
    answer_two(send, recv);
    close_many(pushes, peers);
    zmq_close(pull);
}

static void perform(run_t *run, const char *name)
{
    if (!strcmp(name, "send_recv") || !strcmp(name, "batches"))
        send_recv(run);
    else if (!strcmp(name, "recv_msg"))
        messages(run, 0);
    else if (!strcmp(name, "zero_copy"))
        messages(run, 1);
    else if (!strcmp(name, "multipart") || !strcmp(name, "multipart_batches"))
        multipart(run);
    else if (!strcmp(name, "try_recv"))
        try_recv(run);
    else if (!strcmp(name, "fan_out"))
        fan_out(run);
    else if (!strcmp(name, "router"))
        router(run);
    else if (!strcmp(name, "poll") || !strcmp(name, "poller"))
        poll_many(run);
    else if (!strcmp(name, "sockets"))
        many_sockets(run);
    else if (!strcmp(name, "peers"))
        many_peers(run);
    else {
        fprintf(stderr, "single: no case %s\n", name);
        exit(1);
    }
}

int main(void)
{
    char name[64];
    size_t size;
    int milliseconds, parameter;
    run_t run = {.context = open_context(MAX_SOCKETS)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int n = 0;
         scanf("%63s %zu %d %d", name, &size, &milliseconds, &parameter) == 4; ++n) {
        run.size = size;
        run.burst = (int)((16 << 20) / size);
        if (run.burst > 1000)
            run.burst = 1000;
        if (run.burst < 16)
            run.burst = 16;
        run.parameter = parameter;
        run.body = calloc(1, size + 1);
        run.target = malloc(size + 1);
        run.deadline = now() + milliseconds * 1e-3;
        snprintf(run.endpoint, sizeof run.endpoint, "inproc://%d", n);
        perform(&run, name);
        free(run.body);
        free(run.target);
    }
    zmq_ctx_term(run.context);
    return 0;
}
