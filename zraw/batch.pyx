"""Messages of several frames, and many messages, in one call.

Everything that can be refused is refused before the first frame is sent: types
are looked at, buffers are held, large ones pinned, Messages claimed.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EINTR, EINVAL
from libc.stddef cimport size_t

from zraw.error cimport fail
from zraw.guard cimport (
    FREE_THREADED,
    GuardedSocket,
    enter,
    leave,
    zraw_seen,
    zraw_seen_bool,
    zraw_seen_len,
)
from zraw.libzmq cimport (
    ZMQ_DONTWAIT,
    ZMQ_SNDMORE,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_data,
    zmq_msg_init,
    zmq_msg_init_size,
    zmq_msg_more,
    zmq_msg_move,
    zmq_msg_recv,
    zmq_msg_size,
    zmq_msg_t,
    zmq_send,
)
from zraw.message cimport Message, claimed, empty_message, unclaim
from zraw.option cimport refuse_buffer
from zraw.process cimport nap
from zraw.receiving cimport LARGE, body, copy_memory, recv_frame
from zraw.release cimport drain, pin
from zraw.sending cimport (
    begin_again,
    frame_t,
    on_short_path,
    refuse_open_message,
    send_frame,
    send_frames,
)

cdef extern from "Python.h":
    bint PyList_CheckExact(object items)
    bint PyTuple_CheckExact(object items)
    PyObject **PySequence_Fast_ITEMS(object items)
    Py_ssize_t PySequence_Fast_GET_SIZE(object items)
    # Of objects that somebody else holds: no reference is counted.
    bint is_bytes "PyBytes_CheckExact"(PyObject *item)
    char *bytes_data "PyBytes_AS_STRING"(PyObject *item)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject *item)

cdef enum:
    FEW = 8                # frames that need no allocation
    BREATH = 1024          # messages after which handlers run and the GIL is offered
    BREATH_BYTES = 1 << 20


cdef int plan(GuardedSocket socket, frame_t *frame, object part, str call,
              Py_ssize_t index) except -1:
    """Make `frame` ready to be sent from `part`, and hold what it needs.

    index: of the part in a batch, for messages; -1 if it is the only one.
    """
    cdef bint pinned
    frame.msg = NULL
    frame.constant = False
    frame.keep = index >= 0
    frame.own = False
    frame.message = NULL
    frame.view = NULL
    if PyBytes_CheckExact(part):
        frame.data = PyBytes_AS_STRING(part)
        frame.size = PyBytes_GET_SIZE(part)
        pinned = frame.size >= zraw_seen_len(&socket.pin_limit)
        return make_own(frame, part, pinned) if pinned or frame.size > LARGE else 0
    if isinstance(part, Message):
        return plan_message(frame, <Message> part, call, index)
    frame.view = <Py_buffer *> PyMem_Malloc(sizeof(Py_buffer))
    if frame.view == NULL:
        raise MemoryError(call)
    try:
        PyObject_GetBuffer(part, frame.view, PyBUF_SIMPLE)
    except BaseException as error:
        PyMem_Free(frame.view)
        refuse_buffer(error, part, name_of(call, index))
    frame.data = frame.view.buf
    if frame.view.len == 0:
        frame.data = <const char *> b""
    frame.size = frame.view.len
    if frame.size > LARGE:
        try:
            make_own(frame, part, False)
        except BaseException:
            release(frame, False)
            raise
    return 0


cdef str name_of(str call, Py_ssize_t index):
    return f"{call}: data" if index < 0 else f"{call}: item {index}"


cdef int plan_message(frame_t *frame, Message message, str call,
                      Py_ssize_t index) except -1:
    if (zraw_seen(&message.busy) and zraw_seen_bool(&message.live)
            and index >= 0):
        # Most likely not in another thread, but earlier in this very call.
        raise ValueError(f"{name_of(call, index)}: a Message that is in use: each may "
                         "stand in one call, once")
    if not claimed(message):  # only then is the text wanted
        message.refuse(name_of(call, index))
    frame.msg = &message.msg
    frame.size = zmq_msg_size(frame.msg)
    frame.message = <PyObject *> message
    return 0


cdef int make_own(frame_t *frame, object part, bint pinned) except -1:
    """Make a message of the call's own: of pinned memory, or of a large copy."""
    cdef zmq_msg_t *msg = <zmq_msg_t *> PyMem_Malloc(sizeof(zmq_msg_t))
    if msg == NULL:
        raise MemoryError
    try:
        if pinned:
            pin(msg, part, None, None)
        elif zmq_msg_init_size(msg, frame.size) < 0:
            raise MemoryError(f"a copy of {frame.size} bytes")
        else:
            copy_memory(zmq_msg_data(msg), frame.data, frame.size)
    except BaseException:
        PyMem_Free(msg)
        raise
    frame.msg = msg
    frame.own = True
    return 0


