"""Watermarks of the host's zones.

Follows calculate_min_free_kbytes, set_recommended_min_free_kbytes and __setup_per_zone_wmarks (Linux 6.12); no zone is
movable only.
"""

from libc.math cimport floor, sqrt
from libc.stdint cimport int64_t

from hinting._core.host.state cimport BLOCK_PAGES

cdef enum:
    HOST_ZONES = 3                      # DMA, DMA32, Normal
    MIN_FREE_KBYTES_MIN = 128
    MIN_FREE_KBYTES_MAX = 262144
    MIGRATE_PCPTYPES = 3
    FRAME_KIB = 4

    DMA_FRAMES = 3840                   # managed by zone DMA of an x86 host: 15 MiB
    DMA32_END = 3 << 18                 # RAM below 4 GiB ends at 3 GiB, as on QEMU's and most firmware's maps
    DMA_END = 4096

cdef inline int64_t min_free_kbytes(int64_t frames, int zones, bint thp) noexcept nogil:
    """vm.min_free_kbytes of a host with this many managed frames in this many zones, KiB."""
    cdef int64_t recommended
    cdef int64_t kib = <int64_t>floor(sqrt(16.0 * FRAME_KIB * <double>frames))
    kib = min(max(kib, MIN_FREE_KBYTES_MIN), MIN_FREE_KBYTES_MAX)
    if thp:
        recommended = BLOCK_PAGES * zones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES)
        recommended = min(recommended, frames / 20)
        kib = max(kib, recommended * FRAME_KIB)
    return kib

cdef inline void zone_watermarks(
    int64_t managed, int64_t frames, int64_t min_kib, int64_t scale_factor, int64_t *mark
) noexcept nogil:
    """Min, low and high of one zone, frames. scale_factor: vm.watermark_scale_factor, 1/10000."""
    cdef int64_t lowest = min_kib / FRAME_KIB * managed / frames
    cdef int64_t step = max(lowest / 4, managed * scale_factor / 10000)
    mark[0] = lowest
    mark[1] = lowest + step
    mark[2] = lowest + 2 * step

cdef inline int x86_zones(int64_t frames, int64_t *managed) noexcept nogil:
    """Managed frames of zones DMA, DMA32, Normal for a host of this size; returns the number of zones populated."""
    managed[0] = min(frames, DMA_FRAMES)
    managed[1] = min(frames - managed[0], DMA32_END - DMA_END)
    managed[2] = frames - managed[0] - managed[1]
    return 1 + (managed[1] > 0) + (managed[2] > 0)
