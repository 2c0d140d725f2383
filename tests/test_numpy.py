"""NumPy arrays that are sent, received into, and lent by messages.

Where memory is said to be shared its addresses are compared, over inproc, which hands
the memory itself from socket to socket.
"""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy
import pytest

import zraw
from conftest import run_child, wait_until

SEND = {
    "send": lambda push, array: push.send(array),
    "try_send": lambda push, array: push.try_send(array),
    "send_multipart": lambda push, array: push.send_multipart([array]),
    "send_many": lambda push, array: push.send_many([array]),
    "Message": lambda push, array: push.send(zraw.Message(array)),
}
LEND = {
    "Message.send": lambda push, message: message.send(push),
    "send": lambda push, message: push.send(message),
    "send_multipart": lambda push, message: push.send_multipart([message]),
    "send_many": lambda push, message: push.send_many([message]),
}
STRUCTURE = numpy.dtype([("name", "S3"), ("x", ">f8"), ("when", "<M8[s]")])
KINDS = {
    "0-d": numpy.array(2.5),
    "scalar": numpy.float32(2.5),
    "empty": numpy.zeros((0, 3)),
    "3-d": numpy.arange(24, dtype="<i2").reshape(2, 3, 4),
    "big-endian": numpy.arange(5, dtype=">u4"),
    "times": numpy.array(["2024-02-29", "NaT"], "M8[D]"),
    "structured": numpy.array([(b"abc", 1.5, 99), (b"", 2.5, 0)], STRUCTURE),
    "half": numpy.arange(5, dtype=numpy.float16),
    "text": numpy.array(["Käse", "x"]),
    "large": numpy.arange(300_000, dtype="<i8"),
}
# As NumPy says it, which raises a ValueError where others raise a BufferError.
STRIDED = {
    "every second": numpy.arange(6)[::2],
    "backwards": numpy.arange(6)[::-1],
    "columns": numpy.zeros((4, 4))[:, 1:3],
    "Fortran": numpy.zeros((4, 4), order="F"),
    "transposed": numpy.zeros((2, 3)).T,
}


@pytest.fixture
def both(pair):
    return pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)


