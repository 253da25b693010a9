// SPDX-License-Identifier: Apache-2.0
/*
 * What page-granular emulation of a buddy allocator with free page hinting costs when nothing but the data structure
 * stands in the way: the floor that the emulator's cores are held against.
 *
 * Modelled: free lists per order, splitting and merging; an array of 1000 freed pages; when it is full, each block that
 * is still free is taken off its list, its pages are dropped from the host's bitmap, and it is put back with merging.
 * Left out: per-CPU page lists, migratetypes, zones, watermarks, time.
 *
 *   buddy_floor [LOG2_PAGES [REPEATS]]      18 (1 GiB) and 5 by default; up to 28 (1 TiB), shuffled modes up to 24
 *
 * Prints one line a mode: name, minimum, median and maximum over the repeats in ns per page, separated by tabs.
 * Lines with # are facts about the run.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "timing.h"

enum {
	MAX_ORDER = 10,
	BLOCK = 1 << MAX_ORDER,
	CAPACITY = 1000,  // MAX_FGPT_ENTRIES of the hinting patches
	AHEAD = 8,        // entries to prefetch before they are looked at
	BURST = 100,
	BURSTS = 20000,
	PAIRS = 1 << 22,
	MAX_SHUFFLED = 24,  // log2 pages
};

#define NO_PAGE UINT32_MAX

// Tags. A fresh mapping is all zeros, so an untouched guest of free MAX_ORDER blocks needs no memory for its pages.
enum { INSIDE = 0x00, USED = 0x01, FREE = 0x10 };  // FREE | order: first page of a free block

static uint32_t n_pages;
static bool hinting, prefetching;

// Per page: links of the free list and the tag, for blocks below MAX_ORDER.
static uint32_t *next, *prev;
static uint8_t *tag;

// The same for whole MAX_ORDER blocks, by block number. Links hold page numbers.
static uint32_t *big_next, *big_prev;
static uint8_t *big_free;

static uint32_t head[MAX_ORDER + 1];
static uint64_t n_free[MAX_ORDER + 1];
static uint32_t nonempty;  // one bit an order

static uint64_t *backed;  // the host: one bit a guest page
static uint64_t n_cycles, n_reported, host_free_pages;

static struct {
	uint32_t n, pfn[CAPACITY];
} captured;

static struct {
	uint32_t n, pfn[CAPACITY];
	uint8_t order[CAPACITY];
} isolated;

/* ---- free lists ---- */

static inline uint32_t *next_of(uint32_t pfn, int order)
{
	return order == MAX_ORDER ? &big_next[pfn >> MAX_ORDER] : &next[pfn];
}

static inline uint32_t *prev_of(uint32_t pfn, int order)
{
	return order == MAX_ORDER ? &big_prev[pfn >> MAX_ORDER] : &prev[pfn];
}

static inline void add(uint32_t pfn, int order)
{
	uint32_t old = head[order];

	*next_of(pfn, order) = old;
	*prev_of(pfn, order) = NO_PAGE;
	if (old != NO_PAGE)
		*prev_of(old, order) = pfn;
	head[order] = pfn;
	if (order == MAX_ORDER)
		big_free[pfn >> MAX_ORDER] = true;
	else
		tag[pfn] = (uint8_t)(FREE | order);
	n_free[order]++;
	nonempty |= 1u << order;
}

static inline void del(uint32_t pfn, int order)
{
	uint32_t after = *next_of(pfn, order), before = *prev_of(pfn, order);

	if (before != NO_PAGE)
		*next_of(before, order) = after;
	else if ((head[order] = after) == NO_PAGE)
		nonempty &= ~(1u << order);
	if (after != NO_PAGE)
		*prev_of(after, order) = before;
	if (order == MAX_ORDER)
		big_free[pfn >> MAX_ORDER] = false;
	n_free[order]--;
}

static inline uint32_t alloc_block(int order)
{
	uint32_t usable = nonempty >> order;

	if (!usable)
		return NO_PAGE;
	int from = order + __builtin_ctz(usable);
	uint32_t pfn = head[from];

	del(pfn, from);
	while (from > order) {
		from--;
		add(pfn + (1u << from), from);
	}
	if (order < MAX_ORDER)
		tag[pfn] = USED;
	return pfn;
}

