"""Executing a vCPU's op array, row by row, up to the next scheduling point that matters."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc

from hinting._core.common cimport COSTLY_ORDER, NO_PFN, pfn_t
from hinting._core.engine.charge cimport charge_kernel, charge_lists, charge_strategy
from hinting._core.engine.files cimport (
    FILE_DONE,
    FILE_NO_FRAME,
    drop_step,
    read_page,
    truncate_step,
    wait_for_disk,
    write_page,
)
from hinting._core.engine.machine cimport (
    PROGRAM_COMPUTES,
    PROGRAM_ENDED,
    PROGRAM_RUNS,
    PROGRAM_SLEEPS,
    PROGRAM_WAITS,
    SIM_NO_MEMORY,
    THREAD_IDLE,
    THREAD_WOKEN,
    kill_t,
    machine_t,
    mark_t,
    slot_t,
    vcpu_t,
)
from hinting._core.engine.memory cimport TOUCH_DONE, TOUCH_NO_FRAME, TOUCH_NO_PAGE, get_pages, touch_page, use_pages
from hinting._core.engine.ops cimport (
    KIND_ATOMIC,
    OP_ALLOC,
    OP_BACK,
    OP_COMPUTE,
    OP_DROP_CACHES,
    OP_EXIT,
    OP_FREE,
    OP_MARK,
    OP_MMAP,
    OP_READ,
    OP_SLEEP,
    OP_SPAWN,
    OP_SYNC,
    OP_TOUCH,
    OP_TRUNCATE,
    OP_UNMAP,
    OP_WAIT,
    OP_WRITE,
    OPF_ALL_FILES,
    OPF_KIND,
    OPF_NO_THP,
    OPF_SINCE_MARK,
    op_t,
)
from hinting._core.engine.process cimport (
    PTE_HUGE,
    TABLE_PAGES,
    drop_process,
    gather,
    gather_flush,
    map_region,
    process_t,
    region_t,
)
from hinting._core.engine.vmm cimport take_submitted
from hinting._core.engine.writeback cimport flush_until, sync_ns, throttle_ns
from hinting._core.mm.alloc cimport free_pages

cdef inline int64_t used_by_host(machine_t *g) noexcept nogil:
    return g.sim.host.frames_total - g.sim.host.frames_free

cdef inline int64_t held_by_guest(machine_t *g) noexcept nogil:
    """Frames that this guest costs the host."""
    return g.backing.held_frames + g.backing.vmm_frames + g.backing.host_tables + g.backing.ept_tables

cdef inline void wake_waiting(machine_t *g, const vcpu_t *v) noexcept nogil:
    """Let the vCPUs that wait for marks look again, from the moment when this one was set."""
    cdef int cpu
    for cpu in range(g.ncpus):
        if g.vcpu[cpu].program == PROGRAM_WAITS:
            g.vcpu[cpu].program = PROGRAM_RUNS
            if g.vcpu[cpu].now < v.now:
                g.vcpu[cpu].now = v.now

cdef inline void set_mark(machine_t *g, vcpu_t *v, int64_t number) noexcept nogil:
    cdef mark_t *grown
    if g.nr_marks == g.marks_size:
        grown = <mark_t *>realloc(g.mark, (g.marks_size * 2 + 16) * sizeof(mark_t))
        if grown == NULL:
            g.sim.error = SIM_NO_MEMORY
            return
        g.mark = grown
        g.marks_size = g.marks_size * 2 + 16
    g.mark[g.nr_marks].number = number
    g.mark[g.nr_marks].t_ns = v.now
    g.mark[g.nr_marks].host_used = used_by_host(g)
    g.mark[g.nr_marks].held = held_by_guest(g)
    g.nr_marks += 1
    wake_waiting(g, v)

cdef inline bint mark_was_set(const machine_t *g, int64_t number, int64_t times) noexcept nogil:
    cdef int64_t i, n = 0
    for i in range(g.nr_marks):
        n += g.mark[i].number == number
    return n >= (times if times else 1)

cdef inline int64_t last_set(const machine_t *g, int64_t number, int64_t otherwise) noexcept nogil:
    """When a mark was last set."""
    cdef int64_t i
    for i in range(g.nr_marks - 1, -1, -1):
        if g.mark[i].number == number:
            return g.mark[i].t_ns
    return otherwise

cdef inline bint hold_block(machine_t *g, slot_t *s, pfn_t pfn, int order) noexcept nogil:
    cdef pfn_t *pfns
    cdef uint8_t *orders
    cdef int64_t size
    if s.n == s.size:
        size = s.size * 2 + 64
        pfns = <pfn_t *>realloc(s.pfn, size * sizeof(pfn_t))
        if pfns != NULL:
            s.pfn = pfns
        orders = <uint8_t *>realloc(s.order, size)
        if orders != NULL:
            s.order = orders
        if pfns == NULL or orders == NULL:
            g.sim.error = SIM_NO_MEMORY
            return False
        s.size = size
    s.pfn[s.n] = pfn
    s.order[s.n] = <uint8_t>order
    s.n += 1
    return True

cdef inline void unmap_pages(
    machine_t *g, vcpu_t *v, int cpu, process_t *p, region_t *r, int64_t first, int64_t end,
) noexcept nogil:
    """Take pages [first, end) of a mapping out of it and gather them; a huge page goes whole, its spare table at once."""
    cdef int64_t page = first, base
    cdef uint32_t entry
    cdef int64_t n = 0
    while page < end:
        base = page & ~<int64_t>(TABLE_PAGES - 1)
        entry = r.pte[base]
        if entry & PTE_HUGE:
            r.pte[base] = 0
            gather(g.mm, cpu, &g.gather, entry & ~<uint32_t>PTE_HUGE, True)
            if r.table[base // TABLE_PAGES]:
                free_pages(g.mm, cpu, r.table[base // TABLE_PAGES], 0)
                r.table[base // TABLE_PAGES] = 0
            p.rss_pages -= TABLE_PAGES
            charge_kernel(g, v, g.costs.guest_buddy_free_direct)
            page = base + TABLE_PAGES
            continue
        if r.table[base // TABLE_PAGES] == 0:
            page = base + TABLE_PAGES
            continue
        entry = r.pte[page]
        if entry:
            r.pte[page] = 0
            gather(g.mm, cpu, &g.gather, entry, False)
            n += 1
        page += 1
    p.rss_pages -= n
    charge_kernel(g, v, n * g.costs.guest_rcu_batch_free_4k)

cdef inline bint teardown_step(machine_t *g, vcpu_t *v, int cpu, process_t *p) noexcept nogil:
    """Unmap one table's worth of pages of an ending process, then its tables; True when all is gone.

    Each step ends at a scheduling point, as the kernel's teardown has one for each table page.
    """
    cdef region_t *r
    cdef int64_t i
    while p.exit_region < p.nr_regions:
        r = &p.region[p.exit_region]
        if r.pte == NULL or p.exit_page >= r.pages:
            p.exit_region += 1
            p.exit_page = 0
            continue
        i = p.exit_page + TABLE_PAGES
        unmap_pages(g, v, cpu, p, r, p.exit_page, i if i < r.pages else r.pages)
        p.exit_page = i
        charge_lists(g, v)
        charge_strategy(g, v)
        return False
    for i in range(p.nr_regions):
        r = &p.region[i]
        if r.pte == NULL:
            continue
        for page in range(r.tables):
            if r.table[page]:
                gather(g.mm, cpu, &g.gather, r.table[page], False)
                r.table[page] = 0
    gather_flush(g.mm, cpu, &g.gather)
    charge_lists(g, v)
    charge_strategy(g, v)
    drop_process(p)
    return True

cdef inline bint thread_due(const vcpu_t *v) noexcept nogil:
    """The thread may go on: its wake-up latency is over, or the host's answer is there."""
    return v.thread != THREAD_IDLE and v.thread_at <= v.now

