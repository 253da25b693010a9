"""Who runs next, and one slice of it: a vCPU, a VMM, a guest's kswapd, or a kernel thread of the host.

The one whose clock is furthest behind runs next, for at most one slice, so that guests interleave on the host in time
order. Nothing here draws random numbers but costs that vary: the same input gives the same run.
"""

from libc.stdint cimport int64_t

from hinting._core.costs cimport draw_card
from hinting._core.engine.machine cimport (
    GUEST_FINE,
    GUEST_LOST,
    NEVER,
    PROGRAM_COMPUTES,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    PROGRAM_SLEEPS,
    PROGRAM_WAITS,
    SECOND,
    SIM_GUEST,
    THREAD_IDLE,
    THREAD_TRIES,
    THREAD_WAITS,
    machine_t,
    simulation_t,
    vcpu_t,
)
from hinting._core.engine.meter cimport VMM_CLOCK, last_change, note, note_guest, note_stall
from hinting._core.engine.policy_state cimport KERNELS_CHOICE
from hinting._core.engine.program cimport run_program
from hinting._core.engine.reclaim cimport guest_kswapd_slice
from hinting._core.engine.schedule cimport note_wake, thread_due
from hinting._core.engine.survey cimport take_sample
from hinting._core.engine.vmm cimport host_answered, interrupt, run_thread, vmm_slice
from hinting._core.host.backing cimport (
    backing_t,
    dying_until,
    host_end_guest,
    host_kill,
    host_oom_kill,
    host_reap,
    kswapd_step,
    next_reaped,
)
from hinting._core.host.khugepaged cimport khugepaged_round
from hinting._core.host.state cimport host_t
from hinting._core.mm.counter cimport fold
from hinting._core.mm.pcp cimport decay_pcp_high
from hinting._core.kernel cimport PCP_AUTO_TUNED

cdef enum:                              # who runs next, if it is no vCPU
    VMM = -1
    KSWAPD = -2

cdef inline int64_t vcpu_due(const machine_t *g, const vcpu_t *v) noexcept nogil:
    """When this vCPU has something to do next."""
    cdef int64_t t = NEVER
    if v.waits or v.stalled:
        return NEVER
    if v.thread == THREAD_WAITS and g.strategy.synchronous:
        return v.thread_at if v.thread_at == NEVER or v.thread_at > v.now else v.now
    if v.program == PROGRAM_RUNS:
        return v.now
    if v.program == PROGRAM_SLEEPS or v.program == PROGRAM_COMPUTES:
        t = v.until
    if v.thread != THREAD_IDLE and v.thread_at < t:
        t = v.thread_at
    if v.next_timer < t:
        t = v.next_timer
    if v.interrupt_at < t:
        t = v.interrupt_at
    return t if t > v.now else v.now

cdef inline bint at_rest(const vcpu_t *v) noexcept nogil:
    """The vCPU has no row to run, or waits for a mark, its thread has no work or tries in vain, and no interrupt is due."""
    return ((v.program == PROGRAM_ENDED or v.program == PROGRAM_WAITS)
            and (v.thread == THREAD_IDLE or v.thread == THREAD_TRIES) and v.interrupt_at == NEVER)

cdef inline bint is_idle(const machine_t *g) noexcept nogil:
    """No vCPU has a row that it can run, no thread has work, no interrupt is due, no report is under way."""
    cdef int cpu
    if g.vmm.queued:
        return False
    for cpu in range(g.ncpus):
        if not at_rest(&g.vcpu[cpu]):
            return False
    return True

cdef inline bint ticks_only(const machine_t *g) noexcept nogil:
    """The guest is idle, and its timers have nothing to do: each vCPU's ticked once since the last thing happened.

    A thread that tries in vain is like a timer.
    """
    cdef int cpu
    if not is_idle(g):
        return False
    for cpu in range(g.ncpus):
        if g.vcpu[cpu].thread == THREAD_TRIES:
            return True
    return g.quiet_ticks >= g.ncpus

