"""Small runs whose metrics can be computed by hand: no boot, small pages everywhere, a row for every change."""

from __future__ import annotations

import numpy as np

import hinting as h
from hinting.costs import load as load_costs

COSTS = load_costs()
GIB = 2**30
PAGES_GIB = GIB // 4096
MINUTE = 60.0

#: Frames of page tables for memory within one GiB: a directory of each level, and a table of each for a 2 MiB block.
DIRECTORIES = 2
TABLES = 2


def cost(*ids: str) -> float:
    """Sum of costs, ns."""
    return sum(COSTS[name] for name in ids)


#: A second-level fault that takes a small frame.
FAULT = cost("virt.vm_exit_entry", "fault.gup_path_4k", "guest.pcp_alloc_hit", "fault.memcg_charge", "mem.clear_4k",
             "fault.tdp_map")  # fmt: skip


#: One struct page read and written in a row of them: two thirds of what copying its 64 B takes.
STRUCT_PAGE = 64 * 2 / (COSTS["mem.stream_1t_gib_s"] * GIB) * 1e9 * 2 / 3


def direct_free_ns(order: int) -> float:
    """A block freed to its list; one of 2 MiB or more has its struct pages checked."""
    checked = 1 << order if order >= 9 else 0
    return cost("guest.zone_lock_uncontended", "guest.buddy_free_direct") + checked * STRUCT_PAGE


@h.strategy(numba=False)
class ReportAtOnce:
    """Report every free block of 2 MiB or more as soon as there is one."""

    batch = 1

    def setup(self, n_cpus):
        pass

    def on_merged(self, guest, cpu, pfn, order):
        if order >= 9:
            guest.isolate(*guest.block(pfn))
            guest.report()


def run(*rows, strategy=None, until="10s", host="2GiB", memory="512MiB", **guest):
    """A guest that runs these rows on an otherwise empty host up to a time; returns (simulation, VM)."""
    own = {"thp": guest.pop("host_thp", False), "base": guest.pop("host_base", "0.95GiB")}
    sim = h.Simulation(h.Host(host, fragmentation=0.0, **own), resolution=0)
    vm = sim.launch(h.Guest(memory, thp="never", strategy=strategy, **guest), boot=False, workload=h.workloads.program(*rows))
    sim.run(until=until)
    sim.check()
    return sim, vm


def of(sim: h.Simulation, guest: int = 0) -> dict:
    """The metrics of a guest (-1: the host), by name."""
    table = sim.metrics()
    return table.slice(table["guest"].to_pylist().index(guest), 1).to_pylist()[0]


def steps(sim: h.Simulation, name: str, guest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns) and values of a series."""
    table = sim.series()
    mine = np.flatnonzero((table["guest"].to_numpy() == guest) & (np.array(table["metric"].to_pylist()) == name))
    return table["t_ns"].to_numpy()[mine], table["value"].to_numpy()[mine]


def integral(times: np.ndarray, values: np.ndarray, end: float) -> float:
    """Integral of a step function up to a time, value x ns."""
    return float(np.sum(values * np.diff(np.append(times, end))))
