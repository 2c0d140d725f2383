"""A thousand signals at random moments: no message is lost, doubled, torn or moved."""

from __future__ import annotations

import sys

import pytest

from programs import check

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="signals are sent to single threads"
)

# Another process sends them, to any of the threads: what that one waits in sees EINTR,
# and the handler runs in the main thread.
STORM = """
import random, subprocess
from functools import partial

COUNT = 1000
KILLER = '''
import ctypes, random, sys, time
pid, seed, count, *threads = map(int, sys.argv[1:])
chance = random.Random(seed)
kill = ctypes.CDLL(None).tgkill
for _ in range(count):
    kill(pid, chance.choice(threads), 10)
    time.sleep(chance.choice((0, 0.0001, 0.001, 0.002)))
'''
class Stop(Exception):
    pass

raising, seed = sys.argv[1] == "raises", int(sys.argv[2])
chance = random.Random(seed)
handled = raised = 0
armed = False

def on_signal(*_):
    global handled, raised, armed
    handled += 1
    if armed and chance.random() < 0.9:
        armed = False
        raised += 1
        raise Stop

zraw.Message.init_data(b"x").close()  # the release thread is there before
signal.signal(signal.SIGUSR1, on_signal)
assert signal.SIGUSR1 == 10

def result_of(call):
    '''The results, one or none, and the exception of a handler.

    list.extend() keeps what a call has returned, and runs no handler itself.
    '''
    global armed
    results, error = [], None
    try:
        armed = raising and threading.current_thread() is threading.main_thread()
        results.extend(map(methodcaller("__call__"), (call,)))
        armed = False
    except Stop as stop:
        error = stop
    return results, error

# The nth message, which the number alone determines.
def message(n):
    size = (0, 20, 40, 5000, 70000)[n // 11 % 5] if n % 11 == 0 else n % 3
    return [b"%d.%d" % (n, part) + bytes(size) for part in range(1 + n % 4)]

for socket in (push, pull):
    for option in (zraw.ZMQ_SNDHWM, zraw.ZMQ_RCVHWM):
        socket.setsockopt(option, 20)
    for option in (zraw.ZMQ_SNDTIMEO, zraw.ZMQ_RCVTIMEO):
        socket.setsockopt(option, 20000)

def beside(work):
    "A thread; a failure there must not leave the main thread waiting."
    def run():
        try:
            work()
        except BaseException as error:
            failed.append(error)
            context.shutdown()
    failed = []
    thread = threading.Thread(target=run)
    thread.failed = failed
    thread.start()
    return thread

def storm(*threads):
    "Begin; the function returned tells whether it is over."
    numbers = [threading.main_thread(), *threads]
    numbers = [os.getpid(), seed, COUNT, *(thread.native_id for thread in numbers)]
    killer = subprocess.Popen([sys.executable, "-c", KILLER, *map(str, numbers)])
    return lambda: killer.poll() is not None

def finish(*threads):
    for thread in threads:
        thread.join(30)
        assert not thread.failed and not thread.is_alive(), thread.failed
    assert handled > COUNT / 10, handled  # those that come together count once
    assert raised > 5 or not raising, raised
    assert pull.try_recv() is None
    context.close()

def send_until(over):
    "Send messages 0, 1, 2, ... by whatever call; afterwards their number."
    n = 0
    while not over():
        kind = chance.randrange(4)
        if kind == 0:
            batch = [message(n + i) for i in range(chance.randrange(1, 60))]
            batch = [parts if len(parts) > 1 else parts[0] for parts in batch]
            results, error = result_of(partial(push.send_many, batch))
            n += results[0] if results else getattr(error, "sent", 0)
        elif kind == 1 and len(message(n)) == 1:
            data = zraw.Message(message(n)[0])
            results, error = result_of(partial(push.send, data))
            assert data == (b"" if results else message(n)[0])
            n += len(results)
        else:
            results, error = result_of(partial(push.send_multipart, message(n)))
            n += len(results)
    push.send_multipart([b"end", b"%d" % n])

def receive():
    "Receive all of it by whatever call; a message may be taken frame by frame."
    frames, n = [], 0
    poller = zraw.Poller()
    poller.add(pull)
    while True:
        kind = chance.randrange(6)
        got = []
        if frames or kind == 0:
            for frame in result_of(pull.recv_msg)[0]:
                frames.append(bytes(frame))
                if not frame.more():
                    got, frames = [frames], []
        elif kind == 1:
            results, error = result_of(partial(pull.recv_many, 50, 0, True, True))
            got = results[0] if results else getattr(error, "received", [])
        elif kind == 2:
            result_of(partial(pull.poll, 1000))
        elif kind == 3:
            result_of(partial(zraw.poll, [(pull, zraw.ZMQ_POLLIN)], 1000))
        elif kind == 4:
            result_of(partial(poller.wait, 20000))
        else:
            got = result_of(pull.recv_multipart)[0]
        for parts in got:
            if parts[0] == b"end":
                assert int(parts[1]) == n, (parts, n)
                return
            assert parts == message(n), (n, [part[:12] for part in parts])
            n += 1
"""


WHERE = {"inproc": "inproc://x", "tcp": "tcp://127.0.0.1:*"}
CASES = pytest.mark.parametrize(
    ("transport", "handler", "seed"),
    [("inproc", "raises", 1), ("tcp", "raises", 2), ("tcp", "returns", 3)],
)


@CASES
def test_storm__main_thread_receives(transport, handler, seed):
    check(
        STORM
        + f"""
push.connect(pull.bind({WHERE[transport]!r}))
ready = threading.Event()
def send():
    ready.wait(10)
    send_until(over)
thread = beside(send)
over = storm(thread)
ready.set()
receive()
finish(thread)
""",
        handler,
        str(seed),
        timeout=60,
    )


@CASES
def test_storm__main_thread_sends(transport, handler, seed):
    check(
        STORM
        + f"""
push.connect(pull.bind({WHERE[transport]!r}))
thread = beside(receive)
send_until(storm(thread))
finish(thread)
""",
        handler,
        str(seed),
        timeout=60,
    )


def test_storm__questions_and_answers():
    """Strict turns: a call that is lost or doubled would stop them."""
    check(
        STORM
        + """
rep, req = context.socket(zraw.ZMQ_REP), context.socket(zraw.ZMQ_REQ)
for socket in (rep, req):
    socket.setsockopt(zraw.ZMQ_LINGER, 0)
    socket.setsockopt(zraw.ZMQ_RCVTIMEO, 20000)
req.connect(rep.bind("tcp://127.0.0.1:*"))
def answer():
    while True:
        parts = rep.recv_multipart()
        rep.send_multipart(parts)
        if parts == [b"end"]:
            return
thread = beside(answer)
over = storm(thread)
n = 0
while not over():
    for step in (partial(req.send_multipart, message(n)), req.recv_multipart):
        results = []
        while not results:
            results, error = result_of(step)
    assert results == [message(n)], n
    n += 1
req.send(b"end")
assert req.recv() == b"end"
finish(thread)
""",
        "raises",
        "5",
        timeout=60,
    )
