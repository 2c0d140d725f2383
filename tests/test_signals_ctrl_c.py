"""Ctrl-C from outside, in each call that can wait; the list is checked for gaps."""

from __future__ import annotations

import inspect
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import zraw
from programs import START
from shim import libzmq

# Each waits for ever.  Those of the draft API are refused without it.
CALLS = {
    "Context.close": "lingers.close()",
    "Context.term": "lingers.term()",
    "Message.recv": "zraw.Message().recv(pull)",
    "Message.send": "kept.send(push)",
    "Poller.wait": "poller.wait()",
    "Poller.wait_all": "poller.wait_all(3)",
    "Socket.poll": "pull.poll()",
    "Socket.recv": "pull.recv()",
    "Socket.recv_into": "pull.recv_into(bytearray(100))",
    "Socket.recv_many": "pull.recv_many()",
    "Socket.recv_msg": "pull.recv_msg()",
    "Socket.recv_multipart": "pull.recv_multipart()",
    "Socket.send": "push.send(b'x')",
    "Socket.send_const": "push.send_const(b'x')",
    "Socket.send_many": "push.send_many([b'x', [b'y', b'z']])",
    "Socket.send_multipart": "push.send_multipart([b'x', kept, b'z' * 100000])",
    "Tracker.wait": "tracker.wait()",
    "poll": "zraw.poll([(pull, 1), (push, 2), (r, 1)])",
    "ppoll": "zraw.ppoll([(pull, 1), (push, 2), (r, 1)])",
    "proxy": "zraw.proxy(pull, push)",
    "proxy_steerable": "zraw.proxy_steerable(pull, push, None, control)",
    "recv_event": "zraw.recv_event(reader)",
    "recv_event_v2": "zraw.recv_event_v2(reader)",
    "sleep": "zraw.sleep(10000)",
}
# The same calls in other states.
STATES = {
    "Socket.send at the high-water mark": "full.send(b'x')",
    "Socket.send_many at the high-water mark": "full.send_many([b'x'] * 1000000)",
    "Socket.send of a message kept": "push.send(kept)",
    "Socket.recv with a time-out": "timed.recv()",
    "Socket.recv of REQ": "req.recv()",
    "Context.close while a thread is inside": "entered.close()",
    "poll without items": "zraw.poll([], 1000000)",
    "Poller.wait without events": "idle.wait(1000000)",
    "proxy with a control socket of none": "zraw.proxy_steerable(pull, push)",
    "proxy of one socket": "zraw.proxy(dealer, dealer)",
    "asyncio": "asyncio_loop.run_until_complete(waits(handle))",
    "uvloop": "uv_loop.run_until_complete(waits(uv_handle))",
}
PROGRAM = (
    START
    + """
import asyncio, json, uvloop, zraw.aio

armed = False
def on_signal(number, frame):
    global armed
    if armed:
        armed = False
        signal.default_int_handler(number, frame)
signal.signal(signal.SIGINT, on_signal)
r, w = os.pipe()
kept = zraw.Message(b"kept")
tracker = zraw.Tracker()
lent = zraw.Message.init_data(b"lent", None, tracker)
poller, idle = zraw.Poller(), zraw.Poller()
poller.add(pull)
poller.add(push, zraw.ZMQ_POLLOUT)
poller.add_fd(r)
def make(kind, where=None, context=context):
    socket = context.socket(kind)
    socket.setsockopt(zraw.ZMQ_LINGER, 0)
    if where:
        socket.connect(where)
    return socket
control, third = make(zraw.ZMQ_PAIR), make(zraw.ZMQ_PULL)
dealer, timed = make(zraw.ZMQ_DEALER), make(zraw.ZMQ_PULL)
timed.setsockopt(zraw.ZMQ_RCVTIMEO, 1000000)
reader = timed.monitor()
nobody = sys.argv[1]
req, full = make(zraw.ZMQ_REQ, nobody), make(zraw.ZMQ_PUSH, nobody)
req.send(b"question")
while full.try_send(b"x"):
    pass
lingers = zraw.Context()
unsent = make(zraw.ZMQ_PUSH, nobody, lingers)
unsent.setsockopt(zraw.ZMQ_LINGER, -1)
unsent.send(b"x")
entered = zraw.Context()
stays = make(zraw.ZMQ_PULL, context=entered)
# A context of its own is closed around a message that cannot leave.
def held():
    other = make(zraw.ZMQ_PUSH, nobody, entered)
    other.setsockopt(zraw.ZMQ_LINGER, -1)
    other.send(b"x")
    try:
        stays.recv()
    except zraw.ContextTerminated:
        pass
thread = threading.Thread(target=held, daemon=True)
thread.start()
until(lambda: inside(stays))
other = make(zraw.ZMQ_PULL)
handle, uv_handle = zraw.aio.Handle(third), zraw.aio.Handle(other)
asyncio_loop, uv_loop = asyncio.new_event_loop(), uvloop.new_event_loop()
async def waits(handle):
    await handle.recv()

def told():
    "A line from the parent: it has seen enough."
    assert sys.stdin.readline() == "go on\\n"

for name, call in json.loads(sys.argv[2]).items():
    begun = compile(call, name, "eval")
    armed = True
    print("begin", name, flush=True)
    try:
        result = eval(begun)
    except KeyboardInterrupt:
        print("end", name, flush=True)
    except zraw.NotSupported:
        armed = False
        print("refused", name, flush=True)
    else:
        raise AssertionError((name, result))
    told()
    for socket in (pull, push, third, full, control, dealer):
        assert not inside(socket), name
    assert kept == b"kept"
    assert poller.size() == 3 and idle.size() == 0

async def takes(handle):
    return await handle.recv()
for loop, its, socket in ((asyncio_loop, handle, third), (uv_loop, uv_handle, other)):
    # The task that was interrupted in its wait is still there, and gives up.
    for left in asyncio.all_tasks(loop):
        left.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    giver = make(zraw.ZMQ_PUSH, socket.bind(f"inproc://{id(its)}"))
    giver.send(b"after")
    assert loop.run_until_complete(takes(its)) == b"after"
    giver.close()
    loop.close()
server = make(zraw.ZMQ_PULL)
server.bind(nobody)
lingers.close()
entered.close()
thread.join(10)
lent.close()
assert tracker.wait(5000)
full.close()
req.close()
assert server.recv() == b"x"
push.setsockopt(zraw.ZMQ_SNDTIMEO, 5000)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 5000)
push.connect(pull.bind("inproc://both"))
assert poller.wait(5000) == (push, None, zraw.ZMQ_POLLOUT)
push.send_multipart([b"after", kept])
assert pull.recv_multipart() == [b"after", b"kept"]
assert zraw.poll([(reader, 1), (timed, 1)], 0) == []
context.close()
"""
)


