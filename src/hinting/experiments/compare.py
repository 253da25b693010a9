"""The same guests under several strategies, side by side: one arm a strategy, with all else equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hinting.experiments.result import ArmResult
from hinting.experiments.run import launches, run
from hinting.metrics import metrics
from hinting.scenarios import Scenario
from hinting.scenarios.assign import strategy_table
from hinting.strategies.choice import Choice, parse_choice

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ComparedArm", "Comparison", "compare", "compare_arms"]


@dataclass(frozen=True)
class ComparedArm:
    """One strategy and what came out.

    metrics: of the host, by the names of hinting.metrics.metrics(). table: of the host and every guest, as
    Simulation.metrics. series: as Simulation.series. spans: as Simulation.spans, if asked for. memory_map, fragmentation:
    as of Simulation, if the scenario's metrics.memory_map is on. stopped_by: why no more guests were launched.
    """

    name: str
    metrics: dict[str, float | None]
    table: pa.Table
    series: pa.Table
    spans: pa.Table | None
    stopped_by: str
    emulated_s: float
    wall_s: float
    memory_map: pa.Table | None = None
    fragmentation: pa.Table | None = None


@dataclass(frozen=True)
class Comparison:
    """All arms of a comparison. scenario: with the strategies as its arms, in the same order."""

    scenario: Scenario
    arms: list[ComparedArm]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        return {"scenario": self.scenario.name, "strategies": [{"name": arm.name, "metrics": arm.metrics} for arm in self.arms]}


def compare(
    scenario: Scenario | str | Path,
    strategies: Sequence[str | Choice] | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    seed: int | None = None,
    progress: Callable[[str, int], None] | None = None,
    spans: bool = False,
) -> Comparison:
    """Run a scenario, its file, or a built-in one by name, once with each strategy.

    strategies: as text, "v8" or "v8:entries=500", or choices; by default the scenario's own. changes: as of Scenario.load.
    seed: instead of the scenario's. progress: called with the arm and the number of guests so far. spans: keep what ran
    when. Everything is checked before the first arm runs. Raises HintingError naming what is wrong.

    >>> result = compare("seed", ["none", "v8:entries=500"], changes={"max_guests": 1})
    >>> [arm.metrics["guests_fit"] for arm in result.arms]
    [1.0, 1.0]
    """
    plan = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    document = plan.document()
    labels = None
    if strategies is not None:
        choices = [parse_choice(choice) if isinstance(choice, str) else choice for choice in strategies]
        labels = [choice.label for choice in choices]
        document["strategy"] = [strategy_table(choice) for choice in choices]
    plan = Scenario.from_document(document, {**(changes or {}), **({} if seed is None else {"seed": seed})}, label=plan.name)
    return compare_arms(plan, labels or list(plan.arms()), progress=progress, spans=spans)


def compare_arms(
    plan: Scenario, labels: Sequence[str], *, progress: Callable[[str, int], None] | None = None, spans: bool = False
) -> Comparison:
    """Run a scenario once with each of its strategies, which are called by the labels."""
    names = dict(zip(plan.arms(), labels, strict=True))
    shown = None if progress is None else lambda arm, n: progress(names[arm], n)
    results = run(plan, progress=shown, spans=spans).arms
    alone = _alone(plan)
    return Comparison(plan, [_arm(names[result.strategy], result, alone) for result in results])


def _alone(plan: Scenario) -> list[float]:
    """guest_time of a guest of each group that has the host to itself and no strategy, by the number of the guest."""
    times = {}
    for group in plan.groups:
        document = plan.document() | {"strategy": "none", "keys": {}, "metrics": {}}
        document["guests"] = [group.model_dump(mode="json", exclude_none=True) | {"count": 1, "start": 0}]
        result = run(Scenario.from_document(document)).arms[0]
        times[id(group)] = result.metrics["guest_time"][1].as_py()
    return [times[id(group)] for _, group in launches(plan)]


def _slowdown(guests: list[dict[str, Any]], alone: list[float]) -> float | None:
    ratios = [guest["guest_time"] / alone[guest["guest"]] for guest in guests if guest["guests"] and alone[guest["guest"]]]
    return sum(ratios) / len(ratios) if ratios else None


def _arm(label: str, result: ArmResult, alone: list[float]) -> ComparedArm:
    host, *guests = result.metrics.to_pylist()
    found = host | {"guests_fit": float(result.guests_launched), "slowdown": _slowdown(guests, alone)}
    return ComparedArm(
        name=label,
        metrics={name: found[name] for name in metrics()},
        table=result.metrics,
        series=result.series,
        spans=result.spans,
        memory_map=result.memory_map,
        fragmentation=result.fragmentation,
        stopped_by=result.stopped_by,
        emulated_s=result.emulated_s,
        wall_s=result.wall_s,
    )
