"""Parallel builds: jobs that grow and exit, sources that are read, objects that are written and stay in the page cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from hinting._core.engine.ops import ALL_FILES, SINCE_MARK
from hinting.units import PAGE_BYTES
from hinting.workloads.kernel_memory import DENTRY, INODE, NODE, STACK, VMA, nodes
from hinting.workloads.registry import SEED, workload
from hinting.workloads.rows import interleave, join, log_uniform, parts, random, rows, share
from hinting.workloads.rules import Bytes, Flag, Span, Whole

__all__ = [
    "MARK_BUILT", "MARK_CLEANED", "MARK_DROPPED", "MARK_OVER", "MARK_START", "Build", "clang_build", "kernel_build",
]  # fmt: skip

#: Marks of a build: its start, its end, after `make clean`, after dropping caches, and when all is over.
MARK_START, MARK_BUILT, MARK_CLEANED, MARK_DROPPED, MARK_OVER = 1, 2, 3, 4, 5
#: Mark of each thread when it is out of work, and of the first when the links may begin.
MARK_THREAD, MARK_LINK = 16, 17
#: A job grows in so many steps.
STEPS = 16
#: Sources that every job reads, at most a quarter of all.
HEADERS = 16 * 2**20
#: Number of the file that stands for all sources; object i is file i + 1.
SOURCES = 0
#: Mean size of a source file; a file has an inode, a dentry and an index of its cached pages.
SOURCE_BYTES = 12 * 2**10
#: Mappings of a compiler (heap, libraries) and pages of its kernel stack.
JOB_VMAS, JOB_STACK = 100, 4
#: Mappings of a job: its heap, and memory that lives no longer than a step, a quarter of the step's growth.
HEAP, SHORT = 0, 1


@dataclass(frozen=True)
class Jobs:
    """Arrays, one item a job: pages it grows to, CPU time in ns, pages of its object, number of its object."""

    pages: np.ndarray
    time: np.ndarray
    written: np.ndarray
    number: np.ndarray

    def of(self, which: np.ndarray) -> Jobs:
        """Some of the jobs."""
        return Jobs(self.pages[which], self.time[which], self.written[which], self.number[which])


@dataclass(frozen=True)
class Build:
    """What a build is made of: jobs and links, their sizes (low, high) in bytes and times (low, high) in ns.

    work: CPU time of all jobs. read: bytes of all sources, the headers among them read by every job; written: of all objects.
    linked: of all that links write.
    """

    jobs: int
    size: tuple[int, int]
    time: tuple[int, int]
    work: int
    read: int
    written: int
    links: int = 0
    linked: int = 0
    link_size: tuple[int, int] = (2**30, 2**30)
    link_time: tuple[int, int] = (10**9, 10**9)


def draw(rng: np.random.Generator, n: int, size: tuple[int, int], time: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pages and times of n jobs, both log-uniform; every second job's time goes with its size."""
    pages = log_uniform(rng, size[0] / PAGE_BYTES, size[1] / PAGE_BYTES, n)
    own = log_uniform(rng, time[0], time[1], n)
    alike = np.empty(n)
    alike[np.argsort(pages, kind="stable")] = np.sort(own)
    spans = np.where(np.arange(n) % 2 == 0, alike, own)
    return np.maximum(STEPS, pages.astype(np.int64)), spans.astype(np.int64)


def _scaled(times: np.ndarray, total: int) -> np.ndarray:
    """Times that add up to `total`."""
    edges = np.concatenate([[0], np.cumsum(times)]).astype(np.float64)
    return np.diff((edges * (total / edges[-1])).astype(np.int64))


