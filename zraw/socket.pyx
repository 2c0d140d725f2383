"""Socket: functions of the forms zmq_socket_xxx(socket) and zmq_xxx(socket)."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINVAL
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uintptr_t

from os import urandom

from zraw.batch cimport recv_batch, recv_parts, send_batch, send_one, send_parts
from zraw.connecting cimport ConnectingSocket
from zraw.context cimport Context, set_socket_type
from zraw.error cimport fail
from zraw.guard cimport (
    ENVELOPED,
    TIMED,
    UDP,
    UNBOUND,
    ZRAW_CLOSING,
    check_flags,
    enter,
    leave,
    partings,
    socket_fd,
    socket_int,
    to_address,
    to_flags,
    to_int,
    to_milliseconds,
    to_size,
    type_name,
    zraw_next,
    zraw_put,
    zraw_put_len,
    zraw_put_long,
    zraw_put_ptr,
    zraw_seen,
    zraw_seen_len,
    zraw_seen_ptr,
    zraw_take,
    zraw_this_thread,
)
from zraw.libzmq cimport (
    ENOTSUP,
    ZMQ_DONTWAIT,
    ZMQ_POLLIN,
    ZMQ_POLLOUT,
    ZMQ_PUB,
    ZMQ_REQ,
    ZMQ_SNDMORE,
    ZMQ_STREAM,
    ZMQ_THREAD_SAFE,
    ZMQ_TYPE,
    ZMQ_XPUB,
    zmq_close,
    zmq_errno,
    zmq_has,
    zmq_send,
    zmq_socket,
)
from zraw.message cimport Message, claim, empty_message, recv_message, unclaim
from zraw.polling cimport poll_socket
from zraw.process cimport fork_generation
from zraw.receiving cimport LARGE, recv_buffer, recv_bytes, recv_frame
from zraw.release cimport drain
from zraw.sending cimport frame_t, note_more, on_short_path, send_frame

cdef extern from *:
    """
    #include <stdlib.h>
    /* What rand() says next is of a seed of ours, and of nobody else's business. */
    #ifdef __GLIBC__
    static char zraw_dice[32], *zraw_dice_before;
    static void zraw_seed(uint32_t seed) {
        zraw_dice_before = initstate(seed, zraw_dice, sizeof zraw_dice);
    }
    static void zraw_unseed(void) { setstate(zraw_dice_before); }
    #else
    static void zraw_seed(uint32_t seed) { srand(seed); }
    static void zraw_unseed(void) {}
    #endif
    """
    void zraw_seed(uint32_t seed) noexcept
    void zraw_unseed() noexcept

cdef extern from "Python.h":
    int PyErr_ResourceWarning(object source, Py_ssize_t stacklevel,
                              const char *format, ...) noexcept
    void PyErr_WriteUnraisable(object where)

cdef enum:
    RADIO = 14  # ZMQ_RADIO and ZMQ_DGRAM, draft types
    DGRAM = 18

cdef size_t DEFAULT_PIN_THRESHOLD = 64 * 1024
cdef object dice = object()  # held from zraw_seed() to zraw_unseed()
cdef dict const_data = {}  # sent by send_const(): libzmq may read it at any time


cdef int recv_flags(object flags) except -1:
    """check_flags() for recv(); names the right call if it is given a Message."""
    if isinstance(flags, Message):
        raise TypeError("recv(): flags: int, not Message; to receive into a Message, "
                        "call recv_msg(message)")
    return check_flags(flags, ZMQ_DONTWAIT, "recv()")


cdef class Socket(ConnectingSocket):
    """Socket(context, type): a socket of a type such as ZMQ_PUSH.

    C call: zmq_socket()

    type: one of ZMQ_PAIR, ZMQ_PUB, ZMQ_SUB, ZMQ_REQ, ZMQ_REP, ZMQ_DEALER,
        ZMQ_ROUTER, ZMQ_PULL, ZMQ_PUSH, ZMQ_XPUB, ZMQ_XSUB, ZMQ_STREAM, and the
        draft types where libzmq has them.

    A socket may move between threads, not be shared: a second thread inside a
    call gets SocketInUse.  `with` ends with close().

    Raises: InvalidArgument (EINVAL) for an unknown type; NotSupported (ENOTSUP)
        for a draft type without libzmq's draft API; TooManySockets (EMFILE);
        ContextTerminated (ETERM).
    """

    def __cinit__(self):
        self.pin_limit = self.short_limit = DEFAULT_PIN_THRESHOLD

    def __init__(self, Context context not None, type):
        cdef void *ptr
        cdef int err, kind = to_int(type, "Socket(): type")
        if self.type >= 0:
            raise RuntimeError("Socket.__init__(): called before")
        if kind > ZMQ_STREAM and not zmq_has("draft"):
            fail(ENOTSUP if kind <= 20 else EINVAL, f"Socket({type_name(kind)})"
                 + (": this libzmq is built without its draft API"
                    if kind <= 20 else ""))
        # libzmq counts the names that it makes up for peers from what rand() says, and
        # never seeds that: a peer that takes the next name aborts the process.
        cdef uint32_t seed = int.from_bytes(urandom(4), "little")
        with cython.critical_section(context, dice):
            context.check(f"socket({type_name(kind)})")
            zraw_seed(seed)
            ptr = zmq_socket(context.ptr, kind)
            err = zmq_errno() if ptr == NULL else 0
            zraw_unseed()
        if err:
            fail(err, f"Socket({type_name(kind)})")
        self.adopt(context, ptr)

    cdef int adopt(self, Context context, void *ptr) except -1:
        cdef bint late
        with cython.critical_section(self):
            late = self.type >= 0
            if not late:
                self.ptr = ptr
                self.context = context
                zraw_put_long(&self.thread, zraw_this_thread())
                self.type = socket_int(ptr, ZMQ_TYPE)
                self.fd = socket_fd(ptr)
                self.shared = socket_int(ptr, ZMQ_THREAD_SAFE) == 1
                if self.type == ZMQ_PUB or self.type == ZMQ_XPUB or self.type == RADIO:
                    self.detour |= TIMED
                elif self.type == ZMQ_REQ:
                    self.detour |= ENVELOPED
                elif self.type == DGRAM:
                    self.detour |= UDP
                    if not self.borrowed:
                        self.detour |= UNBOUND
                zraw_put(&self.generation, fork_generation)
        if late:  # another thread was faster
            zmq_close(ptr)
            raise RuntimeError("Socket.__init__(): called before")
        context.add(self)
        return 0

    def __del__(self):
        self.stop_monitor()
        if (self.ptr != NULL and self.generation == fork_generation
                and not self.borrowed):
            if PyErr_ResourceWarning(self, 1, "unclosed %R", <void *> self) < 0:
                PyErr_WriteUnraisable(self)

    def __dealloc__(self):
        if (self.ptr != NULL and self.generation == fork_generation
                and not self.borrowed):
            if self.linked_inside:
                zraw_next(&partings)
            zmq_close(self.ptr)

    @staticmethod
    def from_handle(Context context not None, address):
        """Return a Socket for a libzmq socket that others own.

        address: of the socket, as int; a wrong one crashes the interpreter.

        It is never closed by zraw.
        """
        cdef Socket socket = Socket.__new__(Socket)
        cdef uintptr_t pointer = to_address(address, "Socket.from_handle(): address")
        context.check("from_handle()")
        socket.borrowed = True
        socket.adopt(context, <void *> pointer)
        return socket

    def close(self, linger=None):
        """Close the socket; unsent messages are sent in the background.

        C call: zmq_close(); zmq_setsockopt() with ZMQ_LINGER

        linger: milliseconds that Context.term() waits for unsent messages, -1 for
            ever; None leaves ZMQ_LINGER as it is.

        A second close() does nothing; so does one in a forked child.

        Raises: SocketInUse (EBUSY) if another thread is inside a call;
            Context.shutdown() makes it come back.
        """
        cdef int milliseconds = -1
        if linger is not None:
            milliseconds = to_milliseconds(linger, "close(): linger")
        if (zraw_seen(&self.generation) != fork_generation
                or zraw_seen(&self.busy) == ZRAW_CLOSING):
            return
        if not zraw_take(&self.busy, ZRAW_CLOSING):
            if zraw_seen(&self.busy) == ZRAW_CLOSING:
                return  # by another thread, just now
            self.reject("close()")
        try:
            self.detach()
        finally:
            # Whatever a signal handler raises: nobody could close it any more.
            self.shut(linger is not None, milliseconds, False)
        self.context.discard(self)
        drain()

    @property
    def closed(self):
        """True once the socket is closed."""
        return zraw_seen(&self.generation) == 0

    @property
    def handle(self):
        """The address of libzmq's socket, as int.

        Raises: NotASocket (ENOTSOCK); SocketInUse (EBUSY).
        """
        cdef void *ptr
        enter(self, "handle")
        ptr = self.ptr  # gone, perhaps, as soon as the guard is free
        leave(self)
        return <uintptr_t> ptr

    @property
    def pin_threshold(self):
        """Exact bytes of at least this size are sent without a copy.

        Bytes; the default is 65536, 0 stands for all, -1 for none.
        """
        cdef size_t limit = zraw_seen_len(&self.pin_limit)
        return -1 if limit == <size_t> -1 else limit

    @pin_threshold.setter
    def pin_threshold(self, size):
        cdef size_t limit = <size_t> to_size(size, "pin_threshold", -1)
        zraw_put_len(&self.pin_limit, limit)
        zraw_put_len(&self.short_limit, min(limit, <size_t> LARGE + 1))

    def send(self, data, flags=0):
        """Send a frame; return its size in bytes.

        C call: zmq_send(); zmq_msg_send() for a Message or pinned memory

        data: bytes, any contiguous buffer, or a Message, which is empty after.
        flags: ZMQ_DONTWAIT, ZMQ_SNDMORE.

        Waits: until a peer can take it, or ZMQ_SNDTIMEO (ms) is over; not on
            ZMQ_PUB, ZMQ_ROUTER and others that drop.
        Copies: once; exact bytes of `pin_threshold` and more, and Messages, not.
        Raises: Again (EAGAIN), ContextTerminated (ETERM), InvalidState (EFSM),
            NotASocket (ENOTSOCK), NotSupported (ENOTSUP), HostUnreachable
            (EHOSTUNREACH), InvalidArgument (EINVAL), SocketInUse (EBUSY);
            BufferError if a Message has views alive; InvalidHandle (EFAULT) if it
            is closed.
        """
        cdef size_t size
        cdef int err
        cdef int wanted = to_flags(flags, ZMQ_DONTWAIT | ZMQ_SNDMORE, "send()")
        if PyBytes_CheckExact(data):
            size = PyBytes_GET_SIZE(data)
            if size < zraw_seen_len(&self.short_limit):
                enter(self, "send()")
                if on_short_path(self) and zmq_send(
                        self.ptr, PyBytes_AS_STRING(data), size,
                        wanted | ZMQ_DONTWAIT) >= 0:
                    if wanted & ZMQ_SNDMORE or self.more:
                        note_more(self, wanted)
                    leave(self)
                    drain()
                    return size
                leave(self)
        err = send_one(self, data, wanted, "send()", &size)
        if err:
            self.raise_errno(err, "send()")
        return size

    def try_send(self, data):
        """Send a frame if that needs no waiting; return whether it was sent.

        C call: zmq_send() with ZMQ_DONTWAIT

        data: as for send().

        Raises: as send(), but never Again.
        """
        cdef size_t size
        cdef int err = send_one(self, data, ZMQ_DONTWAIT, "try_send()", &size)
        if err and err != EAGAIN:
            self.raise_errno(err, "try_send()")
        return err == 0

    def send_const(self, data, flags=0):
        """Send bytes that are kept for good, without a copy; return their size.

        C call: zmq_send_const()

        data: exact bytes.  One reference to each distinct object is never given
            back: for constants, not for data.
        flags: ZMQ_DONTWAIT, ZMQ_SNDMORE.

        Waits, Raises: as send().
        """
        cdef frame_t frame
        cdef int err
        cdef int wanted = to_flags(flags, ZMQ_DONTWAIT | ZMQ_SNDMORE, "send_const()")
        if not PyBytes_CheckExact(data):
            raise TypeError("send_const(): data: bytes itself, not "
                            f"{type(data).__name__}")
        if <void *> data != zraw_seen_ptr(&self.constant):
            const_data[id(data)] = data  # threads contend for the dict
            zraw_put_ptr(&self.constant, <void *> data)
        frame.msg = NULL
        frame.data = PyBytes_AS_STRING(data)
        frame.size = PyBytes_GET_SIZE(data)
        frame.constant = True
        enter(self, "send_const()")
        err = send_frame(self, &frame, wanted, "send_const()")
        leave(self)
        if err:
            self.raise_errno(err, "send_const()")
        drain()
        return frame.size

    def send_multipart(self, parts, flags=0):
        """Send a message of several frames, whole or not at all.

        C call: zmq_send() and zmq_msg_send() with ZMQ_SNDMORE

        parts: a sequence of what send() takes.  Messages among them are empty
            once the whole message is accepted.
        flags: ZMQ_DONTWAIT.

        If the peer dies in mid-message, PUSH, DEALER and PAIR send the message again
        from its first frame; on others libzmq drops it.  (A ZMQ_XSUB that connects
        is the exception: when its connection is renewed in that very moment, libzmq
        forgets the first frames and sends the others.)

        Waits: for the first frame, as send().
        Raises: as send(); InvalidState (EFSM) with ZMQ_SNDMORE, or while a message
            begun with it is open; on ZMQ_REQ also if the peer left in mid-message,
            after which the socket can only be closed.
        """
        send_parts(self, parts,
                   to_flags(flags, ZMQ_DONTWAIT | ZMQ_SNDMORE, "send_multipart()"))

    def send_many(self, messages, flags=0):
        """Send many messages; return how many were accepted.

        C call: zmq_send() in a loop

        messages: a list or tuple; each item what send() takes, or a list or tuple
            of parts.
        flags: ZMQ_DONTWAIT: stop when it would have to wait.

        Waits: as send(), ZMQ_SNDTIMEO anew for each message.
        Raises: as send(), but only before anything was accepted.  What a signal
            handler raises in between has the number accepted as its `sent`.
        """
        return send_batch(self, messages,
                          to_flags(flags, ZMQ_DONTWAIT | ZMQ_SNDMORE, "send_many()"))

    def recv(self, flags=0):
        """Receive a frame as bytes.

        C call: zmq_msg_recv()

        flags: ZMQ_DONTWAIT.

        Waits: until a message comes, or ZMQ_RCVTIMEO (ms) is over.
        Copies: once.
        Raises: Again (EAGAIN), ContextTerminated (ETERM), InvalidState (EFSM),
            NotASocket (ENOTSOCK), NotSupported (ENOTSUP), SocketInUse (EBUSY).
        """
        cdef int err = 0
        cdef int wanted = 0 if flags is 0 else recv_flags(flags)
        cdef bytes data = recv_bytes(self, wanted, &err, "recv()")
        if err:
            self.raise_errno(err, "recv()")
        return data

    def try_recv(self):
        """Receive a frame as bytes if one is there, else return None.

        C call: zmq_msg_recv() with ZMQ_DONTWAIT

        Raises: as recv(), but never Again.
        """
        cdef int err = 0
        cdef bytes data = recv_bytes(self, ZMQ_DONTWAIT, &err, "try_recv()")
        if err and err != EAGAIN:
            self.raise_errno(err, "try_recv()")
        return data

    def recv_into(self, buffer, flags=0):
        """Receive a frame into memory; return the frame's size in bytes.

        C call: zmq_recv()

        buffer: writable and contiguous.  A longer frame is cut to fit, and its
            rest is lost; the size returned is still the frame's, or 2147483647 if
            that is more and the buffer has less.
        flags: ZMQ_DONTWAIT.

        Waits, Raises: as recv(); BufferError or TypeError (ValueError if that is what
            it says, as NumPy does) for a buffer that is not writable or not
            contiguous; TypeError for one that holds Python objects.
        """
        return recv_buffer(self, buffer, to_flags(flags, ZMQ_DONTWAIT, "recv_into()"))

    def recv_msg(self, Message message=None, flags=0):
        """Receive a frame into a Message and return it.

        C call: zmq_msg_recv()

        message: what it held is released; None makes a new one.
        flags: ZMQ_DONTWAIT.

        Waits: as recv().
        Copies: nothing.
        Raises: as recv(); BufferError if views of `message` are alive;
            InvalidHandle (EFAULT) if it is closed.  After an error of libzmq's the
            message is empty.
        """
        cdef int wanted = to_flags(flags, ZMQ_DONTWAIT, "recv_msg()")
        if message is None:
            message = empty_message()
        recv_message(self, message, wanted, "recv_msg()")
        return message

    def try_recv_msg(self, Message message not None):
        """Receive a frame into a Message if one is there; return whether it was.

        C call: zmq_msg_recv() with ZMQ_DONTWAIT

        message: what it held is released, also when nothing is there.

        Raises: as recv_msg(), but never Again.
        """
        cdef int err
        claim(message, "try_recv_msg()")
        try:
            enter(self, "try_recv_msg()")
            err = recv_frame(self, &message.msg, ZMQ_DONTWAIT, "try_recv_msg()")
            leave(self)
            if err:
                message.reset()
                if err != EAGAIN:
                    self.raise_errno(err, "try_recv_msg()")
            message.writable = False
        finally:
            unclaim(message)
        drain()
        return err == 0

    def recv_multipart(self, flags=0, bint copy=True):
        """Receive a whole message as a list of its frames.

        C call: zmq_msg_recv(), zmq_msg_more()

        flags: ZMQ_DONTWAIT.
        copy: True for bytes, False for Messages.

        Waits, Raises: as recv().
        """
        return recv_parts(self, to_flags(flags, ZMQ_DONTWAIT, "recv_multipart()"), copy,
                          False, "recv_multipart()")

    def try_recv_multipart(self):
        """Receive a whole message as a list of bytes if one is there, else None.

        C call: zmq_msg_recv() with ZMQ_DONTWAIT, zmq_msg_more()

        Raises: as recv(), but never Again.
        """
        return recv_parts(self, ZMQ_DONTWAIT, True, True, "try_recv_multipart()")

    def recv_many(self, max_messages=1000, flags=0, bint copy=True,
                  bint multipart=False):
        """Wait for a message, then take those that are there; return a list.

        C call: zmq_msg_recv() in a loop

        max_messages: 1 or more.
        flags: ZMQ_DONTWAIT, for the first message.
        copy: True for bytes, False for Messages.
        multipart: True makes every item a list of frames; False only those of
            messages that have several.

        Waits: for the first message, as recv().
        Raises: as recv(), for the first message.  What a signal handler raises in
            between has the messages taken as its `received`.
        """
        return recv_batch(self, to_size(max_messages, "recv_many(): max_messages", 1),
                          to_flags(flags, ZMQ_DONTWAIT, "recv_many()"), copy,
                          multipart)

    def poll(self, timeout=-1, events=1):
        """Wait until the socket is ready; return which of `events` are.

        C call: zmq_poll()

        timeout: milliseconds; -1 waits for ever, 0 not at all.
        events: ZMQ_POLLIN (the default), ZMQ_POLLOUT, or both.

        Returns: 0 on time-out.
        Raises: ContextTerminated (ETERM), NotASocket (ENOTSOCK), SocketInUse
            (EBUSY).
        """
        cdef int wanted = to_int(events, "poll(): events")
        if wanted & ~(ZMQ_POLLIN | ZMQ_POLLOUT):
            raise ValueError(f"poll(): events: ZMQ_POLLIN or ZMQ_POLLOUT, not {wanted}")
        return poll_socket(self, to_milliseconds(timeout, "poll(): timeout"),
                           <short> wanted)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __reduce__(self):
        raise TypeError("a Socket belongs to this process: not to be pickled or "
                        "copied; pass the endpoint, and connect there")

    def __repr__(self):
        if self.type < 0:
            return "<zraw.Socket, __init__ not called>"
        cdef uint32_t generation = zraw_seen(&self.generation)
        state = ("closed" if not generation
                 else "of another process" if generation != fork_generation
                 else "in use" if zraw_seen(&self.busy) else "idle")
        bound, connected = self.endpoints() if generation else ((), ())
        ends = [f", bound to {end}" for end in bound]
        ends += [f", connected to {end}" for end in connected]
        return f"<zraw.Socket {type_name(self.type)} {state}{''.join(ends)}>"


set_socket_type(Socket)
