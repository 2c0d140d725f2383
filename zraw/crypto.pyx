"""Keys and their characters: zmq_z85_xxx() and zmq_curve_xxx()."""

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from zraw.error cimport fail
from zraw.libzmq cimport (
    zmq_curve_keypair,
    zmq_curve_public,
    zmq_errno,
    zmq_z85_decode,
    zmq_z85_encode,
)
from zraw.option cimport c_string, refuse_buffer


def z85_encode(data):
    """Return bytes as Z85 characters, five for every four bytes.

    C call: zmq_z85_encode()

    data: any contiguous buffer; its size is a multiple of 4 bytes.

    Raises: InvalidArgument (EINVAL) if the size is no multiple of 4.
    """
    cdef Py_buffer view
    cdef bytes text
    cdef int err = 0
    try:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    except Exception as error:
        refuse_buffer(error, data, "z85_encode(): data")
    try:
        # The NUL that libzmq adds goes where a bytes object has its own.
        text = PyBytes_FromStringAndSize(NULL, view.len // 4 * 5)
        if zmq_z85_encode(PyBytes_AS_STRING(text), <const uint8_t *> view.buf,
                          view.len) == NULL:
            err = zmq_errno()
            fail(err, f"z85_encode(): data: a multiple of 4 bytes, not {view.len}")
    finally:
        PyBuffer_Release(&view)
    return text.decode("ascii")


def z85_decode(string):
    """Return the bytes that Z85 characters stand for, four for every five.

    C call: zmq_z85_decode()

    string: str or bytes; its length is a multiple of 5, and not 0.

    Raises: InvalidArgument (EINVAL) for another length or character, and for five
        characters that stand for more than 2**32 - 1.
    """
    cdef bytes text = c_string(string, "z85_decode(): string")
    cdef bytes data = PyBytes_FromStringAndSize(NULL, len(text) // 5 * 4)
    if zmq_z85_decode(<uint8_t *> PyBytes_AS_STRING(data), text) == NULL:
        fail(zmq_errno(), "z85_decode(): string: characters of Z85, a multiple of 5")
    return data


def curve_keypair():
    """Return a new pair of CURVE keys, (public, secret), of 40 characters each.

    C call: zmq_curve_keypair()

    Raises: NotSupported (ENOTSUP) if libzmq is built without CURVE.
    """
    cdef char public[41]
    cdef char secret[41]
    if zmq_curve_keypair(public, secret) < 0:
        fail(zmq_errno(), "curve_keypair()")
    return public[:40].decode("ascii"), secret[:40].decode("ascii")


def curve_public(secret):
    """Return the public key that belongs to a secret one, as 40 characters.

    C call: zmq_curve_public()

    secret: 40 characters of Z85, as str or bytes.

    Raises: ValueError for another length; InvalidArgument (EINVAL) for another
        character; NotSupported (ENOTSUP) if libzmq is built without CURVE.
    Since: libzmq 4.2.0
    """
    cdef char public[41]
    cdef bytes key = c_string(secret, "curve_public(): secret")
    if len(key) != 40:
        # libzmq decodes it into 32 bytes on its stack, whatever its length.
        raise ValueError(f"curve_public(): secret: 40 characters, not {len(key)}")
    if zmq_curve_public(public, key) < 0:
        fail(zmq_errno(), "curve_public(): secret")
    return public[:40].decode("ascii")
