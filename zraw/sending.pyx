"""How a frame, and a message of several, are handed to libzmq.

A frame is first offered with ZMQ_DONTWAIT and the GIL held; the GIL is given up
only when the call has to wait.  A message goes out whole: if its peer dies
between two frames it is sent again from the first, or not at all.

Functions here return 0, or the errno, with the guard of the socket still held.
They raise only what a signal handler raised, with the guard given back.
"""

from libc.errno cimport EAGAIN, EINTR, EINVAL, EMSGSIZE
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport strlen

from zraw.error cimport fail
from zraw.guard cimport (
    BROKEN,
    ENVELOPED,
    LB_TAIL,
    TIMED,
    UDP,
    UNBOUND,
    WHOLE,
    GuardedSocket,
    leave,
    socket_int,
)
from zraw.libzmq cimport (
    EFSM,
    ZMQ_DEALER,
    ZMQ_DONTWAIT,
    ZMQ_EVENTS,
    ZMQ_PAIR,
    ZMQ_POLLOUT,
    ZMQ_PUSH,
    ZMQ_REQ,
    ZMQ_SNDMORE,
    ZMQ_SNDTIMEO,
    zmq_errno,
    zmq_msg_close,
    zmq_msg_copy,
    zmq_msg_group,
    zmq_msg_init,
    zmq_msg_send,
    zmq_msg_size,
    zmq_poll,
    zmq_pollitem_t,
    zmq_send,
    zmq_send_const,
)
from zraw.process cimport monotonic_ns

cdef extern from *:
    """
    #include <errno.h>
    #define zraw_set_errno(err) (errno = (err))
    """
    void set_errno "zraw_set_errno"(int err) noexcept nogil

cdef enum:
    DGRAM = 18            # ZMQ_DGRAM, a draft type
    UDP_MAX = 8192        # bytes of libzmq's buffer for a datagram
    SLOW_NS = 200000      # a send that took longer gives up the GIL next time
    TIMING_INTERVAL = 15  # while fast: so many at 200 us are still under 5 ms


cdef int put(void *ptr, void *argument, int flags) noexcept nogil:
    """Offer a frame once, by the libzmq function that fits it."""
    cdef frame_t *frame = <frame_t *> argument
    cdef zmq_msg_t copy
    cdef int rc, err
    if frame.msg == NULL:
        if frame.constant:
            return zmq_send_const(ptr, frame.data, frame.size, flags)
        return zmq_send(ptr, frame.data, frame.size, flags)
    if not frame.keep:
        return zmq_msg_send(frame.msg, ptr, flags)
    zmq_msg_init(&copy)
    if zmq_msg_copy(&copy, frame.msg) < 0:
        return -1
    rc = zmq_msg_send(&copy, ptr, flags)
    if rc < 0:
        err = zmq_errno()
        zmq_msg_close(&copy)
        set_errno(err)
    return rc


cdef int offer(GuardedSocket socket, frame_t *frame, int flags) noexcept:
    """put(), GIL held, and timed where the cost grows with the peers."""
    cdef int64_t start
    cdef int rc
    if on_short_path(socket) or not socket.detour & TIMED:
        return put(socket.ptr, frame, flags)
    start = monotonic_ns()
    if socket.slow:
        with nogil:
            rc = put(socket.ptr, frame, flags)
    else:
        rc = put(socket.ptr, frame, flags)
    socket.slow = monotonic_ns() - start > SLOW_NS
    socket.untimed = 0 if socket.slow else TIMING_INTERVAL
    return rc


cdef void note_more(GuardedSocket socket, int flags) noexcept nogil:
    """A frame was accepted: remember whether its message is still open."""
    socket.more = flags & ZMQ_SNDMORE
    if socket.type == ZMQ_PUSH or socket.type == ZMQ_DEALER or socket.type == ZMQ_REQ:
        socket.detour &= ~<uint32_t> LB_TAIL
        if socket.more:
            socket.detour |= LB_TAIL


cdef int writable(void *ptr, void *argument, int flags) noexcept nogil:
    """Wait for ZMQ_POLLOUT as long as a send may."""
    cdef zmq_pollitem_t item
    cdef int rc
    item.socket = ptr
    item.events = ZMQ_POLLOUT
    rc = zmq_poll(&item, 1, socket_int(ptr, ZMQ_SNDTIMEO))
    if rc == 0:
        set_errno(EAGAIN)
    return <int> (rc - 1 if rc <= 0 else 0)


cdef int check_datagram(GuardedSocket socket, frame_t *frame, int flags,
                        str call) except -1:
    """Refuse what libzmq would write beyond its buffer for udp, or to no pipe."""
    cdef size_t size = frame.size
    if frame.msg != NULL:
        size = zmq_msg_size(frame.msg)
    if socket.type != DGRAM:
        if frame.msg != NULL and <void *> zmq_msg_group != NULL:
            size += strlen(zmq_msg_group(frame.msg))
        return EMSGSIZE if size + 1 > UDP_MAX else 0
    if socket.more:
        return EMSGSIZE if size > UDP_MAX else 0
    if socket_int(socket.ptr, ZMQ_EVENTS) & ZMQ_POLLOUT:
        return 0
    # No room; or no pipe, if udp could not be had in the background.
    return EAGAIN if flags & ZMQ_DONTWAIT else socket.block(
        writable, NULL, 0, ZMQ_SNDTIMEO, call)


