"""What stands between a socket and a second thread, a fork, or a signal."""

from __future__ import annotations

import errno
import queue
import threading

import pytest

import zraw
from conftest import is_inside, wait_until
from programs import BLOCKING, RECEIVES, check, lines

# ---- threads


@pytest.mark.parametrize("call", BLOCKING)
def test_socket__second_thread_is_refused_and_first_goes_on(call):
    """Then Context.shutdown() frees the first, with ETERM and nothing else."""
    used = "pull" if call in RECEIVES else "push"
    check(f"""
caught = []
def wait():
    try:
        {BLOCKING[call]}
    except Exception as error:
        caught.append(error)
thread = threading.Thread(target=wait)
thread.start()
until(lambda: inside({used}))
refused(zraw.SocketInUse, [*calls({used}, {used}), {used}.close])
assert not {used}.closed and thread.is_alive() and not caught
assert inside({used})
start = time.monotonic()
context.shutdown()
thread.join(10)
assert time.monotonic() - start < 1
assert [type(error) for error in caught] == [zraw.ContextTerminated], caught
assert caught[0].errno == zraw.ETERM
{used}.close()
context.close()
""")


@pytest.mark.parametrize("call", BLOCKING)
def test_ctx_close__waits_for_the_thread_inside(call):
    check(f"""
caught = []
def wait():
    try:
        {BLOCKING[call]}
    except Exception as error:
        caught.append(error)
thread = threading.Thread(target=wait)
thread.start()
until(lambda: inside({"pull" if call in RECEIVES else "push"}))
start = time.monotonic()
context.close()
assert time.monotonic() - start < 1
thread.join(10)
assert [type(error) for error in caught] == [zraw.ContextTerminated], caught
assert push.closed and pull.closed and context.closed
refused(zraw.NotASocket, calls(push, pull))
""")


