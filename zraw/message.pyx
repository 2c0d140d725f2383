"""Message: one zmq_msg_t.  Functions of the form zmq_msg_xxx()."""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from libc.errno cimport EBUSY, EFAULT, EINVAL, ENOMEM
from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memset

from zraw.error cimport fail, fail_draft
from zraw.guard cimport (
    GuardedSocket,
    enter,
    is_held,
    leave,
    to_flags,
    to_int,
    to_number,
    to_size,
    zraw_give,
    zraw_join,
    zraw_put_bool,
    zraw_seen,
    zraw_seen_bool,
    zraw_take,
)
from zraw.libzmq cimport (
    ZMQ_DONTWAIT,
    ZMQ_SNDMORE,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_data,
    zmq_msg_get,
    zmq_msg_gets,
    zmq_msg_group,
    zmq_msg_init,
    zmq_msg_init_buffer,
    zmq_msg_init_size,
    zmq_msg_more,
    zmq_msg_move,
    zmq_msg_routing_id,
    zmq_msg_set,
    zmq_msg_set_group,
    zmq_msg_set_routing_id,
    zmq_msg_size,
)
from zraw.option cimport c_string, message_property, refuse_buffer
from zraw.receiving cimport body, copy_memory, recv_frame
from zraw.release cimport Tracker, drain, pin
from zraw.sending cimport frame_t, send_frame

from zraw import constants

cdef Py_ssize_t GROUP_MAX = constants.ZMQ_GROUP_MAX_LENGTH


cdef Message empty_message():
    """Return Message(), without the detour through __init__."""
    return Message.__new__(Message)


