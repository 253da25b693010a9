"""Zones and watermarks of an x86 host, for Python."""

from collections import namedtuple

import numpy as np

from libc.stdint cimport int64_t

from hinting._core.min_free cimport min_free_kbytes, zone_watermarks

from hinting._core.host.arguments import MAX_FRAMES, whole

__all__ = ["Watermarks", "host_watermarks", "host_zones"]

Watermarks = namedtuple("Watermarks", "min low high")


def host_zones(frames):
    """Managed frames of zones DMA, DMA32 and Normal of an x86 host with this many frames."""
    cdef int64_t managed[HOST_ZONES]
    x86_zones(whole("host.frames_total", frames, 1, MAX_FRAMES), managed)
    return tuple(managed[i] for i in range(HOST_ZONES))


def host_watermarks(zones, *, thp=True, scale_factor=10, min_kbytes=None):
    """Watermarks of each zone, in frames, by the kernel's rules.

    zones: managed frames of each zone; empty ones do not count. thp: transparent huge pages are enabled, which raises
    min_free_kbytes. scale_factor: vm.watermark_scale_factor, 1/10000. min_kbytes: vm.min_free_kbytes if it was set.

    Returns (min_free_kbytes, one Watermarks a zone).
    """
    cdef int64_t mark[3]
    cdef int64_t frames, kib
    cdef int64_t[::1] managed = np.array([whole("host.zones", zone, 0, MAX_FRAMES) for zone in zones], np.int64)
    frames = whole("host.zones (sum)", sum(managed), 1, MAX_FRAMES)
    whole("host.scale_factor", scale_factor, 1, 3000)
    if min_kbytes is None:
        kib = min_free_kbytes(&managed[0], <int>managed.shape[0], MIN_FREE_KBYTES_MAX, thp)
    else:
        kib = whole("host.min_kbytes", min_kbytes, 0, 4 * frames)
    marks = []
    for zone in managed:
        zone_watermarks(zone, frames, kib, scale_factor, mark)
        marks.append(Watermarks(mark[0], mark[1], mark[2]))
    return kib, marks
