"""Frame of zraw.pyzmq: a message that libzmq and Python have in common.

What is sent without a copy comes back by zraw.release: no thread receives messages
about it, and no Python runs in libzmq's.
"""

from threading import Event
from time import monotonic, sleep
from weakref import ref

cimport cython
from cpython.buffer cimport (
    PyBUF_ANY_CONTIGUOUS,
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.errno cimport EINVAL
from libc.stdint cimport uint32_t

from zraw.error cimport fail_draft
from zraw.libzmq cimport (
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_data,
    zmq_msg_get,
    zmq_msg_gets,
    zmq_msg_group,
    zmq_msg_init,
    zmq_msg_init_size,
    zmq_msg_routing_id,
    zmq_msg_set,
    zmq_msg_set_group,
    zmq_msg_set_routing_id,
    zmq_msg_size,
)
from zraw.option cimport c_string
from zraw.pyzmq_error cimport fail_zmq, translated
from zraw.receiving cimport body, copy_memory
from zraw.release cimport Tracker, drain, pin

from zraw.error import ZMQError

cdef extern from *:
    """
    #define zraw_new_of(type, arguments) \\
        (((PyTypeObject *)(type))->tp_new((PyTypeObject *)(type), (arguments), NULL))
    """
    object new_of "zraw_new_of"(object type, tuple arguments)

cdef enum:
    SHARED = 3  # ZMQ_SHARED

cdef tuple NOTHING = ()

cdef object zmq = None          # pyzmq, when it was needed first
cdef object frame_type = None   # pyzmq's own Frame, or the one below


cdef object package():
    global zmq
    if zmq is None:
        import zmq
    return zmq


cdef object finished():
    """Return the tracker of what was copied."""
    return package()._FINISHED_TRACKER


cdef object tracker_of(object watched):
    """Return a MessageTracker of an event, or of a list of trackers; None of None."""
    if watched is None:
        return None
    if isinstance(watched, list):
        return package().MessageTracker(*watched)
    return package().MessageTracker(watched)


class Released(Event):
    """What pyzmq's MessageTracker asks: it is set when libzmq is done with memory.

    It waits by time.sleep(), which gevent makes cooperative.
    """

    def __init__(self, tracker):
        self._tracker = tracker

    def is_set(self):
        return self._tracker.done

    def wait(self, timeout=None):
        end = None if timeout is None else monotonic() + timeout
        pause = 0.00005
        while not self._tracker.done:
            left = pause if end is None else end - monotonic()
            if left <= 0:
                return False
            sleep(min(left, pause))
            pause = min(pause * 2, 0.01)
        return True

    def __repr__(self):
        return f"<zraw.pyzmq.Released {self._tracker!r}>"


@cython.final
cdef class Flat:
    """Memory that is contiguous in any order, as plain bytes; a buffer itself.

    size: of what is to be seen of it; -1 for all.
    """

    def __init__(self, data, bint writable=False, Py_ssize_t size=-1):
        PyBuffer_Release(&self.view)  # nothing, the first time
        cdef int access = PyBUF_WRITABLE if writable else 0
        PyObject_GetBuffer(data, &self.view, <int> PyBUF_ANY_CONTIGUOUS | access)
        self.size = self.view.len if size < 0 else size

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.view.buf, self.size, self.view.readonly,
                          flags)


cdef object flat(object data):
    """Return what can be read as plain bytes: `data`, or a Flat of it."""
    cdef Py_buffer view
    if PyBytes_CheckExact(data):
        return data
    try:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    except (BufferError, ValueError):  # NumPy's
        return Flat(data)
    PyBuffer_Release(&view)
    return data


cdef Py_ssize_t size_of(object data) except -1:
    """Return the size of a buffer in bytes."""
    cdef Py_buffer view
    cdef Py_ssize_t size
    if PyBytes_CheckExact(data):
        return PyBytes_GET_SIZE(data)
    PyObject_GetBuffer(data, &view, PyBUF_ANY_CONTIGUOUS)
    size = view.len
    PyBuffer_Release(&view)
    return size


cdef int copy_into(zmq_msg_t *msg, object data) except -1:
    """Make `msg`, which is empty, a copy of a buffer."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if zmq_msg_init_size(msg, view.len) < 0:
            zmq_msg_init(msg)
            raise MemoryError(f"a copy of {view.len} bytes")
        if view.len:
            copy_memory(zmq_msg_data(msg), view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef object lend(zmq_msg_t *msg, object data, bint tracked):
    """Make `msg` a message of the caller's memory; return its event, or None."""
    cdef Tracker tracker = Tracker() if tracked else None
    pin(msg, flat(data), None, tracker)
    return Released(tracker) if tracked else None


cdef BaseFrame new_frame(bint tracked):
    """Return an empty frame of pyzmq's class, without a call of its __init__."""
    cdef BaseFrame frame = new_of(frame_type, NOTHING)
    if tracked:
        frame.tracker = finished()
    return frame


@cython.critical_section
cdef int share(BaseFrame frame, zmq_msg_t *msg) except -1:
    """Make `msg`, which is not to be closed before, another reference to a body."""
    zmq_msg_init(msg)
    if zmq_msg_copy(msg, &frame.msg) < 0:
        fail_zmq(zmq_errno())
    return 0