cdef void release(frame_t *frame, bint sent) noexcept:
    """Undo plan(); a Message that was sent is empty from now on."""
    cdef Message message
    if frame.view != NULL:
        PyBuffer_Release(frame.view)
        PyMem_Free(frame.view)
    if frame.own:
        zmq_msg_close(frame.msg)
        PyMem_Free(frame.msg)
    elif frame.message != NULL:
        message = <Message> frame.message
        if sent:
            message.reset()
        unclaim(message)


cdef tuple frames_of(object parts, str call, Py_ssize_t index):
    """Return the frames of one message; a tuple, so that nobody changes it."""
    cdef tuple frames
    if isinstance(parts, (list, tuple)):
        frames = tuple(parts)
    elif isinstance(parts, (str, bytes, bytearray, memoryview, Message)) or (
            not hasattr(parts, "__iter__")):
        raise TypeError(f"{call}: parts: a sequence of frames, not "
                        f"{type(parts).__name__}")
    else:
        frames = tuple(parts)
    if not frames:
        raise ValueError(f"{call}: parts: at least one frame" if index < 0
                         else f"{call}: item {index}: at least one frame")
    return frames


cdef int send_one(GuardedSocket socket, object data, int flags, str call,
                  size_t *size) except -1:
    """Send one frame of any kind; return 0 or the errno, guard free."""
    cdef frame_t frame
    cdef int err = EINVAL
    plan(socket, &frame, data, call, -1)
    try:
        enter(socket, call)
        err = send_frame(socket, &frame, flags, call)
        leave(socket)
        size[0] = frame.size
    finally:
        release(&frame, err == 0)
    drain()
    return err


cdef bint are_short(GuardedSocket socket, object items):
    """True for a list or tuple of exact bytes that are neither pinned nor large.

    Nothing else runs while the GIL is held, so they may be read where they are.
    """
    cdef PyObject **item
    cdef Py_ssize_t i
    if FREE_THREADED or not (PyList_CheckExact(items) or PyTuple_CheckExact(items)):
        return False
    item = PySequence_Fast_ITEMS(items)
    for i in range(PySequence_Fast_GET_SIZE(items)):
        if not is_bytes(item[i]) or <size_t> bytes_size(item[i]) >= socket.short_limit:
            return False
    return True


cdef Py_ssize_t offer_short(GuardedSocket socket, object parts) noexcept:
    """Offer a message of short bytes; return -1, or the index of a refused frame."""
    cdef PyObject **part = PySequence_Fast_ITEMS(parts)
    cdef Py_ssize_t i, last = PySequence_Fast_GET_SIZE(parts) - 1
    cdef int flags, rc
    if not on_short_path(socket):
        return 0
    for i in range(last + 1):
        flags = ZMQ_DONTWAIT | ZMQ_SNDMORE if i < last else ZMQ_DONTWAIT
        rc = zmq_send(socket.ptr, bytes_data(part[i]), bytes_size(part[i]), flags)
        while rc < 0 and i and zmq_errno() == EINTR:
            rc = zmq_send(socket.ptr, bytes_data(part[i]), bytes_size(part[i]), flags)
        if rc < 0:
            return i
    return -1


cdef int send_parts(GuardedSocket socket, object parts, int flags) except -1:
    """Send one message."""
    cdef frame_t few[FEW]
    cdef frame_t *frames = few
    cdef tuple items
    cdef Py_ssize_t count, refused = 0, planned = 0, i
    cdef bint sent = False
    cdef int err = 0
    if are_short(socket, parts) and 0 < PySequence_Fast_GET_SIZE(parts) <= FEW:
        enter(socket, "send_multipart()")
        refuse_open_message(socket, flags, "send_multipart()")
        refused = offer_short(socket, parts)
        err = zmq_errno()
        if refused <= 0:
            leave(socket)
        if refused < 0:
            drain()
            return 0
    items = frames_of(parts, "send_multipart()", -1)
    count = len(items)
    if count > FEW:
        frames = <frame_t *> PyMem_Malloc(count * sizeof(frame_t))
        if frames == NULL:
            raise MemoryError("send_multipart()")
    try:
        while planned < count:
            plan(socket, &frames[planned], items[planned], "send_multipart()", planned)
            planned += 1
        if refused:
            err = begin_again(socket, frames, count, refused, err, "send_multipart()")
        else:
            enter(socket, "send_multipart()")
            refuse_open_message(socket, flags, "send_multipart()")
            err = 0
        if not err:
            err = send_frames(socket, frames, count, flags, "send_multipart()")
        leave(socket)
        if err:
            socket.raise_errno(err, "send_multipart()")
        sent = True
    finally:
        for i in range(planned):
            release(&frames[i], sent)
        if frames != few:
            PyMem_Free(frames)
    drain()
    return 0


