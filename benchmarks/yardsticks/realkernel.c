// SPDX-License-Identifier: Apache-2.0
/*
 * How long the kernel of this machine takes for what the emulator emulates, per 4 KiB page of a populated area: fault
 * pages in, touch them again, give them back with madvise() in calls of several sizes, unmap.
 *
 *   realkernel [GIB [REPEATS]]      1 and 5 by default
 *
 * Prints one line a step: name, minimum, median and maximum over the repeats in ns per 4 KiB page, separated by tabs.
 * Names start with 4k/ (no huge pages) or 2m/ (transparent huge pages; left out where they are switched off).
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "timing.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // since Linux 5.14
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define PAGE (4 * KIB)
#define HUGE_PAGE (2 * MIB)

enum step {
	FIRST_TOUCH, TOUCH_PRESENT, DONTNEED_WHOLE, TOUCH_AFTER_DONTNEED, DONTNEED_4K, DONTNEED_64K, DONTNEED_2M, DONTNEED_4M,
	FREE_WHOLE, POPULATE_WRITE, MUNMAP, N_STEPS,
};

static const char *const names[N_STEPS] = {
	"first_touch", "touch_present", "dontneed_whole", "touch_after_dontneed", "dontneed_4k", "dontneed_64k",
	"dontneed_2m", "dontneed_4m", "free_whole", "populate_write", "munmap",
};

static size_t bytes;
static bool huge;
static char *mapping, *area;  // area: the part of the mapping that starts at a huge page

/* A fresh area every time: huge pages that an earlier step split stay split. */
static void map_area(void)
{
	mapping = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mapping == MAP_FAILED)
		fail("realkernel: mmap");
	area = mapping + (HUGE_PAGE - (uintptr_t)mapping % HUGE_PAGE) % HUGE_PAGE;
	madvise(area, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static void unmap_area(void)
{
	munmap(mapping, bytes + HUGE_PAGE);
}

static void touch(void)
{
	for (size_t at = 0; at < bytes; at += PAGE)
		*(volatile char *)(area + at) = 1;
}

static bool advise(int advice, size_t chunk)
{
	for (size_t at = 0; at < bytes; at += chunk)
		if (madvise(area + at, chunk, advice))
			return false;
	return true;
}

static double per_page(double start)
{
	return (now_ns() - start) / (double)(bytes / PAGE);
}

static void time_touch(struct timings *timings)
{
	double start = now_ns();

	touch();
	record(timings, per_page(start));
}

static void time_advice(struct timings *timings, int advice, size_t chunk)
{
	double start = now_ns();

	if (advise(advice, chunk))  // an older kernel may not know the advice
		record(timings, per_page(start));
}

static void time_all(struct timings *timings)
{
	static const struct {
		enum step step;
		int advice;
		size_t chunk;
	} give_back[] = {
		{DONTNEED_4K, MADV_DONTNEED, PAGE},        {DONTNEED_64K, MADV_DONTNEED, 64 * KIB},
		{DONTNEED_2M, MADV_DONTNEED, 2 * MIB},     {DONTNEED_4M, MADV_DONTNEED, 4 * MIB},
		{FREE_WHOLE, MADV_FREE, GIB},
	};

	map_area();
	time_touch(&timings[FIRST_TOUCH]);
	time_touch(&timings[TOUCH_PRESENT]);
	time_advice(&timings[DONTNEED_WHOLE], MADV_DONTNEED, bytes);
	time_touch(&timings[TOUCH_AFTER_DONTNEED]);
	unmap_area();

	for (size_t i = 0; i < sizeof(give_back) / sizeof(give_back[0]); i++) {
		map_area();
		touch();
		time_advice(&timings[give_back[i].step], give_back[i].advice, give_back[i].chunk);
		unmap_area();
	}

	map_area();
	time_advice(&timings[POPULATE_WRITE], MADV_POPULATE_WRITE, bytes);
	touch();  // so that the next step is the same without MADV_POPULATE_WRITE
	double start = now_ns();

	unmap_area();
	record(&timings[MUNMAP], per_page(start));
}

static bool have_huge_pages(void)
{
	char line[128] = "[never]";
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");

	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		fclose(file);
	}
	return strstr(line, "[always]") || strstr(line, "[madvise]");
}

int main(int argc, char **argv)
{
	long gib = argc > 1 ? atol(argv[1]) : 1;
	int repeats = argc > 2 ? atoi(argv[2]) : 5;

	if (argc > 3 || gib < 1 || gib > 64 || repeats < 1 || repeats > MAX_REPEATS) {
		fprintf(stderr, "usage: realkernel [GIB (1 to 64) [REPEATS (1 to %d)]]\n", MAX_REPEATS);
		return 2;
	}
	bytes = (size_t)gib * GIB;
	printf("# gib\t%ld\n", gib);
	for (int size = 0; size <= have_huge_pages(); size++) {
		struct timings timings[N_STEPS] = {0};

		huge = size;
		map_area();  // unmeasured: where this machine is a guest, the first touch also waits for its host
		touch();
		unmap_area();
		for (int r = 0; r < repeats; r++)
			time_all(timings);
		for (enum step step = 0; step < N_STEPS; step++) {
			char name[64];

			snprintf(name, sizeof(name), "%s/%s", huge ? "2m" : "4k", names[step]);
			print_timings(name, &timings[step]);
		}
	}
	return 0;
}