def available():
    """Bytes that a process can have without others being swapped out or killed."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = [int(line.split()[1]) for line in lines if line.startswith("MemAvail")]
    return found[0] * 1024 if found else 0


def address(array):
    return array.__array_interface__["data"][0]


def body(message):
    """Where the body of a message is."""
    return address(numpy.frombuffer(message, "u1"))


# ---- sending


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SEND)
def test_send__array_is_its_bytes(both, kind, name):
    push, pull = both
    SEND[name](push, KINDS[kind])
    assert pull.recv() == KINDS[kind].tobytes()


@pytest.mark.parametrize("name", SEND)
@pytest.mark.parametrize("count", [1, 100, 10_000, 300_000])
def test_send__array_may_change_at_once(both, name, count):
    """Only exact bytes are read in place unasked: an array may change."""
    push, pull = both
    push.pin_threshold = 0
    array = numpy.arange(count)
    SEND[name](push, array)
    array[:] = -1
    assert numpy.array_equal(numpy.frombuffer(pull.recv(), array.dtype), range(count))


@pytest.mark.parametrize("kind", STRIDED)
def test_send__array_that_is_not_contiguous_is_refused(both, kind):
    push, pull = both
    freed, tracker = [], zraw.Tracker()
    lend = {
        **SEND,
        "init_data": lambda push, array: zraw.Message.init_data(
            array, lambda: freed.append(1), tracker
        ),
    }
    named = {
        "send_many": "send_many\\(\\): item 0",
        "Message": "Message\\(\\): data",
        "init_data": "Message.init_data\\(\\): buffer",
    }
    for name, call in lend.items():
        where = named.get(name, f"{name}\\(\\): ")
        with pytest.raises(ValueError, match=f"^{where}.*C-contiguous"):
            call(push, STRIDED[kind])
    assert (freed, tracker.done, pull.try_recv()) == ([], True, None)
    push.send(numpy.ascontiguousarray(STRIDED[kind]))
    assert pull.recv() == STRIDED[kind].tobytes()


# ---- lending an array to libzmq


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_msg_init_data__array_is_its_bytes(pair, kind, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    tracker = zraw.Tracker()
    push.send(zraw.Message.init_data(KINDS[kind], tracker=tracker))
    assert pull.recv() == KINDS[kind].tobytes()
    assert tracker.wait(5000)


@pytest.mark.parametrize("name", LEND)
@pytest.mark.parametrize("writable", [True, False])
def test_msg_init_data__array_is_read_where_it_is(both, name, writable):
    push, pull = both
    array = numpy.arange(10.0)
    array.flags.writeable = writable
    LEND[name](push, zraw.Message.init_data(array))
    received = numpy.frombuffer(pull.recv_msg())
    assert address(received) == address(array)
    assert not received.flags.writeable
    # The transpose of an array of order F is the same memory, in order C.
    fortran = numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3))
    LEND[name](push, zraw.Message.init_data(fortran.T))
    received = numpy.frombuffer(pull.recv_msg()).reshape((2, 3), order="F")
    assert address(received) == address(fortran)
    assert received.tolist() == fortran.tolist()


def test_msg_init_data__change_before_it_is_let_go_is_sent(both):
    """What the Tracker is there to prevent: it can be seen in the queue and after."""
    push, pull = both
    array, tracker = numpy.zeros(3), zraw.Tracker()
    push.send(zraw.Message.init_data(array, tracker=tracker))
    array[0] = 1
    message = pull.recv_msg()
    received = numpy.frombuffer(message)
    array[1] = 2
    assert received.tolist() == [1, 2, 0]
    assert not tracker.done
    del received, message
    assert tracker.wait(5000)
    array[2] = 3


def test_msg_init_data__array_cannot_be_resized_while_it_is_lent(both):
    push, pull = both
    array, tracker = numpy.zeros(10), zraw.Tracker()
    push.send(zraw.Message.init_data(array, tracker=tracker))
    with pytest.raises(ValueError, match="cannot resize"):
        array.resize(20)
    assert pull.recv() == bytes(80)
    assert tracker.wait(5000)
    array.resize(20)


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_msg_init_data__array_is_freed_afterwards(pair, transport):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    freed, tracker, arrays = [], zraw.Tracker(), []
    for number in range(20):
        array = numpy.full(10_000, number)
        arrays.append(weakref.ref(array))
        part = array[100:].reshape(-1, 90)
        message = zraw.Message.init_data(part, lambda: freed.append(1), tracker)
        del array, part
        gc.collect()
        assert arrays[-1]() is not None  # by the message alone
        push.send(message)
        assert numpy.frombuffer(pull.recv(), "i8").tolist() == [number] * 9900
    assert tracker.wait(5000)
    wait_until(lambda: len(freed) == 20)
    gc.collect()
    assert [one() for one in arrays] == [None] * 20


def test_msg_init_data__array_of_a_message_unsent_is_freed(both):
    freed, tracker = [], zraw.Tracker()
    array = numpy.zeros(10_000)
    weak = weakref.ref(array)
    message = zraw.Message.init_data(array, lambda: freed.append(1), tracker)
    del array
    message.close()
    assert tracker.wait(5000)
    wait_until(lambda: freed == [1])
    gc.collect()
    assert weak() is None


# ---- receiving into an array


def test_recv_into__array_is_filled(both):
    push, pull = both
    for kind in ("0-d", "3-d", "big-endian", "times", "structured", "half", "large"):
        sent = KINDS[kind]
        target = numpy.zeros_like(sent)
        push.send(sent)
        assert pull.recv_into(target) == sent.nbytes
        assert target.tobytes() == sent.tobytes()


@pytest.mark.parametrize("count", [8, 300_000])  # beside and beyond a look at the GIL
def test_recv_into__frame_is_cut_and_its_size_returned(both, count):
    push, pull = both
    sent = numpy.arange(count)
    target = numpy.full(count, -1)
    push.send(sent)
    assert pull.recv_into(target[: count // 2]) == sent.nbytes
    assert numpy.array_equal(target[: count // 2], sent[: count // 2])
    assert (target[count // 2 :] == -1).all()
    push.send(b"next")
    assert pull.recv() == b"next"  # the rest of the frame is lost


def test_recv_into__larger_array_keeps_its_end(both):
    push, pull = both
    target = numpy.full(5, -1)
    push.send(numpy.arange(3))
    assert pull.recv_into(target) == 24
    assert target.tolist() == [0, 1, 2, -1, -1]
    push.send(b"")
    assert pull.recv_into(target) == 0
    assert target.tolist() == [0, 1, 2, -1, -1]


def test_recv_into__rows_and_slices(both):
    push, pull = both
    target = numpy.zeros((3, 4), "u1")
    for part, wanted in (
        (target[1], [[0] * 4, [1, 2, 3, 4], [0] * 4]),
        (target[1, 2:], [[0] * 4, [0, 0, 1, 2], [0] * 4]),
        (target[1:], [[0] * 4, [1, 2, 3, 4], [5, 6, 7, 8]]),
        (target.ravel()[3:6], [[0, 0, 0, 1], [2, 3, 0, 0], [0] * 4]),
        (target[2:, 3:], [[0] * 4, [0] * 4, [0, 0, 0, 1]]),
    ):
        target[:] = 0
        push.send(bytes([1, 2, 3, 4, 5, 6, 7, 8]))
        assert pull.recv_into(part) == 8
        assert target.tolist() == wanted


@pytest.mark.parametrize("kind", [*STRIDED, "read-only"])
def test_recv_into__refuses_an_array_and_takes_no_message(both, kind):
    push, pull = both
    frozen = numpy.zeros(9)
    frozen.flags.writeable = False
    target = frozen if kind == "read-only" else STRIDED[kind].copy("K")
    if kind in ("every second", "backwards", "columns"):
        target = numpy.zeros((9, 9))[::2]
    push.send(b"1" * 16)
    wrong = r"^recv_into\(\): buffer: .*(C-contiguous|read-only)"
    with pytest.raises(ValueError, match=wrong):
        pull.recv_into(target)
    assert not target.any()
    assert pull.recv() == b"1" * 16


@pytest.mark.parametrize(
    "dtype", [object, [("a", "i4"), ("b", object)], [("O", "i4"), ("x", [("y", "O")])]]
)
def test_recv_into__refuses_memory_of_objects(both, dtype):
    """A peer would write their addresses."""
    push, pull = both
    target = numpy.zeros(2, dtype)
    before = target.tobytes()
    push.send(b"\1" * 100)
    for buffer in (target, memoryview(target)):
        with pytest.raises(TypeError, match=r"recv_into\(\): .* holds Python objects"):
            pull.recv_into(buffer)
    assert target.tobytes() == before
    assert pull.recv() == b"\1" * 100


def test_recv_into__names_of_fields_are_no_objects(both):
    push, pull = both
    target = numpy.zeros(2, [("Old", "<i4"), ("x", [("O", "<i4")])])
    push.send(bytes([1, 0, 0, 0] * 4))
    assert pull.recv_into(target) == 16
    assert target.tobytes() == bytes([1, 0, 0, 0] * 4)


@pytest.mark.skipif(available() < 5 << 30, reason="less than 5 GiB of memory are free")
def test_recv_into__more_than_2_gib(both):
    push, pull = both
    array = numpy.zeros((1 << 28) + 3)
    array[[0, 1 << 28, -1]] = 1, 2, 3
    target = numpy.zeros_like(array)
    push.send(zraw.Message.init_data(array))
    assert pull.recv_into(target) == array.nbytes == (1 << 31) + 24
    assert target[[0, 1 << 28, -1]].tolist() == [1, 2, 3]
    push.send(zraw.Message.init_data(array))
    assert pull.recv_into(target[:10]) == (1 << 31) - 1  # as zmq_recv() says it
    assert target[:2].tolist() == [1, 0]


# ---- arrays that are views of a message


def test_msg_data__frombuffer_is_no_copy(both):
    push, pull = both
    made = zraw.Message.init_size(800)
    array = numpy.frombuffer(made)
    assert array.flags.writeable and not array.any()
    numpy.multiply(numpy.arange(100.0), 2, out=array)
    where = address(array)
    with pytest.raises(BufferError, match="1 view"):
        made.send(push)
    del array
    made.send(push)
    received = pull.recv_msg()
    array = numpy.frombuffer(received)
    assert address(array) == body(received) == where
    assert array.tolist() == [2.0 * n for n in range(100)]
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


VIEWS = {
    "slice": lambda array: array[5:],
    "element": lambda array: array[5:6].reshape(()),
    "reshaped": lambda array: array.reshape(-1, 2).T,
    "other dtype": lambda array: array.view(">u2"),
    "field": lambda array: array.view([("x", "<i4"), ("y", "<f4")])["y"],
    "broadcast": lambda array: numpy.broadcast_to(array, (3, *array.shape)),
    "memoryview": lambda array: memoryview(array)[1:],
    "ndarray": lambda array: numpy.ndarray((2,), "<f8", array),
    "iterator": lambda array: array.flat,
    "DLPack": numpy.from_dlpack,
    "asarray": numpy.asarray,
}


@pytest.mark.parametrize("name", VIEWS)
def test_msg_data__views_of_views_hold_the_message(both, name):
    push, _ = both
    message = zraw.Message.init_size(80)  # not every NumPy lends read-only by DLPack
    view = VIEWS[name](numpy.frombuffer(message, "<f8"))
    gc.collect()
    other = zraw.Message(b"other")
    for call in (
        message.close,
        lambda: message.send(push),
        lambda: push.send(message),
        lambda: message.move(other),
        lambda: other.move(message),
        lambda: push.send_many([other, message]),
    ):
        with pytest.raises(BufferError):
            call()
    assert (message, other) == (bytes(80), b"other")
    del view
    gc.collect()
    message.send(push)


def test_msg_data__asarray_of_a_message_holds_it():
    message = zraw.Message(b"\1\2\3")
    array = numpy.asarray(message)
    assert (array.dtype, array.tolist()) == (numpy.uint8, [1, 2, 3])
    assert address(array) == body(message)
    with pytest.raises(BufferError):
        message.close()
    copy = numpy.array(message)
    del array
    message.close()
    assert copy.tolist() == [1, 2, 3]


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
def test_msg_data__array_outlives_message_socket_and_context(tmp_path, transport):
    done = run_child(
        """
        import gc, sys
        import numpy, zraw
        from pathlib import Path
        from conftest import endpoint
        sizes = [1, 4, 5, 100, 10_000, 500_000]
        with zraw.Context() as context:
            push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
            with push, pull:
                push.connect(pull.bind(endpoint(sys.argv[1], Path(sys.argv[2]))))
                for size in sizes:
                    array = numpy.full(size, size)
                    push.send(zraw.Message.init_data(array))
                del array
                arrays = [numpy.frombuffer(pull.recv_msg(), int) for _ in sizes]
        del push, pull, context
        gc.collect()
        others = [bytearray(b"#" * size * 8) for size in sizes * 3]
        assert [array.size for array in arrays] == sizes
        assert all((array == array.size).all() for array in arrays)
        """,
        transport,
        str(tmp_path),
    )
    assert (done.code, done.err) == (0, ""), done


# ---- memory

GROWTH = """
import sys, time
import numpy, zraw
from pathlib import Path
from conftest import endpoint
SIZE = 16 << 20
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

