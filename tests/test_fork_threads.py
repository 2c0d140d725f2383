"""Forks while other threads are inside libzmq, from other threads, and of forks."""

from __future__ import annotations

import pytest

from programs import check

# What the other threads of the parent do meanwhile, until `stop` is set.
WORK = """
stop = threading.Event()
turns = [0]
errors = []

def traffic():
    a, b = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    for socket in (a, b):
        socket.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
        socket.setsockopt(zraw.ZMQ_SNDTIMEO, 10000)
    a.connect(b.bind("tcp://127.0.0.1:*"))
    while not stop.is_set():
        bodies = [b"%d " % turns[0] + body for body in (b"short", b"pinned" * 12000)]
        for body in bodies:
            a.send(body)
        a.send_multipart(bodies)
        a.send_many(bodies)
        assert [b.recv(), b.recv()] == bodies
        assert b.recv_multipart() == bodies
        assert [b.recv(), b.recv()] == bodies
        turns[0] += 1
    a.close()
    b.close()

def waits():
    poller, timers = zraw.Poller(), zraw.Timers()
    timers.add(1, lambda timer: None)
    with context.socket(zraw.ZMQ_PULL) as a, context.socket(zraw.ZMQ_PULL) as b:
        poller.add(a)
        while not stop.is_set():
            for call in (lambda: poller.wait(1), lambda: zraw.poll([(b, 1)], 1)):
                try:
                    assert call() == []
                except zraw.Again:
                    pass
            a.poll(1)
            timers.execute()
            turns[0] += 1
        poller.remove(a)

def contexts():
    while not stop.is_set():
        with zraw.Context() as mine, mine.socket(zraw.ZMQ_PULL) as a:
            a.bind("tcp://127.0.0.1:*")
        zraw.curve_keypair()
        turns[0] += 1

def trackers():
    while not stop.is_set():
        tracker, freed = zraw.Tracker(), threading.Event()
        zraw.Message.init_data(b"lent", freed.set, tracker).close()
        assert tracker.wait(10000) and freed.wait(10)
        turns[0] += 1

def run(work):
    try:
        work()
    except BaseException as error:
        errors.append(error)

def roundtrip():
    "All that a process may do with what is its own."
    with zraw.Context() as mine:
        a, b = mine.socket(zraw.ZMQ_PUSH), mine.socket(zraw.ZMQ_PULL)
        b.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
        poller, tracker = zraw.Poller(), zraw.Tracker()
        poller.add(b)
        a.connect(b.bind("tcp://127.0.0.1:*"))
        a.send(zraw.Message.init_data(b"lent" * 20000, None, tracker))
        assert poller.wait(10000) == (b, None, 1)
        assert b.recv() == b"lent" * 20000
        assert tracker.wait(10000)
        poller.destroy()

def ended(pid):
    end = time.monotonic() + 10
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.0005)
"""


@pytest.mark.parametrize("work", ["traffic", "waits", "contexts", "trackers"])
def test_fork__again_and_again_while_a_thread_works(work):
    check(
        WORK
        + f"""
thread = threading.Thread(target=run, args=({work},))
thread.start()
for number in range(25):
    seen = turns[0]
    until(lambda: turns[0] > seen or not thread.is_alive())
    pid = os.fork()
    if pid == 0:
        roundtrip()
        refused(zraw.ForkError, [pull.recv, lambda: push.send(b"x")])
        # Every other one as programs end, the others at once.
        os._exit(0) if number % 2 else sys.exit(0)
    assert ended(pid) == 0, number
stop.set()
thread.join(10)
assert not thread.is_alive() and not errors, errors
end()
""",
        timeout=60,
    )


