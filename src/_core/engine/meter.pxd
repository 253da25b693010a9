"""What is measured of a guest while it runs: memory over time, how soon freed memory is given back, how long requests take.

A change of what guests cost the host is one row of the time line, at the time of the fault, discard, launch or death that
made it; changes of one clock within `resolution_ns` share a row, at the time of the last of them. Sums over time are
exact whatever the resolution. A page's free, discard and next fault are matched by its stamp (mm/times.pxd).
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from hinting._core.common cimport pfn_t
from hinting._core.engine.charge cimport clear_ns
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    NR_QUANTILES,
    NR_WINDOWS,
    PROGRAM_COMPUTES,
    PROGRAM_RUNS,
    SECOND,
    SIM_NO_MEMORY,
    exit_t,
    machine_t,
    psi_t,
    row_t,
    simulation_t,
    vcpu_t,
)
from hinting._core.histogram cimport hist_add
from hinting._core.host.state cimport BLOCK_ORDER, BLOCK_PAGES, backing_t, block_t
from hinting._core.host.words cimport first_bit, span
from hinting._core.mm.times cimport STAMP_GIVEN, stamp_ns, stamp_of, times_t

cdef enum:
    VMM_CLOCK = -1                      # clocks of a guest: its VMM's, else the number of a vCPU
    SEARCHED_EXITS = 64                 # how many exits back a freed page is looked for
    SEEN_WORDS = 4096                   # words of the largest range that is discarded in one go

cdef inline int64_t used_by_host(const simulation_t *s) noexcept nogil:
    return s.host.frames_total - s.host.frames_free

cdef inline int64_t held_by_guest(const machine_t *g) noexcept nogil:
    """Frames that this guest costs the host: its RAM, the swap cache, its VMM, and the page tables of both levels."""
    return g.backing.held_frames + g.backing.swap_cache + g.backing.vmm_frames + g.backing.host_tables + g.backing.ept_tables

cdef inline int64_t rss_of_vmm(const machine_t *g) noexcept nogil:
    """Resident set of the VMM's process, as ps shows it: guest RAM that is mapped, and the VMM's own memory."""
    return g.backing.rss_pages + g.backing.vmm_frames

cdef inline int64_t isolated_now(const machine_t *g) noexcept nogil:
    """Pages of free memory that the guest's allocator lacks because of reports or hints under way."""
    return g.in_flight + g.strategy.withheld if g.strategy != NULL else 0

cdef inline double stalls_of(const machine_t *g) noexcept nogil:
    """ns that the guest has waited for memory so far: direct reclaim, reads from swap, memory.high."""
    return g.backing.reclaim_stall + g.backing.swap_stall + g.backing.high_stall

cdef inline int64_t all_wait_until(const machine_t *g, const vcpu_t *v, int64_t begin, int64_t end) noexcept nogil:
    """Until when a wait of `v` coincides with waits of all its guest's vCPUs that are not idle; `begin` if one runs."""
    cdef int cpu
    cdef const vcpu_t *o
    for cpu in range(g.ncpus):
        o = &g.vcpu[cpu]
        if o == v:
            continue
        if o.stalled_until > begin:
            end = min(end, o.stalled_until)
        elif o.program == PROGRAM_RUNS or o.program == PROGRAM_COMPUTES:
            return begin
    return end

cdef inline void add_stall(psi_t *p, int64_t begin, int64_t end, int64_t full_until) noexcept nogil:
    if end > p.until:
        p.some += end - max(begin, p.until)
        p.until = end
    p.full += full_until - begin

cdef inline void note_stall(machine_t *g, vcpu_t *v, double ns) noexcept nogil:
    """A vCPU waits for memory of the host from now on, or once its last wait is over.

    Waits are seen in the order in which they begin, but for a slice.
    """
    cdef int64_t begin = max(v.now, v.stalled_until)
    cdef int64_t end = begin + <int64_t>ns, full
    cdef int i
    if end <= begin:
        return
    full = all_wait_until(g, v, begin, end)
    add_stall(&g.meter.psi, begin, end, full)
    for i in range(g.sim.nr_machines):
        if full > begin and g.sim.machine[i] != g and g.sim.machine[i].state == GUEST_FINE:
            full = all_wait_until(g.sim.machine[i], NULL, begin, full)
    add_stall(&g.sim.psi, begin, end, full)
    v.stalled_until = end

