/* A peer in C, with czmq; see peer_pyzmq.py. What it can besides:
 *
 *     peer certificate-new PATH NAME    zcert_save(), with a name as metadata
 *     peer certificate-show PATH        zcert_load(): name, public key, secret key
 *
 * In the environment, CURVE_CERTIFICATE is a file whose keys it has, and CURVE_FOLDER
 * has the public certificates of those that a server lets in, who are all without it.
 */

#include <czmq.h>
#include <poll.h>

static char *body(size_t size)
{
    char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char) (i + size);
    return bytes;
}

static void show(zmsg_t *message)
{
    const char *comma = "got ";
    for (zframe_t *frame = zmsg_first(message); frame; frame = zmsg_next(message)) {
        size_t size = zframe_size(frame);
        char *expected = body(size);
        if (memcmp(expected, zframe_data(frame), size))
            printf("%swrong", comma);
        else
            printf("%s%zu", comma, size);
        free(expected);
        comma = ",";
    }
    putchar('\n');
}

static zmsg_t *made(const char *sizes)
{
    zmsg_t *message = zmsg_new();
    for (char *end; ; sizes = end + 1) {
        size_t size = strtoul(sizes, &end, 10);
        char *bytes = body(size);
        zmsg_addmem(message, bytes, size);
        free(bytes);
        if (*end != ',')
            return message;
    }
}

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(errno));
        exit(1);
    }
}

static bool is(const char *role, const char *roles)
{
    return strstr(roles, role) != NULL;
}

static zsock_t *opened(const char *role, const char *how, const char *endpoint)
{
    const char *names[] = {"req", "rep", "pub", "sub", "push", "pull"};
    const int kinds[] = {ZMQ_REQ, ZMQ_REP, ZMQ_PUB, ZMQ_SUB, ZMQ_PUSH, ZMQ_PULL};
    int kind = -1;
    for (int i = 0; i < 6; i++)
        if (streq(names[i], role))
            kind = kinds[i];
    zsock_t *sock = zsock_new(kind);
    check(sock, "zsock_new");
    zsock_set_rcvtimeo(sock, 20000);
    zsock_set_sndtimeo(sock, 20000);
    zsock_set_linger(sock, 20000);
    if (strchr(endpoint, '['))
        zsock_set_ipv6(sock, 1);
    if (!strncmp(endpoint, "epgm", 4))
        zsock_set_rate(sock, 100000);
    const char *server = getenv("CURVE_SERVER_KEY");
    const char *secret = getenv("CURVE_SECRET_KEY");
    const char *certificate = getenv("CURVE_CERTIFICATE");
    if (certificate) {
        zcert_t *cert = zcert_load(certificate);
        check(cert, "zcert_load");
        zcert_apply(cert, sock);
        zcert_destroy(&cert);
    } else if (secret) {
        zsock_set_curve_secretkey(sock, secret);
        if (server)
            zsock_set_curve_publickey(sock, getenv("CURVE_PUBLIC_KEY"));
    }
    if (server)
        zsock_set_curve_serverkey(sock, server);
    else if (certificate || secret)
        zsock_set_curve_server(sock, 1);
    if (streq(role, "sub"))
        zsock_set_subscribe(sock, "");
    if (streq(how, "bind")) {
        check(zsock_bind(sock, "%s", endpoint) >= 0, "zsock_bind");
        char *where = zsock_last_endpoint(sock);
        printf("bound %s\n", where);
        free(where);
    } else
        check(zsock_connect(sock, "%s", endpoint) == 0, "zsock_connect");
    return sock;
}

static zmsg_t *received(zsock_t *sock)
{
    static bool ready = false;
    for (;;) {
        zmsg_t *message = zmsg_recv(sock);
        check(message, "zmsg_recv");
        if (zmsg_size(message) != 1 || !zframe_streq(zmsg_first(message), "sync"))
            return message;
        if (!ready)
            puts("ready");
        ready = true;
        zmsg_destroy(&message);
    }
}

static void certificate(const char *path, const char *name)
{
    zcert_t *cert = name ? zcert_new() : zcert_load(path);
    check(cert, "zcert");
    if (name) {
        zcert_set_meta(cert, "name", "%s", name);
        check(zcert_save(cert, path) == 0, "zcert_save");
    }
    const char *known = zcert_meta(cert, "name");
    printf("%s\n%s\n%s\n", known ? known : "", zcert_public_txt(cert),
           zcert_secret_txt(cert));
    zcert_destroy(&cert);
}

int main(int argc, char *argv[])
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *role = argv[1];
    if (streq(role, "version")) {
        int major, minor, patch;
        zmq_version(&major, &minor, &patch);
        printf("czmq %d.%d.%d, libzmq %d.%d.%d\n", CZMQ_VERSION_MAJOR,
               CZMQ_VERSION_MINOR, CZMQ_VERSION_PATCH, major, minor, patch);
        return 0;
    }
    if (!strncmp(role, "certificate", 11)) {
        certificate(argv[2], argc > 3 ? argv[3] : NULL);
        return 0;
    }
    zactor_t *auth = NULL;
    if (getenv("CURVE_FOLDER")) {
        auth = zactor_new(zauth, NULL);
        zstr_sendx(auth, "CURVE", getenv("CURVE_FOLDER"), NULL);
        zsock_wait(auth);
    }
    zsock_t *sock = opened(role, argv[2], argv[3]);
    if (streq(role, "pub")) { /* until somebody has heard of it */
        struct pollfd told = {0, POLLIN, 0};
        while (poll(&told, 1, 5) == 0)
            zstr_send(sock, "sync");
    }
    for (int i = 4; i < argc; i++) {
        if (is(role, "req pub push")) {
            zmsg_t *message = made(argv[i]);
            check(zmsg_send(&message, sock) == 0, "zmsg_send");
        }
        if (is(role, "req rep sub pull")) {
            zmsg_t *message = received(sock);
            show(message);
            if (streq(role, "rep"))
                check(zmsg_send(&message, sock) == 0, "zmsg_send");
            zmsg_destroy(&message);
        }
    }
    zsock_destroy(&sock);
    zactor_destroy(&auth);
    puts("done");
    return 0;
}