cdef inline void once_a_second(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """Fold the CPU's counters; 6.12 also lets its page lists decay."""
    cdef int i
    fold(g.mm, cpu)
    if g.mm.k.pcp_tuning == PCP_AUTO_TUNED:
        for i in range(4):
            if g.mm.zone[i].populated:
                decay_pcp_high(g.mm, &g.mm.zone[i], cpu)
    v.next_second = v.now + SECOND

cdef inline void end_boost(machine_t *g, int64_t now) noexcept nogil:
    """Some time after kswapd was woken, and not while it runs, watermark boosts are over."""
    cdef int i
    if g.mm.kswapd_wanted:
        g.mm.kswapd_wanted = False
        if g.kswapd_at == NEVER:
            g.kswapd_at = now + g.sim.kswapd_ns
    if now >= g.kswapd_at and g.kswapd.now == NEVER:
        g.kswapd_at = NEVER
        for i in range(4):
            g.mm.zone[i].boost = 0

cdef inline void vcpu_slice(machine_t *g, vcpu_t *v, int cpu, int64_t until) noexcept nogil:
    """One stretch of a vCPU: the host's answer, its thread, a timer, or its program up to `until`."""
    cdef int64_t due = vcpu_due(g, v)
    cdef int64_t computed = v.now if v.thread == THREAD_WAITS and g.strategy.synchronous else due
    cdef bint ticked = False
    if due > v.now and not (v.thread == THREAD_WAITS and g.strategy.synchronous):
        v.now = due
    g.mm.times.now = v.now
    if v.thread == THREAD_WAITS and (g.strategy.synchronous or v.thread_at <= v.now):
        host_answered(g, v, cpu)
    elif v.interrupt_at <= v.now:
        interrupt(g, v, cpu)
    elif thread_due(v):
        run_thread(g, v, cpu)
    elif v.next_timer <= v.now:
        v.next_timer = v.now + g.strategy.timer_ns
        g.strategy.on_timer(g.strategy.self, g.mm, cpu)
        ticked = True
    else:
        computed = NEVER
        if (v.program == PROGRAM_SLEEPS or v.program == PROGRAM_COMPUTES) and v.until <= v.now:
            v.program = PROGRAM_RUNS
        run_program(g, v, cpu, until if until < v.interrupt_at else v.interrupt_at)
        if v.program != PROGRAM_RUNS:
            fold(g.mm, cpu)
    if v.program == PROGRAM_COMPUTES and v.now > computed:
        v.until += v.now - computed
    note_wake(g, v, cpu)
    g.quiet_ticks = g.quiet_ticks + 1 if ticked and is_idle(g) else 0
    if v.now >= v.next_second:
        once_a_second(g, v, cpu)
    end_boost(g, v.now)

cdef inline void wait_for_reaper(machine_t *g, vcpu_t *v, int64_t until) noexcept nogil:
    """The allocation goes on when a victim has given its memory back."""
    cdef double ns = <double>(until - v.now)
    if ns <= 0:
        return
    g.account.guest_stall += ns
    g.backing.reclaim_stall += ns
    note_stall(g, v, ns)
    v.now = until

cdef inline int64_t settle_oom(simulation_t *s, machine_t *g, int64_t t) noexcept nogil:
    """Somebody has to die: whom a policy of the host names, or who scores highest; but not while a victim still exits.

    Returns until when the allocation has to wait for that, 0 if it need not.
    """
    cdef backing_t *victim
    cdef int64_t until = dying_until(s.host)
    cdef int i = KERNELS_CHOICE
    g.host_oom = False
    if g.backing.no_page:
        victim = g.backing
        host_end_guest(s.host, victim, t)
    elif until:
        return until
    else:
        if s.policy != NULL and s.policy.on_oom != NULL:
            i = s.policy.on_oom(s.policy.self)
        if i == KERNELS_CHOICE:
            victim = host_oom_kill(s.host, t)
        else:
            victim = s.machine[i].backing
            host_kill(s.host, victim, t)
        if victim == NULL:
            victim = g.backing
            host_end_guest(s.host, victim, t)
    for i in range(s.nr_machines):
        if s.machine[i].backing == victim:
            s.machine[i].state = GUEST_LOST
            s.machine[i].ended_at = t
            s.oom_kills += 1
            note(s.machine[i], last_change(s, s.machine[i], t), VMM_CLOCK)
            break
    return 0

cdef inline void note_reclaimed(simulation_t *s, int64_t t) noexcept nogil:
    """Note what a kernel thread of the host has changed of any guest."""
    cdef int i
    for i in range(s.nr_machines):
        note_guest(s, s.machine[i], last_change(s, s.machine[i], t), VMM_CLOCK)

cdef inline void reap(simulation_t *s, int64_t t) noexcept nogil:
    """Victims of the OOM killer whose time has come give their memory back."""
    cdef int i
    cdef backing_t *b = host_reap(s.host, t)
    while b != NULL:
        for i in range(s.nr_machines):
            if s.machine[i].backing == b:
                note(s.machine[i], last_change(s, s.machine[i], t), VMM_CLOCK)
        b = host_reap(s.host, t)

cdef inline void next_host_costs(simulation_t *s) noexcept nogil:
    """The same for charges of the host's own threads."""
    if s.deck.card != NULL:
        s.costs = draw_card(&s.deck)

cdef inline void kswapd_slice(simulation_t *s, int64_t until) noexcept nogil:
    """The host's kswapd works until it sleeps, waits for the device, or the time is over."""
    cdef host_t *h = s.host
    cdef double ns, waited
    cdef int64_t whole
    while h.reclaim.kswapd.awake and h.reclaim.kswapd.now < until:
        ns = h.reclaim.kswapd.carry
        waited = h.reclaim.waited
        h.now = h.reclaim.kswapd.now
        kswapd_step(h, s.costs, &ns)
        next_host_costs(s)
        s.host_kernel_async += ns - h.reclaim.kswapd.carry - (h.reclaim.waited - waited)
        whole = <int64_t>ns
        h.reclaim.kswapd.carry = ns - whole
        h.reclaim.kswapd.now += whole
    note_reclaimed(s, h.reclaim.kswapd.now)

cdef inline void khugepaged_slice(simulation_t *s) noexcept nogil:
    """One round; faults of a guest whose block is collapsed wait for it."""
    cdef host_t *h = s.host
    cdef double ns = 0
    cdef double waited = h.reclaim.waited if h.reclaim != NULL else 0
    cdef int64_t sleep
    h.now = h.khugepaged_at
    sleep = khugepaged_round(h, s.costs, &ns)
    next_host_costs(s)
    s.host_kernel_async += ns - (h.reclaim.waited - waited if h.reclaim != NULL else 0)
    note_reclaimed(s, h.khugepaged_at + <int64_t>ns)
    h.khugepaged_at += <int64_t>ns + sleep

cdef inline bint step(simulation_t *s, int64_t until) noexcept nogil:
    """Let whoever is furthest behind run one slice; False if nobody has anything to do before `until`."""
    cdef machine_t *g
    cdef machine_t *chosen = NULL
    cdef int i, cpu, who = VMM
    cdef int64_t t, first = NEVER, limit
    if s.host.reclaim != NULL and s.host.reclaim.kswapd.awake:
        first = s.host.reclaim.kswapd.now
    for i in range(s.nr_machines):
        g = s.machine[i]
        if g.state != GUEST_FINE or until == NEVER and ticks_only(g):
            continue
        if g.vmm.queued and g.vmm.now < first:
            first = g.vmm.now
            chosen = g
            who = VMM
        if g.kswapd.now < first:
            first = g.kswapd.now
            chosen = g
            who = KSWAPD
        for cpu in range(g.ncpus):
            t = vcpu_due(g, &g.vcpu[cpu])
            if t < first:
                first = t
                chosen = g
                who = cpu
    if s.host.khugepaged and s.host.khugepaged_at <= first and s.host.khugepaged_at < until and not (first == until == NEVER):
        s.now = max(s.now, s.host.khugepaged_at)
        khugepaged_slice(s)
        return True
    t = next_reaped(s.host)
    if t and t <= first and t < until:
        s.now = max(s.now, t)
        reap(s, t)
        return True
    if first >= until:
        return False
    if s.survey != NULL and first >= s.survey.next_ns:
        take_sample(s.survey, s, first)
    if first > s.now:
        s.now = first
    limit = first + s.slice_ns
    if limit > until:
        limit = until
    s.steps += 1
    if chosen == NULL:
        kswapd_slice(s, limit)
        return True
    if who == VMM:
        vmm_slice(chosen, limit)
    elif who == KSWAPD:
        guest_kswapd_slice(chosen, limit)
        note_wake(chosen, &chosen.vcpu[chosen.kswapd.cpu], chosen.kswapd.cpu)
    else:
        vcpu_slice(chosen, &chosen.vcpu[who], who, limit)
        if chosen.host_oom:
            wait_for_reaper(chosen, &chosen.vcpu[who], settle_oom(s, chosen, chosen.vcpu[who].now))
    if chosen.mm.error:
        s.error = SIM_GUEST
    return True
