"""The same guests under several strategies, side by side: one arm a strategy, with all else equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hinting.errors import StrategyError
from hinting.experiments.arms import run_arm
from hinting.experiments.setting import split_strategy_keys
from hinting.metrics import metrics
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
    """All arms of a comparison. setting: what the arms have in common."""

    scenario: str
    setting: dict[str, Any]
    arms: list[ComparedArm]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for `--json`."""
        return {"scenario": self.scenario, "strategies": [{"name": arm.name, "metrics": arm.metrics} for arm in self.arms]}


def compare(
    scenario: str,
    strategies: Sequence[str | Choice],
    *,
    changes: Mapping[str, str] | None = None,
    seed: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Comparison:
    """Run a scenario once with each strategy.

    strategies: as text, "v8" or "v8:entries=500", or choices. changes: fields of the scenario and parameters of strategies,
    as of `hinting run --set`; parameters that stand with a strategy go before. seed: instead of the scenario's. progress: called with the arm and the number of guests so far. Everything is checked
    before the first arm runs. Raises HintingError naming what is wrong.

    >>> result = compare("seed", ["none", "v8:entries=500"], changes={"max_guests": "1"})
    >>> [arm.metrics["guests_fit"] for arm in result.arms]
    [1.0, 1.0]
    """
    fields, parameters = split_strategy_keys(changes or {})
    choices = [parse_choice(choice) if isinstance(choice, str) else choice for choice in strategies]
    unused = set(parameters) - {choice.name for choice in choices}
    if unused:
        raise StrategyError(f"parameters given for {', '.join(sorted(unused))}, which is no strategy of this comparison")
    labels = [choice.label for choice in choices]
    twice = [label for i, label in enumerate(labels) if label in labels[:i]]
    if twice or not choices:
        raise StrategyError(f"strategy {twice[0]!r} is there twice" if twice else "at least one strategy is needed, got none")
    runs = [run_arm(scenario, choice, {**parameters.get(choice.name, {}), **choice.parameters}, fields, seed) for choice in choices]
    setting = runs[0].setting
    return Comparison(scenario, setting, [_arm(run.label, run(progress)) for run in runs])


def _arm(label: str, result: Any) -> ComparedArm:
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