cdef int breathe(GuardedSocket socket, Py_ssize_t done, size_t *volume,
                 str call) except -1:
    """Every BREATH messages or BREATH_BYTES: offer the GIL, run handlers.

    Return the errno that ends the batch if one of them closed the socket.
    """
    if done % BREATH and volume[0] < BREATH_BYTES:
        return 0
    volume[0] = 0
    with nogil:
        # A moment for others to take it: given back at once it would be taken back
        # at once, and each such wake-up makes a waiter begin its wait anew.
        nap(1)
    return socket.run_handlers(call)


cdef Py_ssize_t send_batch(GuardedSocket socket, object messages,
                           int flags) except -1:
    """Send many messages; return how many were accepted."""
    if not isinstance(messages, (list, tuple)):
        raise TypeError("send_many(): messages: a list or tuple of messages, not "
                        f"{type(messages).__name__}")
    if are_short(socket, messages):
        return send_bytes(socket, messages, flags)
    return send_planned(socket, tuple(messages), flags)


cdef Py_ssize_t finish(GuardedSocket socket, Py_ssize_t sent, int err) except -1:
    """Leave the guard; the first error of a batch that sent something is kept in."""
    leave(socket)
    if err and not sent:
        socket.raise_errno(err, "send_many()")
    drain()
    return sent


cdef tuple keep(GuardedSocket socket, object messages):
    """Return a copy that nobody changes; leave the guard if there is no memory."""
    try:
        return tuple(messages)
    except BaseException:
        leave(socket)
        raise


cdef Py_ssize_t send_bytes(GuardedSocket socket, object messages,
                           int flags) except -1:
    """Send messages for which are_short() holds."""
    cdef PyObject **item = PySequence_Fast_ITEMS(messages)
    cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(messages), sent = 0, size
    cdef size_t volume = 0
    cdef frame_t frame
    cdef tuple kept = None   # from when others may run, and change the list
    cdef bint refused
    cdef int err = 0
    frame.msg = NULL
    frame.constant = False
    enter(socket, "send_many()")
    refuse_open_message(socket, flags, "send_many()")
    try:
        while sent < count:
            size = bytes_size(item[sent])
            refused = not on_short_path(socket) or zmq_send(
                socket.ptr, bytes_data(item[sent]), size, ZMQ_DONTWAIT) < 0
            if not refused:
                sent += 1
                volume += size
                if sent % BREATH and volume < BREATH_BYTES:
                    continue
            if kept is None:
                kept = keep(socket, messages)
                item = PySequence_Fast_ITEMS(kept)
            if refused:
                frame.data = bytes_data(item[sent])
                frame.size = size
                err = send_frame(socket, &frame, flags, "send_many()")
                if err:
                    break
                sent += 1
                volume += size
            err = breathe(socket, sent, &volume, "send_many()")
            if err:
                break
    except BaseException as error:
        error.sent = sent
        raise
    return finish(socket, sent, err)


cdef Py_ssize_t send_planned(GuardedSocket socket, tuple items, int flags) except -1:
    """Send messages of any kind, each whole."""
    cdef list messages = [
        frames_of(item, "send_many()", i)
        if isinstance(item, (list, tuple)) else (item,)
        for i, item in enumerate(items)]
    cdef Py_ssize_t count = 0, planned = 0, sent = 0, accepted = 0, length, i
    cdef size_t volume = 0
    cdef frame_t *frames
    cdef int err = 0
    cdef tuple message
    for message in messages:
        count += len(message)
    frames = <frame_t *> PyMem_Malloc(count * sizeof(frame_t))
    if frames == NULL:
        raise MemoryError("send_many()")
    try:
        for message in messages:
            for part in message:
                plan(socket, &frames[planned], part, "send_many()", sent)
                planned += 1
            sent += 1
        sent = 0
        enter(socket, "send_many()")
        refuse_open_message(socket, flags, "send_many()")
        try:
            for message in messages:
                length = len(message)
                err = send_frames(socket, &frames[accepted], length, flags,
                                  "send_many()")
                if err:
                    break
                for i in range(accepted, accepted + length):
                    volume += frames[i].size
                accepted += length
                sent += 1
                err = breathe(socket, sent, &volume, "send_many()")
                if err:
                    break
        except BaseException as error:
            error.sent = sent
            raise
    finally:
        for i in range(planned):
            release(&frames[i], i < accepted)
        PyMem_Free(frames)
    return finish(socket, sent, err)


