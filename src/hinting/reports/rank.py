"""Which strategy is best by what: the order in one metric, and the front of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["RANKED", "SPEEDS", "cpu_per_gib", "pareto_front", "ranking"]

#: What is ranked, a panel each.
RANKED = (
    "memory_returned", "never_returned", "time_to_return_50", "footprint", "guest_cpu_per_gib", "host_cpu_per_gib",
    "refaulted", "thp_share", "guests_fit",
)  # fmt: skip
#: Against what the cost is drawn: the first of these that most strategies reach.
SPEEDS = ("time_to_return_90", "time_to_return_50")


def ranking(values: Sequence[float | None], less_is_better: bool) -> list[int]:
    """Indices from the best to the worst, those without a value last."""
    sign = 1 if less_is_better else -1
    return sorted(range(len(values)), key=lambda i: (values[i] is None, sign * (values[i] or 0)))


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other one betters in both coordinates (less is better), by the first coordinate.

    >>> pareto_front([(1.0, 5.0), (2.0, 2.0), (3.0, 3.0)])
    [0, 1]
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: points[i]):
        if not front or points[index][1] < points[front[-1]][1]:
            front.append(index)
    return front


def cpu_per_gib(metrics: Mapping[str, float | None]) -> float | None:
    """CPU time of guest and host for a GiB returned; None if nothing was."""
    guest, host = metrics.get("guest_cpu_per_gib"), metrics.get("host_cpu_per_gib")
    return None if guest is None or host is None else guest + host
