"""Mainline free page reporting: the table of one guest."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.page_reporting_steps cimport reporting_t

cdef class PageReporting(Strategy):
    cdef reporting_t r
