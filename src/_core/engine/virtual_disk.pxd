"""The guest's virtual disk and a host that swaps the guest without knowing what its pages hold.

The VMM writes what the guest reads from the disk into guest memory, and reads what the guest writes to it: pages that
the host has swapped out are read back for that. Clean pages of the page cache are copies of disk blocks; the host,
which takes them for anonymous memory, writes them to swap. Named after the VSwapper study (ASPLOS'14).
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.common cimport pfn_t
from hinting._core.engine.machine cimport machine_t
from hinting._core.engine.pagecache cimport CACHE_DIRTY, CACHE_FILE, cache_t
from hinting._core.host.fault cimport backing_touch_page
from hinting._core.host.state cimport HOST_OK, TOUCH_WRITEBACK
from hinting._core.host.swapin cimport is_swapped
from hinting._core.host.words cimport first_bit

cdef inline bint is_disk_copy(const cache_t *c, uint64_t pfn) noexcept nogil:
    """Whether a page holds an unmodified copy of a disk block."""
    cdef uint64_t file = c.owner[pfn].file & CACHE_FILE, index = c.owner[pfn].index
    if file >= c.nr_files or <int64_t>index >= c.file[file].pages or c.file[file].page[index] != pfn:
        return False
    return not c.owner[pfn].file & CACHE_DIRTY

cdef inline uint64_t disk_copies(void *guest, uint64_t first, uint64_t pages) noexcept nogil:
    """Which of the pages of a word that begins at page `first` are copies of disk blocks."""
    cdef const cache_t *c = &(<machine_t *>guest).cache
    cdef uint64_t found = 0, rest = pages
    if c.owner == NULL:
        return 0
    while rest:
        if is_disk_copy(c, first + first_bit(rest)):
            found |= rest & (~rest + 1)
        rest &= rest - 1
    return found

cdef inline double fetch_for_disk(machine_t *g, pfn_t pfn, int64_t now) noexcept nogil:
    """The VMM reads a page that goes to the disk; returns the time that it waits for the host's swap, ns.

    host_oom if the host has no frame for it.
    """
    cdef double ns = 0
    if g.backing.aged == NULL or not is_swapped(g.backing, pfn):
        return 0
    g.sim.host.now = now
    if backing_touch_page(g.sim.host, g.backing, g.costs, pfn, TOUCH_WRITEBACK, &ns) != HOST_OK:
        g.host_oom = True
    return ns
