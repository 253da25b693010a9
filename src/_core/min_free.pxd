"""min_free_kbytes of a kernel's own choice, and the watermarks of zones that follow from it, for guests and the host.

Follows calculate_min_free_kbytes, set_recommended_min_free_kbytes, nr_free_buffer_pages and __setup_per_zone_wmarks
(Linux 5.0, 6.1 and 6.12 differ in the upper clamp only). No zone is movable only.
"""

from libc.math cimport floor, sqrt
from libc.stdint cimport int64_t

from hinting._core.common cimport PAGE_BYTES, PAGEBLOCK_PAGES

cdef enum:
    PAGE_KIB = PAGE_BYTES / 1024
    MIN_FREE_KBYTES_MIN = 128
    WATERMARK_SCALE_FACTOR = 10         # vm.watermark_scale_factor at boot, 1/10000
    RECOMMENDED_PAGEBLOCKS = 2 + 3 * 3  # of each zone, for migratetypes not to mix
    RECOMMENDED_SHARE = 20              # at most one page in so many

cdef inline void zone_watermarks(int64_t managed, int64_t total, int64_t kib, int64_t scale_factor, int64_t *mark) noexcept nogil:
    """Min, low and high of a zone, pages. managed: its pages, total: those of all zones, above 0. kib: min_free_kbytes."""
    cdef int64_t lowest = kib / PAGE_KIB * managed / total
    cdef int64_t step = max(lowest / 4, managed * scale_factor / 10000)
    mark[0] = lowest
    mark[1] = lowest + step
    mark[2] = lowest + 2 * step

cdef inline int64_t min_free_kbytes(const int64_t *managed, int zones, int64_t maximum, bint thp) noexcept nogil:
    """vm.min_free_kbytes for zones of so many pages, one of them above 0; KiB.

    maximum: the version's upper clamp. thp: the huge page daemon runs and asks for more.
    """
    cdef int64_t mark[3]
    cdef int64_t total = 0, above_high = 0, recommended = 0, kib
    cdef int i
    for i in range(zones):
        total += managed[i]
    kib = <int64_t>floor(sqrt(16.0 * PAGE_KIB * <double>total))
    kib = min(max(kib, <int64_t>MIN_FREE_KBYTES_MIN), maximum)
    if not thp:
        return kib
    for i in range(zones):
        zone_watermarks(managed[i], total, kib, WATERMARK_SCALE_FACTOR, mark)
        above_high += max(managed[i] - mark[2], <int64_t>0)
        recommended += PAGEBLOCK_PAGES * RECOMMENDED_PAGEBLOCKS if managed[i] else 0
    recommended = min(recommended, above_high / RECOMMENDED_SHARE)
    return max(kib, recommended * PAGE_KIB)
