"""How zraw.pyzmq sends and receives frames, and messages of several in one call.

A tracker covers every frame of the message that it is of.
"""

from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EINTR
from libc.stddef cimport size_t

from zraw.batch cimport recv_parts, send_parts
from zraw.guard cimport enter, leave, zraw_seen_len
from zraw.libzmq cimport (
    ZMQ_DONTWAIT,
    ZMQ_SNDMORE,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_init,
    zmq_msg_more,
    zmq_msg_recv,
    zmq_msg_size,
    zmq_msg_t,
)
from zraw.pyzmq_core cimport Core
from zraw.pyzmq_frame cimport (
    BaseFrame,
    copy_into,
    finished,
    flat,
    lend,
    new_frame,
    share,
    size_of,
    tracker_of,
)
from zraw.receiving cimport recv_frame
from zraw.release cimport drain
from zraw.sending cimport frame_t, send_frame, send_frames


cdef object prepare(Core core, zmq_msg_t *msg, object data, bint copy, bint tracked,
                    size_t threshold):
    """Make `msg`, which is empty, of what is to be sent; return its tracker or None."""
    if isinstance(data, BaseFrame):
        if tracked and not (<BaseFrame> data).tracker:
            raise ValueError("Not a tracked message")
        share(<BaseFrame> data, msg)
        return (<BaseFrame> data).tracker
    if isinstance(data, str):
        raise TypeError("unicode not allowed, use send_string")
    if not copy and <size_t> size_of(data) >= threshold:
        return tracker_of(lend(msg, data, tracked))
    if PyBytes_CheckExact(data) and (
            <size_t> PyBytes_GET_SIZE(data) >= zraw_seen_len(&core.pin_limit)):
        lend(msg, data, False)  # nobody can change them: as good as a copy
        return None
    copy_into(msg, flat(data))
    return None if copy else finished()


cdef int plan(frame_t *frame, zmq_msg_t *msg, bint keep) noexcept:
    """Have a frame sent from `msg`; keep: from a copy of it."""
    frame.msg = msg
    frame.size = zmq_msg_size(msg)
    frame.constant = False
    frame.keep = keep
    return 0


cdef object send_part(Core core, object data, int flags, bint copy, bint tracked,
                      size_t threshold):
    """Send one frame of any kind; return what pyzmq's send() returns."""
    cdef zmq_msg_t msg
    cdef frame_t frame
    cdef int err
    zmq_msg_init(&msg)
    try:
        tracker = prepare(core, &msg, data, copy, tracked, threshold)
        plan(&frame, &msg, False)
        enter(core, "send()")
        err = send_frame(core, &frame, flags, "send()")
        leave(core)
    finally:
        zmq_msg_close(&msg)
    drain()
    if err:
        core.raise_errno(err, "send()")
    return tracker


cdef object recv_part(Core core, int flags, bint tracked):
    """Receive one frame as a Frame."""
    cdef BaseFrame frame = new_frame(tracked)
    cdef int err
    enter(core, "recv()")
    err = recv_frame(core, &frame.msg, flags, "recv()")
    leave(core)
    if err:
        core.raise_errno(err, "recv()")
    frame.more = zmq_msg_more(&frame.msg)
    drain()
    return frame


cdef bint are_plain(object parts, bint copy, size_t threshold) except -1:
    """Whether all are bytes to be copied, some perhaps only because they are short."""
    if not parts:
        return False
    for part in parts:
        if not PyBytes_CheckExact(part):
            return False
        if not copy and <size_t> PyBytes_GET_SIZE(part) >= threshold:
            return False
    return True


cdef object send_message(Core core, object parts, int flags, bint copy, bint tracked,
                         size_t threshold):
    """Send one message; return what pyzmq's send_multipart() returns."""
    cdef tuple items
    cdef Py_ssize_t count, made = 0, i
    cdef frame_t *frames
    cdef zmq_msg_t *msgs
    cdef bint open
    cdef int err = 0
    if not flags & ZMQ_SNDMORE and not core.more and are_plain(parts, copy, threshold):
        send_parts(core, parts, flags)
        return None if copy else finished()
    items = tuple(parts)
    count = len(items)
    frames = <frame_t *> PyMem_Malloc(count * sizeof(frame_t))
    msgs = <zmq_msg_t *> PyMem_Malloc(count * sizeof(zmq_msg_t))
    trackers = []
    tracker = None
    try:
        if frames == NULL or msgs == NULL:
            raise MemoryError("send_multipart()")
        for part in items:
            zmq_msg_init(&msgs[made])
            made += 1
            tracker = prepare_part(core, &msgs[made - 1], part, copy, tracked,
                                   threshold, made - 1)
            if tracked:
                trackers.append(tracker)
            plan(&frames[made - 1], &msgs[made - 1], True)
        enter(core, "send_multipart()")
        open = core.more or flags & ZMQ_SNDMORE
        if open:
            # The message began before, or goes on after.
            for i in range(count):
                err = send_frame(core, &frames[i], flags if i == count - 1 else
                                 flags | ZMQ_SNDMORE, "send_multipart()")
                if err:
                    break
        else:
            err = send_frames(core, frames, count, flags, "send_multipart()")
        leave(core)
    finally:
        for i in range(made):
            zmq_msg_close(&msgs[i])
        PyMem_Free(msgs)
        PyMem_Free(frames)
    drain()
    if err:
        core.raise_errno(err, "send_multipart()")
    return tracker_of(trackers) if count > 1 and None not in trackers and trackers \
        else tracker


cdef object prepare_part(Core core, zmq_msg_t *msg, object part, bint copy,
                         bint tracked, size_t threshold, Py_ssize_t index):
    """prepare(), with pyzmq's words for what is no buffer."""
    try:
        return prepare(core, msg, part, copy, tracked, threshold)
    except TypeError:
        raise TypeError(f"Frame {index} ({part!r:.32}) does not support the buffer "
                        "interface.") from None


cdef list recv_message(Core core, int flags, bint copy, bint tracked):
    """Receive one message, as bytes or as Frames."""
    cdef list frames = []
    cdef BaseFrame frame
    cdef int rc, err
    if copy:
        return recv_parts(core, flags, True, False, "recv_multipart()")
    frame = new_frame(tracked)
    enter(core, "recv_multipart()")
    err = recv_frame(core, &frame.msg, flags, "recv_multipart()")
    try:
        while not err:
            frame.more = zmq_msg_more(&frame.msg)
            frames.append(frame)
            if not frame.more:
                break
            frame = new_frame(tracked)
            # They are all there; a signal does not part them.
            rc = zmq_msg_recv(&frame.msg, core.ptr, ZMQ_DONTWAIT)
            while rc < 0 and zmq_errno() == EINTR:
                rc = zmq_msg_recv(&frame.msg, core.ptr, ZMQ_DONTWAIT)
            err = zmq_errno() if rc < 0 else 0
    finally:
        leave(core)
    if err:
        core.raise_errno(err, "recv_multipart()")
    drain()
    return frames
