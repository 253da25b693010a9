"""The error that a recount ends in."""

cdef int raise_check(int result) except -1
