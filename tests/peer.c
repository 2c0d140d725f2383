/*  A peer that is nothing but libzmq, for test_interop.py.

    peer ROLE bind|connect ENDPOINT COUNT

    It sends messages 0 to COUNT - 1, whose frames follow from the number, or
    gets COUNT of them, and prints each frame it got as size:adler32.  */

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define LARGE 70000
#define MAX_FRAMES 8

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

static void send_frame(void *socket, const void *data, size_t size, int more)
{
    int flags = more ? ZMQ_SNDMORE : 0;
    check(zmq_send(socket, data, size, flags) == (int)size, "zmq_send");
}

static void send_message(void *socket, int number)
{
    static char large[LARGE];
    char text[16];
    size_t length = (size_t)sprintf(text, "%d", number);

    for (int i = 0; i < LARGE; i++)
        large[i] = (char)((number + i) % 251);
    switch (number % 5) {
    case 0:
        send_frame(socket, text, length, 0);
        break;
    case 1:
        send_frame(socket, "", 0, 0);
        break;
    case 2:
        send_frame(socket, "", 0, 1);
        send_frame(socket, text, length, 1);
        send_frame(socket, "", 0, 1);
        send_frame(socket, text, length, 0);
        break;
    case 3:
        send_frame(socket, large, LARGE, 0);
        break;
    case 4:
        send_frame(socket, text, length, 1);
        send_frame(socket, large, LARGE, 1);
        send_frame(socket, "", 0, 0);
        break;
    }
}

static uint32_t adler32(const unsigned char *data, size_t size)
{
    uint32_t a = 1, b = 0;
    while (size--) {
        a = (a + *data++) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static int recv_message(void *socket, zmq_msg_t *frames)
{
    int count = 0;
    do {
        check(count < MAX_FRAMES, "too many frames");
        zmq_msg_init(&frames[count]);
        check(zmq_msg_recv(&frames[count], socket, 0) >= 0, "zmq_msg_recv");
    } while (zmq_msg_more(&frames[count++]));
    return count;
}

static void print_message(zmq_msg_t *frames, int count)
{
    printf("got");
    for (int i = 0; i < count; i++) {
        size_t size = zmq_msg_size(&frames[i]);
        printf(" %zu:%lu", size,
               (unsigned long)adler32(zmq_msg_data(&frames[i]), size));
    }
    printf("\n");
}

static void take(void *socket, int answer)
{
    zmq_msg_t frames[MAX_FRAMES];
    int count = recv_message(socket, frames);
    print_message(frames, count);
    for (int i = 0; i < count; i++)
        if (answer) {
            int flags = i + 1 < count ? ZMQ_SNDMORE : 0;
            check(zmq_msg_send(&frames[i], socket, flags) >= 0, "zmq_msg_send");
        } else
            zmq_msg_close(&frames[i]);
}

/*  A subscription travels while messages are already sent: say "sync" until
    somebody who saw the subscriber get one writes to our standard input.  */
static void publish(void *socket, int count)
{
    struct pollfd told = {STDIN_FILENO, POLLIN, 0};
    do
        send_frame(socket, "sync", 4, 0);
    while (poll(&told, 1, 5) == 0);
    for (int i = 0; i < count; i++)
        send_message(socket, i);
}

static void subscribe(void *socket, int count)
{
    zmq_msg_t frames[MAX_FRAMES];
    int ready = 0, got = 0;
    while (got < count) {
        int n = recv_message(socket, frames);
        if (zmq_msg_size(&frames[0]) == 4
            && !memcmp(zmq_msg_data(&frames[0]), "sync", 4)) {
            if (!ready++)
                printf("ready\n");
        } else {
            print_message(frames, n);
            got++;
        }
        for (int i = 0; i < n; i++)
            zmq_msg_close(&frames[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int type;
    } roles[] = {{"PUB", ZMQ_PUB},   {"SUB", ZMQ_SUB}, {"PUSH", ZMQ_PUSH},
                 {"PULL", ZMQ_PULL}, {"REQ", ZMQ_REQ}, {"REP", ZMQ_REP},
                 {"DEALER", ZMQ_DEALER}, {"ROUTER", ZMQ_ROUTER}};
    int role = 0, timeout = 20000;

    if (argc != 5)
        return 2;
    while (strcmp(roles[role].name, argv[1]))
        if (++role == sizeof roles / sizeof *roles)
            return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);

    int type = roles[role].type, count = atoi(argv[4]);
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, type);
    check(socket != NULL, "zmq_socket");
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &timeout, sizeof timeout);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    if (type == ZMQ_DEALER)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, "dealer", 6);
    if (strcmp(argv[2], "bind") == 0) {
        char where[256];
        size_t size = sizeof where;
        check(zmq_bind(socket, argv[3]) == 0, "zmq_bind");
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, where, &size);
        printf("bound %s\n", where);
    } else
        check(zmq_connect(socket, argv[3]) == 0, "zmq_connect");

    if (type == ZMQ_PUB)
        publish(socket, count);
    else if (type == ZMQ_SUB)
        subscribe(socket, count);
    else
        for (int i = 0; i < count; i++) {
            if (type == ZMQ_PUSH || type == ZMQ_REQ || type == ZMQ_DEALER)
                send_message(socket, i);
            if (type == ZMQ_PULL || type == ZMQ_REQ)
                take(socket, 0);
            if (type == ZMQ_REP || type == ZMQ_ROUTER)
                take(socket, 1);
        }
    /*  A DEALER need not wait for an answer before it asks again.  */
    for (int i = 0; type == ZMQ_DEALER && i < count; i++)
        take(socket, 0);
    zmq_close(socket);
    zmq_ctx_term(context);
    printf("done\n");
    return 0;
}
