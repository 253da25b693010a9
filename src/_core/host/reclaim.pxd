"""Reclaim: the clock over the two lists of each guest, direct reclaim, and the limits of memory cgroups.

Follows shrink_lruvec and try_to_free_pages (Linux 6.12): a page is evicted when the scan finds it
unaccessed on the inactive list, stays when it was accessed once, and is activated when it was accessed twice. A round
at priority p looks at 1/2^p of each list, at least 32 pages. A unit of a list (lru.pxd) is looked at whole, so a batch
of 32 pages may become up to 95, or one huge folio. Clean page cache of the host is one amount without an order.
"""

from libc.stdint cimport int64_t, uint64_t

from hinting._core.costs cimport costs_t
from hinting._core.host.cgroup cimport (
    CHARGE_BATCH,
    HIGH_SLEEP_MIN_NS,
    NO_LIMIT,
    group_over,
    group_usage,
    high_sleep,
    is_in_group,
    protection_of,
    swap_room,
    usage_of,
)
from hinting._core.host.deferred cimport shrink_deferred, split_folio
from hinting._core.host.frames cimport can_take, clear_freed_ns, give
from hinting._core.host.lazy cimport reclaim_lazy
from hinting._core.host.lru cimport (
    inactive_is_low,
    is_linked,
    lru_move,
    lru_move_huge,
    on_list,
    rotate_unit,
)
from hinting._core.host.reclaim_state cimport (
    ACTIVE,
    DEF_PRIORITY,
    INACTIVE,
    KSWAPD_RETRIES,
    NR_LISTS,
    SCAN_BATCH,
    UNIT_WORDS,
    aged_t,
    reclaim_t,
)
from hinting._core.host.state cimport (
    BLOCK_PAGES,
    FOLIO_HUGE,
    FOLIO_HUGE_PARTIAL,
    HOST_NOMEM,
    HOST_OK,
    NO_GROUP,
    backing_t,
    block_t,
    host_t,
)
from hinting._core.host.swapcache cimport settle_writes, time_of, wait_write
from hinting._core.host.swapout cimport evict_huge, evict_pages
from hinting._core.host.words cimport fill_block, popcount

ctypedef struct scan_t:
    bint kswapd
    int64_t scanned                     # pages looked at
    int64_t reclaimed                   # pages freed, or on their way to the device

# One unit

cdef inline void note_scan(host_t *h, scan_t *s, int64_t scanned, int64_t reclaimed) noexcept nogil:
    s.scanned += scanned
    s.reclaimed += reclaimed
    if s.kswapd:
        h.vm.pgscan_kswapd += scanned
        h.vm.pgsteal_kswapd += reclaimed
    else:
        h.vm.pgscan_direct += scanned
        h.vm.pgsteal_direct += reclaimed

cdef inline bint is_accessed(const aged_t *a) noexcept nogil:
    cdef int w
    for w in range(UNIT_WORDS):
        if a.accessed[w]:
            return True
    return False

cdef inline void shrink_inactive_huge(
    host_t *h, backing_t *b, const costs_t *c, uint64_t i, scan_t *s, double *ns
) noexcept nogil:
    """Look at the oldest unit of the inactive list, a huge folio."""
    cdef aged_t *a = &b.aged[i]
    cdef int64_t evicted = 0
    if is_accessed(a):
        fill_block(a.accessed, 0)
        if a.referenced[0]:
            h.vm.pgactivate += BLOCK_PAGES
            b.evictions += BLOCK_PAGES
            lru_move_huge(b, i, ACTIVE)
        else:
            fill_block(a.referenced, ~<uint64_t>0)
            rotate_unit(b, <unsigned int>(i * UNIT_WORDS), INACTIVE)
    else:
        fill_block(a.referenced, 0)
        evicted = evict_huge(h, b, c, i, ns)
        if evicted == 0 and b.blocks[i].folio == FOLIO_HUGE:
            rotate_unit(b, <unsigned int>(i * UNIT_WORDS), INACTIVE)
    if evicted == 0:
        ns[0] += c.swap_scan_page
    note_scan(h, s, BLOCK_PAGES, evicted)

