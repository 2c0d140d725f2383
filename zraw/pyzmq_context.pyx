"""Context of zraw.pyzmq, over a Context of zraw that its shadows share."""

from libc.stdint cimport uintptr_t

from zraw.context cimport Context as Core
from zraw.guard cimport zraw_seen, zraw_seen_ptr
from zraw.process cimport fork_generation
from zraw.pyzmq_error cimport translated

from zraw.context import open_contexts
from zraw.error import ZMQError


cdef Core core_at(uintptr_t address):
    """Return the context at an address: one that is known, or one of others."""
    for context, known in open_contexts():
        if known == address:
            return context
    return Core.from_handle(address)


cdef class Context:
    """Context(io_threads=1, shadow=0): what sockets are made in.

    shadow: the address of libzmq's context, if there is one.
    """

    def __init__(self, int io_threads=1, uintptr_t shadow=0):
        self.shadows = shadow != 0
        try:
            self.core = core_at(shadow) if shadow else Core(io_threads)
        except (ZMQError, ValueError) as error:
            raise translated(error) from None

    @property
    def closed(self):
        """True once it is terminated, or being terminated; a shadow knows only its own.
        """
        return self.over or self.core is None or (
            not self.shadows and self.core.closed)

    @property
    def underlying(self):
        """The address of libzmq's context; 0 once it is terminated."""
        return 0 if self.core is None else <uintptr_t> zraw_seen_ptr(
            <void **> &self.core.ptr)

    def term(self):
        """Wait until every socket is closed and sent messages are gone; then end.

        Of a context that it shadows, too.  Ctrl-C gets through; another term() goes on.
        """
        cdef Core core = self.core
        if core is None or zraw_seen(&core.generation) not in (0, fork_generation):
            self.over = True  # a child leaves its parent's alone
            return
        core.borrowed = False
        self.over = True
        try:
            core.term()
        except ZMQError as error:
            raise translated(error) from None

    def get(self, int option):
        """Return a context option."""
        self.refuse_closed()
        try:
            return self.core.get(option)
        except ZMQError as error:
            raise translated(error) from None

    def set(self, int option, optval):
        """Set a context option."""
        self.refuse_closed()
        if not isinstance(optval, int):
            raise TypeError(f"expected int, got: {optval!r}")
        try:
            self.core.set(option, optval)
        except ZMQError as error:
            raise translated(error) from None

    cdef int refuse_closed(self) except -1:
        if self.closed:
            raise RuntimeError("Context has been destroyed")
        return 0
