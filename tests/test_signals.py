"""Signals: handlers run while a call waits, and whatever they do, nothing is lost."""

from __future__ import annotations

import pytest

from programs import BLOCKING, RECEIVES, SENDS, check

# Interrupts are sent until the handler has run: one that comes in the moment
# before the call waits is noticed only when something ends the wait.
INTERRUPT = """
armed = threading.Event()
blocked = None
sent_at = 0

def on_signal(number, frame):
    if armed.is_set():
        armed.clear()
        signal.default_int_handler(number, frame)

def interrupt():
    global sent_at
    until(blocked)
    armed.set()
    sent_at = time.monotonic()
    while armed.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

signal.signal(signal.SIGINT, on_signal)

def interrupted(call, when_blocked):
    global blocked
    blocked = when_blocked
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        call()
    except KeyboardInterrupt as caught:
        assert time.monotonic() - sent_at < 1
        thread.join()
        return caught
    raise AssertionError("the call came back")
"""


@pytest.mark.parametrize("call", BLOCKING)
def test_ctrl_c__gets_out_of_every_call_and_both_sockets_work_on(call):
    used = "pull" if call in RECEIVES else "push"
    check(
        INTERRUPT
        + f"""
for _ in range(3):
    interrupted(lambda: {BLOCKING[call]}, lambda: inside({used}))
end()
"""
    )


def test_ctrl_c__gets_out_of_send_of_a_message_that_keeps_its_body():
    check(
        INTERRUPT
        + """
message = zraw.Message(b"x" * 100)
for call in (lambda: push.send(message), lambda: message.send(push),
             lambda: push.send_multipart([b"a", message]),
             lambda: push.send_many([message])):
    interrupted(call, lambda: inside(push))
    assert message == b"x" * 100
    bytearray(message.data())[0:0] = b""
end()
"""
    )


def test_ctrl_c__gets_out_of_tracker_wait():
    check(
        INTERRUPT
        + """
tracker = zraw.Tracker()
message = zraw.Message.init_data(b"x" * 100, None, tracker)
begun = time.monotonic()
interrupted(tracker.wait, lambda: time.monotonic() - begun > 0.1)
assert tracker.wait(0) is False and tracker.pending == 1
message.close()
assert tracker.wait(5000) and tracker.done
end()
"""
    )


def test_ctrl_c__gets_out_of_close_and_close_goes_on():
    """Once while it waits for a message to leave, once for a thread inside."""
    check(
        INTERRUPT
        + """
import tempfile
folder = tempfile.TemporaryDirectory()
other = zraw.Context()
unsent = other.socket(zraw.ZMQ_PUSH)
unsent.connect(f"ipc://{folder.name}/s")
unsent.send(b"late")
interrupted(other.close, lambda: other.closed)
assert unsent.closed
pull.bind(f"ipc://{folder.name}/s")
other.close()
assert pull.recv() == b"late"
end()
folder.cleanup()
"""
    )


def test_ctrl_c__sigint_of_the_parent_ends_the_program():
    """With Python's own handler, as a terminal does it."""
    check("""
import subprocess
program = '''
import zraw
context = zraw.Context()
pull = context.socket(zraw.ZMQ_PULL)
try:
    print("ready", flush=True)
    pull.recv()
except KeyboardInterrupt:
    print("interrupted", flush=True)
'''
child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
assert child.stdout.readline() == b"ready\\n"
while child.poll() is None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(0.2)
    except subprocess.TimeoutExpired:
        continue
assert child.stdout.read() == b"interrupted\\n"
child.stdout.close()
assert child.returncode == 0, child.returncode
context.close()
""")


TIMED = """
count = 0
def on_alarm(*_):
    global count
    count += 1
    # The call is out of the socket meanwhile, and its time-out is put back.
    assert pull.getsockopt(zraw.ZMQ_RCVTIMEO) == 500
    assert push.getsockopt(zraw.ZMQ_SNDTIMEO) == 500
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 500)
push.setsockopt(zraw.ZMQ_SNDTIMEO, 500)
signal.signal(signal.SIGALRM, on_alarm)

def timed(call, error, result=None):
    global count
    count = 0
    start = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        assert call() == result and not error
    except zraw.Again:
        assert error
    finally:
        spent = time.monotonic() - start
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert 0.495 <= spent < 1.2, spent
    assert count >= 10, count
"""


