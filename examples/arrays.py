"""NumPy arrays, in messages of two frames: a header, and the array's memory as it is.

    pip install numpy
    python examples/arrays.py

libzmq reads the array where it is, and what is received is an array in the message's
own memory: nothing is copied on either side.  The header is JSON:

    {"dtype": "<f8", "shape": [2, 3], "order": "C"}

A structured dtype has {"names": [...], "formats": [...], "offsets": [...],
"itemsize": 16}, and a field of several elements {"base": "<f4", "shape": [3]}.  Anybody
can send anything: so a header is compared with what there may be, and with the size of
the second frame; nothing in it is evaluated, and no memory is allocated for it.  What
the elements are is up to the sender.

send_array(), recv_array() and recv_array_into() are there to be imported; to_frames()
and from_frames() are for messages that have other frames, too.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy

import zraw

Array = numpy.ndarray[Any, Any]
Dtype = numpy.dtype[Any]

# Byte order, kind and size; a unit of time.  No object, no names, nothing with commas.
PLAIN = re.compile(
    r"[<>|](?:[biufcSUV][0-9]{1,9}|[mM]8(?:\[[0-9]{0,9}[a-zA-Z]{1,2}\])?)"
)
HEADER_MAX = 65536  # bytes
DEPTH_MAX = 16  # structures in structures
DIMENSIONS_MAX = 64
# Elements without memory cost their sender nothing, and a loop over them much.
EMPTY_MAX = 2**31


class Malformed(ValueError):
    """What was received is no array, or not the one that was expected."""


# ---- sending


def send_array(socket: zraw.Socket, array: Array, flags: int = 0) -> zraw.Tracker:
    """Send an array, and return a Tracker: while it is not done, do not write there."""
    tracker = zraw.Tracker()
    socket.send_multipart(to_frames(array, tracker), flags)
    return tracker


def to_frames(
    array: Array, tracker: zraw.Tracker | None = None
) -> list[bytes | zraw.Message]:
    """The header, and a Message that lends the array's memory."""
    if not isinstance(array, numpy.ndarray) or isinstance(array, numpy.ma.MaskedArray):
        raise TypeError(f"an array: numpy.ndarray, not {type(array).__name__}")
    if not array.flags.forc:
        raise ValueError(
            "an array: not contiguous; numpy.ascontiguousarray() makes a copy that is"
        )
    if array.dtype.hasobject:
        raise TypeError(
            f"dtype {array.dtype}: has pointers to objects, which are of no use "
            "elsewhere; choose a dtype that holds the values"
        )
    array = numpy.asarray(array)  # subclasses have a reshape() of their own
    order = "C" if array.flags.c_contiguous else "F"
    said = {"dtype": describe(array.dtype), "shape": array.shape, "order": order}
    header = json.dumps(said).encode()
    # Refused here, and not by the other end.  Titles of fields would be lost, and the
    # dtypes that others add to NumPy look like void.
    if check(header, array.nbytes)[0] != array.dtype:
        raise TypeError(
            f"dtype {array.dtype}: there is more to it than a header can say"
        )
    # As bytes: not every dtype has a buffer, and only order C has a plain one.
    memory = array.reshape(-1, order="A").view(numpy.uint8)
    return [header, zraw.Message.init_data(memory, tracker=tracker)]