cdef inline row_t *new_row(simulation_t *s) noexcept nogil:
    cdef row_t *grown
    if s.nr_rows == s.rows_size:
        grown = <row_t *>realloc(s.row, (s.rows_size * 2 + 1024) * sizeof(row_t))
        if grown == NULL:
            s.error = SIM_NO_MEMORY
            return NULL
        s.row = grown
        s.rows_size = s.rows_size * 2 + 1024
    memset(&s.row[s.nr_rows], 0, sizeof(row_t))
    s.nr_rows += 1
    return &s.row[s.nr_rows - 1]

cdef inline row_t *row_for(simulation_t *s, machine_t *g, int64_t t, int clock) noexcept nogil:
    """The row that takes a change: the guest's last one if it is of the same clock and recent, else a new one."""
    cdef row_t *r
    if g.meter.row >= 0 and g.meter.row_clock == clock and 0 <= t - g.meter.row_since < s.resolution_ns:
        r = &s.row[g.meter.row]
    else:
        r = new_row(s)
        if r == NULL:
            return NULL
        g.meter.row = s.nr_rows - 1
        g.meter.row_clock = clock
        g.meter.row_since = t
        r.guest = g.number
    r.t_ns = t
    return r

cdef inline exit_t *exit_of(machine_t *g, uint32_t stamp) noexcept nogil:
    """The newest process exit during which a page with this stamp was freed, NULL if it was freed at another time."""
    cdef int64_t i = g.meter.nr_exits - 1, last = g.meter.nr_exits - SEARCHED_EXITS
    cdef exit_t *e
    while i >= 0 and i >= last:
        e = &g.meter.exit[i]
        if stamp_of(e.begin) <= stamp and (e.end < 0 or stamp <= stamp_of(e.end)):
            return e
        i -= 1
    return NULL

cdef inline void reach_quantiles(exit_t *e, int64_t t) noexcept nogil:
    """Note when 50, 90 and 99 % of what an ended exit has freed were given back."""
    cdef int q
    cdef int64_t percent[NR_QUANTILES]
    percent[0] = 50
    percent[1] = 90
    percent[2] = 99
    for q in range(NR_QUANTILES):
        if e.reached[q] < 0 and e.freed and e.given * 100 >= e.freed * percent[q]:
            e.reached[q] = t - e.end

cdef inline void count_given(machine_t *g, uint32_t stamp, int64_t pages, int64_t t) noexcept nogil:
    """Pages of one stamp were given back at t."""
    cdef exit_t *e
    if stamp == 0 or pages == 0:
        return
    hist_add(&g.meter.lag, t - stamp_ns(stamp), pages)
    e = exit_of(g, stamp)
    if e == NULL:
        return
    hist_add(&g.meter.after_exit, t - e.end if 0 <= e.end < t else 0, pages)
    e.given += pages
    if e.first < 0:
        e.first = t
    e.last = t
    if e.end >= 0:
        reach_quantiles(e, t)

cdef inline void count_run(machine_t *g, uint32_t stamp, int64_t pages, int64_t t) noexcept nogil:
    """Pages in a row with the same stamp were given back at t."""
    if pages == 0:
        return
    if g.meter.first_discard < 0:
        g.meter.first_discard = t
    g.meter.last_discard = t
    count_given(g, stamp, pages, t)

cdef inline void take_dropped(machine_t *g, int64_t t) noexcept nogil:
    """Reclaim has taken frames of lazily freed pages: they are given back now."""
    cdef backing_t *b = g.backing
    cdef block_t *block
    cdef uint32_t *stamp
    cdef uint32_t i, run_stamp = 0
    cdef int64_t page, run = 0
    while b.dropped_head:
        i = b.dropped_head - 1
        b.dropped_head = b.lazy[i].next_dropped
        b.lazy[i].dropped = False
        block = &b.blocks[i]
        stamp = &g.mm.times.stamp[<int64_t>i << BLOCK_ORDER]
        for page in range(BLOCK_PAGES):
            if stamp[page] & STAMP_GIVEN or not (block.gone[page >> 6] & ~block.present[page >> 6]) >> (page & 63) & 1:
                continue
            if stamp[page] != run_stamp:
                count_run(g, run_stamp, run, t)
                run_stamp = stamp[page]
                run = 0
            run += 1
            stamp[page] = STAMP_GIVEN | stamp_of(t)
    count_run(g, run_stamp, run, t)

