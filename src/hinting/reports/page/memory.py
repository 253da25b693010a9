"""Figures of guests' memory: the memory map, what the memory is over time, free memory by order, fragmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hinting._core.limits import PAGEBLOCK_PAGES
from hinting.reports.page.arms import Arm
from hinting.reports.page.sampled import STATES, GuestMap, guest_maps, unusable_over_time
from hinting.reports.page.theme import Figure, colour_of, load_altair, shown_only
from hinting.reports.page.values import table
from hinting.units import PAGE_BYTES

__all__ = ["memory_figures", "runs"]

GIB_PAGES = 2**30 // PAGE_BYTES
#: Of STATES.
_COLOURS = ("#2f7fc1", "#8fb8de", "#c8404f", "#d9a01e", "#359a57", "#c9d0d6")
#: Cells of a memory map: along the time, and along the addresses.
_COLUMNS, _ROWS = 120, 128
#: Order whose fragmentation is shown: a huge page of the guest.
HUGE = 9
Make = Callable[[Any, bool], Any]


def _picked(count: int, most: int) -> np.ndarray:
    """Indices of at most so many of `count` samples, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _choice(alt: Any, maps: Sequence[GuestMap]) -> list[Any]:
    """Parameters that choose a strategy and one of its guests."""
    strategies, guests = (list(dict.fromkeys(values)) for values in zip(*((one.strategy, one.name) for one in maps), strict=True))
    return [
        alt.param(name="strategy", value=strategies[-1], bind=alt.binding_select(options=strategies, name="strategy ")),
        alt.param(name="guest", value=guests[0], bind=alt.binding_select(options=guests, name="guest ")),
    ]


_CHOSEN = "datum.strategy == strategy && datum.guest == guest"


def _state_colour(alt: Any, legend: bool, field: str = "state") -> Any:
    return alt.Color(
        f"{field}:N", sort=list(STATES), scale=alt.Scale(domain=list(STATES), range=list(_COLOURS)),
        legend=alt.Legend(title=None, orient="right" if legend else "top", columns=1 if legend else 3),
    )


def runs(one: GuestMap) -> list[tuple[float, float, float, float, str]]:
    """Cells of the map as rectangles: (from s, to s, from GiB, to GiB, state) while the state of most pages is the same."""
    picked = _picked(len(one.t_ns), _COLUMNS)
    blocks = one.pages.shape[1]
    edges = np.unique(np.linspace(0, blocks, min(blocks, _ROWS) + 1).astype(int))
    cells = np.add.reduceat(one.pages[picked], edges[:-1], axis=1)
    states = np.where(cells.sum(axis=2) > 0, cells.argmax(axis=2), -1)
    times = np.append(one.t_ns[picked], one.t_ns[-1]) / 1e9
    found: list[tuple[tuple[int, int, int], int, int]] = []
    growing: dict[tuple[int, int, int], int] = {}
    for row in range(len(edges) - 1):
        line = states[:, row]
        starts = np.flatnonzero(np.append(True, line[1:] != line[:-1]))
        runs = {
            (start, end, line[start]): growing.get((start, end, line[start]), row)
            for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(line)], strict=True)
            if line[start] >= 0 and times[end] > times[start]
        }
        found += [(run, first, row) for run, first in growing.items() if run not in runs]
        growing = runs
    found += [(run, first, len(edges) - 1) for run, first in growing.items()]
    address = edges * PAGEBLOCK_PAGES / GIB_PAGES
    return [
        (times[start], times[end], address[low], address[high], STATES[state]) for (start, end, state), low, high in found
    ]


def _map_chart(maps: Sequence[GuestMap]) -> Make:
    rows = [(one.strategy, one.name, *run) for one in maps for run in runs(one)]
    columns = dict(zip(("strategy", "guest", "t", "end", "low", "high", "state"), zip(*rows, strict=True), strict=True))

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        return (
            alt.Chart(table(columns))
            .transform_filter(_CHOSEN)
            .mark_rect(strokeWidth=0)
            .encode(
                x=alt.X("t:Q", title="emulated time (s)", scale=alt.Scale(nice=False, zero=False)),
                x2="end:Q",
                y=alt.Y("low:Q", title="guest physical address (GiB)", scale=alt.Scale(nice=False)),
                y2="high:Q",
                color=_state_colour(alt, legend),
                tooltip=[
                    alt.Tooltip("state:N"),
                    alt.Tooltip("low:Q", format=".3f", title="from (GiB)"),
                    alt.Tooltip("t:Q", format=".2f", title="since (s)"),
                    alt.Tooltip("end:Q", format=".2f", title="until (s)"),
                ],
            )
            .add_params(*_choice(alt, maps))
            .properties(width=width, height=380)
        )

    return make


def _areas(maps: Sequence[GuestMap], samples: Sequence[tuple[GuestMap, np.ndarray, np.ndarray]], layers: Sequence[str],
           title: str, height: int, encoding: Callable[[Any, bool], dict[str, Any]]) -> Make:
    """Layers over time of the chosen guest, told apart by `layer` and its place `k`.

    samples: of each guest times (ns), shape (samples,), and GiB, shape (samples, len(layers)).
    """
    columns: dict[str, Any] = {
        "strategy": [one.strategy for one, times, _ in samples for _ in times],
        "guest": [one.name for one, times, _ in samples for _ in times],
        "t": np.concatenate([times for _, times, _ in samples]) / 1e9,
    }
    columns |= {f"v{i}": np.concatenate([values[:, i] for _, _, values in samples]) for i in range(len(layers))}

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        return (
            alt.Chart(table(columns))
            .transform_filter(_CHOSEN)
            .transform_fold([f"v{i}" for i in range(len(layers))], as_=["column", "value"])
            .transform_calculate(k="toNumber(slice(datum.column, 1))")
            .transform_calculate(layer="layers[datum.k]")
            .mark_area(interpolate="step-after", line=False)
            .encode(
                x=alt.X("t:Q", title="emulated time (s)", scale=alt.Scale(nice=False, zero=False)),
                y=alt.Y("value:Q", title=f"{title} (GiB)", stack="zero"),
                tooltip=[
                    alt.Tooltip("layer:N"),
                    alt.Tooltip("t:Q", format=".2f", title="time (s)"),
                    alt.Tooltip("value:Q", format=".3f", title="GiB"),
                ],
                **encoding(alt, legend),
            )
            .add_params(*_choice(alt, maps), alt.param(name="layers", value=list(layers)))
            .properties(width=width, height=height)
        )

    return make


