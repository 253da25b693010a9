// SPDX-License-Identifier: Apache-2.0
/* What the yardsticks share: the clock, the repeats of one measurement, and the line that is printed for it. */
#ifndef TIMING_H
#define TIMING_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_REPEATS = 64 };

struct timings {
	int n;
	double ns[MAX_REPEATS];
};

_Noreturn static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void record(struct timings *timings, double ns)
{
	timings->ns[timings->n++] = ns;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* name, minimum, median, maximum; nothing for a measurement that was never taken. */
static inline void print_timings(const char *name, struct timings *timings)
{
	int n = timings->n;

	if (!n)
		return;
	qsort(timings->ns, (size_t)n, sizeof(timings->ns[0]), by_value);
	printf("%s\t%.3f\t%.3f\t%.3f\n", name, timings->ns[0], timings->ns[n / 2], timings->ns[n - 1]);
}

#endif
