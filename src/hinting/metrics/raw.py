"""Tables of a simulation that are no metrics: memory over time, exits of processes, and everything that is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hinting._core.engine.dtypes import EXIT_DTYPE
from hinting.units import PAGE_BYTES

if TYPE_CHECKING:
    from hinting.simulation import Simulation

__all__ = ["counters_table", "exits_table", "timeline_table"]


def timeline_table(simulation: Simulation) -> pa.Table:
    """See Simulation.timeline."""
    rows = simulation.engine.rows()
    rows = rows[(rows["held"] != 0) | (rows["rss"] != 0)]
    rows = rows[np.argsort(rows["t_ns"], kind="stable")]
    held, rss = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for guest in np.unique(rows["guest"][rows["guest"] >= 0]):
        mine = rows["guest"] == guest
        held[mine] = np.cumsum(rows["held"][mine], dtype=np.int64)
        rss[mine] = np.cumsum(rows["rss"][mine], dtype=np.int64)
    used = np.cumsum(rows["held"], dtype=np.int64)
    return pa.table(
        {
            "t_ns": rows["t_ns"],
            "guest": rows["guest"].astype(np.int64),
            "guest_held_bytes": held * PAGE_BYTES,
            "guest_rss_bytes": rss * PAGE_BYTES,
            "host_used_bytes": used * PAGE_BYTES + simulation.used_bytes_at_start,
        }
    )


def exits_table(simulation: Simulation) -> pa.Table:
    """See Simulation.exits."""
    parts = [(vm.number, vm.machine.exits()) for vm in simulation.vms]
    rows = np.concatenate([np.empty(0, EXIT_DTYPE), *(part for _, part in parts)])
    numbers = np.repeat(np.array([number for number, _ in parts], np.int32), [len(part) for _, part in parts])
    columns: dict[str, pa.Array] = {"guest": numbers}
    times = {"begin_ns": rows["begin"], "end_ns": rows["end"], "first_ns": rows["first"], "last_ns": rows["last"]}
    times |= {f"return_{percent}_ns": rows["reached"][:, i] for i, percent in enumerate((50, 90, 99))}
    columns |= {"freed_bytes": rows["freed"] * PAGE_BYTES, "returned_bytes": rows["given"] * PAGE_BYTES}
    columns |= {name: pa.array(values, mask=values < 0) for name, values in times.items()}
    return pa.table(columns)


def counters_table(simulation: Simulation) -> pa.Table:
    """See Simulation.counters."""
    rows: list[tuple[int, str, float, str]] = [
        (-1, "cpu_host_kernel_async", simulation.engine.host_kernel_ns, "ns"),
        *((-1, name, float(value), "count") for name, value in simulation.host.vmstat().items()),
    ]
    for vm in simulation.vms:
        rows += [
            (vm.number, name, float(value), "pages" if "pages" in name or "frames" in name else "count")
            for name, value in vm.counts().items()
        ]
        rows += [(vm.number, f"cpu_{name}", value, "ns") for name, value in vm.accounts().items()]
        rows += [(vm.number, f"stall_{name}", value, "ns") for name, value in vm.stalls().items()]
        rows += [(vm.number, f"host_{name}", float(value), "count") for name, value in vm.memory_counts().items()]
        unit = vm.guest.strategy.counter_unit if vm.guest.strategy is not None else ""
        rows += [(vm.number, name, float(value), unit) for name, value in vm.counters().items()]
    guest, counter, value, units = zip(*rows, strict=True)
    return pa.table({"guest": guest, "counter": counter, "value": value, "unit": units})
