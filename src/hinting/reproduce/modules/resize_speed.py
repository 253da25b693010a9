"""How fast a guest of 20 GiB shrinks by 18 GiB, grows again and touches its memory: HyperAlloc's micro-benchmark.

Published: EuroSys 2025, raw data of luhsra/hyperalloc-bench (inflate), Xeon Gold 6252 at 2.1 GHz, Linux 6.1, QEMU 8.2,
12 vCPUs. Times are from the host's request until the guest has what was asked for, divided by the pages (or 2 MiB blocks)
of 18 GiB. Touching is one kernel thread that allocates 4 KiB pages and clears them.

Costs are those of the profile xeon6252-hyperalloc. Some of its entries were derived from differences between these very
measurements (`host.zap_2m_thp`, `host.balloon_pfn_overhead`, `fault.*`), but no row is fitted: each is the sum of what
the emulated driver, device and host do. Not emulated: runs with an assigned device (VFIO).
"""

from __future__ import annotations

from collections.abc import Callable

from hinting._core.limits import PAGEBLOCK_PAGES
from hinting.costs import load as load_costs
from hinting.errors import HintingError
from hinting.guest import Guest
from hinting.host import Host
from hinting.simulation import Simulation
from hinting.strategies import StrategySpec
from hinting.strategies.balloon import Balloon
from hinting.strategies.hyperalloc import HyperAlloc
from hinting.strategies.virtio_mem import VirtioMem
from hinting.units import PAGE_BYTES
from hinting.vm import VM
from hinting.workloads import KINDS, program

__all__ = ["MECHANISMS", "PROFILE", "run"]

PROFILE = "xeon6252-hyperalloc"

GIB_PAGES = 1 << 18
MOVED, LEFT, VCPUS = 18 * GIB_PAGES, 2 * GIB_PAGES, 12
#: Slot that the touching thread holds its pages in.
_SLOT = 0
#: Marks around the touching.
_BEGIN, _END = 1, 2

#: Mechanism -> (its strategy, pages of the unit that its times are given for).
MECHANISMS: dict[str, tuple[Callable[[], StrategySpec], int]] = {
    "balloon-4k": (Balloon, 1),
    "balloon-2m": (lambda: Balloon(order=9), PAGEBLOCK_PAGES),
    "virtio-mem": (lambda: VirtioMem(base=LEFT * PAGE_BYTES), PAGEBLOCK_PAGES),
    "hyperalloc": (lambda: HyperAlloc(auto=False), PAGEBLOCK_PAGES),
}


def _launch(strategy: StrategySpec, memory: int, seed: int) -> tuple[Simulation, VM]:
    """A booted guest with so many pages."""
    costs = load_costs(PROFILE)
    sim = Simulation(Host((memory + 4 * GIB_PAGES) * PAGE_BYTES, fragmentation=0.0, costs=costs), seed=seed)
    vm = sim.launch(Guest(memory * PAGE_BYTES, vcpus=VCPUS, kernel="linux-6.1", strategy=strategy, costs=costs))
    vm.run_until_idle()
    return sim, vm


def _resize(sim: Simulation, vm: VM, pages: int) -> float:
    """Resize to so many pages and wait; us from the request to its end."""
    start = vm.machine.clock_ns + 1_000_000
    sim.run(until=start)
    vm.resize(pages * PAGE_BYTES)
    vm.run_until_idle()
    return (vm.machine.clock_ns - start) / 1000


def _touch(vm: VM, pages: int) -> float:
    """A kernel thread allocates and clears pages, then frees them; us for allocating and clearing."""
    vm.submit(program(
        ("MARK", {"a": _BEGIN}),
        ("ALLOC", {"proc": _SLOT, "flags": KINDS["kernel"], "b": pages}),
        ("MARK", {"a": _END}),
        ("FREE", {"proc": _SLOT}),
    ))
    vm.run_until_idle()
    if vm.counts()["failed_allocations"]:
        raise HintingError(f"the guest has no {pages} pages to touch")
    begin, end = (mark.t_ns for mark in vm.marks()[-2:])
    return (end - begin) / 1000


def run(mechanism: str, *, moved: int = MOVED, seed: int = 1) -> dict[str, float]:
    """us for each unit of a mechanism, by step.

    moved: pages that are taken and given back; the guest has 2 GiB more, as the published one.
    """
    make, unit = MECHANISMS[mechanism]
    memory, touched = moved + LEFT, moved + LEFT // 2
    sim, vm = _launch(make(), memory, seed)
    out = {"shrink-untouched": _resize(sim, vm, LEFT) * unit / moved}
    sim, vm = _launch(make(), memory, seed)
    _touch(vm, touched)
    out["shrink-touched"] = _resize(sim, vm, LEFT) * unit / moved
    out["grow"] = _resize(sim, vm, memory) * unit / moved
    out["touch-again"] = _touch(vm, touched) * unit / touched
    return out