@cython.final
@cython.freelist(64)
cdef class Message:
    """Message(data=None): a frame, empty or with a copy of a buffer.

    C call: zmq_msg_init(), zmq_msg_init_size()

    data: any contiguous buffer.

    A view of the body (data(), memoryview(), numpy.frombuffer()) keeps the
    Message alive.  While one is alive, whatever would change or hand over the
    body raises BufferError.

    Raises: InvalidHandle (EFAULT) from every method but close(), and wherever a buffer
        is asked for, once the message is closed.
    """

    def __cinit__(self):
        zmq_msg_init(&self.msg)
        self.live = True

    def __init__(self, data=None):
        cdef Py_buffer view
        if data is None:
            return
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        except Exception as error:
            refuse_buffer(error, data, "Message(): data")
        try:
            claim(self, "Message()")
            try:
                self.reset()
                if zmq_msg_init_size(&self.msg, view.len) < 0:
                    zmq_msg_init(&self.msg)
                    fail(ENOMEM, f"Message(): {view.len} bytes")
                if view.len:
                    copy_memory(zmq_msg_data(&self.msg), view.buf, view.len)
            finally:
                unclaim(self)
        finally:
            PyBuffer_Release(&view)

    def __dealloc__(self):
        if self.live:
            zmq_msg_close(&self.msg)

    cdef int refuse(self, str call) except -1:
        cdef uint32_t exports = zraw_seen(&self.exports)
        if not zraw_seen_bool(&self.live):
            fail(EFAULT, f"{call}: the message is closed")
        if zraw_seen(&self.busy) or not exports:
            who = "an extension" if is_held(&self.busy) else "another call"
            fail(EBUSY, f"{call}: the message is in use by {who}")
        raise BufferError(f"{call}: the message has {exports} view(s) alive: "
                          "release them first")

    cdef int reset(self) except -1:
        """Drop the body; the message is claimed."""
        zmq_msg_close(&self.msg)
        zmq_msg_init(&self.msg)
        self.writable = False
        return 0

    @staticmethod
    def init_size(size):
        """Return a message with a writable body of `size` zero bytes.

        C call: zmq_msg_init_size()

        size: bytes.  Fill the body through data() before it is sent.

        Raises: MemoryError; ValueError if size is negative.
        """
        cdef Py_ssize_t length = to_size(size, "Message.init_size(): size", 0)
        cdef Message message = empty_message()
        cdef void *data
        if zmq_msg_init_size(&message.msg, length) < 0:
            zmq_msg_init(&message.msg)
            fail(ENOMEM, f"Message.init_size({length})")
        data = zmq_msg_data(&message.msg)
        with nogil:
            memset(data, 0, length)
        message.writable = True
        return message

    @staticmethod
    def init_data(buffer, on_free=None, Tracker tracker=None):
        """Return a message whose body is the caller's memory, not a copy.

        C call: zmq_msg_init_data()

        buffer: any contiguous buffer, kept until libzmq is done with it.  Do not
            write to it before.
        on_free: called without arguments when libzmq is done with the memory, on
            the thread "zraw-release"; what it raises goes to sys.unraisablehook.
        tracker: a Tracker that counts this message too.

        Copies: nothing, unless the interpreter is shutting down.
        Raises: BufferError if the buffer is not contiguous (ValueError if that is
            what it says, as NumPy does); TypeError.
        """
        cdef Message message = empty_message()
        if on_free is not None and not callable(on_free):
            raise TypeError("Message.init_data(): on_free: None or a callable, not "
                            f"{type(on_free).__name__}")
        pin(&message.msg, buffer, on_free, tracker)
        return message

    @staticmethod
    def init_buffer(data):
        """Return a message with a copy of a buffer.

        C call: zmq_msg_init_buffer() (draft)

        data: any contiguous buffer.

        Raises: NotSupported (ENOTSUP) if libzmq is built without its draft API:
            Message(data) does the same everywhere; MemoryError.
        Since: libzmq 4.3.3
        """
        cdef Message message = empty_message()
        cdef Py_buffer view
        cdef int rc
        if <void *> zmq_msg_init_buffer == NULL:
            fail_draft("Message.init_buffer()")
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        except Exception as error:
            refuse_buffer(error, data, "Message.init_buffer(): data")
        rc = zmq_msg_init_buffer(&message.msg, view.buf, view.len)
        if rc < 0:
            zmq_msg_init(&message.msg)
        PyBuffer_Release(&view)
        if rc < 0:
            raise MemoryError("Message.init_buffer()")
        return message

    def send(self, GuardedSocket socket not None, flags=0):
        """Send the message and leave it empty; return its size in bytes.

        C call: zmq_msg_send()

        flags: ZMQ_DONTWAIT, ZMQ_SNDMORE.

        Waits: until a peer can take it, or ZMQ_SNDTIMEO (ms) is over.
        Copies: nothing.
        Raises: Again (EAGAIN), ContextTerminated (ETERM), InvalidState (EFSM),
            NotASocket (ENOTSOCK), NotSupported (ENOTSUP), HostUnreachable
            (EHOSTUNREACH), InvalidArgument (EINVAL), SocketInUse (EBUSY);
            BufferError if views are alive.
            The body stays after a failure; MORE and the properties may not.
        """
        cdef frame_t frame
        cdef size_t size
        cdef int err
        cdef int wanted = to_flags(flags, ZMQ_DONTWAIT | ZMQ_SNDMORE, "Message.send()")
        claim(self, "Message.send()")
        try:
            size = zmq_msg_size(&self.msg)
            frame.msg = &self.msg
            frame.keep = False
            enter(socket, "Message.send()")
            err = send_frame(socket, &frame, wanted, "Message.send()")
            leave(socket)
            if err:
                socket.raise_errno(err, "Message.send()")
            self.writable = False
        finally:
            unclaim(self)
        drain()
        return size

    def recv(self, GuardedSocket socket not None, flags=0):
        """Receive a frame into the message; return its size in bytes.

        C call: zmq_msg_recv()

        flags: ZMQ_DONTWAIT.

        Waits: until a frame comes, or ZMQ_RCVTIMEO (ms) is over.
        Copies: nothing.
        Raises: Again (EAGAIN), ContextTerminated (ETERM), InvalidState (EFSM),
            NotASocket (ENOTSOCK), NotSupported (ENOTSUP), SocketInUse (EBUSY),
            BufferError if views are alive.  After an error of libzmq's the
            message is empty.
        """
        return recv_message(socket, self,
                            to_flags(flags, ZMQ_DONTWAIT, "Message.recv()"),
                            "Message.recv()")

    def close(self):
        """Release the body and make the message unusable.

        C call: zmq_msg_close()

        A second close() does nothing.  Collection closes too.

        Raises: BufferError if views are alive; SocketInUse (EBUSY).
        """
        if not zraw_seen_bool(&self.live):
            return
        claim(self, "Message.close()")
        zraw_put_bool(&self.live, False)
        zmq_msg_close(&self.msg)
        unclaim(self)
        drain()

    def move(self, Message source not None):
        """Take over the body of `source`, which is then empty.

        C call: zmq_msg_move()

        The message's own body is released.  Moving to itself does nothing.

        Raises: BufferError if views of one of the two are alive;
            InvalidHandle (EFAULT) if one is
            closed; SocketInUse (EBUSY).
        """
        if source is self:
            look(self, "Message.move()")
            unclaim(self)
            return
        cdef int err
        claim(self, "Message.move()")
        try:
            claim(source, "Message.move(): source")
            err = zmq_errno() if zmq_msg_move(&self.msg, &source.msg) < 0 else 0
            if not err:
                self.writable, source.writable = source.writable, False
            unclaim(source)
            if err:
                fail(err, "Message.move()")
        finally:
            unclaim(self)
        drain()

    def copy(self, Message source not None):
        """Become a copy of `source`; bodies above 33 bytes are shared.

        C call: zmq_msg_copy()

        The message's own body is released.  Both are read-only from then on.
        Copying from itself does nothing.

        Raises: BufferError if views of this message, or writable views of the
            source, are alive; InvalidHandle (EFAULT) if one is
            closed; SocketInUse (EBUSY).
        """
        if source is self:
            look(self, "Message.copy()")
            unclaim(self)
            return
        cdef int err
        claim(self, "Message.copy()")
        try:
            look(source, "Message.copy(): source")
            if source.writable and zraw_seen(&source.exports):
                unclaim(source)
                source.refuse("Message.copy(): source")
            err = zmq_errno() if zmq_msg_copy(&self.msg, &source.msg) < 0 else 0
            if not err:
                self.writable = source.writable = False
            unclaim(source)
            if err:
                fail(err, "Message.copy()")
        finally:
            unclaim(self)
        drain()

    def data(self):
        """Return a memoryview of the body.

        C call: zmq_msg_data()

        The view is writable only on a message made by init_size() that was
        neither sent nor copied.  It keeps the message alive.

        Raises: InvalidHandle (EFAULT) if the message is closed; SocketInUse (EBUSY)
            while another call has it.
        """
        return memoryview(self)

    def size(self):
        """Return the size of the body in bytes.

        C call: zmq_msg_size()

        Raises: InvalidHandle (EFAULT) if the message is closed; SocketInUse (EBUSY)
            while another call has it.
        """
        look(self, "Message.size()")
        cdef size_t size = zmq_msg_size(&self.msg)
        unclaim(self)
        return size

    def more(self):
        """Return True if more frames of the received message follow.

        C call: zmq_msg_more()

        Raises: InvalidHandle (EFAULT) if the message is closed; SocketInUse (EBUSY)
            while another call has it.
        """
        look(self, "Message.more()")
        cdef bint more = zmq_msg_more(&self.msg)
        unclaim(self)
        return more

    def get(self, property):
        """Return a property: ZMQ_MORE, ZMQ_SHARED or ZMQ_SRCFD.

        C call: zmq_msg_get()

        Raises: InvalidArgument (EINVAL) for any other, and for ZMQ_SRCFD on a
            message that came over no connection; InvalidHandle (EFAULT);
            SocketInUse (EBUSY).
        """
        cdef int which = to_int(property, "Message.get(): property")
        look(self, "Message.get()")
        cdef int value = zmq_msg_get(&self.msg, which)
        cdef int err = zmq_errno() if value < 0 else 0
        unclaim(self)
        if value < 0:
            fail(err, f"Message.get({message_property(which)})")
        return value

    def set(self, property, value):
        """Set a property; libzmq has none yet that can be set.

        C call: zmq_msg_set()

        Raises: InvalidArgument (EINVAL) always; InvalidHandle (EFAULT); SocketInUse
            (EBUSY).
        """
        cdef int which = to_int(property, "Message.set(): property")
        cdef int wanted = to_int(value, "Message.set(): value")
        look(self, "Message.set()")
        cdef int rc = zmq_msg_set(&self.msg, which, wanted)
        cdef int err = zmq_errno() if rc < 0 else 0
        unclaim(self)
        if rc < 0:
            fail(err, f"Message.set({message_property(which)}, {wanted})")

    def gets(self, name):
        """Return a metadata property of a received message as str.

        C call: zmq_msg_gets()

        name: "Socket-Type", "Identity", "User-Id", "Peer-Address", or one that the
            peer or a ZAP handler added.  Bytes that are not UTF-8 come as
            surrogate escapes.

        Raises: InvalidArgument (EINVAL) if the message has none of this name,
            as after inproc; InvalidHandle (EFAULT); SocketInUse (EBUSY).
        """
        cdef bytes key = c_string(name, "Message.gets(): name")
        look(self, "Message.gets()")
        cdef const char *found = zmq_msg_gets(&self.msg, key)
        cdef int err = zmq_errno() if found == NULL else 0
        unclaim(self)
        if found == NULL:
            fail(err, f"Message.gets({name!r})")
        return (<bytes> found).decode("utf-8", "surrogateescape")

    def routing_id(self):
        """Return the peer's routing id on ZMQ_SERVER and ZMQ_PEER; 0 is none.

        C call: zmq_msg_routing_id() (draft)

        Raises: NotSupported (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.2.0
        """
        if <void *> zmq_msg_routing_id == NULL:
            fail_draft("Message.routing_id()")
        look(self, "Message.routing_id()")
        cdef uint32_t found = zmq_msg_routing_id(&self.msg)
        unclaim(self)
        return found

    def set_routing_id(self, routing_id):
        """Say which peer of a ZMQ_SERVER or ZMQ_PEER the message is for.

        C call: zmq_msg_set_routing_id() (draft)

        routing_id: 1 to 2**32 - 1, as routing_id() of a received message gave it.

        Raises: InvalidArgument (EINVAL) if it is 0; OverflowError;
            NotSupported (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.2.0
        """
        cdef uint32_t number = to_number(
            routing_id, "Message.set_routing_id(): routing_id", 0, 2**32 - 1)
        if <void *> zmq_msg_set_routing_id == NULL:
            fail_draft("Message.set_routing_id()")
        look(self, "Message.set_routing_id()")
        cdef int rc = zmq_msg_set_routing_id(&self.msg, number)
        cdef int err = zmq_errno() if rc < 0 else 0
        unclaim(self)
        if rc < 0:
            fail(err, f"Message.set_routing_id({routing_id})")

    def group(self):
        """Return the group of a message for or from ZMQ_RADIO; "" is none.

        C call: zmq_msg_group() (draft)

        Raises: NotSupported (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.2.0
        """
        if <void *> zmq_msg_group == NULL:
            fail_draft("Message.group()")
        look(self, "Message.group()")
        cdef bytes found
        try:
            found = zmq_msg_group(&self.msg)
        finally:
            unclaim(self)
        return found.decode("utf-8", "surrogateescape")

    def set_group(self, group):
        """Say which group a message for ZMQ_RADIO belongs to; once per message.

        C call: zmq_msg_set_group() (draft)

        group: str or bytes of at most ZMQ_GROUP_MAX_LENGTH bytes, no NUL.

        Raises: ValueError if it is too long (libzmq would cut it);
            InvalidArgument (EINVAL) if it has a group (libzmq would corrupt it);
            NotSupported (ENOTSUP) without libzmq's draft API.
        Since: libzmq 4.2.0
        """
        cdef bytes name = c_string(group, "Message.set_group(): group")
        if len(name) > GROUP_MAX:
            raise ValueError(f"Message.set_group(): group: at most {GROUP_MAX} bytes, "
                             f"not {len(name)}")
        if <void *> zmq_msg_set_group == NULL:
            fail_draft("Message.set_group()")
        look(self, "Message.set_group()")
        cdef int rc = -1
        cdef int err = EINVAL
        if zmq_msg_group(&self.msg)[0] == 0:
            rc = zmq_msg_set_group(&self.msg, name)
            err = zmq_errno() if rc < 0 else 0
        unclaim(self)
        if rc < 0:
            fail(err, f"Message.set_group({group!r})")

    def __len__(self):
        return self.size()

    def __bytes__(self):
        look(self, "bytes(Message)")
        try:
            return body(&self.msg)
        finally:
            unclaim(self)

    def __getbuffer__(self, Py_buffer *view, int flags):
        look(self, "view of a Message")
        try:
            PyBuffer_FillInfo(view, self, zmq_msg_data(&self.msg),
                              zmq_msg_size(&self.msg), not self.writable, flags)
            zraw_join(&self.exports, 1)
        finally:
            unclaim(self)

    def __releasebuffer__(self, Py_buffer *view):
        zraw_give(&self.exports)

    def __eq__(self, other):
        cdef Py_buffer view
        cdef bint same
        if not PyObject_CheckBuffer(other):
            return NotImplemented
        try:
            PyObject_GetBuffer(other, &view, PyBUF_SIMPLE)
        except BufferError:
            return NotImplemented  # not contiguous: memoryview knows how to compare
        try:
            look(self, "Message ==")
            same = (<size_t> view.len == zmq_msg_size(&self.msg)
                    and (view.len == 0 or memcmp(view.buf, zmq_msg_data(&self.msg),
                                                 view.len) == 0))
            unclaim(self)
        finally:
            PyBuffer_Release(&view)
        return same

    __hash__ = None

    def __reduce__(self):
        raise TypeError("a Message is libzmq's memory: not to be pickled or copied; "
                        "use bytes(message), or Message.copy()")

    def __repr__(self):
        if not zraw_take(&self.busy, 1):
            return "<zraw.Message in use>"
        cdef bint live = self.live
        cdef size_t size = zmq_msg_size(&self.msg) if live else 0
        unclaim(self)
        return f"<zraw.Message {size} bytes>" if live else "<zraw.Message closed>"


cdef Py_ssize_t recv_message(GuardedSocket socket, Message message, int flags,
                             str call) except -1:
    """Fill `message` with the next frame and return its size; raise on failure."""
    cdef size_t size
    cdef int err
    claim(message, call)
    try:
        enter(socket, call)
        err = recv_frame(socket, &message.msg, flags, call)
        leave(socket)
        if err:
            message.reset()
            socket.raise_errno(err, call)
        message.writable = False
        size = zmq_msg_size(&message.msg)
    finally:
        unclaim(message)
    # The drain may run anything, this message's close() too.
    drain()
    return size
