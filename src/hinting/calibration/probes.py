"""The probes of host memory, system calls and wake-ups, in the order they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hinting._core.probes.base import burst, chase, count_bits, has_trap
from hinting._core.probes.memory import Area
from hinting._core.probes.userfault import Missing
from hinting._core.probes.wakeups import Events, Words
from hinting.calibration.device import device
from hinting.calibration.kvm import kvm
from hinting.calibration.probe import Probe, Samples, Skip, Tools

__all__ = ["PROBES"]

SMALL = 4096
HUGE = 2 << 20
MIB = 1 << 20
PEERS = 3


def need_thp(tools: Tools) -> None:
    """Skip without transparent huge pages."""
    if tools.machine.thp not in ("always", "madvise"):
        raise Skip("this kernel has no transparent huge pages" if not tools.machine.thp
                   else f"transparent huge pages are off ({tools.machine.thp})")


def base_lines(tools: Tools) -> Samples:
    """Clock and null system call."""
    return {"syscall": burst("syscall", tools.count(400), 200) - tools.clock_ns / 200}


def trap(tools: Tools) -> Samples:
    """An instruction that leaves a virtual machine; on a real one it says whether it is one."""
    if not has_trap():
        raise Skip("there is no such instruction on this architecture")
    samples = burst("trap", tools.count(400), 50) - tools.clock_ns / 50
    if not tools.machine.is_vm:
        raise Skip("this is no virtual machine, nothing traps")
    return {"trap": samples}


def walks(tools: Tools) -> Samples:
    """A free lock; a list of blocks whose struct pages lie 32 KiB apart, in random order; a bitmap with one bit in 16 set."""
    blocks = 2560
    step = 512 * 64 // 8
    order = tools.order(blocks) * step
    chain = np.zeros(blocks * step, np.uint64)
    chain[order] = np.roll(order, -1)
    words = np.random.default_rng(tools.seed).integers(0, 2**63, (4, 16384), np.uint64, endpoint=True)
    return {
        "lock": burst("lock", tools.count(200), 1000) - tools.clock_ns / 1000,
        "list_step": chase(chain, tools.count(200), 2560)[0],
        "bitmap_page": count_bits(np.bitwise_and.reduce(words), tools.count(100))[0],
    }


def clear(tools: Tools) -> Samples:
    """Memory traffic on areas larger than the last cache: scattered small pages, huge pages in turn, copies."""
    n_bytes = 192 * MIB
    to, source = Area(n_bytes), Area(n_bytes)
    to.touch(SMALL)
    source.touch(SMALL)
    small, large = tools.order(n_bytes // SMALL), tools.order(n_bytes // HUGE)
    rounds = tools.count(4, 1)
    copied = np.concatenate([to.copy(source, HUGE, large, 16) for _ in range(rounds)])
    return {
        "clear_4k": np.concatenate([to.clear(SMALL, small, 32) for _ in range(rounds)]) - tools.clock_ns / 32,
        "clear_2m": np.concatenate([to.clear(HUGE, large, 1) for _ in range(rounds)]) - tools.clock_ns,
        "copy_4k": np.concatenate([to.copy(source, SMALL, small, 32) for _ in range(rounds)]) - tools.clock_ns / 32,
        "stream_gib_s": 2 * HUGE / 2**30 / (copied / 1e9),
    }


def touch_4k(tools: Tools) -> Samples:
    """First touches of small pages, read and written, 2 MiB at a time, and the unmapping of such memory."""
    n_bytes = 64 * MIB
    written, unmapped, read = [], [], []
    area = Area(n_bytes)
    for _ in range(tools.count(10, 3) + 1):  # the first round warms up
        written.append(area.touch(SMALL) - tools.clock_ns / 512)
        area.advise("dontneed", 0, n_bytes, 0, 1)
        read.append(area.touch(SMALL, write=False) - tools.clock_ns / 512)
        area.advise("dontneed", 0, n_bytes, 0, 1)
    for _ in range(tools.count(60)):
        part = Area(2 * HUGE)
        part.touch(SMALL)
        unmapped.append(part.unmap() - tools.clock_ns / 1024)
    return {
        "touch_4k": np.concatenate(written[1:]),
        "read_4k": np.concatenate(read[1:]),
        "unmap_page": np.array(unmapped),
    }


def touch_2m(tools: Tools) -> Samples:
    """First touches of huge pages."""
    need_thp(tools)
    area = Area(128 * MIB, huge=True)
    rounds = []
    for _ in range(tools.count(6, 2) + 1):
        rounds.append(area.touch(HUGE) - tools.clock_ns)
        if area.resident(0, HUGE) != 512:
            raise Skip("no huge page could be had")
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
    return {"touch_2m": np.concatenate(rounds[1:])}


def advise(tools: Tools) -> Samples:
    """madvise: nothing there, one page, 512 pages, lazily freed ones."""
    area = Area(64 * MIB)
    out: dict[str, list[NDArray[np.float64]]] = {"advise_none": [], "advise_1": [], "advise_512": [], "advise_free_512": []}
    for _ in range(tools.count(10, 3)):
        area.touch(SMALL)
        out["advise_1"].append(area.advise("dontneed", 0, SMALL, 2 * SMALL, 2048))
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
        out["advise_none"].append(area.advise("dontneed", 0, SMALL, 2 * SMALL, 2048))
        area.touch(SMALL)
        out["advise_512"].append(area.advise("dontneed", 0, HUGE, HUGE, 32))
        area.touch(SMALL)
        out["advise_free_512"].append(area.advise("free", 0, HUGE, HUGE, 32))
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
    return {name: np.concatenate(rounds) - tools.clock_ns for name, rounds in out.items()}


def advise_huge(tools: Tools) -> Samples:
    """madvise of a whole huge page, and of one page inside one."""
    need_thp(tools)
    area = Area(128 * MIB, huge=True)
    whole, part = [], []
    for _ in range(tools.count(6, 2)):
        area.touch(HUGE)
        if area.resident(0, HUGE) != 512:
            raise Skip("no huge page could be had")
        whole.append(area.advise("dontneed", 0, HUGE, HUGE, 64) - tools.clock_ns)
        area.touch(HUGE)
        part.append(area.advise("dontneed", SMALL, SMALL, HUGE, 64) - tools.clock_ns)
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
    return {"advise_huge": np.concatenate(whole), "advise_in_huge": np.concatenate(part)}


def collapse(tools: Tools) -> Samples:
    """MADV_COLLAPSE of 512 small pages; and whether a kernel frees the table of a block that is given back at once."""
    need_thp(tools)
    area = Area(32 * MIB)
    found = []
    for _ in range(tools.count(5, 3)):
        area.allow_huge(False)
        area.touch(SMALL)
        area.allow_huge(True)
        try:
            found.append(area.advise("collapse", 0, HUGE, HUGE, 16) - tools.clock_ns)
        except OSError as error:
            raise Skip(f"MADV_COLLAPSE is refused: {error.strerror}") from None
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
    return {"collapse": np.concatenate(found)}


def table_reuse(tools: Tools) -> Samples:
    """Whether a block of small pages that is given back in one call can be huge again (pt_reclaim): a fact, no cost."""
    need_thp(tools)
    area = Area(HUGE)
    area.touch(SMALL)
    area.allow_huge(True)
    area.advise("dontneed", 0, HUGE, 0, 1)
    area.touch(HUGE)
    tools.facts["pt_reclaim"] = area.resident(0, HUGE) == 512
    return {}


def events(tools: Tools) -> Samples:
    """Round trips between two threads on one CPU, by event descriptor and by futex; and a signal nobody waits for."""
    cpu, rounds = tools.machine.cpus[0], tools.count(4000, 500)
    pair, words = Events(), Words()
    with tools.beside(lambda: pair.far(rounds), cpu):
        one = pair.near(rounds)
    with tools.beside(lambda: words.far(rounds, True), cpu):
        futex = words.near(rounds, True)
    signal = pair.signal(tools.count(200), 50)
    pair.close()
    return {
        "event_one_cpu": one[rounds // 10 :] - tools.clock_ns,
        "futex_one_cpu": futex[rounds // 10 :] - tools.clock_ns,
        "event_write": signal - tools.clock_ns / 50,
    }


def events_apart(tools: Tools) -> Samples:
    """The same round trips between two CPUs, the far one idle; with a poll loop on the far side."""
    _, far = tools.two_cpus()
    rounds = tools.count(3000, 300)
    out = {}
    for name, poll in (("event_two_cpus", False), ("poll_two_cpus", True)):
        pair = Events(poll)
        with tools.beside(partial(pair.far, rounds), far):
            out[name] = pair.near(rounds)[rounds // 10 :] - tools.clock_ns
        pair.close()
    return out


def shared_words(tools: Tools) -> Samples:
    """A flag passed between two CPUs that both look at it, and a lock that both want."""
    _, far = tools.two_cpus()
    rounds = tools.count(20000, 2000)
    words = Words()
    with tools.beside(lambda: words.far(rounds, False), far):
        flag = words.near(rounds, False)
    locked = _with_peers(tools, 1, Words.contend, lambda words: words.locked(tools.count(200), 500))
    return {"flag_two_cpus": flag[rounds // 10 :] - tools.clock_ns, "lock_contended": locked - tools.clock_ns / 500}


def _with_peers(tools: Tools, peers: int, work: Callable[[Words], None],
                measure: Callable[[Words], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Measure while `peers` other CPUs are busy in this process."""
    words = Words()
    running = [tools.beside(lambda: work(words), cpu) for cpu in tools.machine.cpus[1 : peers + 1]]
    for each in running:
        each.__enter__()
    try:
        time.sleep(0.01)
        return measure(words)
    finally:
        words.end()
        for each in running:
            each.__exit__(None, None, None)