cdef inline void note_wake(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """What the strategy's hooks asked for: reports go out, and a woken thread may run after its latency."""
    if g.strategy == NULL:
        return
    if g.strategy.nr_submitted:
        take_submitted(g, v, cpu)
    if g.strategy.wake[cpu] and v.thread == THREAD_IDLE:
        v.thread = THREAD_WOKEN
        v.thread_at = v.now + g.strategy.wake_latency_ns

cdef inline void next_row(vcpu_t *v) noexcept nogil:
    v.pc += 1
    v.done = 0

cdef inline process_t *process_of(machine_t *g, const op_t *op) noexcept nogil:
    """The live process of a row, NULL if it was killed."""
    cdef process_t *p = &g.process[op.proc]
    return p if p.alive else NULL

cdef inline process_t *biggest_process(machine_t *g) noexcept nogil:
    cdef process_t *victim = NULL
    cdef uint32_t i
    for i in range(g.nr_processes):
        if g.process[i].alive and (victim == NULL or g.process[i].rss_pages > victim.rss_pages):
            victim = &g.process[i]
    return victim

cdef inline bint note_kill(machine_t *g, vcpu_t *v, const process_t *p) noexcept nogil:
    cdef kill_t *grown = <kill_t *>realloc(g.kill, (g.guest_oom_kills + 1) * sizeof(kill_t))
    if grown == NULL:
        g.sim.error = SIM_NO_MEMORY
        return False
    g.kill = grown
    grown[g.guest_oom_kills].t_ns = v.now
    grown[g.guest_oom_kills].process = p - g.process
    grown[g.guest_oom_kills].rss_pages = p.rss_pages
    g.guest_oom_kills += 1
    return True

cdef inline bint out_of_memory(machine_t *g, vcpu_t *v, int cpu) noexcept nogil:
    """The guest's OOM killer: the process with the most memory is torn down now, the rest of its rows is skipped.

    False if there is no process left to kill.
    """
    cdef process_t *p = biggest_process(g)
    if p == NULL or not note_kill(g, v, p):
        return False
    p.exit_region = 0
    p.exit_page = 0
    while not teardown_step(g, v, cpu, p):
        pass
    note_wake(g, v, cpu)
    return True

cdef inline bint yields(const machine_t *g, const vcpu_t *v, int64_t until) noexcept nogil:
    """Whether this stretch of the vCPU ends here: its time is up, its thread is due, or kswapd is behind it."""
    return v.now >= until or thread_due(v) or g.kswapd.now <= v.now

cdef inline bint touch_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_TOUCH; True when the row is done."""
    cdef process_t *p = process_of(g, op)
    cdef region_t *r
    cdef int64_t n = 0
    cdef int result
    if p == NULL:
        return True
    r = &p.region[op.region]
    while v.done < op.b:
        result = touch_page(g, v, cpu, p, r, op.a + v.done, &n)
        if result == TOUCH_NO_FRAME:
            return False
        if result == TOUCH_NO_PAGE:
            if not out_of_memory(g, v, cpu) or not p.alive:
                return True
            continue
        v.done += n
        note_wake(g, v, cpu)
        if yields(g, v, until):
            return v.done >= op.b
    return True

cdef inline bint may_oom(const op_t *op) noexcept nogil:
    """Whether the kernel calls its OOM killer before this request fails."""
    return op.order <= COSTLY_ORDER and (op.flags & OPF_KIND) != KIND_ATOMIC

cdef inline bint alloc_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    cdef slot_t *s = &g.slot[op.proc]
    cdef pfn_t pfn
    while v.done < op.b:
        if not v.unwritten:
            pfn = get_pages(g, v, cpu, op.order, g.gfp_kind[op.flags & OPF_KIND])
            if pfn == NO_PFN:
                if may_oom(op) and out_of_memory(g, v, cpu):
                    continue
                g.failed_allocations += 1
            elif hold_block(g, s, pfn, op.order):
                charge_kernel(g, v, g.costs.mem_clear_4k * (1 << op.order))
                v.unwritten = True
        if v.unwritten:
            if not use_pages(g, v, s.pfn[s.n - 1], <int64_t>1 << op.order):
                return False
            v.unwritten = False
        v.done += 1
        if yields(g, v, until):
            break
    return v.done >= op.b

cdef inline bint free_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    cdef slot_t *s = &g.slot[op.proc]
    while s.n and (op.b == 0 or v.done < op.b):
        s.n -= 1
        free_pages(g.mm, cpu, s.pfn[s.n], s.order[s.n])
        charge_kernel(g, v, g.costs.guest_pcp_free_hit)
        charge_lists(g, v)
        charge_strategy(g, v)
        note_wake(g, v, cpu)
        v.done += 1
        if yields(g, v, until):
            break
    return s.n == 0 or (op.b != 0 and v.done >= op.b)

cdef inline bint file_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_READ or OP_WRITE; a page that the guest cannot find even after a kill is passed over."""
    cdef int result
    flush_until(g, v.now)
    while v.done < op.b:
        if op.op == OP_READ:
            result = read_page(g, v, cpu, op.file, <uint32_t>(op.a + v.done))
        else:
            result = write_page(g, v, cpu, op.file, <uint32_t>(op.a + v.done))
        if result == FILE_NO_FRAME:
            return False
        if result != FILE_DONE:
            if out_of_memory(g, v, cpu):
                continue
            g.failed_allocations += 1
        v.done += 1
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    if op.op == OP_WRITE:
        wait_for_disk(g, v, throttle_ns(g))
    return v.done >= op.b

cdef inline bint forget_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with an OP_TRUNCATE or OP_DROP_CACHES."""
    cdef bint over = False
    flush_until(g, v.now)
    while not over:
        over = truncate_step(g, v, cpu, op) if op.op == OP_TRUNCATE else drop_step(g, v, cpu)
        note_wake(g, v, cpu)
        if yields(g, v, until):
            break
    return over

cdef inline bint run_row(machine_t *g, vcpu_t *v, int cpu, const op_t *op, int64_t until) noexcept nogil:
    """Go on with a row; True when it is done. Stops early at a scheduling point, or when the host has no frame."""
    cdef process_t *p
    cdef region_t *r
    if op.op == OP_TOUCH:
        return touch_row(g, v, cpu, op, until)
    if op.op == OP_EXIT:
        p = process_of(g, op)
        if p == NULL:
            return True
        if v.done == 0:
            p.exit_region = 0
            p.exit_page = 0
            v.done = 1
        while not teardown_step(g, v, cpu, p):
            note_wake(g, v, cpu)
            if yields(g, v, until):
                return False
        note_wake(g, v, cpu)
        return True
    if op.op == OP_ALLOC:
        return alloc_row(g, v, cpu, op, until)
    if op.op == OP_FREE:
        return free_row(g, v, cpu, op, until)
    if op.op == OP_READ or op.op == OP_WRITE:
        return file_row(g, v, cpu, op, until)
    if op.op == OP_TRUNCATE or op.op == OP_DROP_CACHES:
        return forget_row(g, v, cpu, op, until)
    if op.op == OP_SPAWN:
        drop_process(&g.process[op.proc])
        g.process[op.proc].alive = True
        g.process[op.proc].rss_pages = 0
        charge_kernel(g, v, g.costs.sched_syscall)
    elif op.op == OP_MMAP:
        p = process_of(g, op)
        if p != NULL and map_region(p, op.region, op.a, not op.flags & OPF_NO_THP) != 0:
            g.sim.error = SIM_NO_MEMORY
        charge_kernel(g, v, g.costs.sched_syscall)
    elif op.op == OP_UNMAP:
        p = process_of(g, op)
        if p != NULL:
            r = &p.region[op.region]
            unmap_pages(g, v, cpu, p, r, op.a, op.a + op.b)
            gather_flush(g.mm, cpu, &g.gather)
            charge_lists(g, v)
            charge_strategy(g, v)
            note_wake(g, v, cpu)
    elif op.op == OP_SLEEP:
        v.program = PROGRAM_SLEEPS
        v.until = op.a + (last_set(g, op.b, v.now) if op.flags & OPF_SINCE_MARK else v.now)
    elif op.op == OP_WAIT:
        if not mark_was_set(g, op.a, op.b):
            v.program = PROGRAM_WAITS
            return False
    elif op.op == OP_COMPUTE:
        g.account.guest_user += op.a
        v.program = PROGRAM_COMPUTES
        v.until = v.now + op.a
    elif op.op == OP_BACK:
        return use_pages(g, v, <pfn_t>op.a, op.b)
    elif op.op == OP_MARK:
        set_mark(g, v, op.a)
    elif op.op == OP_SYNC:
        flush_until(g, v.now)
        wait_for_disk(g, v, sync_ns(g, -1 if op.flags & OPF_ALL_FILES else <int64_t>op.file))
    return True

cdef inline void run_program(machine_t *g, vcpu_t *v, int cpu, int64_t until) noexcept nogil:
    """Run rows until the stretch ends, the program sleeps or ends, or the host has no frame."""
    while v.program == PROGRAM_RUNS and not yields(g, v, until):
        if v.pc >= v.nr_ops:
            v.program = PROGRAM_ENDED
            break
        if run_row(g, v, cpu, &v.ops[v.pc], until):
            next_row(v)
        elif g.host_oom:
            break
