"""RAM that the VMM touches before the guest starts (prealloc), and RAM that is locked or pinned.

Follows do_touch_pages of QEMU 8.2: the process's own faults, so that no second-level entry exists yet.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.costs cimport costs_t
from hinting._core.host.fault cimport backing_touch
from hinting._core.host.frames cimport give
from hinting._core.host.state cimport BLOCK_ORDER, TOUCH_WRITES, backing_t, block_t, host_t
from hinting._core.host.words cimport fill_block

cdef inline int64_t faults_of(const backing_t *b) noexcept nogil:
    return <int64_t>(b.n.faults_4k + b.n.faults_2m + b.n.faults_pool)

cdef inline int backing_populate(
    host_t *h, backing_t *b, const costs_t *c, pfn_t pfn, uint64_t npages, double *ns
) noexcept nogil:
    """Back a range of a guest that has not started; adds the VMM's time to ns. HOST_NOMEM leaves a part undone.

    Pages of 1 GiB stay mapped: the one exit that each would take is left out.
    """
    cdef uint64_t i
    cdef block_t *block
    cdef int64_t faults = faults_of(b)
    cdef int result = backing_touch(h, b, c, pfn, npages, TOUCH_WRITES, ns)
    ns[0] -= <double>(faults_of(b) - faults) * (c.virt_vm_exit_entry + c.fault_tdp_map)
    if b.pool_blocks > 1:
        return result
    for i in range(pfn >> BLOCK_ORDER, ((pfn + npages - 1) >> BLOCK_ORDER) + 1):
        block = &b.blocks[i]
        fill_block(block.ept, 0)
        block.ept_huge = 0
        if block.ept_table:
            block.ept_table = 0
            b.ept_tables -= 1
            give(h, 1)
    return result
