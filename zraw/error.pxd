# Raise the exception of an errno, and remember the errno for zraw.errno().

cdef int fail(int err, object call) except -1
cdef int fail_forked(object call) except -1
cdef int fail_draft(object call) except -1
cdef int last_errno() noexcept
