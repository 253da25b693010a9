"""A host gets swap: slots, and a device from the cost profile."""

from libc.math cimport log
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from hinting._core.costs cimport costs_t
from hinting._core.host.reclaim_state cimport DEVICE_READ, DEVICE_WRITE, MAX_SERVERS, device_t, reclaim_t
from hinting._core.host.slots cimport slots_drop, slots_init
from hinting._core.host.state cimport HOST_NOMEM, HOST_OK, host_t
from hinting._core.host.swapin cimport FIRST_HITS

cdef enum:
    DEVICE_NVME = 0
    DEVICE_SATA = 1
    DEVICE_HDD = 2

    MIB_PAGES = 256

cdef inline double page_ns(double mib_s) noexcept nogil:
    """Transfer time of one page at this bandwidth."""
    return 1e9 / (mib_s * MIB_PAGES)

cdef inline void device_init(device_t *d, const costs_t *c, int kind, bint tails, uint64_t seed) noexcept nogil:
    """An idle device. tails: latencies of reads are drawn, with the profile's value as median and its p99."""
    cdef double p99 = 0, servers
    cdef int i
    if kind == DEVICE_NVME:
        d.latency[DEVICE_READ], d.latency[DEVICE_WRITE] = c.dev_nvme_read, c.dev_nvme_write
        d.page_ns[DEVICE_READ], d.page_ns[DEVICE_WRITE] = page_ns(c.dev_nvme_read_mib_s), page_ns(c.dev_nvme_write_mib_s)
        servers, p99 = c.dev_nvme_qd, c.dev_nvme_read_p99
    elif kind == DEVICE_SATA:
        d.latency[DEVICE_READ], d.latency[DEVICE_WRITE] = c.dev_sata_read, c.dev_sata_write
        d.page_ns[DEVICE_READ] = d.page_ns[DEVICE_WRITE] = page_ns(c.dev_sata_read_mib_s)
        servers, p99 = c.dev_sata_qd, c.dev_sata_read_p99
    else:
        d.latency[DEVICE_READ] = d.latency[DEVICE_WRITE] = c.dev_hdd_random
        d.page_ns[DEVICE_READ] = d.page_ns[DEVICE_WRITE] = page_ns(c.dev_hdd_seq_mib_s)
        servers = c.dev_hdd_qd
    if tails and p99 > d.latency[DEVICE_READ]:
        d.sigma[DEVICE_READ] = log(p99 / d.latency[DEVICE_READ]) / 2.3263478740408408
    d.rotating = kind == DEVICE_HDD
    d.servers = <int>servers if servers < MAX_SERVERS else MAX_SERVERS
    d.last_end = -1
    d.seed = seed
    for i in range(d.servers):
        d.free_at[i] = 0

cdef inline int reclaim_init(
    host_t *h, const costs_t *c, int64_t slots, int kind, bint tails, int swappiness, int page_cluster
) noexcept nogil:
    """Let a host without guests swap; HOST_NOMEM without memory."""
    h.reclaim = <reclaim_t *>calloc(1, sizeof(reclaim_t))
    if h.reclaim == NULL:
        return HOST_NOMEM
    if slots_init(&h.reclaim.slots, slots, kind == DEVICE_HDD) != 0:
        return HOST_NOMEM
    device_init(&h.reclaim.device, c, kind, tails, h.seed)
    h.reclaim.swappiness = swappiness
    h.reclaim.page_cluster = page_cluster
    h.reclaim.read_hits = FIRST_HITS
    h.reclaim.read_slot = -2
    return HOST_OK

cdef inline void reclaim_drop(host_t *h) noexcept nogil:
    if h.reclaim != NULL:
        slots_drop(&h.reclaim.slots)
        free(h.reclaim)
    h.reclaim = NULL