cdef inline void shrink_inactive(host_t *h, backing_t *b, const costs_t *c, scan_t *s, double *ns) noexcept nogil:
    """Look at the oldest unit of the inactive list, which must not be empty."""
    cdef unsigned int word = b.list[INACTIVE].tail - 1
    cdef uint64_t i = word // UNIT_WORDS
    cdef int w = word % UNIT_WORDS
    cdef block_t *block = &b.blocks[i]
    cdef aged_t *a = &b.aged[i]
    cdef uint64_t pages, accessed, twice
    cdef int64_t looked, evicted = 0, before
    if block.folio == FOLIO_HUGE:
        shrink_inactive_huge(h, b, c, i, s, ns)
        return
    if block.folio == FOLIO_HUGE_PARTIAL:
        before = h.frames_free
        split_folio(h, b, block)
        ns[0] += c.host_thp_split_folio + clear_freed_ns(h, c, h.frames_free - before)
        note_scan(h, s, 0, h.frames_free - before)
    pages = on_list(block, a, w, INACTIVE)
    looked = popcount(pages)
    accessed = pages & a.accessed[w]
    twice = accessed & a.referenced[w]
    a.accessed[w] &= ~pages
    a.referenced[w] = (a.referenced[w] & ~pages) | accessed
    if twice:
        h.vm.pgactivate += popcount(twice)
        b.evictions += popcount(twice)
        lru_move(b, i, w, twice, ACTIVE)
    if pages & ~accessed:
        evicted = evict_pages(h, b, c, i, w, pages & ~accessed, ns)
    if is_linked(b, word, INACTIVE):
        rotate_unit(b, word, INACTIVE)
    ns[0] += <double>(looked - evicted) * c.swap_scan_page
    note_scan(h, s, looked, evicted)

cdef inline int64_t shrink_active(host_t *h, backing_t *b, const costs_t *c, double *ns) noexcept nogil:
    """Move the oldest unit of the active list to the inactive one; returns its pages. The list must not be empty."""
    cdef unsigned int word = b.list[ACTIVE].tail - 1
    cdef uint64_t i = word // UNIT_WORDS
    cdef int w = word % UNIT_WORDS
    cdef uint64_t pages
    if b.blocks[i].folio == FOLIO_HUGE:
        fill_block(b.aged[i].accessed, 0)
        lru_move_huge(b, i, INACTIVE)
        ns[0] += c.swap_scan_page
        h.vm.pgdeactivate += BLOCK_PAGES
        return BLOCK_PAGES
    pages = on_list(&b.blocks[i], &b.aged[i], w, ACTIVE)
    b.aged[i].accessed[w] &= ~pages
    lru_move(b, i, w, pages, INACTIVE)
    ns[0] += <double>popcount(pages) * c.swap_scan_page
    h.vm.pgdeactivate += popcount(pages)
    return popcount(pages)

# How much of what

cdef inline double anon_share(const host_t *h) noexcept nogil:
    """Share of the scan that goes to guest memory, the rest to the host's page cache; 0 when swap is full."""
    cdef const reclaim_t *r = h.reclaim
    cdef double total, anon, file, a, f
    if r.slots.used == r.slots.total:
        return 0
    if h.page_cache == 0 or h.page_cache + h.frames_free <= h.wmark_high:
        return 1
    total = r.anon_cost + r.file_cost
    anon = total + r.anon_cost
    file = total + r.file_cost
    a = r.swappiness * (anon + file + 1) / (anon + 1)
    f = (200 - r.swappiness) * (anon + file + 1) / (file + 1)
    return a / (a + f)

