"""A scenario: everything that a run depends on, as a checked, immutable object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator

from hinting import kernels
from hinting.errors import HintingError, ScenarioError
from hinting.guest import Guest
from hinting.guests import memory_map
from hinting.scenarios import files
from hinting.scenarios.assign import apply, assign_strategies
from hinting.scenarios.fleet import expanded
from hinting.scenarios.tables import CostsTable, GuestsTable, HostTable, MetricsTable, ScheduleTable, StrategyTable
from hinting.scenarios.values import Duration, Table, default_of, explain, refuse
from hinting.units import parse_duration, parse_size, size_pages

__all__ = ["Scenario"]


class Scenario(Table):
    """One experiment: a host, groups of guests with what they run, a schedule, strategies, a kernel, costs, a seed.

    name: of letters, digits and ._-, for folders. text: what it is about, for lists. strategy: one or more; each is an arm
    of the experiment, with all else equal. until: when the run ends; without it when all guests are idle. metrics: what is
    measured beside them. keys: short names of dotted paths, for changes.

    >>> scenario = Scenario.load("seed")
    >>> scenario.guests[0].memory
    '5GiB'
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    text: str = ""
    strategy: Annotated[tuple[StrategyTable, ...], Field(min_length=1)] = (StrategyTable(name="none"),)
    kernel: str = default_of(Guest, "kernel")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    until: Duration | None = None
    host: HostTable
    guests: Annotated[tuple[GuestsTable, ...], Field(min_length=1)]
    schedule: ScheduleTable = ScheduleTable()
    metrics: MetricsTable = MetricsTable()
    costs: CostsTable = CostsTable()
    keys: dict[str, str] = Field(default_factory=dict)

    @field_validator("strategy", mode="before")
    @classmethod
    def _one_or_more(cls, strategy: Any) -> Any:
        return strategy if isinstance(strategy, (list, tuple)) else [strategy]

    @field_validator("strategy")
    @classmethod
    def _each_once(cls, strategy: tuple[StrategyTable, ...]) -> tuple[StrategyTable, ...]:
        labels = [choice.label for choice in strategy]
        refuse({(i,): f"{label} is there twice" for i, label in enumerate(labels) if label in labels[:i]})
        return strategy

    @field_validator("kernel")
    @classmethod
    def _known(cls, kernel: str) -> str:
        kernels.load(kernel)
        return kernel

    @model_validator(mode="after")
    def _guests_boot(self) -> Scenario:
        errors: dict[tuple[str | int, ...], HintingError] = {}
        for i, group in enumerate(self.guests):
            try:
                memory_map(size_pages(group.memory), self.costs.load())
            except HintingError as error:
                errors["guests", i, "memory"] = error
            errors |= self._backed(i, group)
            if group.slice is not None and group.slice not in self.host.slices:
                known = ", ".join(self.host.slices) or "none there"
                errors["guests", i, "slice"] = ScenarioError(f"expected one of host.slices ({known}), got {group.slice!r}")
            if self.schedule.launch == "one-by-one" and parse_duration(group.lifetime):
                errors["guests", i, "lifetime"] = ScenarioError("guests that are launched one by one stay: expected 0")
            if self.schedule.launch == "one-by-one" and group.fleet is not None:
                errors["guests", i, "fleet"] = ScenarioError("a trace says when guests come: expected launch = 'staggered'")
        for key, path in self.keys.items():
            try:
                self._value(path)
            except (LookupError, TypeError):
                errors["keys", key] = ScenarioError(f"{path!r} is no path here, expected one such as 'guests.0.memory'")
        refuse(errors)
        return self

    @cached_property
    def groups(self) -> tuple[GuestsTable, ...]:
        """The groups of guests, with one for each guest of a fleet."""
        return tuple(group for each in self.guests for group in expanded(each))

    def _backed(self, i: int, group: GuestsTable) -> dict[tuple[str | int, ...], HintingError]:
        """What is wrong with the RAM of a group of guests."""
        page = {"hugetlb-2M": "2MiB", "hugetlb-1G": "1GiB"}.get(group.backing)
        if page is not None and (self.host.hugepage_size != page or not parse_size(self.host.hugepages)):
            return {("guests", i, "backing"): ScenarioError(f"{group.backing} needs host.hugepages of {page}")}
        if page is not None and parse_size(group.memory) % parse_size(page):
            return {("guests", i, "memory"): ScenarioError(f"expected whole pages of {page}, got {group.memory}")}
        for choice in self.strategy:
            if spec := choice.spec():
                try:
                    spec.check_backing(group.backing, group.locked)
                except HintingError as error:
                    return {("guests", i, "backing"): error}
        return {}

    def _value(self, path: str) -> Any:
        """The value at a dotted path; LookupError if there is none."""
        at: Any = self.model_dump(mode="json")
        for part in path.split("."):
            at = at[int(part) if isinstance(at, list) and part.isdecimal() else part]
        return at

    @classmethod
    def load(cls, source: str | Path, changes: Mapping[str, Any] | None = None,
             strategies: Sequence[str] | None = None) -> Scenario:
        """A scenario from a TOML file, or a built-in one by name.

        changes: values by dotted path or by one of the scenario's short keys, {"guests.0.memory": "8GiB"}; a parameter
        of a strategy as {"v8.entries": 500}. strategies: the arms to run instead of the file's.

        Raises ScenarioError naming the file, the key, what was given and what is legal.
        """
        label, name, document = files.read(source)
        return cls.from_document({"name": name, **document}, changes, strategies, label=label)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], changes: Mapping[str, Any] | None = None,
                      strategies: Sequence[str] | None = None, *, label: str = "scenario") -> Scenario:
        """A scenario from plain values as a file holds them.

        changes, strategies: as for `load`. label: what errors call it. Raises ScenarioError naming the key, what was given
        and what is legal.
        """
        try:
            changed, paths = apply(dict(document), changes or {}, cls.legal_keys())
            changed = assign_strategies(changed, strategies, paths.pop("strategies", {}))
        except ScenarioError as error:
            raise ScenarioError(f"{label}: {error}") from None
        try:
            return cls.model_validate(changed)
        except ValidationError as error:
            raise ScenarioError(explain(error, label, paths["fields"])) from None

    def changed(self, changes: Mapping[str, Any], strategies: Sequence[str] | None = None) -> Scenario:
        """A copy with other values, changes and strategies given and checked as for `load`."""
        return self.from_document(self.document(), changes, strategies, label=self.name)

    def arms(self) -> dict[str, StrategyTable]:
        """The strategies by label: the name, with the parameters if it is there more than once."""
        names = [arm.name for arm in self.strategy]
        return {arm.name if names.count(arm.name) == 1 else arm.label: arm for arm in self.strategy}

    def document(self) -> dict[str, Any]:
        """All values, defaults included, as plain ones that `from_document` reads."""
        return self.model_dump(mode="json", exclude_none=True)

    def setting(self) -> dict[str, Any]:
        """What the short keys stand for, and kernel, costs, seed and strategies."""
        return {key: self._value(path) for key, path in self.keys.items()} | {
            "kernel": self.kernel,
            "costs": self.costs.profile,
            "seed": self.seed,
            "strategies": list(self.arms()),
            "strategy_parameters": {label: dict(arm.parameters) for label, arm in self.arms().items() if arm.parameters},
        }