static inline void free_block(uint32_t pfn, int order)
{
	while (order < MAX_ORDER) {
		uint32_t buddy = pfn ^ (1u << order);

		if (tag[buddy] != (FREE | order))
			break;
		del(buddy, order);
		tag[buddy] = tag[pfn] = INSIDE;
		pfn &= buddy;
		order++;
	}
	if (order == MAX_ORDER)
		tag[pfn] = INSIDE;
	add(pfn, order);
}

/* The first page of the free block around pfn, or NO_PAGE. */
static inline uint32_t free_block_around(uint32_t pfn, int *order)
{
	if (big_free[pfn >> MAX_ORDER]) {
		*order = MAX_ORDER;
		return pfn & ~(uint32_t)(BLOCK - 1);
	}
	for (int o = 0; o < MAX_ORDER; o++) {
		uint32_t first = pfn & ~((1u << o) - 1);

		if (tag[first] == USED)
			return NO_PAGE;
		if (tag[first] >= FREE) {
			*order = tag[first] - FREE;
			return *order >= o ? first : NO_PAGE;
		}
	}
	return NO_PAGE;
}

/* ---- host and hinting ---- */

static inline void touch(uint32_t pfn)
{
	uint64_t bit = UINT64_C(1) << (pfn % 64);

	if (!(backed[pfn / 64] & bit)) {
		backed[pfn / 64] |= bit;
		host_free_pages--;
	}
}

static void discard(uint32_t pfn, int order)
{
	uint32_t n = 1u << order, words = n / 64;
	uint64_t mask = words ? UINT64_MAX : ((UINT64_C(1) << n) - 1) << (pfn % 64);
	uint64_t *word = &backed[pfn / 64];

	for (uint32_t i = 0; i < (words ? words : 1); i++) {
		host_free_pages += (uint64_t)__builtin_popcountll(word[i] & mask);
		word[i] &= ~mask;
	}
	n_reported += n;
}

static inline void prefetch(uint32_t pfn)
{
	__builtin_prefetch(&tag[pfn], 1);
	__builtin_prefetch(&next[pfn], 1);
	__builtin_prefetch(&prev[pfn], 1);
}

/* Isolate what is still free of the captured pages, report it, put it back. */
static void hint(void)
{
	isolated.n = 0;
	for (uint32_t i = 0; i < captured.n; i++) {
		int order;

		if (prefetching && i + AHEAD < captured.n)
			prefetch(captured.pfn[i + AHEAD]);
		uint32_t pfn = free_block_around(captured.pfn[i], &order);
		if (pfn == NO_PAGE)
			continue;
		del(pfn, order);
		if (order < MAX_ORDER)
			tag[pfn] = USED;
		isolated.pfn[isolated.n] = pfn;
		isolated.order[isolated.n++] = (uint8_t)order;
	}
	for (uint32_t i = 0; i < isolated.n; i++)
		discard(isolated.pfn[i], isolated.order[i]);
	for (uint32_t i = 0; i < isolated.n; i++)
		free_block(isolated.pfn[i], isolated.order[i]);
	captured.n = 0;
	n_cycles++;
}

static inline void free_page(uint32_t pfn)
{
	free_block(pfn, 0);
	if (!hinting)
		return;
	captured.pfn[captured.n++] = pfn;
	if (captured.n == CAPACITY)
		hint();
}

/* ---- modes ---- */

/* A bijection of 0 .. 2^bits - 1 that looks random: no table to load. */
static inline uint32_t shuffled(uint32_t i, int bits)
{
	uint32_t mask = (1u << bits) - 1;

	i = (i * 0x9E3779B1u) & mask;
	i ^= i >> (bits / 2);
	i = (i * 0x85EBCA6Bu) & mask;
	i ^= i >> (bits / 2);
	return i;
}

enum mode {
	ALLOC_FREE_PAIR, ALLOC_TOUCH, FREE_IN_ORDER, FREE_SHUFFLED, FREE_IN_ORDER_HINTING, FREE_SHUFFLED_HINTING,
	FREE_SHUFFLED_HINTING_PREFETCH, BURST_HINTING, N_MODES,
};

static const char *const names[N_MODES] = {
	"alloc_free_pair", "alloc_touch", "free_in_order", "free_shuffled", "free_in_order_hinting",
	"free_shuffled_hinting", "free_shuffled_hinting_prefetch", "burst_hinting",
};

static void check_all_free(void)
{
	if (n_free[MAX_ORDER] != n_pages / BLOCK || nonempty != 1u << MAX_ORDER)
		fail("buddy_floor: blocks did not merge again");
}

static double time_pairs(void)
{
	double start = now_ns();

	hinting = false;
	for (uint32_t i = 0; i < PAIRS; i++)
		free_page(alloc_block(0));
	return (now_ns() - start) / PAIRS;
}