def test_socket__refused_calls_leave_the_waiting_one_alone(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
    got = []
    thread = threading.Thread(target=lambda: got.append(pull.recv_multipart()))
    thread.start()
    wait_until(lambda: is_inside(pull))
    target = bytearray(b"untouched")
    for call in (pull.close, pull.try_recv, lambda: pull.recv_into(target)):
        with pytest.raises(zraw.SocketInUse, match="another thread") as caught:
            call()
        assert caught.value.errno == errno.EBUSY
    message = zraw.Message(b"kept")
    with pytest.raises(zraw.SocketInUse):
        pull.send(message)
    assert (message, target) == (b"kept", b"untouched")
    push.send_multipart([b"a", b"b"])
    thread.join(5)
    assert got == [[b"a", b"b"]]


def test_socket__may_move_between_threads(pair):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    first, second, got = queue.Queue(), queue.Queue(), []

    def relay(mine, others):
        for _ in range(300):
            socket = mine.get(timeout=10)
            socket.send(b"%d" % len(got))
            got.append(pull.recv())
            others.put(socket)

    threads = [
        threading.Thread(target=relay, args=(first, second)),
        threading.Thread(target=relay, args=(second, first)),
    ]
    for thread in threads:
        thread.start()
    first.put(push)
    for thread in threads:
        thread.join(20)
    assert got == [b"%d" % number for number in range(600)]


def test_socket__many_threads_in_one_socket_never_get_into_libzmq():
    """They send at the high-water mark, where calls wait, with no lock at all."""
    check("""
push.setsockopt(zraw.ZMQ_SNDHWM, 1)
pull.setsockopt(zraw.ZMQ_RCVHWM, 1)
push.connect(pull.bind("tcp://127.0.0.1:*"))
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 500)
sent, refusals, stop = [], [], threading.Event()
def send(name):
    number = 0
    while not stop.is_set():
        try:
            push.send(b"%d.%d." % (name, number) + b"x" * 50000)
        except zraw.SocketInUse:
            refusals.append(name)
            time.sleep(0)
        else:
            sent.append((name, number))
            number += 1
threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
got = []
def take():
    name, number, body = pull.recv().split(b".")
    assert body == b"x" * 50000
    got.append((int(name), int(number)))
while len(got) < 2000 or not refusals:
    take()
stop.set()
while any(thread.is_alive() for thread in threads) or pull.poll(300):
    if pull.poll(10):
        take()
assert sorted(got) == sorted(sent)
for name in range(4):
    mine = [number for other, number in got if other == name]
    assert mine == list(range(len(mine)))
context.close()
""")


def test_send_many__cut_short_by_shutdown_tells_how_many():
    check("""
push.setsockopt(zraw.ZMQ_SNDHWM, 5)
pull.setsockopt(zraw.ZMQ_RCVHWM, 5)
push.connect(pull.bind("inproc://x"))
counts = []
thread = threading.Thread(target=lambda: counts.append(push.send_many([b"x"] * 100)))
thread.start()
until(lambda: inside(push))
context.shutdown()
thread.join(10)
assert counts == [10], counts
refused(zraw.ContextTerminated, [lambda: push.send_many([b"x"])])
context.close()
""")


# ---- fork

FORKS = {
    "os.fork": "os.fork()",
    "PyDLL": "ctypes.PyDLL(None).fork()",
    "CDLL": "ctypes.CDLL(None).fork()",
}
PARENT = """
    start = time.monotonic()
    assert os.waitpid(pid, 0) == (pid, 0)
    assert time.monotonic() - start < 1, time.monotonic() - start
    end()
"""


@pytest.mark.parametrize("fork", FORKS)
def test_fork__inherited_objects_refuse_every_call(fork):
    check(
        lines(f"""
    pull.bind("inproc://other")
    pid = {FORKS[fork]}
    if pid == 0:
        refused(zraw.ForkError, calls(push, pull))
        refused(zraw.ForkError, [
            lambda: context.get(zraw.ZMQ_IO_THREADS),
            lambda: context.set(zraw.ZMQ_IO_THREADS, 1),
            lambda: context.socket(zraw.ZMQ_PUSH),
            lambda: zraw.Socket(context, zraw.ZMQ_PUSH),
            lambda: zraw.Socket.from_handle(context, 1),
            lambda: context.handle,
            context.shutdown,
            context.term,
        ])
        for thing in (push, pull, context):
            thing.close()
            with thing:
                repr(thing)
        push.close(linger=5)
        context.close(linger=5)
        sys.exit(0)
    """)
        + lines(PARENT)
    )


@pytest.mark.parametrize("fork", FORKS)
def test_fork__collection_in_the_child_is_silent(fork):
    """Warnings are on: to warn of sockets that are not its own would be wrong."""
    check(
        lines(f"""
    push.connect("ipc:///nonexistent/s")
    push.setsockopt(zraw.ZMQ_LINGER, -1)
    push.send(b"unsent")
    pid = {FORKS[fork]}
    if pid == 0:
        del push, pull, socket, context
        gc.collect()
        sys.exit(0)
    push.setsockopt(zraw.ZMQ_LINGER, 0)
    push.disconnect("ipc:///nonexistent/s")
    """)
        + lines(PARENT)
    )


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("ending", ["sys.exit(0)", "os._exit(0)", "raise SystemExit"])
def test_fork__child_works_with_a_context_of_its_own(fork, ending, tmp_path):
    check(
        lines(f"""
    where = pull.bind("ipc://{tmp_path}/s")
    pid = {FORKS[fork]}
    if pid == 0:
        mine = zraw.Context()
        a, b = mine.socket(zraw.ZMQ_PAIR), mine.socket(zraw.ZMQ_PAIR)
        a.connect(b.bind("inproc://child"))
        a.send(b"x" * 100000)
        back = mine.socket(zraw.ZMQ_PUSH)
        back.connect(where)
        back.send(b.recv())
        mine.close()
        assert mine.closed and not context.sockets == []
        {ending}
    assert pull.recv() == b"x" * 100000
    """)
        + lines(PARENT)
    )


STATES = {
    "thread_blocked_in_recv": """
    where = pull.bind("inproc://free")
    thread = threading.Thread(target=pull.recv)
    thread.start()
    until(lambda: inside(pull))
    """,
    "thread_blocked_in_term": """
    other = zraw.Context()
    kept = other.socket(zraw.ZMQ_PULL)
    thread = threading.Thread(target=other.term)
    thread.start()
    until(lambda: other.closed)
    """,
    "collected_context_still_lingers": """
    other = zraw.Context()
    other.exit_linger = 1500
    with other.socket(zraw.ZMQ_PUSH) as unsent:
        unsent.connect("ipc:///nonexistent/s")
        unsent.send(b"x")
    del other, unsent
    """,
    "memory_is_lent": """
    push.connect("ipc:///nonexistent/s")
    tracker = zraw.Tracker()
    push.send(b"x" * 100000)
    push.send(zraw.Message.init_data(bytearray(1000), lambda: None, tracker))
    """,
    "message_is_open": """
    push.connect(pull.bind("inproc://x"))
    push.send(b"first", zraw.ZMQ_SNDMORE)
    """,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("fork", FORKS)
def test_fork__in_the_middle_of_things(fork, state):
    """The child neither waits for nor touches what goes on in the parent."""
    after = {
        "thread_blocked_in_recv": """
    push.connect(where)
    push.send(b"x")
    thread.join(10)
    push.close()
    push = context.socket(zraw.ZMQ_PUSH)
    """,
        "thread_blocked_in_term": """
    kept.close()
    thread.join(10)
    """,
        "memory_is_lent": """
    push.close(linger=0)
    assert tracker.wait(5000)
    push = context.socket(zraw.ZMQ_PUSH)
    """,
        "message_is_open": """
    push.send(b"second")
    assert pull.recv_multipart() == [b"first", b"second"]
    """,
    }
    check(
        lines(STATES[state])
        + lines(f"""
    pid = {FORKS[fork]}
    if pid == 0:
        with zraw.Context() as mine, mine.socket(zraw.ZMQ_PAIR) as a:
            a.send(b"x", zraw.ZMQ_DONTWAIT) if a.poll(0, zraw.ZMQ_POLLOUT) else None
        refused(zraw.ForkError, calls(push, pull))
        if "tracker" in globals():
            refused(zraw.ForkError, [tracker.wait])
        os._exit(0) if "thread" in globals() and "{fork}" != "os.fork" else sys.exit(0)
    """)
        + lines(after.get(state, ""))
        + lines(PARENT)
    )
