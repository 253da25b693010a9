"""A report's way to the host: the strategy's thread, the virtqueue, the VMM's main loop, and the answer."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from hinting._core.common cimport MAX_ORDER, pfn_t
from hinting._core.engine.charge cimport advance, charge_lists, charge_strategy, is_busy, next_costs
from hinting._core.engine.log cimport LOG_REPORT, LOG_THREAD, LOG_VMM, LOG_WAIT, log_span
from hinting._core.engine.machine cimport (
    NEVER,
    PROGRAM_COMPUTES,
    THREAD_IDLE,
    THREAD_TRIES,
    THREAD_WAITS,
    THREAD_WOKEN,
    SIM_NO_MEMORY,
    WAITER_CPU,
    WAITER_IRQ,
    WAITER_NONE,
    WAITER_THREAD,
    machine_t,
    request_t,
    vcpu_t,
)
from hinting._core.engine.memory cimport asker_t, let_reclaim
from hinting._core.engine.meter cimport SEEN_WORDS, VMM_CLOCK, isolated_now, look_before_discard, note, note_discarded
from hinting._core.engine.migrate cimport move_range
from hinting._core.engine.ops cimport KIND_RECLAIMABLE
from hinting._core.engine.pagecache cimport cached_pages
from hinting._core.engine.policy cimport decide, is_about_free_memory, merge_blocks
from hinting._core.engine.policy_state cimport DECIDE_DEFER, DECIDE_DISCARD, DECIDE_IGNORE, range_t
from hinting._core.engine.reclaim cimport wake_kswapd
from hinting._core.engine.transport cimport VIA_HYPERCALL, VIA_VHOST, back_end_rests, kick_ns, pickup_ns, pop_ns, push_ns
from hinting._core.host.discard cimport backing_discard
from hinting._core.host.lazy cimport backing_free_lazily
from hinting._core.host.postponed cimport begin_deferral, end_deferral
from hinting._core.host.vmm_text cimport wake_vmm
from hinting._core.mm.slowpath cimport reclaimer_t
from hinting._core.strategies.hooks cimport (
    HOST_DONTNEED,
    HOST_FREE,
    THREAD_MOVES,
    THREAD_PAUSES,
    THREAD_REPORTS,
    THREAD_RETRIES,
    block_t,
    seen_t,
)

cdef inline void count_isolated(machine_t *g, int64_t pages) noexcept nogil:
    """Pages leave for the host, or are answered (negative). Blocks that a device handles are not free ones."""
    if g.strategy.device == NULL:
        g.in_flight += pages
    if isolated_now(g) > g.max_isolated:
        g.max_isolated = isolated_now(g)

cdef inline void enqueue(machine_t *g, int64_t t, int cpu, int ticket, int waiter) noexcept nogil:
    """A request reaches the VMM at the time t."""
    cdef request_t *r
    if g.vmm.queued == 0:
        g.vmm.now = t + pickup_ns(g, t)
        g.vmm.at = -1
        if g.backing.text_in | g.backing.text_out and g.transport < VIA_VHOST:
            g.vmm.now += wake_vmm(g.sim.host, g.backing, g.costs, g.vmm.now)
    r = &g.vmm.queue[g.vmm.queued]
    r.ticket = ticket
    r.cpu = cpu
    r.waiter = waiter
    r.at = t
    g.vmm.queued += 1

cdef inline void kick(machine_t *g, vcpu_t *v, int cpu, int ticket, int waiter) noexcept nogil:
    """Put a report into the virtqueue; the exit is the guest's time."""
    cdef int64_t n = 0, i, pages = 0
    cdef const block_t *blocks = g.strategy.report(g.strategy.self, ticket, &n)
    cdef double ns
    for i in range(n):
        pages += <int64_t>1 << blocks[i].order
    count_isolated(g, pages)
    note(g, v.now, cpu)
    if g.strategy.device == NULL:
        g.reports += 1
        g.reported_blocks += n
        g.reported_pages += pages
    else:
        g.requests += 1
    ns = kick_ns(g, v.now, g.strategy.descriptors if g.strategy.descriptors else n)
    g.account.guest_report += ns
    advance(v, ns)
    next_costs(g)
    enqueue(g, v.now, cpu, ticket, waiter)

