/*  One process of a case with several, in C.

    roles ROLE ENDPOINT SIZE COUNT MODE BATCH_BYTES
      pull, rep, drain, proxy   bind, print their endpoints in JSON
      push, req, pull-from      connect to ENDPOINT
      sink, flood               receive for COUNT milliseconds, send until killed
      memory                    MODE is what COUNT of are opened: socket, message, pin
      about                     print the version of libzmq

    What measures prints a JSON object when done.  MODE is "one", a call that copies
    for every message, or "zero", zmq_msg_init_data and zmq_msg_recv.  BATCH_BYTES
    other than 0 sets the draft options for the size of reads and writes.  */

#include "bench.h"
#include <unistd.h>

enum { DEFAULT_HWM = 1000, CHUNK = 100 };

typedef struct {
    const char *role;
    const char *endpoint;
    size_t size;
    long count;
    int zero;
    const char *mode;
    int batch_bytes;
    void *context;
    char *body;
} job_t;

static void *open_end(const job_t *job, int kind)
{
    void *socket = open_socket(job->context, kind, job->size);
    set_int(socket, ZMQ_LINGER, -1);
    if (job->batch_bytes) {
        set_int(socket, IN_BATCH_SIZE, job->batch_bytes);
        set_int(socket, OUT_BATCH_SIZE, job->batch_bytes);
    }
    return socket;
}

static void bind_and_print(void **sockets, int count, const char *endpoint)
{
    printf("{\"endpoints\": [");
    for (int i = 0; i < count; ++i) {
        char bound[256];
        size_t length = sizeof bound;
        bind_to(sockets[i], endpoint);
        zmq_getsockopt(sockets[i], ZMQ_LAST_ENDPOINT, bound, &length);
        printf("%s\"%s\"", i ? ", " : "", bound);
    }
    printf("]}\n");
    fflush(stdout);
}

static void pull_by(const job_t *job, void *socket)
{
    char *target = malloc(job->size + 1);
    zmq_msg_t message;
    recv_frame(socket, target, job->size);
    zmq_msg_init(&message);
    double start = now();
    for (long i = 1; i < job->count; ++i) {
        int got = job->zero ? zmq_msg_recv(&message, socket, 0)
                            : zmq_recv(socket, target, job->size, 0);
        need(got == (int)job->size, "zmq_recv");
    }
    printf("{\"messages\": %ld, \"seconds\": %.9f}\n", job->count - 1, now() - start);
    zmq_msg_close(&message);
    free(target);
    zmq_close(socket);
}

static void pull(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PULL);
    bind_and_print(&socket, 1, job->endpoint);
    pull_by(job, socket);
}

static void pull_from(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PULL);
    connect_to(socket, job->endpoint);
    pull_by(job, socket);
}

static void push(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PUSH);
    connect_to(socket, job->endpoint);
    for (long i = 0; i < job->count; ++i)
        if (job->zero)
            send_lent(socket, job->body, job->size);
        else
            send_frame(socket, job->body, job->size, 0);
    zmq_close(socket);
}

static void echo(const job_t *job)
{
    void *socket = open_end(job, ZMQ_REP);
    bind_and_print(&socket, 1, job->endpoint);
    for (long i = 0; i < job->count; ++i) {
        recv_frame(socket, job->body, job->size);
        send_frame(socket, job->body, job->size, 0);
    }
    zmq_close(socket);
}

/*  The first tenth of the round trips is not timed.  */
static void ask(const job_t *job)
{
    void *socket = open_end(job, ZMQ_REQ);
    double start = 0;
    connect_to(socket, job->endpoint);
    for (long i = 0; i < job->count; ++i) {
        if (i == job->count / 10)
            start = now();
        send_frame(socket, job->body, job->size, 0);
        recv_frame(socket, job->body, job->size);
    }
    printf("{\"messages\": %ld, \"seconds\": %.9f}\n", job->count - job->count / 10,
           now() - start);
    zmq_close(socket);
}

/*  Take whatever comes until killed.  */
static void drain(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PULL);
    zmq_msg_t message;
    bind_and_print(&socket, 1, job->endpoint);
    zmq_msg_init(&message);
    for (;;)
        need(zmq_msg_recv(&message, socket, 0) >= 0, "zmq_msg_recv");
}

