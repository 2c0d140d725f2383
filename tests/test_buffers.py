"""Memory of others than NumPy: sent, lent and received into.

bytearray, array.array, mmap, ctypes, memoryview, and the buffers of pickle's protocol
5.  It is their owners who say what cannot be done while memory is lent.
"""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import pickle
import weakref

import numpy
import pytest

import zraw

BODY = bytes(range(1, 241)) * 1000


class Grid(ctypes.Structure):
    _fields_ = [
        ("cells", ctypes.c_uint8 * 120 * 1000),
        ("rest", ctypes.c_uint16 * 60000),
    ]


def from_mmap():
    memory = mmap.mmap(-1, len(BODY))
    memory[:] = BODY
    return memory


def filled_message():
    message = zraw.Message.init_size(len(BODY))
    message.data()[:] = BODY
    return message


# All of them writable, and with BODY in them.
MAKE = {
    "bytearray": lambda: bytearray(BODY),
    "array of bytes": lambda: array.array("B", BODY),
    "array of doubles": lambda: array.array("d", BODY),
    "mmap": from_mmap,
    "ctypes array": lambda: (ctypes.c_char * len(BODY)).from_buffer_copy(BODY),
    "ctypes array, 2-d": lambda: (ctypes.c_uint32 * 600 * 100).from_buffer_copy(BODY),
    "ctypes structure": lambda: Grid.from_buffer_copy(BODY),
    "ctypes over memory": lambda: (ctypes.c_uint8 * len(BODY)).from_buffer(
        bytearray(BODY)
    ),
    "string buffer": lambda: ctypes.create_string_buffer(BODY, len(BODY)),
    "memoryview": lambda: memoryview(bytearray(BODY)),
    "memoryview, slice": lambda: memoryview(bytearray(b"<<" + BODY + b">"))[2:-1],
    "memoryview, cast": lambda: memoryview(bytearray(BODY)).cast("I"),
    "memoryview, 2-d": lambda: memoryview(bytearray(BODY)).cast("B", (1000, 240)),
    "memoryview of an array": lambda: memoryview(
        numpy.frombuffer(bytearray(BODY), "f8")
    ),
    "PickleBuffer": lambda: pickle.PickleBuffer(bytearray(BODY)),
    "Message": filled_message,
}


@pytest.fixture
def both(pair):
    return pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)


def content(buffer):
    return memoryview(buffer).tobytes()


def address(buffer):
    return numpy.frombuffer(buffer, "u1").__array_interface__["data"][0]