@pytest.mark.parametrize("call", [name for name in BLOCKING if name != "poll"])
def test_timeout__handlers_do_not_prolong_it(call):
    check(TIMED + f"timed(lambda: {BLOCKING[call]}, True)\nend()")


def test_timeout__handlers_do_not_prolong_poll_and_wait():
    check(
        TIMED
        + """
timed(lambda: pull.poll(500), False, 0)
tracker = zraw.Tracker()
message = zraw.Message.init_data(b"x", None, tracker)
timed(lambda: tracker.wait(500), False, False)
message.close()
end()
"""
    )


@pytest.mark.parametrize("call", BLOCKING)
def test_handler__may_close_the_socket_of_the_call(call):
    used = "pull" if call in RECEIVES else "push"
    check(f"""
signal.signal(signal.SIGALRM, lambda *_: {used}.close())
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
refused(zraw.NotASocket, [lambda: {BLOCKING[call]}])
signal.setitimer(signal.ITIMER_REAL, 0)
refused(zraw.NotASocket, calls({used}, {used}))
context.close()
""")


@pytest.mark.parametrize("call", BLOCKING)
def test_handler__may_close_the_context(call):
    check(f"""
signal.signal(signal.SIGALRM, lambda *_: context.close())
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
refused(zraw.NotASocket, [lambda: {BLOCKING[call]}])
signal.setitimer(signal.ITIMER_REAL, 0)
assert context.closed and push.closed and pull.closed
""")


@pytest.mark.parametrize("call", RECEIVES)
def test_handler__may_use_the_socket_of_a_receive(call):
    """Through the very socket that waits it asks for the answer."""
    check(f"""
push.close(); pull.close()
context.close()
context = zraw.Context()
pull, peer = context.socket(zraw.ZMQ_PAIR), context.socket(zraw.ZMQ_PAIR)
peer.connect(pull.bind("inproc://x"))
asked = 0
def ask(*_):
    global asked
    assert pull.try_recv() is None
    if asked == 3:
        pull.send(b"question")
        peer.send(peer.recv() + b" answered")
    asked += 1
signal.signal(signal.SIGALRM, ask)
signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
result = {RECEIVES[call]}
signal.setitimer(signal.ITIMER_REAL, 0)
assert asked == 4, asked
if {call!r} == "poll":
    assert pull.recv() == b"question answered"
assert pull.try_recv() is None and peer.try_recv() is None
pull.close(); peer.close()
context.close()
""")


@pytest.mark.parametrize("call", SENDS)
def test_handler__may_use_the_socket_of_a_send(call):
    """It connects the socket, and only then can the message go."""
    check(f"""
where = pull.bind("inproc://x")
seen = []
def connect(*_):
    if len(seen) < 3:
        assert push.try_send(b"no peer yet") is False
    elif len(seen) == 3:
        push.connect(where)
        push.send(b"from the handler")
    seen.append(1)
signal.signal(signal.SIGALRM, connect)
signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
{SENDS[call]}
signal.setitimer(signal.ITIMER_REAL, 0)
assert pull.recv() == b"from the handler"
while pull.try_recv_multipart():
    pass
push.send(b"one more")
assert pull.recv() == b"one more"
context.close()
""")


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.PyDLL(None).fork()"])
def test_handler__may_fork(fork):
    """Both come back into the call: the parent waits on, the child may not."""
    check(f"""
where = pull.bind("inproc://x")
pid = None
def fork(*_):
    global pid
    if pid is None:
        pid = {fork}
    elif pid:
        push.connect(where)
        push.send(b"x")
        signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
try:
    assert pull.recv() == b"x" and pid
except zraw.ForkError:
    assert pid == 0
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
context.close()
""")