cdef class BaseFrame:
    """Frame(data=None, track=False, copy=None, copy_threshold=None): a message.

    data: bytes or another buffer.
    track: whether `tracker` is to tell when libzmq is done with the memory.
    copy: False lends the memory; None does so if it has `copy_threshold` bytes.
    """

    def __cinit__(self):
        zmq_msg_init(&self.msg)

    def __init__(self, data=None, track=False, copy=None, copy_threshold=None,
                 **unused):
        cdef Py_buffer view
        cdef Py_ssize_t size
        zmq_msg_close(&self.msg)
        zmq_msg_init(&self.msg)
        self.tracker = finished() if track else None
        if data is None:
            return
        if isinstance(data, str):
            raise TypeError("Frame(): data: bytes or another buffer, not str")
        size = size_of(data)
        if copy is None:
            if copy_threshold is None:
                copy_threshold = package().COPY_THRESHOLD
            copy = size < copy_threshold
        self.data = data
        plain = flat(data)
        if copy:
            copy_into(&self.msg, plain)
            return
        PyObject_GetBuffer(plain, &view, PyBUF_SIMPLE)
        self.fixed, self.own = view.readonly, not view.readonly
        PyBuffer_Release(&view)
        self.tracker_event = lend(&self.msg, plain, track)
        if track:
            self.tracker = tracker_of(self.tracker_event)

    def __dealloc__(self):
        zmq_msg_close(&self.msg)
        drain()

    def __copy__(self):
        """Return another frame with the same body."""
        cdef BaseFrame frame = type(self).__new__(type(self))
        share(self, &frame.msg)
        frame.fixed, frame.own = self.fixed, self.own
        frame.data, frame.copy = self.data, self.copy
        frame.more = self.more
        frame.tracker, frame.tracker_event = self.tracker, self.tracker_event
        return frame

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        # What others have too, or Python says not to write to, is read-only.
        cdef bint readonly = self.fixed or (
            not self.own and zmq_msg_get(&self.msg, SHARED) == 1)
        PyBuffer_FillInfo(buffer, self, zmq_msg_data(&self.msg),
                          zmq_msg_size(&self.msg), readonly, flags)

    def __len__(self):
        return zmq_msg_size(&self.msg)

    def __str__(self):
        """Return what repr() does, or the text of the body: pyzmq 25 has no repr()."""
        if type(self).__repr__ is object.__repr__:
            return self.bytes.decode()
        return repr(self)

    @property
    def buffer(self):
        """A memoryview of the body, always the same while it is alive."""
        view = None if self.view is None else self.view()
        if view is None:
            view = memoryview(self)
            self.view = ref(view)
        return view

    @property
    def bytes(self):
        """A copy of the body, made once."""
        if self.copy is None:
            self.copy = body(&self.msg)
        return self.copy

    def get(self, option):
        """Return a property: by number, "routing_id", "group", or metadata by name."""
        cdef int value
        cdef uint32_t routing_id
        cdef const char *found
        if isinstance(option, int):
            value = zmq_msg_get(&self.msg, option)
            if value < 0:
                fail_zmq(zmq_errno())
            return value
        if option == "routing_id" or option == "group":
            self.refuse_without_draft()
            if option == "group":
                return zmq_msg_group(&self.msg).decode("utf-8")
            routing_id = zmq_msg_routing_id(&self.msg)
            if not routing_id:
                fail_zmq(EINVAL)
            return routing_id
        if not isinstance(option, (str, bytes)):
            raise TypeError(f"Frame.get(): option: int or str, not {option!r}")
        found = zmq_msg_gets(&self.msg, c_string(option, "Frame.get(): option"))
        if found == NULL:
            fail_zmq(zmq_errno())
        return (<bytes> found).decode("utf-8")

    def set(self, option, value):
        """Set a property: by number, "routing_id" or "group"."""
        cdef int rc
        if option == "routing_id":
            self.refuse_without_draft()
            rc = zmq_msg_set_routing_id(&self.msg, value)
        elif option == "group":
            self.refuse_without_draft()
            if zmq_msg_group(&self.msg)[0]:
                fail_zmq(EINVAL)  # libzmq would corrupt a second one
            rc = zmq_msg_set_group(&self.msg, c_string(value, "Frame.set(): group"))
        else:
            rc = zmq_msg_set(&self.msg, option, value)
        if rc < 0:
            fail_zmq(zmq_errno())

    cdef int refuse_without_draft(self) except -1:
        try:
            if (<void *> zmq_msg_routing_id == NULL
                    or <void *> zmq_msg_set_routing_id == NULL
                    or <void *> zmq_msg_group == NULL
                    or <void *> zmq_msg_set_group == NULL):
                fail_draft("Frame")
        except ZMQError as error:
            raise translated(error) from None
        return 0


class Frame(BaseFrame):
    """What pyzmq derives its Frame from."""

    __slots__ = ()

    @classmethod
    def __init_subclass__(cls, **kwargs):
        super(Frame, cls).__init_subclass__(**kwargs)
        if cls.__module__ == "zmq.sugar.frame" and Frame in cls.__bases__:
            use(cls)


cdef int use(type kind) except -1:
    """Have new_frame() make frames of a class."""
    global frame_type
    frame_type = kind
    return 0


use(Frame)