cdef inline void note_anon_cost(host_t *h, int64_t pages) noexcept nogil:
    """I/O of swapped pages makes the page cache the cheaper victim; the count fades with the size of the lists."""
    cdef reclaim_t *r = h.reclaim
    cdef int64_t size = h.page_cache
    cdef int i
    if size == 0:
        return
    for i in range(h.nr_guests):
        size += h.guests[i].list[INACTIVE].pages + h.guests[i].list[ACTIVE].pages
    r.anon_cost += <double>pages
    if r.anon_cost + r.file_cost > size / 4:
        r.anon_cost /= 2
        r.file_cost /= 2

cdef inline void scan_targets(const backing_t *b, int priority, double share, int64_t *scan) noexcept nogil:
    """Pages to scan of each list at this priority."""
    cdef int which
    cdef int64_t n
    for which in range(NR_LISTS):
        n = b.list[which].pages >> priority
        if n < SCAN_BATCH:
            n = min(b.list[which].pages, SCAN_BATCH)
        scan[which] = <int64_t>(<double>n * share)

cdef inline double scan_share(const host_t *h, const backing_t *b, bint ignore_low) noexcept nogil:
    """Part of a guest's lists that reclaim of the host may scan: none if it is protected or may not swap."""
    cdef int64_t protected
    if not b.limited:
        return 1
    protected = protection_of(h, b, ignore_low)
    if protected == NO_LIMIT or swap_room(h, b) == 0:
        return 0
    return 1 - <double>protected / <double>(usage_of(b) + 1) if protected <= usage_of(b) else 0

cdef inline bint shrink_step(host_t *h, backing_t *b, const costs_t *c, int64_t *scan, scan_t *s, double *ns) noexcept nogil:
    """One batch of the work in scan[]; False when none is left."""
    cdef int64_t n = 0
    if scan[ACTIVE] > 0 and b.list[ACTIVE].pages and inactive_is_low(b):
        while n < SCAN_BATCH and b.list[ACTIVE].pages:
            n += shrink_active(h, b, c, ns)
        scan[ACTIVE] -= n
    elif scan[INACTIVE] > 0 and b.list[INACTIVE].pages:
        n = s.scanned
        while s.scanned - n < SCAN_BATCH and b.list[INACTIVE].pages:
            shrink_inactive(h, b, c, s, ns)
        scan[INACTIVE] -= s.scanned - n
    else:
        return False
    return True

cdef inline void shrink_page_cache(host_t *h, const costs_t *c, int priority, double share, scan_t *s, double *ns) noexcept nogil:
    """Drop clean page cache of the host."""
    cdef int64_t n = h.page_cache >> priority
    if n < SCAN_BATCH:
        n = min(h.page_cache, SCAN_BATCH)
    n = <int64_t>(<double>n * share)
    h.page_cache -= n
    give(h, n)
    ns[0] += <double>n * c.swap_scan_page
    note_scan(h, s, n, n)

cdef inline void drop_text(host_t *h, backing_t *b, const costs_t *c, int priority, scan_t *s, double *ns) noexcept nogil:
    """Drop code of a VMM that has not run since the last look."""
    cdef int64_t n
    if b.text_in == 0:
        return
    if b.text_used:
        b.text_used = False
        return
    n = min(max(b.text_in >> priority, <int64_t>SCAN_BATCH), b.text_in)
    b.text_in -= n
    b.text_out += n
    b.vmm_frames -= n
    give(h, n)
    ns[0] += <double>n * c.swap_scan_page
    note_scan(h, s, n, n)

# Direct reclaim

