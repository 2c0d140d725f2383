# Options by their C types.

from zraw.guard cimport GuardedSocket


cdef object get_option(GuardedSocket socket, object which, type kind)
cdef int set_option(GuardedSocket socket, object which, object value,
                    type kind) except -1
cdef bytes c_string(object value, str what)
cdef str option_name(int option)