/*  Receive for a time, and show how many came if that counts.  */
static void receive_for(const job_t *job, void *socket, double seconds, int counts)
{
    double start = now(), passed;
    long messages = 0;
    while ((passed = now() - start) < seconds) {
        for (int i = 0; i < CHUNK; ++i)
            recv_frame(socket, job->body, job->size);
        messages += CHUNK;
    }
    if (counts)
        printf("{\"messages\": %ld, \"seconds\": %.9f}\n", messages, passed);
}

/*  COUNT is milliseconds, and a tenth before them does not count.  This and flood()
    have queues of libzmq's default length: aio_roles.py says why.  */
static void sink(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PULL);
    double seconds = (double)job->count / 1000;
    set_int(socket, ZMQ_RCVHWM, DEFAULT_HWM);
    bind_and_print(&socket, 1, job->endpoint);
    recv_frame(socket, job->body, job->size);
    receive_for(job, socket, seconds / 10, 0);
    receive_for(job, socket, seconds, 1);
    fflush(stdout);
    _exit(0);
}

static void flood(const job_t *job)
{
    void *socket = open_end(job, ZMQ_PUSH);
    set_int(socket, ZMQ_SNDHWM, DEFAULT_HWM);
    connect_to(socket, job->endpoint);
    for (;;)
        send_frame(socket, job->body, job->size, 0);
}

static void proxy(const job_t *job)
{
    void *ends[2] = {open_end(job, ZMQ_PULL), open_end(job, ZMQ_PUSH)};
    bind_and_print(ends, 2, job->endpoint);
    zmq_proxy(ends[0], ends[1], NULL);
}

static void about(const job_t *job)
{
    int major, minor, patch;
    (void)job;
    zmq_version(&major, &minor, &patch);
    printf("{\"libzmq\": \"%d.%d.%d\"}\n", major, minor, patch);
}

static long resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    need(file != NULL && fscanf(file, "%*s %ld", &pages) == 1, "/proc/self/statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void memory(const job_t *job)
{
    void *to = open_end(job, ZMQ_PULL);
    void *from = open_end(job, ZMQ_PUSH);
    set_int(from, ZMQ_SNDHWM, 0);
    set_int(to, ZMQ_RCVHWM, 0);
    set_int(from, ZMQ_LINGER, 0);
    bind_to(to, "inproc://memory");
    connect_to(from, "inproc://memory");
    send_frame(from, job->body, job->size, 0);
    void **opened = calloc((size_t)job->count, sizeof *opened);
    memset(opened, 1, (size_t)job->count * sizeof *opened);
    long before = resident();
    for (long i = 0; i < job->count; ++i)
        if (!strcmp(job->mode, "socket"))
            opened[i] = zmq_socket(job->context, ZMQ_PULL);
        else if (!strcmp(job->mode, "pin"))
            send_lent(from, job->body, job->size);
        else
            send_frame(from, job->body, job->size, 0);
    printf("{\"bytes\": %.1f}\n", (double)(resident() - before) / (double)job->count);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: roles ROLE ENDPOINT SIZE COUNT MODE BATCH_BYTES\n");
        return 2;
    }
    job_t job = {.role = argv[1],
                 .endpoint = argv[2],
                 .size = strtoul(argv[3], NULL, 10),
                 .count = atol(argv[4]),
                 .mode = argv[5],
                 .zero = !strcmp(argv[5], "zero"),
                 .batch_bytes = atoi(argv[6]),
                 .context = open_context(20100)};
    job.body = calloc(1, job.size + 1);
    struct {
        const char *name;
        void (*play)(const job_t *);
    } parts[] = {{"pull", pull},   {"push", push},   {"rep", echo},
                 {"req", ask},     {"pull-from", pull_from}, {"drain", drain}, {"proxy", proxy},
                 {"memory", memory}, {"about", about}, {"sink", sink}, {"flood", flood}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
        if (!strcmp(parts[i].name, job.role)) {
            parts[i].play(&job);
            zmq_ctx_term(job.context);
            free(job.body);
            return 0;
        }
    fprintf(stderr, "roles: no role %s\n", job.role);
    return 2;
}