cdef inline void run_thread(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Run the strategy's thread on this CPU; if it reports, hand the blocks to the VMM."""
    cdef int state
    cdef int64_t begin = v.now, stalls = g.reclaim.stalls
    cdef asker_t asker
    cdef reclaimer_t by
    g.strategy.wake[cpu] = 0
    v.thread = THREAD_IDLE
    let_reclaim(&by, &asker, g, v)
    g.strategy.reclaimer = &by
    state = g.strategy.on_thread(g.strategy.self, g.mm, cpu)
    while state == THREAD_MOVES:
        g.strategy.moved = move_range(g, v, cpu, g.strategy.move_first, g.strategy.move_pages)
        state = g.strategy.on_thread(g.strategy.self, g.mm, cpu)
    g.strategy.reclaimer = NULL
    if g.mm.kswapd_wanted:
        wake_kswapd(g, v, cpu)
    if state == THREAD_RETRIES and (g.reclaim.stalls != stalls or g.kswapd.now != NEVER):
        state = THREAD_PAUSES           # reclaim gets on
    charge_lists(g, v)
    charge_strategy(g, v)
    log_span(g, LOG_THREAD, cpu, begin, v.now, 0, 0)
    if state == THREAD_REPORTS:
        kick(g, v, cpu, g.strategy.thread_ticket[cpu], WAITER_THREAD)
        v.thread = THREAD_WAITS
        v.thread_at = NEVER
        v.wait_at = v.now
    elif state == THREAD_PAUSES or state == THREAD_RETRIES:
        v.thread = THREAD_WOKEN if state == THREAD_PAUSES else THREAD_TRIES
        v.thread_at = v.now + g.strategy.pause_ns

cdef inline void config_interrupt(machine_t *g, int64_t t) noexcept nogil:
    """The device has changed its configuration at the time t: its driver's work item is queued on CPU 0."""
    cdef vcpu_t *v = &g.vcpu[0]
    g.strategy.wake[0] = 1
    if v.thread == THREAD_IDLE or v.thread == THREAD_TRIES:
        v.thread = THREAD_WOKEN
        v.thread_at = (t if t > v.now else v.now) + <int64_t>(g.costs.virt_irq_inject + g.costs.virt_guest_irq_to_task)

cdef inline void host_work(machine_t *g, int64_t t, int ticket) noexcept nogil:
    """The VMM goes to work by itself, without a message of the guest."""
    g.strategy.on_poll(g.strategy.self, g.mm, 0, ticket)
    enqueue(g, t, 0, ticket, WAITER_NONE)

cdef inline void resize(machine_t *g, int64_t t, int64_t pages) noexcept nogil:
    """The host wants the guest to do without so many pages."""
    g.strategy.on_resize(g.strategy.self, g.mm, pages)
    if g.strategy.by_host:
        host_work(g, t, 0)
    else:
        config_interrupt(g, t)

cdef inline void look_at_guest(const machine_t *g, seen_t *s) noexcept nogil:
    """What a driver knows from its kernel."""
    cdef uint32_t i
    s.cached = cached_pages(&g.cache)
    s.minor_faults = g.minor_faults
    s.reclaimable = 0
    for i in range(g.nr_slab_caches):
        if g.slab_cache[i].kind == KIND_RECLAIMABLE:
            s.reclaimable += g.slab_cache[i].live << g.slab_cache[i].order

cdef inline void poll(machine_t *g, int64_t t, int ticket) noexcept nogil:
    """The device gives a buffer back at the time t; the driver fills it again and sends it."""
    cdef vcpu_t *v = &g.vcpu[0]
    cdef double ns = g.costs.virt_irq_inject + g.costs.virt_guest_irq_to_task
    if v.now < t:
        v.now = t
    g.account.guest_report += ns
    advance(v, ns)
    next_costs(g)
    look_at_guest(g, &g.strategy.seen)
    g.strategy.on_poll(g.strategy.self, g.mm, 0, ticket)
    charge_strategy(g, v)
    kick(g, v, 0, ticket, WAITER_NONE)

cdef inline int next_used(const machine_t *g, int cpu) noexcept nogil:
    """The oldest answer that this CPU has not got yet, -1 if none."""
    cdef int i
    for i in range(g.vmm.nr_used):
        if g.vmm.used[i].cpu == cpu:
            return i
    return -1

cdef inline int take_used(machine_t *g, int i) noexcept nogil:
    """Take an answer off the ring; returns its ticket."""
    cdef int ticket = g.vmm.used[i].ticket
    g.vmm.nr_used -= 1
    for i in range(i, g.vmm.nr_used):
        g.vmm.used[i] = g.vmm.used[i + 1]
    return ticket

cdef inline void interrupt(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Deliver answers to submitted reports: all that are there, or as a driver's fault only the first."""
    cdef int i = next_used(g, cpu)
    v.interrupt_at = NEVER
    while i >= 0:
        g.account.guest_report += g.costs.virt_guest_irq_to_task
        advance(v, g.costs.virt_guest_irq_to_task)
        g.strategy.on_host_done(g.strategy.self, g.mm, cpu, take_used(g, i))
        charge_strategy(g, v)
        i = -1 if g.strategy.one_answer else next_used(g, cpu)

cdef inline void drop_answers(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """The driver pulls answered buffers off the ring before it adds one; those of due interrupts are safe."""
    cdef int i
    if v.interrupt_at <= v.now:
        interrupt(g, v, cpu)
    i = next_used(g, cpu)
    while i >= 0:
        g.lost_answers += 1
        g.strategy.on_host_lost(g.strategy.self, g.mm, cpu, take_used(g, i))
        i = next_used(g, cpu)

cdef inline int submit_waiter(const machine_t *g) noexcept nogil:
    if g.strategy.submit_waits:
        return WAITER_CPU
    return WAITER_NONE if g.strategy.submit_silent else WAITER_IRQ

cdef inline void take_submitted(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Reports that hooks of this stretch have made go to the VMM."""
    cdef int k
    for k in range(g.strategy.nr_submitted):
        if g.strategy.drops_answers:
            drop_answers(g, v, cpu)
        kick(g, v, cpu, g.strategy.submitted[k], submit_waiter(g))
        if g.strategy.submit_waits:
            v.waits += 1
            g.spinning += 1
    g.strategy.nr_submitted = 0

cdef inline void spin_until(machine_t *g, vcpu_t *v, int64_t t) noexcept nogil:
    if t > v.now:
        g.account.guest_spin += t - v.now
        if v.program == PROGRAM_COMPUTES:
            v.until += t - v.now
        v.now = t

cdef inline void end_spin(machine_t *g, vcpu_t *v) noexcept nogil:
    """A report that this CPU spun for is answered; after the last one allocations elsewhere go on."""
    cdef int cpu
    spin_until(g, v, g.vmm.now)
    v.waits -= 1
    g.spinning -= 1
    if g.spinning:
        return
    for cpu in range(g.ncpus):
        if g.vcpu[cpu].stalled:
            g.vcpu[cpu].stalled = False
            spin_until(g, &g.vcpu[cpu], g.vmm.now)

cdef inline bint must_wait(machine_t *g, vcpu_t *v) noexcept nogil:
    """Whether an allocation of this CPU has to wait now: the CPU spins itself, or stalls for one that does."""
    if v.waits:
        return True
    if g.spinning == 0 or not g.strategy.stops_alloc:
        return False
    g.strategy.work.stalls += 1
    v.stalled = True
    return True

cdef inline void vmm_charge(machine_t *g, double ns) noexcept nogil:
    cdef double t = g.vmm.carry + ns
    cdef int64_t whole = <int64_t>t
    if g.transport != VIA_HYPERCALL:    # else the vCPU's wait for the answer is all the CPU time there is
        g.account.vmm += ns
    g.vmm.now += whole
    g.vmm.carry = t - whole
    next_costs(g)

cdef inline int running_vcpus(machine_t *g) noexcept nogil:
    """vCPUs in guest mode; one that has asked by a hypercall is not."""
    cdef int cpu, n = 0
    for cpu in range(g.ncpus):
        if g.transport == VIA_HYPERCALL and (g.vcpu[cpu].thread == THREAD_WAITS or g.vcpu[cpu].waits):
            continue
        if is_busy(&g.vcpu[cpu]) or g.strategy.synchronous and g.vcpu[cpu].thread == THREAD_WAITS:
            n += 1
    return n

cdef inline void answer(machine_t *g, const request_t *r) noexcept nogil:
    """The VMM is done with a report: a spinning thread sees it at once, all else takes an interrupt."""
    cdef vcpu_t *v = &g.vcpu[r.cpu]
    cdef double irq = g.costs.virt_irq_inject + g.costs.virt_guest_irq_to_task
    if r.waiter == WAITER_THREAD:
        v.thread_at = g.vmm.now + (0 if g.strategy.synchronous else <int64_t>irq)
    elif r.waiter == WAITER_CPU:
        end_spin(g, v)
        g.strategy.on_host_done(g.strategy.self, g.mm, r.cpu, r.ticket)
        charge_lists(g, v)
        charge_strategy(g, v)
    elif r.waiter == WAITER_NONE:
        g.strategy.on_host_done(g.strategy.self, g.mm, r.cpu, r.ticket)
    else:
        g.vmm.used[g.vmm.nr_used] = r[0]
        g.vmm.nr_used += 1
        if v.interrupt_at == NEVER:
            v.interrupt_at = g.vmm.now + <int64_t>g.costs.virt_irq_inject

cdef inline void handle_range(
    machine_t *g, pfn_t pfn, int64_t pages, int64_t call_pages, double *host_ns, double *stolen_ns
) noexcept nogil:
    """Give a range of a report back, in the way that the strategy or the host's policy says."""
    cdef int action = g.strategy.host_action if g.vmm.decision == DECIDE_DISCARD else HOST_FREE
    if not g.backing.locked:            # else the device answers without a look at the range
        host_ns[0] += g.costs.host_ramblock_lookup
    if action == HOST_DONTNEED:
        backing_discard(g.sim.host, g.backing, g.costs, pfn, pages, call_pages, running_vcpus(g), host_ns, stolen_ns)
    elif action == HOST_FREE:
        if g.vmm.decision == DECIDE_DEFER:
            begin_deferral(g.backing, pfn, pages)
        backing_free_lazily(g.sim.host, g.backing, g.costs, pfn, pages, call_pages, running_vcpus(g), host_ns, stolen_ns)
        if g.vmm.decision == DECIDE_DEFER:
            end_deferral(g.backing, pfn, pages, g.vmm.now)

cdef inline void handle_block(
    machine_t *g, int ticket, const block_t *block, double *host_ns, double *stolen_ns
) noexcept nogil:
    """What the VMM does with one block of a report."""
    cdef int64_t pages
    if g.strategy.device != NULL:
        g.strategy.device(g.strategy.self, ticket, g.sim.host, g.backing, g.costs, block, running_vcpus(g), host_ns, stolen_ns)
        return
    pages = <int64_t>1 << block.order
    if g.strategy.on_discard != NULL:
        g.strategy.on_discard(g.strategy.self, g.mm, block.pfn, block.order)
    handle_range(g, block.pfn, pages, g.strategy.call_pages if g.strategy.call_pages else pages, host_ns, stolen_ns)

cdef inline void ask_policy(machine_t *g, const block_t *blocks, int64_t n) noexcept nogil:
    """What becomes of the report that the VMM takes up now."""
    cdef int64_t i, pages = 0
    g.vmm.decision = DECIDE_DISCARD
    g.vmm.merged = False
    if g.sim.policy == NULL or not is_about_free_memory(g, blocks, n):
        return
    g.vmm.decision = decide(g, blocks, n, g.vmm.now)
    if g.vmm.decision == DECIDE_DEFER or g.vmm.decision == DECIDE_IGNORE:
        for i in range(n):
            pages += <int64_t>1 << blocks[i].order
        if g.vmm.decision == DECIDE_DEFER:
            g.deferred_pages += pages
        else:
            g.ignored_pages += pages
    g.vmm.merged = g.sim.policy.merges and g.vmm.decision != DECIDE_IGNORE
    if g.vmm.merged:
        if not merge_blocks(&g.vmm.ranges, blocks, n):
            g.sim.error = SIM_NO_MEMORY
            g.vmm.merged = False
        elif g.strategy.on_discard != NULL:
            for i in range(n):
                g.strategy.on_discard(g.strategy.self, g.mm, blocks[i].pfn, blocks[i].order)

cdef inline void handle_merged(machine_t *g, int64_t until) noexcept nogil:
    """Give the ranges of a report back, one call each, until the time is over."""
    cdef double host_ns, stolen_ns
    cdef int64_t before
    cdef uint64_t discarded
    cdef range_t *r
    while g.vmm.at < g.vmm.ranges.n and g.vmm.now < until:
        r = &g.vmm.ranges.range[g.vmm.at]
        host_ns = stolen_ns = 0
        before = g.backing.held_frames
        discarded = g.backing.n.discarded_pages
        g.sim.host.now = g.vmm.now
        look_before_discard(g, r.pfn, r.pages, g.vmm.ranges.seen)
        handle_range(g, r.pfn, r.pages, r.pages, &host_ns, &stolen_ns)
        g.returned_frames += before - g.backing.held_frames
        g.account.stolen += stolen_ns
        vmm_charge(g, host_ns)
        if discarded != g.backing.n.discarded_pages:
            note_discarded(g, r.pfn, r.pages, g.vmm.ranges.seen, g.vmm.now)
        else:
            note(g, g.vmm.now, VMM_CLOCK)
        g.vmm.at += 1

cdef inline int64_t pages_of(const machine_t *g, const block_t *block) noexcept nogil:
    """Pages of a block, or of a run of blocks."""
    return <int64_t>block.order << g.strategy.run_order if g.strategy.run_order else <int64_t>1 << block.order

cdef inline void vmm_slice(machine_t *g, int64_t until) noexcept nogil:
    """Work on the first report of the queue until it is answered or the time is over."""
    cdef int64_t n = 0, i, pages, before, all_pages = 0
    cdef uint64_t discarded
    cdef request_t r = g.vmm.queue[0]
    cdef const block_t *blocks = g.strategy.report(g.strategy.self, r.ticket, &n)
    cdef double host_ns, stolen_ns
    cdef int64_t began = g.vmm.now
    cdef uint64_t seen[SEEN_WORDS]
    if g.vmm.at < 0:
        if not g.strategy.by_host:
            vmm_charge(g, pop_ns(g, g.strategy.descriptors if g.strategy.descriptors else n))
        g.vmm.at = 0
        g.vmm.began = began
        ask_policy(g, blocks, n)
    if g.vmm.merged:
        handle_merged(g, until)
        if g.vmm.at < g.vmm.ranges.n:
            return
        g.vmm.at = n
    elif g.vmm.decision == DECIDE_IGNORE:
        g.vmm.at = n
    while g.vmm.at < n:
        if g.vmm.now >= until:
            return
        host_ns = stolen_ns = 0
        before = g.backing.held_frames
        g.sim.host.now = g.vmm.now
        pages = pages_of(g, &blocks[g.vmm.at])
        discarded = g.backing.n.discarded_pages
        look_before_discard(g, blocks[g.vmm.at].pfn, pages, seen)
        handle_block(g, r.ticket, &blocks[g.vmm.at], &host_ns, &stolen_ns)
        g.returned_frames += before - g.backing.held_frames
        g.account.stolen += stolen_ns
        vmm_charge(g, host_ns)
        if discarded != g.backing.n.discarded_pages:
            note_discarded(g, blocks[g.vmm.at].pfn, pages, seen, g.vmm.now)
        else:
            note(g, g.vmm.now, VMM_CLOCK)
        g.vmm.at += 1
    if r.waiter != WAITER_NONE:
        vmm_charge(g, push_ns(g))
    if g.strategy.device == NULL:
        for i in range(n):
            all_pages += <int64_t>1 << blocks[i].order
    count_isolated(g, -all_pages)
    note(g, g.vmm.now, VMM_CLOCK)
    log_span(g, LOG_VMM, 0, g.vmm.began, g.vmm.now, <int>n, all_pages)
    log_span(g, LOG_REPORT, r.ticket, r.at, g.vmm.now, <int>n, all_pages)
    g.vmm.queued -= 1
    for i in range(g.vmm.queued):
        g.vmm.queue[i] = g.vmm.queue[i + 1]
    g.vmm.at = -1
    if g.vmm.queued == 0:
        back_end_rests(g)
    answer(g, &r)

cdef inline void host_answered(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """The answer is there: put the blocks back and go on with the thread."""
    if v.thread_at > v.now:
        if g.strategy.synchronous:
            g.account.guest_spin += v.thread_at - v.now
        v.now = v.thread_at
    log_span(g, LOG_WAIT, cpu, v.wait_at, v.now, 0, 0)
    v.thread = THREAD_IDLE
    g.strategy.on_host_done(g.strategy.self, g.mm, cpu, g.strategy.thread_ticket[cpu])
    charge_lists(g, v)
    charge_strategy(g, v)
    run_thread(g, v, cpu)
