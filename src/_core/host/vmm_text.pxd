"""False anonymity: the VMM's own code is the only file memory that the host finds, so reclaim drops it while the VMM is idle.

Follows the last of the five effects of the VSwapper study (ASPLOS'14). A round of reclaim that finds a VMM idle since the
last one drops some of the code that its wake-ups need; the next wake-up reads it again, a readahead window at a time.
"""

from libc.stdint cimport int64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.device cimport request_io
from hinting._core.host.frames cimport give, take
from hinting._core.host.reclaim cimport frames_for
from hinting._core.host.reclaim_state cimport DEVICE_READ
from hinting._core.host.state cimport HOST_OK, VMM_TEXT_FRAMES, backing_t, host_t

cdef enum:
    TEXT_WINDOW = 32                    # pages of a readahead window: 128 KiB

cdef inline int64_t wake_vmm(host_t *h, backing_t *b, const costs_t *c, int64_t now) noexcept nogil:
    """The VMM wakes up at a time (ns); returns how long it waits for its own code, ns."""
    cdef int64_t at = now, pages = b.text_out, n
    cdef double ns = 0
    b.text_used = True
    if pages == 0:
        return 0
    h.now = now
    if frames_for(h, b, c, pages, &ns) != HOST_OK:
        return <int64_t>ns
    take(h, pages)
    b.text_in += pages
    b.text_out -= pages
    b.vmm_frames += pages
    at += <int64_t>ns
    while pages:
        n = min(pages, TEXT_WINDOW)
        at = request_io(&h.reclaim.device, DEVICE_READ, h.reclaim.slots.total + b.id * VMM_TEXT_FRAMES + pages, n, at)
        pages -= n
        b.n.vmm_major_faults += 1
        h.vm.pgmajfault += 1
    return at - now
