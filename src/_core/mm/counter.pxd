"""The free-page counter of a zone and what the CPUs keep back from it (all versions: vmstat differences)."""

from libc.stdint cimport int64_t

from hinting._core.mm.state cimport mm_t, pcp_t, zone_t

cdef inline pcp_t *pcp_of(mm_t *m, const zone_t *z, int cpu) noexcept nogil:
    return &m.pcp[z.index * m.ncpus + cpu]

cdef inline void account(mm_t *m, zone_t *z, int cpu, int64_t pages) noexcept nogil:
    """Add pages to the zone's free pages as one counting call of this CPU."""
    cdef pcp_t *p = pcp_of(m, z, cpu)
    cdef int64_t x = p.diff + pages
    if x > z.threshold or x < -z.threshold:
        z.counter += x
        p.diff = 0
    else:
        p.diff = <int>x

cdef inline void fold(mm_t *m, int cpu) noexcept nogil:
    """Move this CPU's differences into the counters of all zones: once a second, and when it goes idle."""
    cdef int i
    cdef pcp_t *p
    for i in range(4):
        if m.zone[i].populated:
            p = pcp_of(m, &m.zone[i], cpu)
            m.zone[i].counter += p.diff
            p.diff = 0

cdef inline int64_t free_exact(mm_t *m, const zone_t *z) noexcept nogil:
    """Free pages of the zone: the counter and every CPU's difference."""
    cdef int64_t n = z.counter
    cdef int cpu
    for cpu in range(m.ncpus):
        n += m.pcp[z.index * m.ncpus + cpu].diff
    return n