def shootdown(tools: Tools) -> Samples:
    """A discard of one page while other CPUs run threads of this process, which have to be interrupted."""
    tools.two_cpus()
    area = Area(64 * MIB)

    def once(_: Words) -> NDArray[np.float64]:
        area.advise("dontneed", 0, area.nr_bytes, 0, 1)
        area.touch(SMALL)
        return area.advise("dontneed", 0, SMALL, 2 * SMALL, tools.count(4000, 1000)) - tools.clock_ns

    one = _with_peers(tools, 1, Words.spin, once)
    if len(tools.machine.cpus) <= PEERS:
        return {"advise_1_peer": one}
    many = _with_peers(tools, PEERS, Words.spin, once)
    return {"advise_1_peer": one, "advise_1_per_peer": (many - np.median(one)) / (PEERS - 1)}


def missing(tools: Tools) -> Samples:
    """Missing pages that another thread of the same CPU provides (userfaultfd, zero page)."""
    pages = tools.count(1500, 400)
    try:
        area = Missing(8 * MIB)
    except OSError as error:
        raise Skip(f"userfaultfd is refused: {error.strerror}") from None
    with tools.beside(lambda: area.answer(pages), tools.machine.cpus[0]):
        samples = area.touch(pages)
    area.close()
    return {"missing_one_cpu": samples[pages // 10 :] - tools.clock_ns}


def queries(tools: Tools) -> Samples:
    """What looking at another's memory costs, for scanning from outside: facts, no costs of the table."""
    area = Area(64 * MIB)
    area.touch(SMALL)
    pages = area.nr_bytes // SMALL
    tools.facts["mincore_ns_per_page"] = round(float(np.median(area.residency(20))), 2)
    for name, fact, n_bytes in (("pagemap", "pagemap_ns_per_page", 8 * pages), ("smaps_rollup", "smaps_rollup_ns_per_page", -1)):
        took = []
        with Path(f"/proc/self/{name}").open("rb", buffering=0) as file:
            for _ in range(5):
                file.seek(area.address // SMALL * 8 if n_bytes > 0 else 0)
                since = time.perf_counter_ns()
                file.read(n_bytes)
                took.append(time.perf_counter_ns() - since)
        tools.facts[fact] = round(float(np.median(took)) / pages, 2)
    return {}


def fresh(tools: Tools) -> Samples:
    """Memory that the machine below has not backed yet: first touches of much memory against second ones."""
    if not tools.machine.is_vm:
        raise Skip("this is no virtual machine, no machine below has to back its memory")
    need_thp(tools)
    n_bytes = min(tools.count(768, 192) * MIB, tools.machine.available_bytes // 2) // HUGE * HUGE
    area = Area(n_bytes, huge=True)
    first = area.touch(HUGE)
    area.advise("dontneed", 0, n_bytes, 0, 1)
    second = float(np.percentile(area.touch(HUGE), 10))
    slow = first[first > 4 * second] - second
    if len(slow) < 20:
        raise Skip("all memory of this virtual machine is backed by the machine below")
    # 512 faults of small pages take milliseconds, one of a huge page a fraction of one.
    return {"fresh_4k": slow / 512} if np.median(slow) > 512 * 1500 else {"fresh_2m": slow}


VM_WAKEUPS = "between CPUs of a virtual machine this is the wake-up of a halted vCPU, which says nothing about a host"

PROBES = (
    Probe("fresh memory", fresh, ("fresh_4k", "fresh_2m")),
    Probe("system call", base_lines, ("syscall",)),
    Probe("exit", trap, ("trap",)),
    Probe("lock, list, bitmap", walks, ("lock", "list_step", "bitmap_page")),
    Probe("clear and copy", clear, ("clear_4k", "clear_2m", "copy_4k", "stream_gib_s")),
    Probe("touch 4K", touch_4k, ("touch_4k", "read_4k", "unmap_page")),
    Probe("touch 2M", touch_2m, ("touch_2m",)),
    Probe("madvise 4K", advise, ("advise_none", "advise_1", "advise_512", "advise_free_512")),
    Probe("madvise 2M", advise_huge, ("advise_huge", "advise_in_huge")),
    Probe("collapse", collapse, ("collapse",)),
    Probe("page-table reuse", table_reuse, ()),
    Probe("wake-ups, one CPU", events, ("event_one_cpu", "futex_one_cpu", "event_write")),
    Probe("wake-ups, two CPUs", events_apart, ("event_two_cpus", "poll_two_cpus"), VM_WAKEUPS),
    Probe("shared words", shared_words, ("flag_two_cpus", "lock_contended")),
    Probe("shootdown", shootdown, ("advise_1_peer", "advise_1_per_peer")),
    Probe("userfaultfd", missing, ("missing_one_cpu",)),
    Probe("queries", queries, ()),
    device,
    kvm,
)