PENDING = """
from functools import partial
class Stop(Exception):
    pass

def stop(*_):
    raise Stop

signal.signal(signal.SIGUSR1, stop)
trip = partial(ctypes.CDLL(None)["raise"], int(signal.SIGUSR1))

def with_pending(call):
    "What the call gave, begun with a signal pending, and what came out."
    results = []
    try:
        # All of this runs in C: the interpreter does not look at signals.
        results.extend(map(methodcaller("__call__"), (trip, call)))
    except BaseException as error:
        return results[1:], error
    return results[1:], None
"""


def test_recv__message_that_is_there_is_returned_though_a_signal_is_pending():
    check(
        PENDING
        + """
push.connect(pull.bind("inproc://x"))
into = bytearray(1)
for call in (pull.recv, pull.try_recv, pull.recv_msg, pull.recv_multipart,
             pull.try_recv_multipart, pull.recv_many, partial(pull.recv_into, into),
             pull.poll, partial(push.send, b"y"), partial(push.send_multipart, [b"y"]),
             partial(push.send_many, [b"y"])):
    push.send(b"x")
    results, raised = with_pending(call)
    assert len(results) == 1 and type(raised) is Stop, (call, results, raised)
    while pull.try_recv() is not None:
        pass
context.close()
"""
    )


@pytest.mark.parametrize(
    "call",
    [
        "partial(pull.recv)",
        "partial(pull.recv_into, bytearray(10))",
        "partial(pull.recv_msg)",
        "partial(pull.recv_multipart)",
        "partial(pull.recv_many)",
        "partial(zraw.Message().recv, pull)",
        "partial(pull.poll, 5000)",
        "partial(push.send, b'x')",
        "partial(push.send_multipart, [b'x', b'y'])",
        "partial(push.send_many, [b'x'] * 10)",
    ],
)
def test_handler__of_a_signal_just_before_the_wait_runs_at_once(call):
    """No EINTR tells of it: the call has to look before it goes to sleep."""
    check(
        PENDING
        + f"""
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
push.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
start = time.monotonic()
results, raised = with_pending({call})
assert (results, type(raised)) == ([], Stop), (results, raised)
assert time.monotonic() - start < 2
end()
"""
    )


@pytest.mark.parametrize(
    ("size", "after"), [(10, 1024), (1 << 20, 1), (1 << 18, 4)], ids=str
)
def test_recv_many__handlers_exception_has_what_was_received(size, after):
    check(
        PENDING
        + f"""
for socket in (push, pull):
    socket.setsockopt(zraw.ZMQ_SNDHWM, 0)
    socket.setsockopt(zraw.ZMQ_RCVHWM, 0)
push.connect(pull.bind("inproc://x"))
bodies = [b"%d " % n + bytes({size}) for n in range({after} + 100)]
push.send_many(bodies)
results, raised = with_pending(partial(pull.recv_many, 100000))
assert (results, type(raised)) == ([], Stop)
assert raised.received == bodies[:{after}], len(raised.received)
assert pull.recv_many(100000) == bodies[{after}:]
context.close()
"""
    )


def test_send_many__handlers_exception_tells_how_many_were_sent():
    check(
        PENDING
        + """
push.setsockopt(zraw.ZMQ_SNDHWM, 0)
pull.setsockopt(zraw.ZMQ_RCVHWM, 0)
push.connect(pull.bind("inproc://x"))
bodies = [b"%d" % n for n in range(3000)]
for batch in (bodies, [[body, b"tail"] for body in bodies]):
    results, raised = with_pending(partial(push.send_many, batch))
    assert (results, type(raised), raised.sent) == ([], Stop, 1024)
    assert push.send_many(batch[1024:]) == 3000 - 1024
    assert pull.recv_many(100000) == batch
context.close()
"""
    )


