"""Arrays in messages, by examples/arrays.py: what arrives, what is refused, no copy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy
import pytest

import zraw
from conftest import run_child

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))
arrays = importlib.import_module("arrays")

POINT = numpy.dtype([("name", "S5"), ("where", ">f8", (2, 3)), ("when", "<M8[ms]")])
PADDED = numpy.dtype(
    {
        "names": ["b", "a"],
        "formats": ["<i4", [("x", "|u1"), ("y", "<U3")]],
        "offsets": [16, 1],
        "itemsize": 32,
    }
)
DTYPES = [
    *("?", "u1", "<i2", ">i2", "<f4", ">f8", "<c16", "<f2", "<f16", "S7", "<U3", ">U3"),
    *("V9", "<M8[25s]", ">M8[Y]", "<m8[ns]", "<m8", POINT, PADDED),
    numpy.dtype([("i", "<i4"), ("f", "<f8")], align=True),
    numpy.dtype([("ragged", "<i4", (1,)), ("", "<i2")]),
]
SHAPES = [(), (1,), (5,), (2, 3), (2, 1, 4), (0,), (3, 0), (0, 2, 0), (1,) * 32]


@pytest.fixture
def both(pair):
    return pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)


def filled(shape, dtype, order="C"):
    """An array whose bytes are 0 and 1, which are elements of every dtype."""
    array = numpy.zeros(shape, dtype, order)
    count = array.size * array.dtype.itemsize
    bits = numpy.arange(count, dtype=numpy.uint32) // 3 % 2
    memory = array.reshape(-1, order="A").view(numpy.uint8)
    memory[:] = bits
    return array


def address(array):
    return array.__array_interface__["data"][0]


def same(received, sent):
    """Whether two arrays agree in everything, the bytes between the fields included."""
    assert (received.dtype, received.shape) == (sent.dtype, sent.shape)
    for size, stride, other in zip(
        sent.shape, sent.strides, received.strides, strict=True
    ):
        assert stride == other or size == 1 or not sent.size
    return received.tobytes("A") == sent.tobytes("A")


# ---- there and back


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[:30])
def test_send_array__arrives_in_every_shape_and_order(both, dtype):
    push, pull = both
    for shape in SHAPES:
        for order in "CF":
            sent = filled(shape, dtype, order)
            tracker = arrays.send_array(push, sent)
            received = arrays.recv_array(pull)
            assert same(received, sent)
            assert not received.flags.writeable
            del received
            assert tracker.wait(5000)


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
@pytest.mark.parametrize("copy", [False, True])
def test_recv_array__over_every_transport(pair, transport, copy):
    push, pull = pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL, transport)
    for size in (0, 1, 3, 100, 1000, 100_000):  # inline, in a batch, on the heap
        sent = filled((size, 3), POINT, "F")
        arrays.send_array(push, sent)
        received = arrays.recv_array(pull, copy=copy)
        assert same(received, sent)
        assert received.flags.writeable is copy
        assert received.flags.owndata is copy


def test_send_array__shares_the_memory_over_inproc(both):
    push, pull = both
    for order in "CF":
        sent = filled((300, 100), "<f8", order)
        sent.flags.writeable = False
        arrays.send_array(push, sent)
        assert address(arrays.recv_array(pull)) == address(sent)


def test_send_array__tracker_is_done_when_the_receiver_is(both):
    push, pull = both
    sent = numpy.zeros(10_000)
    tracker = arrays.send_array(push, sent)
    received = arrays.recv_array(pull)
    part = received[5:7].reshape(2, 1)
    del received
    assert not tracker.wait(20)
    sent[6] = 4  # what the Tracker is there to prevent
    assert part.tolist() == [[0], [4]]
    del part
    assert tracker.wait(5000)


class Own(numpy.ndarray):
    def reshape(self, *args, **kwargs):
        raise AssertionError("asked for")

    view = reshape


def test_send_array__of_a_subclass_arrives_as_an_array(both, tmp_path):
    push, pull = both
    stored = numpy.memmap(tmp_path / "array", "<i4", "w+", shape=(2, 3))
    stored[:] = [[1, 2, 3], [4, 5, 6]]
    record = numpy.rec.array([(1, 2.5)], dtype=[("i", "<i4"), ("f", "<f8")])
    own, matrix = Own((2, 2), "<i4", bytes(16)), numpy.ones((2, 2)).view(numpy.matrix)
    for sent in (stored, record, own, matrix):
        arrays.send_array(push, sent)
        received = arrays.recv_array(pull)
        assert type(received) is numpy.ndarray
        assert received.tolist() == sent.tolist()


def test_send_array__flags_are_those_of_send_multipart(sock):
    push = sock(zraw.ZMQ_PUSH)
    with pytest.raises(zraw.Again):
        arrays.send_array(push, numpy.zeros(3), zraw.ZMQ_DONTWAIT)
    with pytest.raises(zraw.InvalidState):
        arrays.send_array(push, numpy.zeros(3), zraw.ZMQ_SNDMORE)


def test_to_frames__go_with_others(pair):
    dealer, router = pair(zraw.ZMQ_DEALER, zraw.ZMQ_ROUTER)
    sent = filled((3, 4), ">f4", "F")
    dealer.send_multipart([b"topic", *arrays.to_frames(sent)])
    peer, topic, *frames = router.recv_multipart()
    assert topic == b"topic"
    assert same(arrays.from_frames(*frames), sent)
    router.send_multipart([peer, *frames])
    assert same(arrays.recv_array(dealer), sent)


def test_from_frames__holds_the_message_while_the_array_lives():
    head, body = arrays.to_frames(numpy.arange(3))
    part = arrays.from_frames(head, body)[1:]
    with pytest.raises(BufferError):
        body.close()
    copy = arrays.from_frames(head, body, copy=True)
    del part
    body.close()
    assert copy.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "array, error, text",
    [
        (numpy.array([None, 1]), TypeError, "pointers to objects"),
        (numpy.zeros(2, [("i", "i4"), ("o", "O")]), TypeError, "pointers to objects"),
        (numpy.zeros(2, [(("title", "name"), "i4")]), TypeError, "more to it"),
        (numpy.ma.masked_array([1, 2], [0, 1]), TypeError, "not MaskedArray"),
        ([1, 2], TypeError, "not list"),
        (b"bytes", TypeError, "not bytes"),
        (numpy.float64(1), TypeError, "not float64"),
        (numpy.zeros(6)[::2], ValueError, "not contiguous"),
        (numpy.zeros((4, 4))[:, :2], ValueError, "not contiguous"),
        (numpy.zeros(6)[::-1], ValueError, "not contiguous"),
        (numpy.broadcast_to(numpy.zeros(3), (3, 3)), ValueError, "not contiguous"),
        (numpy.zeros(3, "V0"), ValueError, "of no size"),
        (numpy.zeros((0, 2**40), "u1"), ValueError, "empty, and too large"),
        (numpy.zeros(1, [("n" * 70_000, "u1")]), ValueError, "a header of 70"),
    ],
)
def test_send_array__refuses_before_anything_is_sent(both, array, error, text):
    push, pull = both
    with pytest.raises(error, match=text):
        arrays.send_array(push, array)
    assert pull.try_recv() is None


def test_send_array__refuses_dtypes_that_are_not_numpys(both, monkeypatch):
    """They say "<V2" of themselves; void would arrive."""
    monkeypatch.setattr(arrays, "describe", lambda dtype: f"<V{dtype.itemsize}")
    with pytest.raises(TypeError, match="more to it"):
        arrays.send_array(both[0], numpy.zeros(3, "<f2"))


# ---- into memory


def test_recv_array_into__rows_slices_and_columns(both):
    push, pull = both
    target = numpy.zeros((3, 4), "<i4")
    for part, shape in (
        (target[1], (4,)),
        (target[:, 2], (3,)),
        (target[::2, ::-3], (2, 2)),
        (target[2:, :1], (1, 1)),
        (target[0, 1, ...], ()),
    ):
        target[:] = 0
        sent = numpy.arange(1, 1 + part.size, dtype="<i4").reshape(shape)
        for order in "CF":
            arrays.send_array(push, numpy.array(sent, order=order))
            arrays.recv_array_into(pull, part)
            assert part.tolist() == sent.tolist()
        assert int((target != 0).sum()) == part.size


def test_recv_array_into__structures(both):
    push, pull = both
    sent, target = filled((2, 3), POINT), numpy.zeros((2, 3), POINT, "F")
    arrays.send_array(push, sent)
    arrays.recv_array_into(pull, target)
    assert target.tobytes() == sent.tobytes()


@pytest.mark.parametrize(
    "target",
    [
        numpy.full((2, 2), 7, "<f8"),
        numpy.full((3, 2), 7, "<f8"),
        numpy.full(6, 7, "<f8"),
        numpy.full((1, 2, 3), 7, "<f8"),
        numpy.full((2, 3), 7, ">f8"),
        numpy.full((2, 3), 7, "<i8"),
        numpy.full((2, 3), 7, object),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_recv_array_into__another_array_leaves_it_as_it_was(both, target):
    push, pull = both
    frames = arrays.to_frames(numpy.ones((2, 3), "<f8"))
    push.send_multipart(frames)
    push.send_multipart([frames[0], b"too short"])
    push.send(b"next")
    with pytest.raises(arrays.Malformed, match="expected, not float64"):
        arrays.recv_array_into(pull, target)
    with pytest.raises(arrays.Malformed, match="48 bytes in a frame of 9"):
        arrays.recv_array_into(pull, target)
    assert (target == 7).all()
    assert pull.recv() == b"next"


def test_recv_array_into__read_only_takes_no_message(both):
    push, pull = both
    target = numpy.zeros(3)
    target.flags.writeable = False
    arrays.send_array(push, numpy.ones(3))
    with pytest.raises(ValueError, match="read-only"):
        arrays.recv_array_into(pull, target)
    assert arrays.recv_array(pull).tolist() == [1, 1, 1]


# ---- the program


def test_arrays__program():
    program = EXAMPLES / "arrays.py"
    done = run_child(
        f"import runpy; runpy.run_path({str(program)!r}, None, '__main__')"
    )
    assert (done.code, done.err) == (0, ""), done
    assert done.out.splitlines() == [
        "received: uint32 (480, 640, 3), read-only",
        "equal: True",
        "a copy: >f4 (2, 3), writable",
        "structured: [('name', 'S8'), ('where', '<f8', (2,))] (3,), read-only",
        "rows: [4.0, 5.0, 2.0, 3.0]",
        "not sent: dtype object: has pointers to objects, which are of no use "
        "elsewhere; choose a dtype that holds the values",
        "not sent: an array: not contiguous; numpy.ascontiguousarray() makes a copy "
        "that is",
        "not received: an array of 8000000000000 bytes in a frame of 8",
    ]