def describe(dtype: Dtype) -> str | dict[str, Any]:
    """A dtype as it stands in a header."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": describe(base), "shape": shape}
    if dtype.names is None or dtype.fields is None:
        return str(dtype.str)
    fields = [dtype.fields[name] for name in dtype.names]
    return {
        "names": dtype.names,
        "formats": [describe(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }


# ---- receiving


def recv_array(socket: zraw.Socket, copy: bool = False) -> Array:
    """Receive an array: read-only, in the message's memory, or a copy of one's own.

    Raises Malformed, and then the message is taken, too.
    """
    frames = socket.recv_multipart(copy=False)
    if len(frames) != 2:
        raise Malformed(f"a header and an array expected, not {len(frames)} frames")
    return from_frames(frames[0], frames[1], copy)


def recv_array_into(socket: zraw.Socket, array: Array) -> None:
    """Receive an array of the same dtype and shape into memory that is there already.

    That may be a part of an array, contiguous or not.  After Malformed it is as it was:
    libzmq copies nothing before all has been compared, so this costs one copy, as
    Socket.recv_into() does.
    """
    if not array.flags.writeable:
        raise ValueError("the array is read-only")
    received = recv_array(socket)
    if (received.dtype, received.shape) != (array.dtype, array.shape):
        raise Malformed(
            f"{array.dtype} {array.shape} expected, not {received.dtype} "
            f"{received.shape}"
        )
    numpy.copyto(array, received, casting="no")


def from_frames(
    header: bytes | zraw.Message, body: bytes | zraw.Message, copy: bool = False
) -> Array:
    """The array of two frames, where the second one is, or a copy."""
    dtype, shape, order = check(header, len(body))
    # Not numpy.ndarray(..., body): only frombuffer() keeps hold of a Message, so that
    # it can be neither sent nor closed under an array.
    memory = numpy.frombuffer(body, numpy.uint8)
    array: Array = numpy.ndarray(shape, dtype, memory, order=order)
    return numpy.array(array, order="K") if copy else array


def check(
    header: bytes | zraw.Message, size: int
) -> tuple[Dtype, tuple[int, ...], Any]:
    """Read a header that came with `size` bytes; raise Malformed whatever it is."""
    if len(header) > HEADER_MAX:
        raise Malformed(f"a header of {len(header)} bytes")
    try:
        said = json.loads(bytes(header))
        if not isinstance(said, dict) or set(said) != {"dtype", "shape", "order"}:
            raise Malformed("a header has a dtype, a shape, and an order")
        dtype, shape, order = (
            to_dtype(said["dtype"]),
            to_shape(said["shape"]),
            said["order"],
        )
        if order not in ("C", "F"):
            raise Malformed("order: C or F")
        if dtype.itemsize == 0 or dtype.subdtype is not None:
            raise Malformed("dtype: of no size, or of several elements")
        wanted = dtype.itemsize * math.prod(shape)
        if wanted != size:
            raise Malformed(f"an array of {wanted} bytes in a frame of {size}")
        if math.prod(filter(None, shape)) > EMPTY_MAX and not size:
            raise Malformed("shape: empty, and too large")
    except Malformed:
        raise
    except (OverflowError, RecursionError, TypeError, ValueError) as error:
        raise Malformed(f"header: {error}") from error
    return dtype, shape, order


def to_dtype(said: object, depth: int = 0) -> Dtype:
    """The dtype that a header means."""
    if isinstance(said, str) and PLAIN.fullmatch(said):
        return numpy.dtype(said)
    if not isinstance(said, dict) or depth == DEPTH_MAX:
        raise Malformed(f"dtype: not {str(said)[:40]!r}")
    if set(said) == {"base", "shape"}:
        return numpy.dtype((to_dtype(said["base"], depth + 1), to_shape(said["shape"])))
    if set(said) != {"names", "formats", "offsets", "itemsize"}:
        raise Malformed("dtype: has names, formats, offsets and an itemsize")
    names = to_list(said["names"])
    formats = [to_dtype(one, depth + 1) for one in to_list(said["formats"])]
    offsets = [to_size(offset) for offset in to_list(said["offsets"])]
    if not len(names) == len(formats) == len(offsets):
        raise Malformed("each field has a name, a format and an offset")
    fields: Any = {
        "names": names,
        "formats": formats,
        "offsets": offsets,
        "itemsize": to_size(said["itemsize"]),
    }
    dtype: Dtype = numpy.dtype(fields)
    return dtype


def to_shape(said: object) -> tuple[int, ...]:
    sizes = to_list(said)
    if len(sizes) > DIMENSIONS_MAX:
        raise Malformed(f"shape: at most {DIMENSIONS_MAX} sizes, not {len(sizes)}")
    return tuple(map(to_size, sizes))


def to_list(said: object) -> list[Any]:
    if not isinstance(said, list):
        raise Malformed("names, formats, offsets and a shape are lists")
    return said


def to_size(said: object) -> int:
    # type(): True is an int, too.
    if type(said) is not int or said < 0:
        raise Malformed("sizes and offsets are whole numbers from 0 on")
    return said


# ---- the program


def show(what: str, array: Array) -> None:
    writable = "writable" if array.flags.writeable else "read-only"
    print(f"{what}: {array.dtype} {array.shape}, {writable}", flush=True)


def without_a_copy(push: zraw.Socket, pull: zraw.Socket) -> None:
    """Both sides work in memory of their own, and libzmq reads and fills it."""
    picture = numpy.arange(480 * 640 * 3, dtype=numpy.uint32).reshape(480, 640, 3)
    tracker = send_array(push, picture)
    received = recv_array(pull)
    show("received", received)
    print("equal:", bool((received == picture).all()))
    tracker.wait()  # from now on it may be changed
    picture[:] = 0
    send_array(push, numpy.zeros((2, 3), ">f4", order="F"))
    show("a copy", recv_array(pull, copy=True))
    points = numpy.zeros(3, [("name", "S8"), ("where", "<f8", (2,))])
    send_array(push, points)
    show("structured", recv_array(pull))


def into_memory(push: zraw.Socket, pull: zraw.Socket) -> None:
    """A ring of rows that is filled again and again."""
    rows = numpy.zeros((4, 1000))
    for number in range(6):
        send_array(push, numpy.full(1000, float(number)))
        recv_array_into(pull, rows[number % len(rows)])
    print("rows:", rows[:, 0].tolist(), flush=True)


def refusals(push: zraw.Socket, pull: zraw.Socket) -> None:
    matrix = numpy.zeros((4, 4))
    for what in (numpy.array([None]), matrix[:, 1]):
        try:
            send_array(push, what)
        except (TypeError, ValueError) as error:
            print("not sent:", error, flush=True)
    header = b'{"dtype": "<f8", "shape": [1000000000000], "order": "C"}'
    push.send_multipart([header, b"8 bytes."])
    try:
        recv_array(pull)
    except Malformed as error:
        print("not received:", error, flush=True)


def main() -> None:
    parts: list[Callable[[zraw.Socket, zraw.Socket], None]]
    parts = [without_a_copy, into_memory, refusals]
    with (
        zraw.Context() as context,
        context.socket(zraw.ZMQ_PUSH) as push,
        context.socket(zraw.ZMQ_PULL) as pull,
    ):
        push.connect(pull.bind("tcp://127.0.0.1:*"))
        for part in parts:
            part(push, pull)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