def that_wait():
    """The names of the calls that can wait, by their arguments and docstrings."""
    for name in zraw.__all__:
        thing = getattr(zraw, name)
        calls = {name: thing}
        if inspect.isclass(thing):
            members = inspect.getmembers(thing, inspect.isroutine)
            calls = {
                f"{name}.{member}": value
                for member, value in members
                if not member.startswith("_")
            }
        for call, function in calls.items():
            try:
                arguments = set(inspect.signature(function).parameters)
            except (TypeError, ValueError):
                continue
            text = inspect.getdoc(function) or ""
            if arguments & {"timeout", "flags"} or "Waits: " in text or call == "sleep":
                yield call


def test_ctrl_c__the_list_is_complete():
    assert set(that_wait()) == set(CALLS)


class Program:
    """A child that says "begin", waits in a call, and says "end"."""

    def __init__(self, child):
        self.child = child
        self.lines: queue.Queue[str] = queue.Queue()
        self.reading = threading.Thread(target=self.read)
        self.reading.start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip())

    def interrupt(self):
        """Send SIGINT until it says something, at most for two seconds."""
        until = time.monotonic() + 2
        while time.monotonic() < until:
            try:
                return self.lines.get(timeout=0.05)
            except queue.Empty:
                self.child.send_signal(signal.SIGINT)
        return "nothing"

    def go_on(self):
        self.child.stdin.write("go on\n")
        self.child.stdin.flush()

    def end(self):
        """Return the exit code and the errors; kill it if it hangs."""
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
        self.reading.join(10)
        return self.child.wait(), self.child.stderr.read()


@pytest.mark.parametrize("calls", [CALLS, STATES], ids=["calls", "states"])
def test_ctrl_c__from_outside_ends_every_call(calls, tmp_path):
    """Within two seconds, by KeyboardInterrupt; all objects are good afterwards."""
    said = {}
    with subprocess.Popen(
        [
            *(sys.executable, "-X", "faulthandler", "-c", PROGRAM),
            *(f"ipc://{tmp_path}/nobody", json.dumps(calls)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    ) as child:
        program = Program(child)
        try:
            while len(said) < len(calls):
                begin, name = program.lines.get(timeout=20).split(" ", 1)
                assert begin == "begin"
                said[name] = program.interrupt()
                if said[name] not in (f"end {name}", f"refused {name}"):
                    child.kill()
                    break
                program.go_on()
        except queue.Empty:
            child.kill()
        code, errors = program.end()
    assert (code, errors) == (0, ""), f"{errors}\n{said}"
    drafts = {"ppoll"} if not hasattr(libzmq, "zmq_ppoll") else set()
    for name in calls:
        assert said[name] == ("refused " if name in drafts else "end ") + name