def _steps(total: np.ndarray) -> np.ndarray:
    """Whole numbers in STEPS parts each, shape (n, STEPS)."""
    return np.diff(np.arange(STEPS + 1) * total[:, None] // STEPS, axis=1)


def _job_rows(jobs: Jobs, process: int, inputs: list[np.ndarray], *, is_new: bool) -> np.ndarray:
    """Rows of jobs that run one after the other: read the inputs, grow step by step, exit, write the object.

    is_new: the objects are not there yet.
    """
    n = jobs.pages.size
    grown = _steps(jobs.pages)
    at, short = np.cumsum(grown, axis=1) - grown, np.maximum(1, grown // 4)
    growth = interleave(
        rows("TOUCH", n * STEPS, proc=process, region=HEAP, a=at.ravel(), b=grown.ravel()),
        rows("TOUCH", n * STEPS, proc=process, region=SHORT, b=short.ravel()),
        rows("COMPUTE", n * STEPS, a=_steps(jobs.time).ravel()),
        rows("UNMAP", n * STEPS, proc=process, region=SHORT, b=short.ravel()),
    )
    return interleave(
        rows("SPAWN", n, proc=process),
        STACK.grow(JOB_STACK, n),
        VMA.grow(JOB_VMAS, n),
        rows("MMAP", n, proc=process, region=HEAP, a=jobs.pages),
        rows("MMAP", n, proc=process, region=SHORT, a=short.max(axis=1, initial=1)),
        *inputs,
        growth.reshape(n, 4 * STEPS),
        rows("EXIT", n, proc=process),
        STACK.shrink(JOB_STACK, n),
        VMA.shrink(JOB_VMAS, n),
        INODE.grow(int(is_new), n),
        DENTRY.grow(int(is_new), n),
        NODE.grow(nodes(jobs.written) * is_new, n),
        rows("WRITE", n, file=jobs.number + 1, b=jobs.written),
    )


def programs(
    build: Build, threads: int, seed: int, *, repeat: int, period: int, clean: bool, settle: int
) -> list[np.ndarray]:
    """Rows of each thread: all rounds of the build, thread 0 cleans up and keeps time."""
    rng = random(seed)
    pages, times = draw(rng, build.jobs, build.size, build.time)
    number = np.arange(build.jobs)
    jobs = Jobs(pages, _scaled(times, build.work), parts(build.written // PAGE_BYTES, build.jobs), number)
    whose = share(jobs.time, threads)
    headers = min(build.read // 4, HEADERS) // PAGE_BYTES
    source = parts(build.read // PAGE_BYTES - headers, build.jobs)
    at = headers + np.cumsum(source) - source
    pages, times = draw(rng, build.links, build.link_size, build.link_time)
    links = Jobs(pages, times, parts(build.linked // PAGE_BYTES, build.links), build.jobs + np.arange(build.links))
    objects = np.arange(build.links)[:, None] * (build.jobs // max(1, build.links)) + np.arange(build.jobs // max(1, build.links))
    whose_link = share(links.time, threads)
    made = build.jobs + build.links
    indexed = int(nodes(jobs.written).sum() + nodes(links.written).sum())
    files = join(
        rows("TRUNCATE", made, file=1 + np.arange(made)),
        *(cache.shrink(n) for cache, n in ((NODE, indexed), (INODE, made), (DENTRY, made)) if n),
    )
    out = []
    for thread in range(threads):
        mine, linked = np.flatnonzero(whose == thread), np.flatnonzero(whose_link == thread)
        objects_read = [rows("READ", linked.size, file=1 + n, b=jobs.written[n]) for n in objects[linked].T]
        rounds = []
        for turn in range(repeat):
            is_new = clean or turn == 0
            opened = source[mine] * PAGE_BYTES // SOURCE_BYTES
            read = [
                rows("READ", mine.size, file=SOURCES, b=headers),
                INODE.grow(opened * (turn == 0), mine.size),
                DENTRY.grow(opened * (turn == 0), mine.size),
                NODE.grow(opened * is_new, mine.size),
                rows("READ", mine.size, file=SOURCES, a=at[mine], b=source[mine]),
            ]
            end = rows("MARK", a=MARK_THREAD)
            compiles = join(_job_rows(jobs.of(mine), thread, read, is_new=is_new), end)
            rounds.append((compiles, join(_job_rows(links.of(linked), thread, objects_read, is_new=is_new), end)))
        out.append(_rounds(thread, threads, rounds, files, period, clean, settle))
    return out


def _rounds(
    thread: int, threads: int, rounds: list[tuple[np.ndarray, np.ndarray]], files: np.ndarray,
    period: int, clean: bool, settle: int,
) -> np.ndarray:  # fmt: skip
    """What one thread does: its part of each build, thread 0 also begins and ends it, cleans up and keeps time."""
    out: list[np.ndarray] = []
    for turn, (compiles, links) in enumerate(rounds):
        if thread:
            out += [rows("WAIT", a=MARK_START, b=turn + 1), compiles, rows("WAIT", a=MARK_LINK, b=turn + 1), links]
            continue
        if turn:
            out.append(rows("SLEEP", a=period, b=MARK_START, flags=SINCE_MARK))
        out += [
            rows("MARK", a=MARK_START),
            compiles,
            rows("WAIT", a=MARK_THREAD, b=threads * (2 * turn + 1)),
            rows("MARK", a=MARK_LINK),
            links,
            rows("WAIT", a=MARK_THREAD, b=threads * (2 * turn + 2)),
            rows("MARK", a=MARK_BUILT),
        ]
        if clean:
            out += [
                rows("SLEEP", a=settle),
                files,
                rows("MARK", a=MARK_CLEANED),
                rows("SLEEP", a=settle),
                rows("SYNC", flags=ALL_FILES),
                rows("DROP_CACHES"),
                NODE.shrink(0),
                rows("MARK", a=MARK_DROPPED),
                rows("SLEEP", a=settle),
            ]
    return join(*out, rows("MARK", a=MARK_OVER))


_JOBS = Whole("parallel jobs, each on a vCPU", low=1, high=256, of_guest="vcpus")
_WORK = Span("CPU time of all compile jobs", low=10**9)
_READ = Bytes("sources, each read once, headers of at most 16 MiB by every job")
_WRITTEN = Bytes("objects written by the compile jobs")
_CLEAN = Flag("then settle, delete the objects (make clean), settle, drop caches, settle")
_SETTLE = Span("time between the steps of cleaning")
_REPEAT = Whole("builds", low=1, high=1000)
_PERIOD = Span("time from the start of a build to the start of the next")


@workload
def kernel_build(
    jobs: Annotated[int, _JOBS] = 1,
    *,
    units: Annotated[int, Whole("files compiled", low=1, high=60_000)] = 320,
    work: Annotated[int, _WORK] = 12 * 136 * 10**9,
    smallest: Annotated[int, Bytes("memory of the smallest job")] = 50 * 2**20,
    largest: Annotated[int, Bytes("memory of the largest job; sizes are log-uniform")] = 250 * 2**20,
    read: Annotated[int, _READ] = 500 * 2**20,
    written: Annotated[int, _WRITTEN] = 400 * 2**20,
    clean: Annotated[bool, _CLEAN] = False,
    settle: Annotated[int, _SETTLE] = 60_000_000_000,
    repeat: Annotated[int, _REPEAT] = 1,
    period: Annotated[int, _PERIOD] = 600_000_000_000,
    seed: Annotated[int, SEED] = 0,
) -> list[np.ndarray]:
    """A kernel is built: jobs grow to 50 to 250 MiB for 1 to 15 s each; sources and objects stay in the page cache.

    Source: the `linux` runs of the HyperAlloc evaluation: 136 s with 12 vCPUs, at most 2.3 to 2.9 GiB in an 8 GiB guest.
    """
    build = Build(units, (min(smallest, largest), largest), (10**9, 15 * 10**9), work, read, written)
    return programs(build, jobs, seed, repeat=repeat, period=period, clean=clean, settle=settle)


@workload
def clang_build(
    jobs: Annotated[int, _JOBS] = 1,
    *,
    units: Annotated[int, Whole("files compiled", low=1, high=60_000)] = 1200,
    work: Annotated[int, _WORK] = 12 * 2300 * 10**9,
    smallest: Annotated[int, Bytes("memory of the smallest job")] = 200 * 2**20,
    largest: Annotated[int, Bytes("memory of the largest job; sizes are log-uniform")] = 2 * 2**30,
    read: Annotated[int, _READ] = 3 * 2**27,
    written: Annotated[int, _WRITTEN] = 5 * 2**27,
    links: Annotated[int, Whole("programs linked at the end", low=0, high=1000)] = 36,
    linked: Annotated[int, Bytes("programs and libraries written by the links")] = 19 * 2**28,
    clean: Annotated[bool, _CLEAN] = True,
    settle: Annotated[int, _SETTLE] = 200_000_000_000,
    repeat: Annotated[int, _REPEAT] = 1,
    period: Annotated[int, _PERIOD] = 7_200_000_000_000,
    seed: Annotated[int, SEED] = 0,
) -> list[np.ndarray]:
    """Clang is built: jobs grow to 0.2 to 2 GiB, links at the end; sources and objects stay in the page cache.

    Source: the `clang` runs of the HyperAlloc evaluation: 2,470 s with 12 vCPUs, at most 15.8 to 16 GiB in a 16 GiB guest; its
    page cache over time: 0.12 GiB before the build, 0.45 GiB after make clean (the sources), 1.0 GiB when two thirds of the
    time are over (and the objects), 5.5 GiB at the end (and what the links write).
    """
    build = Build(
        units, (min(smallest, largest), largest), (5 * 10**9, 60 * 10**9), work, read, written,
        links, linked, (2**29, 2 * 2**30), (20 * 10**9, 60 * 10**9),
    )  # fmt: skip
    return programs(build, jobs, seed, repeat=repeat, period=period, clean=clean, settle=settle)
