"""An early development build of guest free page hinting v8 (2018, before the posting of 4 February 2019).

As v8, but nothing is drained, scanned or packed: the thread is woken whenever the array has filled, and blocks are
returned by the public free function with a stale order of 0. So only the first page of each block comes back, through
the free hook and a per-CPU list; the 2^k - 1 other pages of a block of order k are lost to the guest for ever.

Inferred: the report carries the blocks at their real order, and guest_returned counts what really came back.
"""

from libc.stdint cimport int64_t

from hinting._core.common cimport pfn_t
from hinting._core.mm.alloc cimport free_pages
from hinting._core.mm.pages cimport TAG_ISOLATED, tag_clear, tag_set
from hinting._core.mm.state cimport mm_t
from hinting._core.strategies.hooks cimport block_t
from hinting._core.strategies.v8_steps cimport capture, cpu_state_t, end_run, is_examined, kib, v8_t


cdef void on_free(void *self, mm_t *m, int cpu, pfn_t pfn, int order) noexcept nogil:
    """Capture; a full array wakes the thread at once."""
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    if capture(v, m, c, pfn, order) and c.kvm_pt.n == v.entries:
        c.busy = True
        v.wakes += 1
        v.s.wake[cpu] = 1


cdef void return_first_page(v8_t *v, mm_t *m, int cpu, const block_t *b) noexcept nogil:
    """Free the first page of an isolated block; the others stay outside the allocator."""
    cdef int order
    tag_clear(m, b.pfn, b.order)
    m.isolated -= 1
    for order in range(b.order):
        tag_set(m, b.pfn + (<pfn_t>1 << order), order, TAG_ISOLATED)
    free_pages(m, cpu, b.pfn, 0)
    v.c.guest_returned += kib(0)
    v.s.work.returned += 1


cdef void on_host_done(void *self, mm_t *m, int cpu, int ticket) noexcept nogil:
    cdef v8_t *v = <v8_t *>self
    cdef cpu_state_t *c = &v.cpu[cpu]
    cdef int64_t i
    for i in range(c.hyp_idx):
        return_first_page(v, m, cpu, &c.hyp[i])
    c.hyp_idx = 0
    if is_examined(c):
        end_run(c)


cdef class V8Early(V8):
    """The compiled strategy; the parameters are those of hinting.strategies.V8Early, checked there."""

    def __init__(self, *, int64_t entries, int min_order, str host_action, int64_t call_pages, int64_t wake_latency_ns):
        V8.__init__(
            self, entries=entries, min_order=min_order, drain="off", scan_drop_non_buddy=False, dedup="off",
            return_position="head", host_action=host_action, call_pages=call_pages, wake_latency_ns=wake_latency_ns,
            idle_flush_ns=0, isolation_cap=0, isolate_min_order=0, counted=True)
        self.s.on_free = on_free
        self.s.on_host_done = on_host_done

    def counters(self):
        """The ten counters, KiB, under the labels of the sysctls in the vm directory."""
        c = self.v.c
        return {
            "total-freed-memory": c.total_freed, "captured-freed-memory": c.captured, "scanned-memory": c.scanned,
            "total-isolated-memory": c.total_isolated, "tail-isolated-memory": c.tail_isolated,
            "failed-isolation-memory": c.failed_isolation, "reallocated_memory": c.reallocated,
            "free-non-buddy-memory": c.free_non_buddy, "guest-returned-memory": c.guest_returned,
            "buddy_unisolated_memory": c.failed_isolation,
        }

    def kernel_files(self):
        """The sysctl that switches the feature, and one for each counter."""
        files = {"/proc/sys/vm/guest-page-hinting": f"{int(self.enabled)}\n"}
        return files | {f"/proc/sys/vm/{name}": f"{value}\n" for name, value in self.counters().items()}

    def statistics(self):
        """What the build does not count; leaked_pages: pages that the guest has lost."""
        return {**V8.statistics(self), "leaked_pages": (self.v.c.total_isolated - self.v.c.guest_returned) // 4}
