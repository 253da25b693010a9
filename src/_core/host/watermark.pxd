"""Zones of the host, and the clamp of its min_free_kbytes (Linux 6.12)."""

from libc.stdint cimport int64_t

cdef enum:
    HOST_ZONES = 3                      # DMA, DMA32, Normal
    MIN_FREE_KBYTES_MAX = 262144

    DMA_FRAMES = 3840                   # managed by zone DMA of an x86 host: 15 MiB
    DMA32_END = 3 << 18                 # RAM below 4 GiB ends at 3 GiB, as on QEMU's and most firmware's maps
    DMA_END = 4096

cdef inline int x86_zones(int64_t frames, int64_t *managed) noexcept nogil:
    """Managed frames of zones DMA, DMA32, Normal for a host of this size; returns the number of zones populated."""
    managed[0] = min(frames, DMA_FRAMES)
    managed[1] = min(frames - managed[0], DMA32_END - DMA_END)
    managed[2] = frames - managed[0] - managed[1]
    return 1 + (managed[1] > 0) + (managed[2] > 0)
