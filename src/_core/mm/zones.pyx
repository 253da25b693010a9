"""A zone from its mapping."""

from hinting.errors import PageError

from hinting._core.common cimport MAX_BLOCK_PAGES, NR_RESERVES, NR_ZONES
from hinting._core.mm.arguments cimport integer
from hinting._core.mm.counter cimport pcp_of
from hinting._core.mm.state cimport ZONE_BELOW_HIGH, mm_t, pcp_t, zone_t


cdef int set_zone(mm_t *m, zone) except -1:
    """Give m the zone that a mapping describes (see Allocator); PageError if it overlaps another one."""
    cdef int i = integer("zone index", zone["index"], 0, NR_ZONES - 1)
    cdef zone_t *z = &m.zone[i]
    cdef int k, cpu
    cdef pcp_t *p
    z.start = zone["start"]
    z.end = zone["end"]
    if not z.start < z.end:
        raise PageError(f"zone {i}: end must be above start, got [{z.start}, {z.end})")
    for other in range(NR_ZONES):
        if other != i and m.zone[other].end and not (
                m.zone[other].end <= z.start or z.end <= m.zone[other].start):
            raise PageError(f"zone {i}: [{z.start}, {z.end}) overlaps zone {other}")
        if m.zone[other].end == z.start and z.start % MAX_BLOCK_PAGES:
            raise PageError(f"zone {i}: start {z.start} borders on a zone and must be a multiple of 1024")
    z.managed = zone["managed"]
    z.present = zone.get("present", zone["managed"])
    z.populated = z.managed > 0
    for k in range(3):
        z.watermark[k] = zone["watermark"][k]
    for k in range(NR_RESERVES):
        z.lowmem_reserve[k] = zone["lowmem_reserve"][k]
    z.boost = zone.get("boost", 0)
    z.boost_factor = zone.get("boost_factor", 15000)
    z.threshold = zone["threshold"]
    z.flags = ZONE_BELOW_HIGH if zone.get("below_high", False) else 0
    z.nr_reserved_highatomic = zone.get("nr_reserved_highatomic", 0)
    for cpu in range(m.ncpus):
        p = pcp_of(m, z, cpu)
        p.batch = zone["batch"]
        p.high_min = zone.get("high_min", 0)
        p.high_max = zone.get("high_max", p.high_min)
        p.high = zone.get("high", 0)
    return 0
