"""Memory of the per-CPU arrays that v8 and its relatives keep."""

from libc.stdint cimport int8_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from hinting._core.common cimport pfn_t
from hinting._core.strategies.capture cimport SLOT_BLOCK, capture_t
from hinting._core.strategies.hooks cimport block_t
from hinting._core.strategies.v8_steps cimport cpu_state_t, v8_t

cdef inline bint make_capture(capture_t *c, int64_t entries) noexcept nogil:
    cdef int64_t room = (entries + SLOT_BLOCK - 1) // SLOT_BLOCK * SLOT_BLOCK
    c.capacity = entries
    c.pfn = <pfn_t *>calloc(room, sizeof(pfn_t))
    c.order = <int8_t *>calloc(room, 1)
    c.zone = <int8_t *>calloc(room, 1)
    if not (c.pfn and c.order and c.zone):
        return False
    memset(c.order, -1, room)
    memset(c.zone, -1, room)
    return True

cdef inline bint make_arrays(v8_t *v, int ncpus, bint isolated) noexcept nogil:
    """Captured and, if wanted, isolated arrays of all CPUs; False without memory."""
    cdef int i
    v.ncpus = ncpus
    v.cpu = <cpu_state_t *>calloc(ncpus, sizeof(v.cpu[0]))
    if v.cpu == NULL:
        return False
    for i in range(ncpus):
        v.cpu[i].at = -1
        if not make_capture(&v.cpu[i].kvm_pt, v.entries):
            return False
        if isolated:
            v.cpu[i].hyp = <block_t *>calloc(v.entries, sizeof(block_t))
            if v.cpu[i].hyp == NULL:
                return False
    return True

cdef inline void free_arrays(v8_t *v, bint isolated) noexcept nogil:
    cdef int i
    if v.cpu == NULL:
        return
    for i in range(v.ncpus):
        free(v.cpu[i].kvm_pt.pfn)
        free(v.cpu[i].kvm_pt.order)
        free(v.cpu[i].kvm_pt.zone)
        if isolated:
            free(v.cpu[i].hyp)
    free(v.cpu)