class Rounds:
    def __init__(self, push, pull):
        self.push, self.pull = push, pull
        self.target = numpy.zeros(SIZE, "u1")
        self.tracker, self.freed = zraw.Tracker(), 0
    def count(self):
        self.freed += 1
    def lend(self, number):
        array = numpy.full(SIZE, number % 251, "u1")
        self.push.send(zraw.Message.init_data(array, self.count, self.tracker))
    def view(self, number):
        self.lend(number)
        return numpy.frombuffer(self.pull.recv_msg(), "u1")
    def into(self, number):
        self.lend(number)
        assert self.pull.recv_into(self.target) == SIZE
        return self.target
    def fill(self, number):
        message = zraw.Message.init_size(SIZE)
        numpy.frombuffer(message, "u1")[:] = number % 251
        message.send(self.push)
        return numpy.frombuffer(self.pull.recv(), "u1")

way, transport, folder = sys.argv[1:]
with zraw.Context() as context:
    push, pull = context.socket(zraw.ZMQ_PUSH), context.socket(zraw.ZMQ_PULL)
    with push, pull:
        push.connect(pull.bind(endpoint(transport, Path(folder))))
        rounds = Rounds(push, pull)
        for number in range(200):
            array = getattr(rounds, way)(number)
            assert array[0] == array[-1] == number % 251, array
            del array
            assert rounds.tracker.wait(10_000)
            if number == 20:
                before = resident()
        print((resident() - before) >> 20)
        lent = 200 if way != "fill" else 0
