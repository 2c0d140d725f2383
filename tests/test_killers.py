"""What would end the process if libzmq saw it is refused, and life goes on.

One row, one child: an exception of the right class that names the argument, no
output, and messages still go from one socket to another after it.
"""

from __future__ import annotations

import pytest

from drafts import REFUSALS
from programs import check

ROWS = {
    "bind_null": """
for call in (pull.bind, pull.connect, pull.unbind, pull.disconnect):
    for wrong in (None, 0, bytearray(b"inproc://x"), ["inproc://x"]):
        must(TypeError, "endpoint", lambda: call(wrong))
    for wrong in ("", b"", "x", "inproc://x\\0", "tcp://127.0.0.1:99999"):
        must(ValueError, "endpoint", lambda: call(wrong))
""",
    "setsockopt_null": """
must(TypeError, "setsockopt(ZMQ_LINGER): value", lambda:
     push.setsockopt(zraw.ZMQ_LINGER, None))
must(TypeError, "setsockopt(ZMQ_AFFINITY): value", lambda:
     push.setsockopt(zraw.ZMQ_AFFINITY, None))
sockets = make(*range(12), *(range(12, 21) if DRAFT else ()))
for socket in sockets:
    for option in range(140):
        try:
            socket.setsockopt(option, None, int)
        except (TypeError, zraw.InvalidArgument):
            pass
    socket.close()
""",
    "setsockopt_sizes": """
sockets = make(*range(12), *(range(12, 21) if DRAFT else ()))
for socket in sockets:
    for option in set(range(140)) - {89}:  # not ZMQ_USE_FD
        for value in (0, -1, b"", b"x", b"four", b"x" * 300):
            try:
                socket.setsockopt(option, value)
            except (TypeError, ValueError, OverflowError, zraw.InvalidArgument):
                pass
        try:
            socket.getsockopt(option)
        except (ValueError, zraw.InvalidArgument):
            pass
    socket.close()
""",
    "connect_routing_id_in_use": """
for kind in (zraw.ZMQ_ROUTER, zraw.ZMQ_STREAM):
    router, peer = make(kind, kind)
    wheres = [peer.bind("tcp://127.0.0.1:*")]
    wheres += [peer.bind("inproc://ids")] if kind == zraw.ZMQ_ROUTER else []
    for number, where in enumerate(wheres):
        name = b"id%d" % number
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"before")
        router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, name)
        router.connect(where)
        for same in (name, bytearray(name), memoryview(name)):
            must(zraw.AddressInUse, "ZMQ_CONNECT_ROUTING_ID",
                 lambda: router.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, same))
        router.connect(where)
    router.close()
    peer.close()
""",
    "router_options_on_rep": """
(rep,) = make(zraw.ZMQ_REP)
for name in ("ROUTER_MANDATORY", "ROUTER_RAW", "PROBE_ROUTER", "ROUTER_HANDOVER"):
    must(zraw.InvalidArgument, f"ZMQ_{name}",
         lambda: rep.setsockopt(getattr(zraw, f"ZMQ_{name}"), 1))
must(zraw.InvalidArgument, "ZMQ_CONNECT_ROUTING_ID",
     lambda: rep.setsockopt(zraw.ZMQ_CONNECT_ROUTING_ID, b"x"))
req, = make(zraw.ZMQ_REQ)
req.connect(rep.bind("tcp://127.0.0.1:*"))
req.send(b"x")
assert rep.poll(5000)
req.close()
assert rep.recv() == b"x"
rep.send(b"nobody")
""",
    "closed_message": """
message = zraw.Message(b"x")
message.close()
for call in (
    message.data, message.size, message.more, lambda: len(message),
    lambda: bytes(message), lambda: memoryview(message), lambda: message == b"x",
    lambda: message.get(zraw.ZMQ_MORE), lambda: message.set(zraw.ZMQ_MORE, 1),
    lambda: message.gets("Socket-Type"), lambda: message.copy(zraw.Message()),
    lambda: message.move(zraw.Message()), lambda: zraw.Message().copy(message),
    lambda: zraw.Message().move(message), lambda: message.send(push),
    lambda: message.recv(pull), lambda: push.send(message),
    lambda: pull.recv_msg(message), lambda: pull.try_recv_msg(message),
    lambda: push.send_multipart([message]), lambda: push.send_many([b"x", message]),
    lambda: message.move(message), lambda: message.copy(message),
):
    must(zraw.InvalidHandle, "the message is closed", call)
message.close()
repr(message)
if drafts(lambda: message.group()):
    for call in (message.group, message.routing_id,
                 lambda: message.set_group("g"), lambda: message.set_routing_id(1)):
        must(zraw.InvalidHandle, "the message is closed", call)
""",
    "message_without_init": """
message = zraw.Message.__new__(zraw.Message)
assert message.size() == 0 and bytes(message) == b"" and not message.more()
message.close()
""",
    "copy_to_itself": """
for size in (0, 33, 34, 100000):
    message = zraw.Message(bytes(size))
    message.copy(message)
    message.move(message)
    assert message == bytes(size)
    message.close()
must(TypeError, "source", lambda: zraw.Message().copy(None))
must(TypeError, "source", lambda: zraw.Message().move(None))
""",
    "init_size_no_memory": """
for size in (sys.maxsize, sys.maxsize - 100, 1 << 60):
    must(MemoryError, "Message.init_size(", lambda: zraw.Message.init_size(size))
must(ValueError, "size", lambda: zraw.Message.init_size(-1))
""",
    "empty_memory": """
push.connect(pull.bind("inproc://empty"))
for empty in (b"", bytearray(), memoryview(b""), zraw.Message(), zraw.Message(b""),
              zraw.Message.init_size(0), zraw.Message.init_data(bytearray()),
              (ctypes.c_char * 0)()):
    push.send(empty)
    assert pull.recv() == b""
for empty in (bytearray(), (ctypes.c_char * 0)()):
    push.send(b"whole")
    assert pull.recv_into(empty) == 5
pull.close()
push.close()
push, pull = make(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)
""",
    "curve_public_length": """
if zraw.has("curve"):
    for length in (0, 5, 35, 39, 41, 45, 100, 100000):
        must(ValueError, "secret", lambda: zraw.curve_public("0" * length))
    must(TypeError, "secret", lambda: zraw.curve_public(None))
must(TypeError, "string", lambda: zraw.z85_decode(None))
must(zraw.InvalidArgument, "string", lambda: zraw.z85_decode("0" * 100001))
""",
    "has_null": """
must(TypeError, "capability", lambda: zraw.has(None))
must(ValueError, "capability", lambda: zraw.has("ipc\\0"))
assert not hasattr(zraw, "device")
must(TypeError, "frontend", lambda: zraw.proxy(None, push))
must(TypeError, "backend", lambda: zraw.proxy(pull, None))
must(TypeError, "frontend", lambda: zraw.proxy_steerable(None, None, None, None))
must(TypeError, "name", lambda: zraw.Message().gets(None))
""",
    "recv_null": """
for wrong in (None, 0, b"read-only", "text"):
    try:
        pull.recv_into(wrong)
    except (TypeError, BufferError) as error:
        assert "recv_into()" in str(error), error
    else:
        raise AssertionError("let through")
must(TypeError, "message", lambda: pull.try_recv_msg(None))
""",
    "poll_null": """
must(TypeError, "items", lambda: zraw.poll(None))
must(TypeError, "items[0]", lambda: zraw.poll([None]))
must(TypeError, "items[0]", lambda: zraw.poll([(None, 1)]))
must(TypeError, "items", lambda: zraw.poll(5, 0))
must(OverflowError, "items[0]", lambda: zraw.poll([(-1, 1)], 0))
must(ValueError, "items", lambda: zraw.poll([]))
assert zraw.poll([], 1) == []
""",
    "timers_interval_0": """
timers = zraw.Timers()
for wrong in (0, -1):
    must(ValueError, "interval", lambda: timers.add(wrong, print))
number = timers.add(1000, print)
for wrong in (0, -1):
    must(ValueError, "interval", lambda: timers.set_interval(number, wrong))
timers.execute()
timers.destroy()
""",
    "timers_handler_changes_itself": """
timers, calls = zraw.Timers(), []
def handler(number):
    calls.append(number)
    timers.set_interval(number, 1)
    timers.reset(number)
    timers.set_interval(ids[0], 2)
    timers.cancel(ids.pop())
    ids.append(timers.add(1, handler))
ids = [timers.add(1, handler) for _ in range(20)]
over = time.monotonic() + 0.3
while time.monotonic() < over:
    timers.execute()
    time.sleep(0.001)
assert len(calls) > 20 and len(timers) == 20
timers.destroy()
""",
    "monitor_without_reader": """
for how in ("close", "collect", "unread", "disconnect"):
    (watched,) = make(zraw.ZMQ_PULL)
    reader = watched.monitor()
    if how == "close":
        reader.close()
    elif how == "collect":
        warnings.simplefilter("ignore", ResourceWarning)
        del reader
        gc.collect()
    elif how == "disconnect":
        where = reader.getsockopt(zraw.ZMQ_LAST_ENDPOINT)
        must(zraw.InvalidState, "monitor", lambda: reader.disconnect(where))
    start = time.monotonic()
    for _ in range(1500 if how == "unread" else 5):
        watched.unbind(watched.bind("tcp://127.0.0.1:*"))
    watched.monitor(None)
    watched.close()
    if how in ("unread", "disconnect"):
        reader.close()
    assert time.monotonic() - start < 15
must(zraw.ProtocolNotSupported, "monitor()", lambda: push.monitor("tcp://127.0.0.1:1"))
must(TypeError, "endpoint", lambda: push.monitor(5))
must(ValueError, "event_version", lambda: push.monitor_versioned(event_version=3))
must(ValueError, "type", lambda: push.monitor_versioned(type=zraw.ZMQ_PULL))
""",
    "plain_server_without_domain": """
(server,) = make(zraw.ZMQ_PULL)
server.setsockopt(zraw.ZMQ_PLAIN_SERVER, 1)
server.setsockopt(zraw.ZMQ_ZAP_ENFORCE_DOMAIN, 1)
must(zraw.InvalidArgument, "ZMQ_ZAP_DOMAIN", lambda: server.bind("tcp://127.0.0.1:*"))
must(zraw.InvalidArgument, "ZMQ_ZAP_DOMAIN", lambda: server.bind("inproc://x"))
must(zraw.InvalidArgument, "ZMQ_ZAP_DOMAIN", lambda: server.connect("inproc://x"))
server.setsockopt(zraw.ZMQ_ZAP_DOMAIN, "domain")
(client,) = make(zraw.ZMQ_PUSH)
client.setsockopt(zraw.ZMQ_PLAIN_USERNAME, "u")
client.setsockopt(zraw.ZMQ_PLAIN_PASSWORD, "p")
client.connect(server.bind("tcp://127.0.0.1:*"))
assert server.poll(100) == 0  # no ZAP handler
""",
    "two_threads_in_a_socket": """
push.connect(pull.bind("tcp://127.0.0.1:*"))
for socket in (push, pull):
    socket.setsockopt(zraw.ZMQ_SNDHWM, 1)
sent, got, stop = [], [], time.monotonic() + 0.5
def work():
    while time.monotonic() < stop:
        for call, done in ((lambda: push.send(b"x" * 50000), sent),
                           (pull.try_recv, got)):
            try:
                if call():
                    done.append(1)
            except zraw.SocketInUse:
                time.sleep(0)
pull.setsockopt(zraw.ZMQ_RCVTIMEO, 500)
push.setsockopt(zraw.ZMQ_SNDTIMEO, 500)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
while pull.poll(300):
    got.append(pull.recv())
assert 0 < len(sent) == len(got)
push.close()
push, = make(zraw.ZMQ_PUSH)
""",
    "fork": """
push.connect(pull.bind("inproc://fork"))
pid = os.fork()
if pid == 0:
    refused(zraw.ForkError, calls(push, pull))
    refused(zraw.ForkError, [context.term, context.shutdown,
                             lambda: zraw.poll([(pull, 1)], 0),
                             lambda: zraw.proxy(pull, push)])
    context.close()
    sys.exit(0)
assert os.waitpid(pid, 0) == (pid, 0)
""",
    "poll_more_than_files": """
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
for count in (65, 100, 5000):
    must(ValueError, "items", lambda: zraw.poll([(pull, 1)] * count, 0))
    must(ValueError, "items", lambda: zraw.poll([(0, 1)] * count, 0))
assert zraw.poll([(pull, 1)] * 64, 0) == []
""",
    "after_shutdown": """
other = zraw.Context()
frontend, backend = other.socket(zraw.ZMQ_PULL), other.socket(zraw.ZMQ_PUSH)
poller = zraw.Poller()
poller.add(frontend)
poller.add_fd(sys.stdin.fileno(), 0)
other.shutdown()
for call in (lambda: poller.wait(0), lambda: poller.wait(50),
             lambda: poller.wait_all(5, 0), lambda: zraw.proxy(frontend, backend),
             lambda: zraw.proxy(frontend, frontend),
             lambda: zraw.proxy_steerable(frontend, backend, None, pull),
             lambda: zraw.poll([(frontend, 1)], 0), lambda: frontend.poll(0),
             frontend.monitor, lambda: frontend.bind("inproc://x"),
             lambda: other.socket(zraw.ZMQ_PULL)):
    try:
        call()
    except zraw.ContextTerminated as error:
        assert error.errno == zraw.ETERM
    else:
        raise AssertionError("let through")
poller.destroy()
other.close()
""",
    "closed_before_its_poller": """
kind = zraw.ZMQ_SERVER if DRAFT else zraw.ZMQ_PULL
for order in ("socket", "poller", "collected"):
    (socket,) = make(kind)
    poller = zraw.Poller()
    poller.add(socket)
    poller.add(pull)
    if order == "socket":
        socket.close()
        assert len(poller) == 1
        must(zraw.Again, "wait", lambda: poller.wait(1))
        poller.destroy()
    elif order == "poller":
        poller.destroy()
        socket.close()
    else:
        socket.close()
        del socket, poller
        gc.collect()
""",
    "freed_handles": """
timers, counter, watch = zraw.Timers(), zraw.AtomicCounter(), zraw.Stopwatch()
poller = zraw.Poller()
for _ in range(2):
    timers.destroy()
    counter.destroy()
    poller.destroy()
watch.stop()
refused(zraw.InvalidHandle, [watch.stop, watch.intermediate, counter.inc, poller.size,
                             lambda: timers.add(1, print)])
other = zraw.Context()
socket = other.socket(zraw.ZMQ_PULL)
for _ in range(2):
    socket.close()
for _ in range(2):
    other.term()
    other.close()
    other.shutdown()
refused(zraw.NotASocket, [socket.recv, lambda: socket.send(b"x"), socket.poll])
for wrong in (0, -1):
    must(OverflowError, "address", lambda: zraw.Context.from_handle(wrong))
    must(OverflowError, "address", lambda: zraw.Socket.from_handle(context, wrong))
""",
}


@pytest.mark.parametrize("row", ROWS)
def test_killers__are_refused(row):
    check(REFUSALS + ROWS[row] + "\nend()\n", timeout=20)
