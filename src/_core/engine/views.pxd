"""What a machine's state looks like from Python."""

from libc.stdint cimport int64_t, uint32_t

from hinting._core.common cimport NO_PFN
from hinting._core.engine.machine cimport GUEST_FINE, machine_t
from hinting._core.engine.pagecache cimport CACHE_FILE, CACHE_FLAGS_SHIFT, LRU_ACTIVE, LRU_INACTIVE
from hinting._core.engine.meter cimport held_by_guest, rss_of_vmm

cdef inline dict counts_of(machine_t *g):
    """Counts of the guest since its launch; memory in pages."""
    cdef uint32_t i
    cdef int64_t slab_pages = 0, slab_objects = 0
    for i in range(g.nr_slab_caches):
        slab_pages += g.slab_cache[i].live << g.slab_cache[i].order
        slab_objects += g.slab_cache[i].object.n
    cdef dict counts = {
        "slab_pages": slab_pages, "slab_objects": slab_objects, "reclaimed_slab_pages": g.reclaim.slab,
        "touched_pages": g.touched_pages, "minor_faults": g.minor_faults,
        "thp_faults": g.thp_faults, "thp_fallbacks": g.thp_fallbacks,
        "thp_mapping_splits": g.thp_mapping_splits, "thp_page_splits": g.thp_page_splits,
        "thp_split_queue": g.split_queue.n, "forks": g.forks, "cow_pages": g.cow_pages,
        "passed_over_rows": g.passed_over, "guest_oom_kills": g.guest_oom_kills, "failed_allocations": g.failed_allocations,
        "device_requests": g.requests, "installs": g.installs,
        "config_writes": g.strategy.work.config_writes if g.strategy != NULL else 0,
        "reports": g.reports, "reported_blocks": g.reported_blocks, "reported_pages": g.reported_pages,
        "returned_frames": g.returned_frames + g.backing.n.lazily_dropped, "max_isolated_pages": g.max_isolated,
        "lost_answers": g.lost_answers, "lazy_pages": g.backing.lazy_pages if g.state == GUEST_FINE else 0,
        "inactive_file_pages": g.cache.lru[LRU_INACTIVE].n, "active_file_pages": g.cache.lru[LRU_ACTIVE].n,
        "dirty_file_pages": g.cache.dirty, "file_read_pages": g.cache.reads, "file_written_pages": g.cache.writebacks,
        "workingset_refault_pages": g.cache.refaults, "workingset_activate_pages": g.cache.refault_activations,
        "kswapd_runs": g.kswapd.runs, "direct_reclaims": g.reclaim.stalls,
        "pgscan_kswapd_pages": g.reclaim.scanned_kswapd, "pgsteal_kswapd_pages": g.reclaim.stolen_kswapd,
        "pgscan_direct_pages": g.reclaim.scanned_direct, "pgsteal_direct_pages": g.reclaim.stolen_direct,
        "reclaim_written_pages": g.reclaim.written,
        "held_frames": held_by_guest(g) if g.state == GUEST_FINE else 0,
        "rss_pages": rss_of_vmm(g) if g.state == GUEST_FINE else 0,
    }
    if g.sim.policy != NULL:
        counts |= {"deferred_pages": g.deferred_pages, "ignored_pages": g.ignored_pages}
    return counts

cdef inline dict processes_of(machine_t *g):
    """{process: (rss_pages, table_pages)} of the processes that live."""
    cdef uint32_t i
    return {i: (g.process[i].rss_pages, g.process[i].tables) for i in range(g.nr_processes) if g.process[i].alive}

cdef inline list marks_of(machine_t *g):
    """[(number, t_ns, host_used_frames, held_frames), ...]."""
    cdef int64_t i
    return [(g.mark[i].number, g.mark[i].t_ns, g.mark[i].host_used, g.mark[i].held) for i in range(g.nr_marks)]

cdef inline list kills_of(machine_t *g):
    """[(t_ns, process, rss_pages), ...]."""
    cdef int64_t i
    return [(g.kill[i].t_ns, g.kill[i].process, g.kill[i].rss_pages) for i in range(g.guest_oom_kills)]

cdef inline void list_cache(machine_t *g, uint32_t[:, ::1] out) noexcept:
    """Rows file, index, pfn, flags of all cached pages: the inactive list, then the active one, oldest first."""
    cdef int64_t n = 0
    cdef int i
    cdef uint32_t pfn
    for i in range(2):
        pfn = g.cache.lru[i].oldest
        while pfn != NO_PFN:
            out[n, 0] = g.cache.owner[pfn].file & CACHE_FILE
            out[n, 1] = g.cache.owner[pfn].index
            out[n, 2] = pfn
            out[n, 3] = g.cache.owner[pfn].file >> CACHE_FLAGS_SHIFT
            pfn = g.mm.link[pfn].prev
            n += 1
