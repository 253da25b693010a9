"""The same guests under several strategies, side by side: one arm a strategy, with all else equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hinting.errors import StrategyError
from hinting.experiments.result import ArmResult
from hinting.experiments.run import run
from hinting.metrics import metrics
from hinting.scenarios import Scenario
from hinting.scenarios.assign import parse_value
from hinting.strategies.choice import Choice, parse_choice

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ComparedArm", "Comparison", "compare"]


@dataclass(frozen=True)
class ComparedArm:
    """One strategy and what came out.

    metrics: of the host, by the names of hinting.metrics.metrics(). table: of the host and every guest, as
    Simulation.metrics. series: as Simulation.series. stopped_by: why no more guests were launched.
    """

    name: str
    metrics: dict[str, float | None]
    table: pa.Table
    series: pa.Table
    stopped_by: str
    emulated_s: float
    wall_s: float


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
) -> Comparison:
    """Run a scenario, its file, or a built-in one by name, once with each strategy.

    strategies: as text, "v8" or "v8:entries=500", or choices; by default the scenario's own. changes: as of Scenario.load.
    seed: instead of the scenario's. progress: called with the arm and the number of guests so far. Everything is checked
    before the first arm runs. Raises HintingError naming what is wrong.

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
        document["strategy"] = [_table(choice) for choice in choices]
    plan = Scenario.from_document(document, {**(changes or {}), **({} if seed is None else {"seed": seed})}, label=plan.name)
    names = dict(zip(plan.arms(), labels or plan.arms(), strict=True))
    results = run(plan, progress=None if progress is None else lambda arm, n: progress(names[arm], n)).arms
    return Comparison(plan, [_arm(names[result.strategy], result) for result in results])


def _table(choice: Choice) -> dict[str, Any]:
    """A choice as a scenario's document has it."""
    values = {key: parse_value(value) if isinstance(value, str) else value for key, value in choice.parameters.items()}
    if "name" in values:
        raise StrategyError(f"strategy {choice.name}: unknown parameter 'name'")
    return {"name": choice.name, **values}


def _arm(label: str, result: ArmResult) -> ComparedArm:
    host = result.metrics.slice(0, 1).to_pylist()[0]
    found = host | {"guests_fit": float(result.guests_launched)}
    return ComparedArm(
        name=label,
        metrics={name: found[name] for name in metrics()},
        table=result.metrics,
        series=result.series,
        stopped_by=result.stopped_by,
        emulated_s=result.emulated_s,
        wall_s=result.wall_s,
    )