cdef inline void shrink_guests(
    host_t *h, const costs_t *c, int priority, int group, bint ignore_low, int64_t goal, scan_t *s, double *ns
) noexcept nogil:
    """A round of direct reclaim over the guests of a cgroup, from where the last one ended, until `goal` pages."""
    cdef int64_t scan[NR_LISTS]
    cdef double share = anon_share(h), mine
    cdef int _turn
    cdef backing_t *b
    if group != NO_GROUP:
        share = 1 if share > 0 else 0
    elif h.page_cache and share < 1:
        shrink_page_cache(h, c, priority, 1 - share, s, ns)
    for _turn in range(h.nr_guests):
        if s.reclaimed >= goal or share == 0:
            return
        if h.reclaim.next_guest >= h.nr_guests:
            h.reclaim.next_guest = 0
        b = h.guests[h.reclaim.next_guest]
        h.reclaim.next_guest += 1
        if not is_in_group(b, group):
            continue
        mine = scan_share(h, b, ignore_low) if group == NO_GROUP else swap_room(h, b) > 0
        if mine > 0:
            drop_text(h, b, c, priority, s, ns)
        scan_targets(b, priority, share * mine, scan)
        while s.reclaimed < goal and shrink_step(h, b, c, scan, s, ns):
            pass

cdef inline bint is_enough(const host_t *h, const backing_t *b, int64_t frames, int group) noexcept nogil:
    """Whether a guest (or the host, without one) can take frames, as far as the limit of this cgroup or the host goes."""
    if group == NO_GROUP:
        return can_take(h, frames)
    return group_over(h, b, frames) != group

cdef inline int reclaim_direct(
    host_t *h, const backing_t *b, const costs_t *c, int64_t frames, int group, double *ns
) noexcept nogil:
    """Reclaim from a cgroup, or from all, until `frames` can be taken; HOST_NOMEM when 16 rounds in a row freed nothing."""
    cdef scan_t s
    cdef int priority, failures = 0
    cdef bint ignore_low = False
    s.kswapd = False
    while True:
        settle_writes(h, time_of(h, ns))
        if is_enough(h, b, frames, group):
            h.reclaim.kswapd.failures = 0
            return HOST_OK
        s.scanned = s.reclaimed = 0
        priority = DEF_PRIORITY
        while priority >= 0 and s.reclaimed < SCAN_BATCH and not is_enough(h, b, frames, group):
            shrink_guests(h, c, priority, group, ignore_low, SCAN_BATCH, &s, ns)
            priority -= 1
        note_anon_cost(h, s.reclaimed)
        if is_enough(h, b, frames, group):
            continue
        if h.reclaim.nr_writes:
            wait_write(h, ns)
        elif s.scanned == 0 and not ignore_low:
            ignore_low = True
        elif s.reclaimed == 0:
            failures += 1
            if failures == KSWAPD_RETRIES or s.scanned == 0:
                h.oom_group = group
                return HOST_NOMEM

cdef inline void reclaim_until(host_t *h, const costs_t *c, int64_t goal, double *ns) noexcept nogil:
    """Reclaim without I/O, lazily freed pages first, until the host has `goal` free frames. Adds its time to ns."""
    reclaim_lazy(h, c, goal, ns)
    shrink_deferred(h, c, goal, ns)

cdef inline int reclaim_for(host_t *h, const costs_t *c, int64_t frames, double *ns) noexcept nogil:
    """Make room for `frames` by direct reclaim; without swap only what was given back halfway gives anything."""
    if frames <= 0 or can_take(h, frames):
        return HOST_OK
    h.vm.allocstall += 1
    reclaim_until(h, c, h.wmark_min + frames, ns)
    if can_take(h, frames):
        return HOST_OK
    h.oom_group = NO_GROUP
    return HOST_NOMEM if h.reclaim == NULL else reclaim_direct(h, NULL, c, frames, NO_GROUP, ns)

cdef inline void split_deferred(host_t *h, backing_t *b, const costs_t *c, double *ns) noexcept nogil:
    """Split all queued folios of a guest."""
    cdef int64_t free
    while b.deferred_head:
        free = h.frames_free
        split_folio(h, b, &b.blocks[b.deferred_head - 1])
        ns[0] += c.host_thp_split_folio + clear_freed_ns(h, c, h.frames_free - free)

