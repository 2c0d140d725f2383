# Options by their C types.

from zraw.guard cimport GuardedSocket


cdef object get_option(GuardedSocket socket, int option, type kind)
cdef int set_option(GuardedSocket socket, int option, object value,
                    type kind) except -1
cdef bytes c_string(object value, str what)
cdef int refuse_buffer(object error, object data, str what) except -1
cdef str option_name(int option)
cdef str context_option(int option, str access, bint *is_string)
cdef str message_property(int property)
cdef str of_sockets(int option)
