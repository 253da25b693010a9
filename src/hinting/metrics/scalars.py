"""Metrics from what was measured: one function for each section of the catalogue, which says what each value is."""

from __future__ import annotations

import numpy as np

from hinting.metrics.catalogue import EXPERIMENT, metrics
from hinting.metrics.durations import quantile_ns, share_above
from hinting.metrics.measures import Measures
from hinting.units import PAGE_BYTES

__all__ = ["values"]

GIB_PAGES = 2**30 // PAGE_BYTES
MIB_PAGES = 2**20 // PAGE_BYTES
SECOND = 1e9
MINUTE = 60e9

Values = dict[str, float | None]


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def _memory(m: Measures) -> Values:
    return {
        "footprint": m["held_time"] / GIB_PAGES / MINUTE,
        "demand": m["used_time"] / GIB_PAGES / MINUTE,
        "elasticity": _over(m["held_time"], m["used_time"]),
        "held": m["held"] / GIB_PAGES,
        "rss": m["rss"] / GIB_PAGES,
        "rss_footprint": m["rss_time"] / GIB_PAGES / MINUTE,
        "held_peak": m.peak("held") / GIB_PAGES,
        "held_p99": m.quantile("held", 0.99) / GIB_PAGES,
    }


def _reclaim_rate(m: Measures) -> float | None:
    """GiB/s over the episodes of all exits that something was given back of."""
    given = m.exits[m.exits["given"] > 0] if len(m.exits) else m.exits
    if not len(given):
        return None
    return _over(float(np.sum(given["given"])) / GIB_PAGES, float(np.sum(given["last"] - given["first"])) / SECOND)


def _return(m: Measures) -> Values:
    freed = int(np.sum(m.exits["freed"])) if len(m.exits) else 0
    given = int(np.sum(m.exits["given"])) if len(m.exits) else 0
    return {
        "memory_returned": m["discarded"] / GIB_PAGES,
        "memory_returned_net": (m["discarded"] - m["refaulted"]) / GIB_PAGES,
        "freed": freed / GIB_PAGES,
        **{
            f"time_to_return_{percent}": _scaled(quantile_ns(m.after_exit, percent / 100, freed), SECOND)
            for percent in (50, 90, 99)
        },
        "never_returned": (freed - given) / GIB_PAGES,
        "lag_p50": _scaled(quantile_ns(m.lag, 0.5), SECOND),
        "lag_p99": _scaled(quantile_ns(m.lag, 0.99), SECOND),
        "never_reported": m["free_backed"] / GIB_PAGES,
        "stranded": m["stranded"] / GIB_PAGES,
        "efficacy": _percent(m["free_given"], m["free_given"] + m["free_backed"]),
        "reclaim_rate": _reclaim_rate(m),
        "reclaim_rate_peak": m.steepest("discarded") / GIB_PAGES,
        "reclaim_speed": _over(m["discarded"] / GIB_PAGES, (_guest_cpu(m) + m["cpu_vmm"]) / SECOND),
    }


def _refault(m: Measures) -> Values:
    seconds = m.window / SECOND
    return {
        "refaulted": m["refaulted"] / GIB_PAGES,
        **{f"refault_share_{window}s": _percent(m[f"refaults_{window}"], m["discarded"]) for window in (1, 10, 60)},
        "refault_rate": _over(m["refaulted"], seconds),
        "refault_cost": _over(m["refault_ns"] / 1e6, seconds),
        "double_clearing": _over(m["cleared_again_ns"] / 1e6, seconds),
    }


def _guest_cpu(m: Measures) -> float:
    return m["cpu_guest_report"] + m["cpu_guest_spin"]