end = time.monotonic() + 10
while rounds.freed < lent and time.monotonic() < end:
    time.sleep(0.001)
print(rounds.freed - lent)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize(
    "way, transport", [("view", "inproc"), ("into", "tcp"), ("fill", "tcp")]
)
def test_msg_data__memory_stays_flat_over_200_rounds(way, transport, tmp_path):
    done = run_child(GROWTH, way, transport, str(tmp_path), timeout=50)
    assert (done.code, done.err) == (0, ""), done
    grown, unfreed = map(int, done.out.split())
    assert grown < 48, done  # MiB: three rounds of the 180 that were counted
    assert unfreed == 0


@pytest.mark.skipif(available() < 3 << 30, reason="less than 3 GiB of memory are free")
def test_msg_init_data__array_of_more_than_2_gib(both):
    """Nobody writes to most of it, so it is not even there."""
    push, pull = both
    array, tracker = numpy.zeros((1 << 28) + 3), zraw.Tracker()
    array[[0, 1 << 28, -1]] = 1, 2, 3
    message = zraw.Message.init_data(array, tracker=tracker)
    assert message.size() == array.nbytes == (1 << 31) + 24
    assert push.send(message) == array.nbytes
    received = numpy.frombuffer(pull.recv_msg())
    assert address(received) == address(array)
    assert received.size == array.size
    assert received[[0, 1 << 28, -1]].tolist() == [1, 2, 3]
    del received
    assert tracker.wait(5000)