cdef inline void note_guest(simulation_t *s, machine_t *g, int64_t t, int clock) noexcept nogil:
    """Note what has changed of this guest since it was last looked at."""
    cdef int64_t held = held_by_guest(g) - g.meter.held
    cdef int64_t rss = rss_of_vmm(g) - g.meter.rss
    cdef int64_t discarded = <int64_t>(g.backing.n.discarded_pages + g.backing.n.lazily_dropped) - g.meter.discarded
    cdef int64_t refaulted = <int64_t>g.backing.n.refaulted_pages - g.meter.refaulted
    cdef int64_t isolated = isolated_now(g) - g.meter.isolated
    cdef row_t *r
    if not (held or rss or discarded or refaulted or isolated):
        return
    if g.backing.dropped_head:
        take_dropped(g, t)
    r = row_for(s, g, t, clock)
    if r == NULL:
        return
    r.held += <int32_t>held
    r.rss += <int32_t>rss
    r.discarded += <int32_t>discarded
    r.refaulted += <int32_t>refaulted
    r.isolated += <int32_t>isolated
    g.meter.held += held
    g.meter.held_time += <double>held * <double>t
    g.meter.rss += rss
    g.meter.rss_time += <double>rss * <double>t
    g.meter.discarded += discarded
    g.meter.refaulted += refaulted
    g.meter.isolated += isolated
    s.used_noted += held

cdef inline int64_t last_change(const simulation_t *s, const machine_t *g, int64_t t) noexcept nogil:
    """t, or the guest's last change if it has run further ahead."""
    return t if g.meter.row < 0 or s.row[g.meter.row].t_ns < t else s.row[g.meter.row].t_ns

cdef inline void note(machine_t *g, int64_t t, int clock) noexcept nogil:
    """Note the changes that this guest has made at its time t: its own and, by reclaim, other guests'."""
    cdef simulation_t *s = g.sim
    cdef row_t *r
    cdef int i
    note_guest(s, g, t, clock)
    if s.used_noted == used_by_host(s):
        return
    for i in range(s.nr_machines):
        note_guest(s, s.machine[i], t, VMM_CLOCK)
    if s.used_noted != used_by_host(s):         # the host's own needs have changed
        r = new_row(s)
        if r != NULL:
            r.t_ns = t
            r.guest = -1
            r.held = <int32_t>(used_by_host(s) - s.used_noted)
        s.used_noted = used_by_host(s)

cdef inline void note_latency(machine_t *g, vcpu_t *v, bint allocated) noexcept nogil:
    """The request that began at asked_at is served, touch included; only those that allocated something count."""
    if allocated:
        hist_add(&g.meter.latency, v.now - v.asked_at, 1)
    v.asked_at = -1

# -- freed memory on its way to the host and back ----------------------------------------------------------------

cdef inline void begin_exit(machine_t *g, vcpu_t *v) noexcept nogil:
    """A process begins to end on this vCPU: what is freed from now on counts as this exit's."""
    cdef exit_t *e
    cdef exit_t *grown
    if g.meter.nr_exits == g.meter.exits_size:
        grown = <exit_t *>realloc(g.meter.exit, (g.meter.exits_size * 2 + 16) * sizeof(exit_t))
        if grown == NULL:
            g.sim.error = SIM_NO_MEMORY
            return
        g.meter.exit = grown
        g.meter.exits_size = g.meter.exits_size * 2 + 16
    e = &g.meter.exit[g.meter.nr_exits]
    memset(e, 0, sizeof(exit_t))
    e.begin = v.now
    e.end = e.first = e.last = -1
    e.reached[0] = e.reached[1] = e.reached[2] = -1
    v.exit = g.meter.nr_exits
    g.meter.nr_exits += 1
    g.mm.times.exit_freed = &e.freed