def _guest(m: Measures, slow_ns: int) -> Values:
    slow = share_above(m.latency, slow_ns)
    idle = "cpu_guest_disk"
    accounts = (name for name in m.sums if name == "cpu_stolen" or (name.startswith("cpu_guest_") and name != idle))
    return {
        "allocation_latency_p50": _scaled(quantile_ns(m.latency, 0.5), 1e3),
        "allocation_latency_p99": _scaled(quantile_ns(m.latency, 0.99), 1e3),
        "allocation_latency_p999": _scaled(quantile_ns(m.latency, 0.999), 1e3),
        "slow_allocations": None if slow is None else 100 * slow,
        "failed_allocations": m["failed_allocations"] + m["thp_fallbacks"],
        "failed_while_isolated": m["failed_while_isolated"],
        "isolated_peak": m.peak("isolated") / MIB_PAGES,
        "reports": m["reports"],
        "guest_cpu": _guest_cpu(m) / SECOND,
        "guest_cpu_per_gib": _over(_guest_cpu(m) / SECOND, m["discarded"] / GIB_PAGES),
        "lock_hold_max": m.longest_lock_hold / 1e3,
        "lock_hold_sum": m["lock_hold_ns"] / 1e3,
        "stolen": m["cpu_stolen"] / SECOND,
        "guest_time": sum(m[name] for name in accounts) / SECOND,
        "guest_oom_kills": m["guest_oom_kills"],
    }


def _host(m: Measures) -> Values:
    cpu = m["cpu_vmm"] + m.sums.get("cpu_host_kernel_async", 0) + m["cpu_stolen"]
    exits = m["reports"] + m["calls"] + m["faults"] + m["flush_exits"]
    seconds = m.window / SECOND
    return {
        "discards": m["discards"],
        "faults": m["faults"],
        "exits": exits,
        "exit_rate": _over(exits, seconds),
        "host_cpu": cpu / SECOND,
        "host_cpu_per_gib": _over(cpu / SECOND, m["discarded"] / GIB_PAGES),
        "host_cpu_cores": _over(cpu, m.window),
        "thp_share": _percent(m["huge_blocks"], m["backed_blocks"]),
        "thp_splits": m["thp_splits"],
        "thp_collapses": m["collapses"],
    } | ({"host_kernel_cpu": m["cpu_host_kernel_async"] / SECOND} if m.host_ram is not None else {}) | _host_cpu_use(m)


def _host_cpu_use(m: Measures) -> Values:
    if m.host_cpus is None:
        return {}
    ran = ("guest_user", "guest_kernel", "guest_report", "guest_reclaim", "guest_spin", "stolen", "vmm", "host_kernel_async")
    return {"host_cpu_use": _percent(sum(m[f"cpu_{name}"] for name in ran), m.host_cpus * m.window)}


def _pressure(m: Measures) -> Values:
    seconds = m.window / SECOND
    pages = {name: m[name] / GIB_PAGES for name in ("swapped_out", "swapped_in", "free_page_swap_writes", "silent_swap_writes",
                                                    "stale_swap_reads", "false_swap_reads", "double_paging")}
    return pages | {
        "major_faults": m["major_faults"],
        "major_fault_rate": _over(m["major_faults"], seconds),
        "vmm_major_faults": m["vmm_major_faults"],
        "psi_some": _percent(m["psi_some_ns"], m.window),
        "psi_full": _percent(m["psi_full_ns"], m.window),
    }


def _density(m: Measures) -> Values:
    values: Values = {"oom_kills": m["oom_kills"], "guests": m.guests}
    if m.host_ram is not None:
        values |= {"failed_launches": m.failed_launches, "packing": m["configured_ram"] / m.host_ram}
    return values


def values(m: Measures, *, slow_ns: int) -> Values:
    """All metrics of a guest or a host by name, in the order of the catalogue; None where there is nothing to measure.

    slow_ns: an allocation with its first touch that takes longer is slow.
    """
    if not m.sums:
        found: Values = {"guests": 0, "failed_launches": m.failed_launches, "oom_kills": 0}
    else:
        window = m["ended_at"] - m["launched_at"]
        found = _memory(m) | _return(m) | _refault(m) | _guest(m, slow_ns) | _host(m) | _pressure(m) | _density(m)
        found["guest_seconds"] = window / SECOND
    return {name: found.get(name) for name, metric in metrics().items() if metric.scope != EXPERIMENT}