# A Message is handed over, and empty afterwards.
@pytest.mark.parametrize("kind", [kind for kind in MAKE if kind != "Message"])
def test_send__buffer_is_copied_and_may_change_at_once(both, kind):
    push, pull = both
    for send in (
        push.send,
        push.try_send,
        lambda buffer: push.send_multipart([buffer]),
        lambda buffer: push.send_many([buffer]),
        lambda buffer: push.send(zraw.Message(buffer)),
    ):
        buffer = MAKE[kind]()
        send(buffer)
        memoryview(buffer).cast("B")[:] = bytes(len(BODY))
        assert pull.recv() == BODY


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_msg_init_data__buffer_is_read_where_it_is(pair, kind, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    buffer, tracker = MAKE[kind](), zraw.Tracker()
    push.send(zraw.Message.init_data(buffer, tracker=tracker))
    message = pull.recv_msg()
    assert message == BODY
    assert (address(message) == address(buffer)) is (transport == "inproc")
    assert content(buffer) == BODY
    message.close()
    assert tracker.wait(5000)


@pytest.mark.parametrize("kind", MAKE)
def test_recv_into__buffer_is_filled(both, kind):
    push, pull = both
    buffer = MAKE[kind]()
    push.send(BODY[::-1])
    assert pull.recv_into(buffer) == len(BODY)
    assert content(buffer) == BODY[::-1]
    push.send(b"abcd" + BODY)  # cut, and the size is the frame's
    assert pull.recv_into(buffer) == len(BODY) + 4
    assert content(buffer) == (b"abcd" + BODY)[: len(BODY)]
    push.send(b"12")
    assert pull.recv_into(buffer) == 2
    assert content(buffer) == (b"12cd" + BODY)[: len(BODY)]


# What would move or free the memory.
FORBIDDEN = {
    "bytearray": lambda buffer: buffer.append(1),
    "array of doubles": lambda buffer: buffer.append(1),
    "mmap": lambda buffer: buffer.close(),
    "memoryview": lambda buffer: buffer.release(),
    "Message": lambda buffer: buffer.close(),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_msg_init_data__owner_refuses_to_move_what_is_lent(both, kind):
    push, pull = both
    call, buffer, tracker = FORBIDDEN[kind], MAKE[kind](), zraw.Tracker()
    push.send(zraw.Message.init_data(buffer, tracker=tracker))
    with pytest.raises(BufferError):
        call(buffer)
    assert pull.recv() == BODY
    assert tracker.wait(5000)
    call(buffer)


@pytest.mark.parametrize(
    "kind", ["bytearray", "mmap", "ctypes array", "array of bytes"]
)
def test_msg_data__view_of_lent_memory_outlives_its_name(both, kind):
    push, pull = both
    tracker = zraw.Tracker()
    push.send(zraw.Message.init_data(MAKE[kind](), tracker=tracker))
    received = numpy.frombuffer(pull.recv_msg(), "u1")
    gc.collect()
    others = [bytearray(b"#" * len(BODY)) for _ in range(20)]
    assert received.tobytes() == BODY
    assert not tracker.wait(0)
    del received
    assert tracker.wait(5000)
    assert len(others) == 20


def test_msg_init_data__file_is_sent_from_its_pages(pair, tmp_path):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    path = tmp_path / "file"
    path.write_bytes(BODY * 20)
    tracker = zraw.Tracker()
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    parts = memoryview(memory)
    for start in range(0, len(parts), len(BODY)):
        part = parts[start : start + len(BODY)]
        push.send(zraw.Message.init_data(part, tracker=tracker))
    del part, parts
    assert [pull.recv() for _ in range(20)] == [BODY] * 20
    assert tracker.wait(5000)
    memory.close()  # BufferError if anything of it were lent still


def test_recv_into__file_is_filled(pair, tmp_path):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, "tcp")
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * len(BODY)))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        push.send(BODY)
        with memoryview(memory) as view, view[len(BODY) : 2 * len(BODY)] as part:
            assert pull.recv_into(part) == len(BODY)
    assert path.read_bytes() == bytes(len(BODY)) + BODY + bytes(len(BODY))


def test_recv_into__refuses_a_read_only_mmap(both, tmp_path):
    push, pull = both
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    push.send(b"x")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory,
        pytest.raises((TypeError, BufferError)),
    ):
        pull.recv_into(memory)
    assert path.read_bytes() == bytes(10)
    assert pull.recv() == b"x"


# ---- pickle's protocol 5: the frames are its buffers


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_msg_init_data__pickled_arrays_without_a_copy(pair, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    sent = {
        "C": numpy.arange(10_000.0).reshape(100, 100),
        "F": numpy.asfortranarray(numpy.arange(600).reshape(20, 30)),
        "bytes": bytearray(b"mutable"),
    }
    buffers, tracker = [], zraw.Tracker()
    plan = pickle.dumps(
        {**sent, "bytes": pickle.PickleBuffer(sent["bytes"])},
        protocol=5,
        buffer_callback=buffers.append,
    )
    assert len(plan) < 1000 and len(buffers) == 3
    frames = [zraw.Message.init_data(one, tracker=tracker) for one in buffers]
    push.send_multipart([plan, *frames])
    weak = [weakref.ref(sent["C"]), weakref.ref(sent["F"])]
    wanted = {name: content(one) for name, one in sent.items()}
    places = [address(sent[name].ravel("A")) for name in "CF"]
    del sent, buffers, frames
    plan, *received = pull.recv_multipart(copy=False)
    got = pickle.loads(plan, buffers=received)
    assert {name: content(one) for name, one in got.items()} == wanted
    assert not got["C"].flags.writeable
    assert got["F"].flags.f_contiguous
    same = [address(got[name].ravel("A")) for name in "CF"] == places
    assert same is (transport == "inproc")
    assert got["bytes"] is received[2]  # whatever was given as a buffer
    with pytest.raises(BufferError):
        received[0].close()
    del got, received
    assert tracker.wait(5000)
    gc.collect()
    assert [one() for one in weak] == [None, None]
