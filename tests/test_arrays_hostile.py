"""What others may send to who receives by examples/arrays.py.

A header that is not true must be found before NumPy believes it; what comes after is
received as if nothing had been.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zraw

sys.path.append(str(Path(__file__).parents[1] / "examples"))
arrays = importlib.import_module("arrays")

STRUCT = {"names": ["a"], "formats": ["<f8"], "offsets": [0], "itemsize": 8}


@pytest.fixture
def both(pair):
    return pair(zraw.ZMQ_PUSH, zraw.ZMQ_PULL)


def header(**changes):
    said = {"dtype": "<f8", "shape": [2, 3], "order": "C", **changes}
    return json.dumps(said).encode()


def struct(**changes):
    return header(dtype={**STRUCT, **changes})


def nested(depth):
    said = "<f8"
    for _ in range(depth):
        said = {**STRUCT, "formats": [said]}
    return header(dtype=said)


HOSTILE = {
    "no JSON": b"{",
    "no text": b"\xff\xfe\xfa",
    "nothing": b"",
    "a list": b"[]",
    "a pickle": b"\x80\x04\x8c\x02os\x94.",
    "an expression": b"__import__('os').abort()",
    "deep lists": b"[" * 60_000,
    "a deep shape": b'{"dtype":"<f8","order":"C","shape":' + b"[" * 9000,
    "long": header() + b" " * 70_000,
    "a key missing": b'{"dtype": "<f8", "shape": [2, 3]}',
    "a key more": header(more=1),
    "order K": header(order="K"),
    "order null": header(order=None),
    "order list": header(order=[]),
    "shape null": header(shape=None),
    "shape number": header(shape=6),
    "shape text": header(shape="23"),
    "shape object": header(dtype="|V48", shape={}),
    "shape fraction": header(shape=[2.0, 3]),
    "shape infinite": header(shape=[float("inf")]),
    "shape NaN": header(shape=[float("nan")]),
    "shape bool": header(shape=[6, True]),
    "shape negative": header(shape=[-1]),
    "both negative": header(shape=[-2, -3]),
    "shape nested": header(shape=[[2], [3]]),
    "shape too small": header(shape=[5]),
    "shape too large": header(shape=[7]),
    "shape huge": header(shape=[2**62]),
    "shape beyond 64 bits": header(shape=[2**64 + 6]),
    "product is 6 modulo 2**64": header(shape=[2**62 + 3, 2, 2**33, 2**31, 1]),
    "bytes are 48 modulo 2**64": header(shape=[2**61 + 6]),
    "a number of many digits": b'{"dtype":"<f8","order":"C","shape":['
    + b"9" * 5000
    + b"]}",
    "65 dimensions": header(shape=[1] * 63 + [2, 3]),
    "many dimensions": header(shape=[1] * 10_000 + [6]),
    "dtype null": header(dtype=None),
    "dtype number": header(dtype=8),
    "dtype list": header(dtype=[["a", "<f8"]]),
    "dtype object": header(dtype="|O"),
    "dtype O8": header(dtype="|O8"),
    "dtype of a name": header(dtype="float64"),
    "dtype of a char": header(dtype="d"),
    "dtype in native order": header(dtype="=f8"),
    "dtype with commas": header(dtype="<f8,<f8", shape=[3]),
    "dtype with an object behind it": header(dtype="<f8,O", shape=[3]),
    "dtype with a shape": header(dtype="(2,3)<f8", shape=[]),
    "dtype with a newline": header(dtype="<f8\n"),
    "dtype in other digits": header(dtype="<f\N{ARABIC-INDIC DIGIT EIGHT}"),
    "dtype void of no size": header(dtype="|V0", shape=[2**40]),
    "dtype text of no size": header(dtype="<U0"),
    "dtype f7": header(dtype="<f7"),
    "dtype huge": header(dtype="|V999999999"),
    "dtype text, huge": header(dtype="<U999999999"),
    "dtype too long": header(dtype="<f" + "8" * 5000),
    "a unit of time unknown": header(dtype="<M8[zz]"),
    "a unit of time, huge": header(dtype="<M8[999999999s]", shape=[7]),
    "an expression as dtype": header(dtype="__import__('os').abort()"),
    "elements of several": header(dtype={"base": "<f8", "shape": [3]}, shape=[2]),
    "elements of objects": header(dtype={"base": "|O", "shape": [3]}, shape=[2]),
    "elements, huge": header(dtype={"base": "<f8", "shape": [2**62]}),
    "elements beyond 64 bits": header(dtype={"base": "<f8", "shape": [2**64]}),
    "elements, product": header(dtype={"base": "<f8", "shape": [2**31, 2**31, 4]}),
    "elements, negative": header(dtype={"base": "<f8", "shape": [-1]}),
    "a structure with an object": struct(formats=["|O"]),
    "a structure with a name": struct(formats=["object"]),
    "names null": struct(names=None),
    "names of text": struct(names="a"),
    "names of numbers": struct(names=[1]),
    "names with a title": struct(names=[["title", "a"]]),
    "names too many": struct(names=["a", "b"]),
    "names twice": struct(
        names=["a", "a"], formats=["<f4"] * 2, offsets=[0, 4], itemsize=8
    ),
    "formats too many": struct(formats=["<f4", "<f4"]),
    "offset negative": struct(offsets=[-8]),
    "offset beyond the item": struct(offsets=[1]),
    "offset huge": struct(offsets=[2**62]),
    "offset beyond 64 bits": struct(offsets=[2**64]),
    "offset bool": struct(offsets=[False]),
    "itemsize negative": struct(itemsize=-8),
    "itemsize 0": struct(names=[], formats=[], offsets=[], itemsize=0),
    "itemsize too small": struct(itemsize=4),
    "itemsize huge": struct(itemsize=2**62),
    "itemsize text": struct(itemsize="8"),
    "a structure with a key more": struct(titles=["t"]),
    "a structure with a key less": header(dtype={"names": ["a"], "formats": ["<f8"]}),
    "structures in structures": nested(17),
    "structures in structures, deep": nested(300),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_recv_array__refuses_a_header_that_is_not_true(both, name):
    push, pull = both
    push.send_multipart([HOSTILE[name], bytes(48)])
    arrays.send_array(push, numpy.ones(3))
    with pytest.raises(arrays.Malformed):
        arrays.recv_array(pull)
    assert arrays.recv_array(pull).tolist() == [1, 1, 1]


def test_recv_array__the_same_with_true_headers(both):
    """Those that HOSTILE is made of are right but for one thing each."""
    push, pull = both
    for good in (header(), struct(), nested(16), header(shape=[1] * 30 + [6])):
        push.send_multipart([good, bytes(48)])
        assert arrays.recv_array(pull).nbytes == 48


@pytest.mark.parametrize(
    "shape", [[0, 2**31 + 1], [2**62, 0, 2], [0, 2**63 - 1, 2**63 - 1], [2**40, 0]]
)
def test_recv_array__refuses_an_empty_array_that_never_ends(both, shape):
    push, pull = both
    for dtype in ("|u1", "<f8"):
        push.send_multipart([header(shape=shape, dtype=dtype), b""])
        with pytest.raises(arrays.Malformed, match="too large"):
            arrays.recv_array(pull)
    push.send_multipart([header(shape=[0, 2**31]), b""])
    assert arrays.recv_array(pull).shape == (0, 2**31)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_recv_array__refuses_other_numbers_of_frames(both, count):
    push, pull = both
    push.send_multipart([header()] + [bytes(48)] * (count - 1))
    push.send(b"next")
    with pytest.raises(arrays.Malformed, match=f"not {count} frames"):
        arrays.recv_array(pull)
    assert pull.recv() == b"next"


@pytest.mark.parametrize("size", [0, 47, 49, 96, 100_000])
def test_recv_array__refuses_a_body_of_another_size(both, size):
    push, pull = both
    push.send_multipart([header(), bytes(size)])
    with pytest.raises(arrays.Malformed, match=f"48 bytes in a frame of {size}$"):
        arrays.recv_array(pull)


SAID = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30])
    | st.floats()
    | st.sampled_from(["C", "F", "<f8", "|O", "|V8", "<U2", "|S0", "", "a", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.fixed_dictionaries(dict.fromkeys(STRUCT, inner))
        | st.fixed_dictionaries({"base": inner, "shape": inner})
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({"dtype": SAID, "shape": SAID, "order": SAID}))
def test_from_frames__any_json_is_an_array_of_these_bytes_or_malformed(said):
    for size in (0, 8, 48):
        try:
            array = arrays.from_frames(json.dumps(said).encode(), bytes(size))
        except arrays.Malformed:
            continue
        assert array.nbytes == size
        assert not array.dtype.hasobject


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.integers(0, 99), st.integers(0, 9))
def test_from_frames__a_header_with_other_bytes_is_an_array_or_malformed(
    noise, where, cut
):
    good = struct()
    bad = good[:where] + noise + good[where + cut :]
    with contextlib.suppress(arrays.Malformed):
        assert arrays.from_frames(bad, bytes(48)).nbytes == 48
