"""A zone from its mapping."""

from hinting._core.mm.state cimport mm_t

cdef int set_zone(mm_t *m, zone) except -1
