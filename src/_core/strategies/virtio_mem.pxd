"""The virtio-mem device of one guest."""

from hinting._core.strategies.hooks cimport Strategy
from hinting._core.strategies.virtio_mem_steps cimport virtio_mem_t

cdef class VirtioMem(Strategy):
    cdef virtio_mem_t t
    cdef long base                      # page frame: memory below it does not belong to the device