def test_fork__while_threads_wait_in_every_call():
    """They wait on as if nothing had been; the child has none of them."""
    check(
        WORK
        + """
front, back = context.socket(zraw.ZMQ_PULL), context.socket(zraw.ZMQ_PUSH)
sockets = [context.socket(zraw.ZMQ_PULL) for _ in range(4)]
poller, tracker = zraw.Poller(), zraw.Tracker()
poller.add(sockets[3])
lent = zraw.Message.init_data(b"lent", None, tracker)
left = []
def wait(call):
    try:
        left.append(call())
    except zraw.ContextTerminated:
        left.append(None)
threads = [threading.Thread(target=wait, args=(call,)) for call in (
    sockets[0].recv, sockets[1].recv_many, lambda: zraw.poll([(sockets[2], 1)]),
    poller.wait, lambda: zraw.proxy(front, back), lambda: push.send(b"x"),
    tracker.wait)]
for thread in threads:
    thread.start()
until(lambda: all(map(inside, [front, back, push, *sockets])))
for number in range(5):
    pid = os.fork()
    if pid == 0:
        assert threading.active_count() == 1
        roundtrip()
        # Taken by a thread that is not here; still it is a matter of the fork.
        refused(zraw.ForkError, [
            sockets[0].recv, lambda: push.send(b"y"), poller.wait, tracker.wait,
            lambda: zraw.proxy(front, back), lambda: zraw.poll([(sockets[2], 1)])])
        for socket in (front, *sockets):
            socket.close()
        context.close()
        sys.exit(0)
    assert ended(pid) == 0
assert not left, left
lent.close()
context.shutdown()
for thread in threads:
    thread.join(10)
assert sorted(map(str, left)) == ["None"] * 6 + ["True"], left
context.close()
"""
    )


@pytest.mark.parametrize("where", ["thread", "on_free", "timer"])
def test_fork__from_elsewhere_than_the_main_thread(where):
    """on_free runs on the release thread, which the child does not have any more."""
    check(
        WORK
        + f"""
status = []
def fork(*_):
    pid = os.fork()
    if pid == 0:
        try:
            roundtrip()
            freed = threading.Event()
            zraw.Message.init_data(b"x", freed.set).close()
            assert freed.wait(10)
            refused(zraw.ForkError, [pull.recv, context.shutdown])
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    status.append(ended(pid))
if {where!r} == "thread":
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join(20)
elif {where!r} == "on_free":
    zraw.Message.init_data(b"x", fork).close()
    until(lambda: status)
else:
    timers = zraw.Timers()
    timers.add(1, fork)
    until(lambda: timers.execute() or status)
assert status[0] == 0, status
end()
"""
    )


def test_fork__of_a_forked_child(tmp_path):
    """Each process has what it made; its parents' and grandparents' is refused."""
    check(
        WORK
        + f"where = pull.bind('ipc://{tmp_path}/s')"
        + """
generations = [(context, push)]
depth = 0
while depth < 4:
    pid = os.fork()
    if pid:
        break
    depth += 1
    for old, socket in generations:
        refused(zraw.ForkError, [lambda: socket.send(b"x"), old.shutdown, old.term])
    roundtrip()
    mine = zraw.Context()
    own = mine.socket(zraw.ZMQ_PUSH)
    own.connect(where)
    own.send(b"%d" % depth)
    generations.append((mine, own))
if pid:
    assert ended(pid) == 0, depth
if depth:
    own.send(b"%d is undisturbed" % depth)
    sys.exit(0)  # closes what it has open, and sends it before
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
got = sorted(pull.recv() for _ in range(8))
assert got == sorted(b"%d" % n + tail for n in range(1, 5)
                     for tail in (b"", b" is undisturbed")), got
end()
"""
    )


@pytest.mark.parametrize("ending", ["sys.exit(0)", "raise SystemExit(0)", "pass"])
def test_fork__child_that_exits_sends_nothing_of_its_parents(ending, tmp_path):
    """Unsent messages and lent memory stay the parent's, whatever LINGER says."""
    check(
        WORK
        + f"""
push.setsockopt(zraw.ZMQ_LINGER, -1)
push.connect("ipc://{tmp_path}/s")
tracker = zraw.Tracker()
push.send(b"unsent")
push.send(zraw.Message.init_data(b"lent" * 20000, None, tracker))
pid = os.fork()
if pid:
    start = time.monotonic()
    assert ended(pid) == 0 and time.monotonic() - start < 2
    assert tracker.pending == 1
    pull.bind("ipc://{tmp_path}/s")
    pull.setsockopt(zraw.ZMQ_RCVTIMEO, 10000)
    assert [pull.recv(), pull.recv()] == [b"unsent", b"lent" * 20000]
    assert tracker.wait(10000) and pull.poll(50) == 0
    context.close()
else:
    {ending}
"""
    )