cdef int send_frame(GuardedSocket socket, frame_t *frame, int flags,
                    str call) except -1:
    """Send one frame under the caller's flags, as C does."""
    cdef int rc, err
    if socket.detour & (BROKEN | UNBOUND):
        return EFSM
    if socket.detour & WHOLE and flags & ZMQ_SNDMORE:
        return EINVAL
    if socket.detour & UDP:
        err = check_datagram(socket, frame, flags, call)
        if err:
            return err
    if socket.detour & LB_TAIL:
        # These types never wait in mid-message.  Should the peer be gone, libzmq
        # drops the rest of the message if the call is a waiting one; a trial
        # with ZMQ_DONTWAIT would make it send the rest to the next peer.
        rc = put(socket.ptr, frame, flags)
        while rc < 0 and zmq_errno() == EINTR:
            err = socket.run_handlers(call)
            if err:
                return err
            rc = put(socket.ptr, frame, flags)
        if rc < 0:
            err = zmq_errno()
            if err == EAGAIN:
                note_more(socket, flags)  # what is left of the message is dropped
            return err
        note_more(socket, flags)
        return 0
    if socket.detour & ENVELOPED and not socket.more:
        # A peer that leaves between REQ's envelope and the body would get the
        # request torn; news of it waits in the command queue.
        socket_int(socket.ptr, ZMQ_EVENTS)
    rc = offer(socket, frame, flags | ZMQ_DONTWAIT)
    if rc < 0:
        err = zmq_errno()
        if err == EAGAIN:
            # libzmq looks for credit about once per millisecond; ask it to now.
            socket_int(socket.ptr, ZMQ_EVENTS)
            rc = offer(socket, frame, flags | ZMQ_DONTWAIT)
            err = zmq_errno() if rc < 0 else 0
        if err and (err != EAGAIN or flags & ZMQ_DONTWAIT) and err != EINTR:
            return err
        if rc < 0:
            err = socket.block(put, frame, flags, ZMQ_SNDTIMEO, call)
            if err:
                return err
    note_more(socket, flags)
    return 0


cdef int refuse_open_message(GuardedSocket socket, int flags, str call) except -1:
    """Raise if a whole message may not begin here; the guard is held."""
    if flags & ZMQ_SNDMORE:
        leave(socket)
        fail(EFSM, f"{call}: ZMQ_SNDMORE: the call sends whole messages")
    if socket.more:
        leave(socket)
        fail(EFSM, f"{socket.describe(call)}: a message begun with ZMQ_SNDMORE is open")
    return 0


cdef int send_frames(GuardedSocket socket, frame_t *frames, Py_ssize_t count,
                     int flags, str call) except -1:
    """Send one message of `count` frames, whole or not at all."""
    cdef Py_ssize_t i = 0
    cdef int more = 0, rc = 0, err
    if count == 1:
        return send_frame(socket, frames, flags, call)
    if socket.type == DGRAM:
        # libzmq would keep the address, and take the next message for its body.
        if count != 2:
            return EINVAL
        if frames[1].size > UDP_MAX:
            return EMSGSIZE
    while True:
        err = send_frame(socket, frames, flags | ZMQ_SNDMORE, call)
        if err:
            return err
        for i in range(1, count):
            more = ZMQ_SNDMORE if i < count - 1 else 0
            rc = offer(socket, &frames[i], ZMQ_DONTWAIT | more)
            while rc < 0 and zmq_errno() == EINTR:
                rc = offer(socket, &frames[i], ZMQ_DONTWAIT | more)
            if rc < 0:
                break
        err = zmq_errno() if rc < 0 else 0
        note_more(socket, 0)
        if not err:
            return 0
        err = begin_again(socket, frames, count, i, err, call)
        if err:
            return err


cdef int begin_again(GuardedSocket socket, frame_t *frames, Py_ssize_t count,
                     Py_ssize_t refused, int err, str call) except -1:
    """After a refusal in mid-message return 0 if it may be sent from frame one."""
    cdef Py_ssize_t i
    cdef int more, rc
    if err != EAGAIN:
        return err
    # The peer died in mid-message and nobody gets the first part of it.
    if socket.type == ZMQ_PUSH or socket.type == ZMQ_DEALER:
        # If the refused frame was not the last, libzmq now drops frames up to the
        # last one.  Hand it those, or it drops the next message.
        for i in range(refused + 1, count):
            more = ZMQ_SNDMORE if i < count - 1 else 0
            rc = put(socket.ptr, &frames[i], ZMQ_DONTWAIT | more)
            while rc < 0 and zmq_errno() == EINTR:
                rc = put(socket.ptr, &frames[i], ZMQ_DONTWAIT | more)
    elif socket.type != ZMQ_PAIR:
        socket.detour |= BROKEN
        leave(socket)
        fail(EFSM, f"{socket.describe(call)}: the peer left in mid-message, and "
             "libzmq cannot send it again: close this socket")
    return 0