cdef inline void end_exit(machine_t *g, vcpu_t *v) noexcept nogil:
    """The exit of this vCPU is over; an older one may still be under way on another."""
    cdef exit_t *e
    cdef int cpu
    cdef int64_t other = -1
    if v.exit < 0:
        return
    e = &g.meter.exit[v.exit]
    v.exit = -1
    e.end = v.now
    reach_quantiles(e, v.now)
    for cpu in range(g.ncpus):
        if g.vcpu[cpu].exit > other:
            other = g.vcpu[cpu].exit
    g.mm.times.exit_freed = NULL if other < 0 else &g.meter.exit[other].freed

cdef inline void look_before_discard(const machine_t *g, pfn_t pfn, int64_t pages, uint64_t *seen) noexcept nogil:
    """Remember which pages of a block (up to SEEN_WORDS words) the host backs."""
    cdef int64_t at = pfn, end = pfn + pages
    cdef int w = 0, lo, hi
    while at < end:
        lo = at & 63
        hi = <int>(lo + end - at) if lo + end - at < 64 else 64
        seen[w] = g.backing.blocks[at >> BLOCK_ORDER].present[at >> 6 & 7] & span(lo, hi)
        at += hi - lo
        w += 1

cdef inline void note_discarded(machine_t *g, pfn_t pfn, int64_t pages, const uint64_t *seen, int64_t t) noexcept nogil:
    """The host has discarded a block at t; seen: what it had backed."""
    cdef times_t *times = g.mm.times
    cdef int64_t at = pfn & ~<int64_t>63, run = 0
    cdef uint32_t stamp = 0, given = STAMP_GIVEN | stamp_of(t)
    cdef uint64_t word
    cdef uint32_t *p
    cdef int w = 0
    while at < <int64_t>pfn + pages:
        word = seen[w]
        while word:
            p = &times.stamp[at + first_bit(word)]
            word &= word - 1
            if p[0] & STAMP_GIVEN:
                continue
            if p[0] != stamp:
                count_run(g, stamp, run, t)
                stamp = p[0]
                run = 0
            run += 1
            p[0] = given
        at += 64
        w += 1
    count_run(g, stamp, run, t)
    note(g, t, VMM_CLOCK)

cdef inline void count_refault(machine_t *g, uint32_t *stamp, int64_t now) noexcept nogil:
    cdef int64_t age = now - stamp_ns(stamp[0])
    g.meter.refaults[0] += age < SECOND
    g.meter.refaults[1] += age < <int64_t>10 * SECOND
    g.meter.refaults[2] += age < <int64_t>60 * SECOND
    stamp[0] = 0

cdef inline void note_touched(
    machine_t *g, vcpu_t *v, int cpu, pfn_t pfn, int64_t n, double ns, int64_t refaulted, int64_t backed,
) noexcept nogil:
    """The guest has touched pages, which took `ns` of faults; of the `backed` pages `refaulted` had been discarded.

    A huge fault also backs pages beside those touched.
    """
    cdef int64_t at = pfn, end = pfn + n
    cdef bint is_huge = g.backing.blocks[pfn >> BLOCK_ORDER].ept_huge
    g.meter.fault_ns += ns
    g.mm.times.now = v.now
    if refaulted:
        g.meter.refault_ns += ns * refaulted / (backed if backed > refaulted else refaulted)
        g.meter.cleared_again_ns += 0 if g.sim.host.init_on_free else refaulted * clear_ns(g, pfn)
        if is_huge:
            at &= ~<int64_t>(BLOCK_PAGES - 1)
            end = (end + BLOCK_PAGES - 1) & ~<int64_t>(BLOCK_PAGES - 1)
        if end > g.mm.npfn:
            end = g.mm.npfn
        while at < end:
            if g.mm.times.stamp[at] & STAMP_GIVEN and (
                    g.backing.blocks[at >> BLOCK_ORDER].present[at >> 6 & 7] >> (at & 63) & 1):
                count_refault(g, &g.mm.times.stamp[at], v.now)
            at += 1
    note(g, v.now, cpu)
