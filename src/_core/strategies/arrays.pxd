"""Memory of the per-CPU arrays that v8 and its relatives keep."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from hinting._core.strategies.capture cimport capture_free, capture_init
from hinting._core.strategies.hooks cimport block_t
from hinting._core.strategies.v8_steps cimport cpu_state_t, v8_t

cdef inline bint make_arrays(v8_t *v, uint32_t ncpus, bint isolated) noexcept nogil:
    """Captured and, if wanted, isolated arrays of all CPUs; False without memory."""
    cdef uint32_t i
    v.ncpus = <int>ncpus
    v.cpu = <cpu_state_t *>calloc(ncpus, sizeof(v.cpu[0]))
    if v.cpu == NULL:
        return False
    for i in range(ncpus):
        v.cpu[i].at = -1
        if not capture_init(&v.cpu[i].kvm_pt, v.entries):
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
        capture_free(&v.cpu[i].kvm_pt)
        if isolated:
            free(v.cpu[i].hyp)
    free(v.cpu)