cdef object take(zmq_msg_t *msg, bint copy):
    """Turn the frame in `msg` into bytes, or move it into a Message."""
    cdef Message message
    if copy:
        return body(msg)
    message = empty_message()
    if zmq_msg_move(&message.msg, msg) < 0:
        fail(zmq_errno(), "zmq_msg_move()")
    return message


cdef list take_parts(GuardedSocket socket, zmq_msg_t *msg, bint copy,
                     size_t *volume, bint *more, int *err):
    """Take the frame in `msg` and those that follow it: they are all there.

    A signal does not part them: its handlers run once the message is whole.
    Add up their sizes.  None, and the errno, if the context was shut down meanwhile.
    If it raises, `more` says whether skip_parts() is to be called.
    """
    cdef list parts
    more[0] = zmq_msg_more(msg)
    parts = []
    volume[0] += zmq_msg_size(msg)
    parts.append(take(msg, copy))
    while more[0]:
        err[0] = next_part(socket, msg)
        if err[0]:
            return None
        more[0] = zmq_msg_more(msg)
        volume[0] += zmq_msg_size(msg)
        parts.append(take(msg, copy))
    return parts


cdef int next_part(GuardedSocket socket, zmq_msg_t *msg) noexcept:
    """Receive a frame that is there; return 0 or the errno."""
    cdef int rc = zmq_msg_recv(msg, socket.ptr, ZMQ_DONTWAIT)
    while rc < 0 and zmq_errno() == EINTR:
        rc = zmq_msg_recv(msg, socket.ptr, ZMQ_DONTWAIT)
    return zmq_errno() if rc < 0 else 0


cdef int skip_parts(GuardedSocket socket, zmq_msg_t *msg) noexcept:
    """Without memory for a frame, those after it are not to be a message's first."""
    while not next_part(socket, msg) and zmq_msg_more(msg):
        pass
    return 0


cdef list recv_parts(GuardedSocket socket, int flags, bint copy, bint trying,
                     str call):
    """Receive one message as a list; None if it is only a trial and none is there."""
    cdef zmq_msg_t msg
    cdef list parts = None
    cdef size_t volume = 0
    cdef bint more = False
    cdef int err
    zmq_msg_init(&msg)
    enter(socket, call)
    err = recv_frame(socket, &msg, flags, call)
    try:
        if not err:
            parts = take_parts(socket, &msg, copy, &volume, &more, &err)
    finally:
        if more:
            skip_parts(socket, &msg)
        leave(socket)
        zmq_msg_close(&msg)
    if err and not (trying and err == EAGAIN):
        socket.raise_errno(err, call)
    drain()
    return parts


cdef list recv_batch(GuardedSocket socket, Py_ssize_t max_messages, int flags,
                     bint copy, bint multipart):
    """Wait for one message, then take those that are there."""
    cdef zmq_msg_t msg
    cdef list messages = [], parts
    cdef Py_ssize_t taken = 0
    cdef size_t volume = 0
    cdef bint inside = True  # breathe() gives the guard back before it raises
    cdef bint more = False
    cdef int err
    zmq_msg_init(&msg)
    enter(socket, "recv_many()")
    err = recv_frame(socket, &msg, flags, "recv_many()")
    if err:
        leave(socket)
        socket.raise_errno(err, "recv_many()")
    try:
        while True:
            if multipart or zmq_msg_more(&msg):
                parts = take_parts(socket, &msg, copy, &volume, &more, &err)
                if err:
                    break
                messages.append(parts)
            else:
                volume += zmq_msg_size(&msg)
                messages.append(take(&msg, copy))
            taken += 1
            if taken == max_messages:
                break
            inside = False
            err = breathe(socket, taken, &volume, "recv_many()")
            inside = True
            if err or zmq_msg_recv(&msg, socket.ptr, ZMQ_DONTWAIT) < 0:
                break
    except BaseException as error:
        # By a signal handler, or without memory: what was taken is not lost with it.
        if inside:
            if more:
                skip_parts(socket, &msg)
            leave(socket)
        error.received = messages
        zmq_msg_close(&msg)
        raise
    leave(socket)
    zmq_msg_close(&msg)
    if err and not taken:
        socket.raise_errno(err, "recv_many()")
    drain()
    return messages