def test_send_many__handlers_exception_at_the_high_water_mark():
    check(
        INTERRUPT
        + """
push.setsockopt(zraw.ZMQ_SNDHWM, 5)
pull.setsockopt(zraw.ZMQ_RCVHWM, 5)
push.connect(pull.bind("inproc://x"))
bodies = [b"%d" % n for n in range(100)]
got, rest = [], bodies
while len(rest) > 10:
    caught = interrupted(lambda: push.send_many(rest), lambda: inside(push))
    assert 0 < caught.sent <= 10, caught.sent
    rest = rest[caught.sent:]
    got += pull.recv_many()
while rest:
    rest = rest[push.send_many(rest, zraw.ZMQ_DONTWAIT):]
    got += pull.recv_many()
assert got == bodies, got
context.close()
"""
    )


@pytest.mark.parametrize("what", ["pull", "push", "context"])
def test_batch__handler_that_closes_ends_it_and_nothing_is_lost(what):
    """Only what a handler raises itself leaves in mid-batch."""
    check(
        PENDING
        + f"""
push.setsockopt(zraw.ZMQ_SNDHWM, 0)
pull.setsockopt(zraw.ZMQ_RCVHWM, 0)
push.connect(pull.bind("inproc://x"))
bodies = [b"%d" % n for n in range(3000)]
if {what!r} != "push":
    push.send_many(bodies)
signal.signal(signal.SIGUSR1, lambda *_: {what}.close())
call = partial(push.send_many, bodies) if {what!r} == "push" else \\
    partial(pull.recv_many, 3000)
results, raised = with_pending(call)
assert raised is None, raised
assert results == ([1024] if {what!r} == "push" else [bodies[:1024]])
refused(zraw.NotASocket, [call])
context.close()
"""
    )


# list.extend() keeps what a call returned even if the next one raises, and runs
# no handler of its own in between: a message missing was lost by zraw.
STORM = """
class Stop(Exception):
    pass

raised = 0
armed = False
def storm(*_):
    global raised, armed
    if armed:
        armed = False
        raised += 1
        raise Stop

def through_the_storm(step, done):
    global armed
    signal.signal(signal.SIGALRM, storm)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    while not done():
        try:
            armed = True
            step()
            armed = False
        except Stop:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert raised > 20, raised
"""


@pytest.mark.parametrize(
    ("call", "unpack"),
    [
        ("recv", "[item]"),
        ("recv_msg", "[bytes(item)]"),
        ("recv_multipart", "[item[0]]"),
        ("recv_many", "item"),
    ],
)
def test_storm__of_raising_handlers_loses_no_message(call, unpack):
    check(
        STORM
        + f"""
push.connect(pull.bind("tcp://127.0.0.1:*"))
bodies = [b"%d" % n for n in range(4000)]
def send():
    for start in range(0, 4000, 10):
        push.send_many(bodies[start:start + 10])
        time.sleep(0.0005)
thread = threading.Thread(target=send)
thread.start()
taken = []
def last():
    item = taken[-1]
    return {unpack}[-1]
through_the_storm(lambda: taken.extend(iter(pull.{call}, None)),
                  lambda: taken and last() == bodies[-1])
got = [body for item in taken for body in {unpack}]
assert got == bodies, len(got)
assert pull.try_recv() is None
thread.join(10)
context.close()
"""
    )


def test_storm__of_raising_handlers_sends_every_message_once():
    """At the high-water mark nearly every send waits."""
    check(
        STORM
        + """
push.setsockopt(zraw.ZMQ_SNDHWM, 3)
pull.setsockopt(zraw.ZMQ_RCVHWM, 3)
push.connect(pull.bind("inproc://x"))
messages = [[b"%d" % n, b"tail"] for n in range(4000)]
got, sent = [], []
def receive():
    while len(got) < 4000:
        got.append(pull.recv_multipart())
        if not len(got) % 4:
            time.sleep(0.0005)
thread = threading.Thread(target=receive)
thread.start()
through_the_storm(
    lambda: sent.extend(map(push.send_multipart, messages[len(sent):])),
    lambda: len(sent) == 4000)
thread.join(10)
assert got == messages, len(got)
context.close()
"""
    )
