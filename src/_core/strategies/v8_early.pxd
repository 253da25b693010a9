"""An early development build of v8: v8's table with other hooks."""

from hinting._core.strategies.v8 cimport V8

cdef class V8Early(V8):
    pass
