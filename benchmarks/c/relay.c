/*  What docs/extending.md does in Cython, in C: move so many messages from one socket to
    another.  extension.py counts its instructions; at every zmq_version() the profile is
    cut.  */

#include "bench.h"

static void relay(void *source, void *target, long left)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (left > 0) {
        int more;
        need(zmq_msg_recv(&msg, source, 0) >= 0, "zmq_msg_recv");
        more = zmq_msg_more(&msg);
        need(zmq_msg_send(&msg, target, more ? ZMQ_SNDMORE : 0) >= 0, "zmq_msg_send");
        left -= !more;
    }
    zmq_msg_close(&msg);
}

static void mark(void)
{
    int version[3];
    zmq_version(&version[0], &version[1], &version[2]);
}

int main(int argc, char **argv)
{
    void *context = open_context(4);
    void *push = open_socket(context, ZMQ_PUSH, 16);
    void *source = open_socket(context, ZMQ_PULL, 16);
    void *target = open_socket(context, ZMQ_PUSH, 16);
    void *pull = open_socket(context, ZMQ_PULL, 16);
    bind_to(source, "inproc://source");
    connect_to(push, "inproc://source");
    bind_to(pull, "inproc://pull");
    connect_to(target, "inproc://pull");
    for (int i = 1; i < argc; ++i)
        for (long left = atol(argv[i]); left > 0; --left)
            send_frame(push, "0123456789abcdef", 16, 0);
    for (int i = 1; i < argc; ++i) {
        mark();
        relay(source, target, atol(argv[i]));
    }
    mark();
    return 0;
}
