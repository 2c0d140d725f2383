"""Threads that cannot be started, and a libzmq that has the transport wss."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zraw
from conftest import run_child
from faults import build
from programs import START

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="replaces functions by LD_PRELOAD"
)

# As long as `threads_left` is not negative, so many threads can be started.
THREADS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

int threads_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    errno = 0;
    if (threads_left == 0)
        return EAGAIN;
    if (threads_left > 0)
        threads_left--;
    return real(thread, attributes, start, argument);
}
"""

# As if libzmq had been built with GnuTLS.
WSS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static void *find(const char *name)
{
    return dlsym(dlopen("LIBZMQ", RTLD_LAZY | RTLD_NOLOAD), name);
}

int zmq_has(const char *what)
{
    return !strcmp(what, "WSS") || ((int (*)(const char *))find("zmq_has"))(what);
}

int zmq_setsockopt(void *socket, int option, const void *value, size_t size)
{
    if (option == 103 || option == 104)
        return 0;
    return ((int (*)(void *, int, const void *, size_t))find("zmq_setsockopt"))(
        socket, option, value, size);
}
"""

LIMIT = """
left = ctypes.c_int.in_dll(ctypes.CDLL(None), "threads_left")
"""


def compiled(source, folder):
    library = folder / "replaced.so"
    command = ["cc", "-shared", "-fPIC", "-Wall", "-x", "c", "-o", library, "-"]
    subprocess.run(command, input=source, text=True, check=True, timeout=60)
    return str(library)


@pytest.fixture(scope="module")
def threads(tmp_path_factory):
    return compiled(THREADS, tmp_path_factory.mktemp("threads"))


def run(program, *libraries):
    done = run_child(START + program, env={"LD_PRELOAD": ":".join(libraries)})
    assert (done.code, done.err) == (0, ""), done
    return done


def test_ctx_term__no_thread_for_it_when_a_context_is_collected(threads):
    """It is leaked, and the end of the interpreter does not wait for it."""
    done = run(
        """
import atexit
lost = zraw.Context()
lost.socket(zraw.ZMQ_PAIR).close()
lost.exit_linger = 20000
"""
        + LIMIT
        + """
left.value = 0
del lost
gc.collect()
left.value = -1
end()
print("ends")
""",
        threads,
    )
    assert done.out == "ends\n"
    assert done.seconds < 15


def test_init_data__copies_when_no_thread_can_be_started(threads):
    """The next one that can have a thread is pinned again."""
    run(
        LIMIT
        + """
memory, freed = bytearray(b"memory"), []
def note():
    freed.append(threading.current_thread().name)
tracker = zraw.Tracker()
left.value = 0
message = zraw.Message.init_data(memory, note, tracker)
left.value = -1
assert freed == ["MainThread"] and tracker.done
memory += b" is ours again"  # BufferError if it were lent
assert bytes(message) == b"memory"
message.close()
assert freed == ["MainThread"]

message = zraw.Message.init_data(memory, note, tracker)
assert not tracker.done
try:
    memory += b"!"
except BufferError:
    pass
else:
    raise AssertionError("it is not lent")
message.close()
until(lambda: len(freed) == 2)
assert freed == ["MainThread", "zraw-release"] and tracker.done
end()
""",
        threads,
    )


def test_init_data__no_thread_and_no_memory_for_the_copy(threads, tmp_path):
    run(
        LIMIT
        + """
import errno, faults
memory, freed = bytearray(b"memory"), []
tracker = zraw.Tracker()
lies = faults.attach()
left.value = 0
lies.arm(((1, errno.ENOMEM),))
try:
    zraw.Message.init_data(memory, lambda: freed.append(True), tracker)
except MemoryError:
    pass
else:
    raise AssertionError("there was memory")
finally:
    calls = lies.disarm()
left.value = -1
assert calls[0].function == "zmq_msg_init_size", calls[0].function
assert freed == [] and tracker.done
memory += b" is ours again"
end()
""",
        threads,
        str(build(tmp_path)),
    )


def test_init_data__interrupted_while_the_thread_is_made():
    """Nothing is lent then, and the next one makes the thread."""
    done = run_child(
        START
        + """
memory, freed = bytearray(b"memory"), []
real = threading.Thread
def interrupted(*args, **options):
    raise KeyboardInterrupt
threading.Thread = interrupted
for _ in range(2):
    try:
        zraw.Message.init_data(memory, lambda: freed.append("too early"))
    except KeyboardInterrupt:
        memory += b"."
    else:
        raise AssertionError("it did without the thread")
threading.Thread = real
note = lambda: freed.append(threading.current_thread().name)
zraw.Message.init_data(memory, note).close()
until(lambda: freed)
assert freed == ["zraw-release"]
end()
"""
    )
    assert (done.code, done.err) == (0, ""), done


def test_proxy__no_thread_that_signals_could_wake(threads):
    """libzmq needs one for the control socket, zraw the second."""
    run(
        LIMIT
        + """
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
before = signal.set_wakeup_fd(-1)
left.value = 1
try:
    zraw.proxy(front, back)
except zraw.ZMQError as error:
    assert type(error) is zraw.Again and "proxy()" in str(error), repr(error)
else:
    raise AssertionError("it never ran")
left.value = -1
assert signal.set_wakeup_fd(-1) == before == -1
front.getsockopt(zraw.ZMQ_TYPE)  # the guards are free
end()
""",
        threads,
    )


@pytest.mark.skipif(zraw.has("WSS"), reason="libzmq has it, and wants a real key")
def test_bind__wss_without_key_or_certificate(tmp_path):
    """libzmq would abort the process when a client shows up."""
    run(
        """
assert zraw.has("WSS")
def refused_with(error, text):
    try:
        pull.bind("wss://127.0.0.1:*")
    except error as caught:
        assert type(caught) is error and text in str(caught), caught
    else:
        raise AssertionError("it was bound")

missing = "ZMQ_WSS_KEY_PEM and ZMQ_WSS_CERT_PEM come first"
refused_with(zraw.InvalidArgument, missing)
pull.setsockopt(103, b"key")
refused_with(zraw.InvalidArgument, missing)
pull.setsockopt(104, b"certificate")
refused_with(zraw.ProtocolNotSupported, "wss://127.0.0.1:*")  # by libzmq itself
push.setsockopt(104, b"certificate")
push.setsockopt(103, b"key")
pull, push = push, pull
refused_with(zraw.ProtocolNotSupported, "wss://127.0.0.1:*")
pull, push = push, pull
end()
""",
        compiled(WSS.replace("LIBZMQ", str(zraw.get_library())), tmp_path),
    )