static double time_alloc_touch(void)
{
	double start = now_ns();

	for (uint32_t i = 0; i < n_pages; i++)
		touch(alloc_block(0));
	return (now_ns() - start) / n_pages;
}

static double time_free(bool in_order, int bits)
{
	double start = now_ns();

	for (uint32_t i = 0; i < n_pages; i++) {
		if (prefetching) {
			uint32_t ahead = shuffled((i + AHEAD) & (n_pages - 1), bits);

			prefetch(ahead);
			prefetch(ahead ^ 1);
		}
		free_page(in_order ? i : shuffled(i, bits));
	}
	return (now_ns() - start) / n_pages;
}

static double time_bursts(void)
{
	uint32_t held[BURST];
	double start = now_ns();

	hinting = true;
	for (int burst = 0; burst < BURSTS; burst++) {
		for (int i = 0; i < BURST; i++)
			touch(held[i] = alloc_block(0));
		for (int i = 0; i < BURST; i++)
			free_page(held[i]);
	}
	return (now_ns() - start) / ((double)BURST * BURSTS);
}

/* Allocate everything, free everything; false if the guest is too large for the mode. */
static bool run_free_mode(enum mode mode, int bits, double *alloc_ns, double *free_ns)
{
	bool in_order = mode == FREE_IN_ORDER || mode == FREE_IN_ORDER_HINTING;

	if (!in_order && bits > MAX_SHUFFLED)
		return false;
	hinting = mode >= FREE_IN_ORDER_HINTING;
	prefetching = mode == FREE_SHUFFLED_HINTING_PREFETCH;
	*alloc_ns = time_alloc_touch();
	*free_ns = time_free(in_order, bits);
	if (captured.n)
		hint();
	prefetching = false;
	check_all_free();
	return true;
}

static void *zeroed(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("buddy_floor: mmap");
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static void boot(int bits)
{
	n_pages = 1u << bits;
	next = zeroed(sizeof(*next) * n_pages);
	prev = zeroed(sizeof(*prev) * n_pages);
	tag = zeroed(n_pages);
	backed = zeroed(n_pages / 8);
	big_next = zeroed(sizeof(*big_next) * (n_pages / BLOCK));
	big_prev = zeroed(sizeof(*big_prev) * (n_pages / BLOCK));
	big_free = zeroed(n_pages / BLOCK);
	host_free_pages = n_pages;
	for (int order = 0; order <= MAX_ORDER; order++)
		head[order] = NO_PAGE;
	for (uint32_t pfn = n_pages; pfn > 0; pfn -= BLOCK)
		add(pfn - BLOCK, MAX_ORDER);
}

static long resident_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

int main(int argc, char **argv)
{
	int bits = argc > 1 ? atoi(argv[1]) : 18;
	int repeats = argc > 2 ? atoi(argv[2]) : 5;
	static struct timings timings[N_MODES];

	if (argc > 3 || bits < 12 || bits > 28 || repeats < 1 || repeats > MAX_REPEATS) {
		fprintf(stderr, "usage: buddy_floor [LOG2_PAGES (12 to 28) [REPEATS (1 to %d)]]\n", MAX_REPEATS);
		return 2;
	}
	double start = now_ns();

	boot(bits);
	printf("# pages\t%" PRIu32 "\n# boot_ms\t%.3f\n# boot_kib\t%ld\n", n_pages, (now_ns() - start) / 1e6, resident_kib());
	for (int r = 0; r < repeats; r++) {
		record(&timings[ALLOC_FREE_PAIR], time_pairs());
		for (enum mode mode = FREE_IN_ORDER; mode <= FREE_SHUFFLED_HINTING_PREFETCH; mode++) {
			double alloc_ns, free_ns;

			if (!run_free_mode(mode, bits, &alloc_ns, &free_ns))
				continue;
			if (mode == FREE_IN_ORDER)
				record(&timings[ALLOC_TOUCH], alloc_ns);
			record(&timings[mode], free_ns);
		}
		record(&timings[BURST_HINTING], time_bursts());
		check_all_free();
	}
	printf("# peak_kib\t%ld\n# cycles\t%" PRIu64 "\n# reported_pages\t%" PRIu64 "\n", resident_kib(), n_cycles, n_reported);
	for (enum mode mode = 0; mode < N_MODES; mode++)
		print_timings(names[mode], &timings[mode]);
	return 0;
}