def _area_chart(maps: Sequence[GuestMap]) -> Make:
    samples = []
    for one in maps:
        picked = _picked(len(one.t_ns), _COLUMNS)
        samples.append((one, one.t_ns[picked], one.pages[picked].sum(axis=1) / GIB_PAGES))

    def encoding(alt: Any, legend: bool) -> dict[str, Any]:
        return {"color": _state_colour(alt, legend, "layer"), "order": "k:Q"}

    return _areas(maps, samples, STATES, "guest memory", 300, encoding)


def _fragmentation_chart(arms: Sequence[Arm], lines: Sequence[tuple[str, int, np.ndarray, np.ndarray]]) -> Make:
    parts = []
    for strategy, _, times, values in lines:
        picked = _picked(len(times), 2 * _COLUMNS)
        parts.append((strategy, times[picked] / 1e9, 100 * values[picked]))
    columns: dict[str, Any] = {
        "strategy": [part[0] for part in parts for _ in part[1]],
        "t": np.concatenate([part[1] for part in parts]),
        "value": np.concatenate([part[2] for part in parts]),
    }

    def make(width: Any, legend: bool) -> Any:
        alt = load_altair()
        names = [arm.label for arm in arms]
        shown, keep = shown_only(names)
        return (
            alt.Chart(table(columns))
            .transform_filter(keep)
            .mark_line(interpolate="step-after", strokeWidth=1.6)
            .encode(
                x=alt.X("t:Q", title="emulated time (s)", scale=alt.Scale(nice=False)),
                y=alt.Y("value:Q", title="unusable free memory (%)"),
                color=colour_of(names, legend),
                tooltip=[
                    alt.Tooltip("strategy:N"),
                    alt.Tooltip("t:Q", format=".2f", title="time (s)"),
                    alt.Tooltip("value:Q", format=".2f", title="unusable (%)"),
                ],
            )
            .add_params(shown)
            .properties(width=width, height=280)
        )

    return make


def _free_chart(maps: Sequence[GuestMap], arms: Sequence[Arm], fragmentation: pa.Table) -> Make:
    """Free memory by order, of the guests of the map."""
    label = {arm.name: arm.label for arm in arms}
    rows = fragmentation.to_pydict()
    strategies = np.array([label.get(name, name) for name in rows["strategy"]])
    guests, times, orders = (np.array(rows[name]) for name in ("guest", "t_ns", "order"))
    free = np.array(rows["blocks"], dtype=float) * 2.0**orders / GIB_PAGES
    present = np.unique(orders)
    samples = []
    for one in maps:
        mine = (strategies == one.strategy) & (guests == one.guest)
        own = np.unique(times[mine])
        picked = own[_picked(len(own), _COLUMNS // 2)]
        kept = np.flatnonzero(mine & np.isin(times, picked))
        values = np.zeros((len(picked), len(present)))
        values[np.searchsorted(picked, times[kept]), np.searchsorted(present, orders[kept])] = free[kept]
        samples.append((one, picked, values))

    def encoding(alt: Any, legend: bool) -> dict[str, Any]:
        names = [str(order) for order in present]
        shown = alt.Legend(title="order", orient="right" if legend else "top", columns=1 if legend else 6)
        scale = alt.Scale(scheme="viridis", reverse=True, domain=names)
        return {
            "color": alt.Color("layer:O", sort=names, scale=scale, legend=shown),
            "order": alt.Order("k:Q", sort="descending"),
        }

    return _areas(maps, samples, [str(order) for order in present], "free memory", 280, encoding)


def memory_figures(arms: Sequence[Arm], memory_map: pa.Table | None, fragmentation: pa.Table | None) -> list[Figure]:
    """What the samples show; nothing without them."""
    if memory_map is None or fragmentation is None or not memory_map.num_rows:
        return []
    maps = guest_maps(arms, memory_map)
    some = max(one.guest for one in maps) + 1
    chosen = f"Choose a strategy and one of its guests (the first {some} were kept)." if some > 1 else "Choose a strategy."
    lines = unusable_over_time(arms, fragmentation, HUGE)
    return [
        Figure("memory-map", "Memory map of a guest",
               "What most pages of a stretch of addresses are, over time. Red is what hinting is for: free in the guest, "
               "and the host still backs it. Holes and what boot reserved are blank.",
               [_map_chart(maps)], height=380, hint=chosen),
        Figure("memory-states", "What a guest's memory is", "The same, page by page and summed up.",
               [_area_chart(maps)], height=300, hint=chosen),
        Figure("free-memory", "Free memory by order",
               "Memory on the free lists by the order of its blocks, as /proc/buddyinfo counts them.",
               [_free_chart(maps, arms, fragmentation)], height=280, hint=chosen),
        Figure("fragmentation", "Fragmentation",
               f"Share of the first guest's free memory in blocks smaller than order {HUGE}, of no use to a huge page "
               "(unusable free space index).",
               [_fragmentation_chart(arms, lines)], height=280),
    ]
