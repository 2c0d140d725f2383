"""As test_killers.py, for what libzmq has in its draft API.

One row, one child: an exception of the right class that names the argument, no
output, and messages still go from one socket to another after it.
"""

from __future__ import annotations

import pytest

from drafts import REFUSALS
from programs import check

ROWS = {
    "connect_peer_null": """
for wrong in (None, 0):
    must(TypeError, "endpoint", lambda: pull.connect_peer(wrong))
must(zraw.NotSupported, "connect_peer", lambda: pull.connect_peer("inproc://x"))
""",
    "dgram_unbound": """
if drafts(lambda: context.socket(zraw.ZMQ_DGRAM)):
    (dgram,) = make(zraw.ZMQ_DGRAM)
    message = zraw.Message(b"x")
    for call in (
        lambda: dgram.send(b"x"),
        lambda: dgram.send(b"127.0.0.1:9", zraw.ZMQ_SNDMORE),
        lambda: dgram.send_multipart([b"127.0.0.1:9", b"x"]),
        lambda: dgram.send_many([[b"127.0.0.1:9", b"x"]]),
        lambda: message.send(dgram),
        lambda: dgram.send_const(b"x"),
        lambda: dgram.try_send(b"x"),
    ):
        must(zraw.InvalidState, "ZMQ_DGRAM", call)
    assert dgram.try_recv() is None
""",
    "dgram_bound_elsewhere": """
if drafts(lambda: context.socket(zraw.ZMQ_DGRAM)):
    for where in ("inproc://dgram", "tcp://127.0.0.1:*"):
        (dgram,) = make(zraw.ZMQ_DGRAM)
        try:
            dgram.bind(where)
        except zraw.IncompatibleProtocol:
            pass
        try:
            dgram.send_multipart([b"127.0.0.1:9", b"x"], zraw.ZMQ_DONTWAIT)
        except (zraw.InvalidState, zraw.Again):
            pass
        dgram.close()
""",
    "dgram_port_taken": """
if drafts(lambda: context.socket(zraw.ZMQ_DGRAM)):
    other = plain.socket(plain.AF_INET, plain.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    port = other.getsockname()[1]
    # libzmq binds in the background: before, between or after these sends.
    for number in range(40):
        (dgram,) = make(zraw.ZMQ_DGRAM)
        try:
            dgram.bind(f"udp://127.0.0.1:{port}")
        except zraw.AddressInUse:
            pass
        for _ in range(20):
            try:
                dgram.send_multipart([b"127.0.0.1:9", b"x"], zraw.ZMQ_DONTWAIT)
            except (zraw.InvalidState, zraw.Again):
                pass
            time.sleep(number * 0.00001)
        dgram.close()
    other.close()
""",
    "dgram_large": """
if drafts(lambda: context.socket(zraw.ZMQ_DGRAM)):
    (dgram,) = make(zraw.ZMQ_DGRAM)
    dgram.bind(udp())
    other = plain.socket(plain.AF_INET, plain.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    other.settimeout(5)
    there = b"127.0.0.1:%d" % other.getsockname()[1]
    for size in (8193, 60000, 70000, 2 << 20):
        try:
            dgram.send_multipart([there, bytes(size)])
        except (ValueError, zraw.ZMQError):
            pass
        else:
            raise AssertionError(f"{size} bytes, of 8192 that libzmq has room for")
    dgram.send_multipart([there, bytes(8192)])
    assert other.recv(10000) == bytes(8192)
    dgram.close()
    other.close()
""",
    "radio_large_by_udp": """
if drafts(lambda: context.socket(zraw.ZMQ_RADIO)):
    (radio,) = make(zraw.ZMQ_RADIO)
    other = plain.socket(plain.AF_INET, plain.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    other.settimeout(5)
    radio.connect(f"udp://127.0.0.1:{other.getsockname()[1]}")
    for size in (8190, 60000, 70000, 2 << 20):
        try:
            radio.send(of("TV", bytes(size)))
        except (ValueError, zraw.ZMQError):
            pass
    radio.send(of("TV", b"end"))
    assert other.recv(70000) == b"\\2TVend"
    radio.close()
    other.close()
""",
    "group_long_then_short": """
if drafts(lambda: zraw.Message().group()):
    for first in ("g" * 15, "g" * 255, "short"):
        for second in ("s", "twelve chars", "l" * 14, "l" * 100):
            message = of(first)
            must(zraw.InvalidArgument, "group", lambda: message.set_group(second))
            assert message.group() == first
            message.close()
must(ValueError, "group", lambda: zraw.Message().set_group("g" * 256))
""",
    "group_of_a_received_message": """
if drafts(lambda: context.socket(zraw.ZMQ_DISH)):
    radio, dish = make(zraw.ZMQ_RADIO, zraw.ZMQ_DISH)
    dish.connect(radio.bind("inproc://air"))
    dish.join("g" * 100)
    until(lambda: radio.send(of("g" * 100)) and dish.poll(2))
    message = dish.recv_msg()
    try:
        message.set_group("twelve chars")
    except zraw.InvalidArgument:
        assert message.group() == "g" * 100
    else:
        assert message.group() == "twelve chars"
    message.close()
""",
    "join_null": """
must(TypeError, "group", lambda: pull.join(None))
must(TypeError, "group", lambda: pull.leave(None))
if drafts(lambda: context.socket(zraw.ZMQ_DISH)):
    (dish,) = make(zraw.ZMQ_DISH)
    must(TypeError, "group", lambda: dish.join(None))
    must(TypeError, "group", lambda: dish.leave(None))
    must(ValueError, "group", lambda: dish.join("a\\0b"))
""",
    "xsub_verbose_unsubscribe_null": """
(xsub,) = make(zraw.ZMQ_XSUB)
for wrong in (None, b"", b"x", b"four", "1"):
    must(TypeError, "setsockopt(ZMQ_XSUB_VERBOSE_UNSUBSCRIBE): value",
         lambda: xsub.setsockopt(115, wrong))
""",
    "draft_type_without_drafts": """
for number in range(12, 21):
    if drafts(lambda: context.socket(number)) and number not in (14, 15, 18):
        peer = {12: 13, 13: 12, 16: 17, 17: 16}.get(number, number)
        bound, connected = make(number, peer)
        connected.connect(bound.bind("tcp://127.0.0.1:*"))
        until(lambda: (bound if number == 17 else connected).poll(5, zraw.ZMQ_POLLOUT)
              or number in (12, 16, 19))
        bound.close()
        connected.close()
for number in (21, 22, -1, 1000):
    try:
        context.socket(number)
    except (zraw.InvalidArgument, ValueError):
        pass
    else:
        raise AssertionError(number)
""",
    "ppoll_large_descriptors": """
import fcntl
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
large = fcntl.fcntl(0, fcntl.F_DUPFD, 1500)
if DRAFT and VERSION >= (4, 3, 5):
    must(ValueError, "items", lambda: zraw.ppoll([(large, 1)], 0))
    must(ValueError, "items", lambda: zraw.ppoll([(1024, 1)], 0))
    must(ValueError, "items", lambda: zraw.ppoll([(0, 0)] * 1025, 0))
    must(TypeError, "items", lambda: zraw.ppoll(None))
    assert zraw.ppoll([(pull, 1)], 0) == []
else:
    must(zraw.NotSupported, "ppoll()", lambda: zraw.ppoll([(large, 1)], 0))
os.close(large)
""",
    "set_ext_sizes": """
must(TypeError, "value", lambda: context.set_ext(zraw.ZMQ_IO_THREADS, None))
must(ValueError, "value", lambda: context.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "four"))
if drafts(lambda: context.set_ext(zraw.ZMQ_IO_THREADS, 1)):
    for length in (1, 3, 5, 15, 16):
        context.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "x" * length)
        assert context.get_ext(zraw.ZMQ_THREAD_NAME_PREFIX) == "x" * length
    must(zraw.InvalidArgument, "set_ext",
         lambda: context.set_ext(zraw.ZMQ_THREAD_NAME_PREFIX, "x" * 17))
""",
}


@pytest.mark.parametrize("row", ROWS)
def test_killers__of_the_draft_api_are_refused(row):
    check(REFUSALS + ROWS[row] + "\nend()\n", timeout=20)