cdef inline int charge_for(host_t *h, backing_t *b, const costs_t *c, int64_t frames, double *ns) noexcept nogil:
    """Make room for `frames` below the limits of a guest's cgroups."""
    cdef int group = group_over(h, b, frames)
    while group != NO_GROUP:
        h.groups[group].hits_max += 1
        split_deferred(h, b, c, ns)
        if group_over(h, b, frames) == group:
            h.oom_group = group
            if h.reclaim == NULL or reclaim_direct(h, b, c, frames, group, ns) != HOST_OK:
                return HOST_NOMEM
        group = group_over(h, b, frames)
    return HOST_OK

cdef inline int frames_for(host_t *h, backing_t *b, const costs_t *c, int64_t frames, double *ns) noexcept nogil:
    """Make room for `frames` of a guest: below its limits, and on the host."""
    cdef double before = ns[0]
    cdef int result = HOST_OK
    if frames <= 0:
        return HOST_OK
    while result == HOST_OK:
        if b.limited:
            result = charge_for(h, b, c, frames, ns)
        if result == HOST_OK:
            if can_take(h, frames):
                break
            result = reclaim_for(h, c, frames, ns)
        if not b.limited:
            break
    b.reclaim_stall += ns[0] - before
    return result

cdef inline int64_t reclaim_pages(host_t *h, const costs_t *c, int group, int64_t pages, double *ns) noexcept nogil:
    """memory.reclaim: evict `pages` of a cgroup, as far as 16 rounds get; returns how many went."""
    cdef scan_t s
    cdef int64_t total = 0
    cdef int priority, retries = KSWAPD_RETRIES
    s.kswapd = False
    while h.reclaim != NULL and total < pages and retries:
        settle_writes(h, time_of(h, ns))
        s.scanned = s.reclaimed = 0
        priority = DEF_PRIORITY
        while priority >= 0 and s.reclaimed < min(SCAN_BATCH, pages - total):
            shrink_guests(h, c, priority, group, True, min(SCAN_BATCH, pages - total), &s, ns)
            priority -= 1
        total += s.reclaimed
        retries -= s.reclaimed == 0
    return total

cdef inline int64_t reclaim_guest(host_t *h, backing_t *b, const costs_t *c, int64_t pages, double *ns) noexcept nogil:
    """Evict `pages` of one guest, as memory.reclaim of a cgroup of its own would; returns how many went."""
    cdef int64_t scan[NR_LISTS]
    cdef scan_t s
    cdef int64_t before
    cdef int priority, retries = KSWAPD_RETRIES
    s.kswapd = False
    s.scanned = s.reclaimed = 0
    while h.reclaim != NULL and s.reclaimed < pages and retries and swap_room(h, b) > 0 and anon_share(h) > 0:
        settle_writes(h, time_of(h, ns))
        before = s.reclaimed
        priority = DEF_PRIORITY
        while priority >= 0 and s.reclaimed < pages:
            scan_targets(b, priority, 1, scan)
            while s.reclaimed < pages and shrink_step(h, b, c, scan, &s, ns):
                pass
            priority -= 1
        retries -= s.reclaimed == before
    return s.reclaimed

cdef inline void look_at_high(host_t *h, backing_t *b, const costs_t *c, double *ns) noexcept nogil:
    """memory.high: after 64 charges above it the guest's thread reclaims as much, then sleeps by the square of the excess."""
    cdef int64_t usage = usage_of(b), charged = usage - b.usage_seen
    cdef double sleep, longest = 0
    cdef int group, level
    if charged < 0:
        b.usage_seen = usage
    if charged < CHARGE_BATCH:
        return
    for level in range(2):
        group = b.slice if level else b.group
        if group == NO_GROUP or group_usage(h, group) <= h.groups[group].high:
            continue
        h.groups[group].hits_high += 1
        reclaim_pages(h, c, group, charged, ns)
        sleep = high_sleep(group_usage(h, group), h.groups[group].high, charged)
        longest = max(longest, sleep)
    b.usage_seen = usage_of(b)
    if longest > HIGH_SLEEP_MIN_NS:
        b.high_stall += longest
        ns[0] += longest
