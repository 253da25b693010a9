"""A result as Arrow tables."""

from __future__ import annotations

import pyarrow as pa

from hinting.experiments import measured
from hinting.experiments.result import Result

__all__ = ["arms_table", "guests_table", "memory_tables", "metrics_table", "series_table", "timeline_table"]


def arms_table(result: Result) -> pa.Table:
    """One row an arm: strategy, guests_launched, stopped_by, emulated_s."""
    return pa.table(
        {
            "strategy": [arm.strategy for arm in result.arms],
            "guests_launched": [arm.guests_launched for arm in result.arms],
            "stopped_by": [arm.stopped_by for arm in result.arms],
            "emulated_s": [arm.emulated_s for arm in result.arms],
        }
    )


def guests_table(result: Result) -> pa.Table:
    """One tidy row an arm, guest and metric: strategy, guest (from 1), metric, value, unit."""
    rows: list[tuple[str, int, str, float, str]] = []
    for arm in result.arms:
        for guest in arm.guests:
            about = [
                ("launched", guest.launched_s, "s"),
                ("done", guest.done_s, "s"),
                ("host_used", guest.host_used_bytes, "bytes"),
                ("held", guest.held_bytes, "bytes"),
                ("returned", guest.returned_bytes, "bytes"),
            ]
            about += [(name, value, "KiB") for name, value in guest.counters.items()]
            about += [(name, value, "count") for name, value in guest.statistics.items()]
            about += [
                (name, value, "pages" if "pages" in name or "frames" in name else "count") for name, value in guest.counts.items()
            ]
            about += [(f"cpu_{name}", value, "ns") for name, value in guest.accounts.items()]
            rows += [(arm.strategy, guest.number + 1, name, float(value), unit) for name, value, unit in about]
    names = ("strategy", "guest", "metric", "value", "unit")
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pa.table(dict(zip(names, columns, strict=True)))


def timeline_table(result: Result) -> pa.Table:
    """Memory over time of all arms: strategy, t_ns, guest (from 0), guest_held_bytes, guest_rss_bytes, host_used_bytes."""
    parts = [arm.timeline.add_column(0, "strategy", [[arm.strategy] * arm.timeline.num_rows]) for arm in result.arms]
    return pa.concat_tables(parts)


def metrics_table(result: Result) -> pa.Table:
    """Tidy scalars of all arms, as experiments.measured."""
    arms = [(arm.strategy, arm.metrics, {"guests_fit": float(arm.guests_launched)}) for arm in result.arms]
    return measured.metrics_table(result.scenario, arms)


def series_table(result: Result) -> pa.Table:
    """Tidy series of all arms, as experiments.measured."""
    return measured.series_table([(arm.strategy, arm.series) for arm in result.arms])


def memory_tables(result: Result) -> dict[str, pa.Table]:
    """The sampled memory of all arms, as experiments.measured; nothing if there is none."""
    return measured.memory_tables([(arm.strategy, arm.memory_map, arm.fragmentation) for arm in result.arms])
