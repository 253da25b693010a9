"""A sweep file: a scenario, axes over its fields, repeats, filters; checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from hinting.errors import ScenarioError, SweepError
from hinting.scenarios import Scenario, files
from hinting.scenarios.values import Table, explain, refuse
from hinting.sweeps.axes import FLAT, Axis, Limits, flat_axes

__all__ = ["SampleTable", "StudyTable", "Sweep", "load_file"]

T = TypeVar("T", bound="StudyTable")


class SampleTable(Table):
    """Random points. method: each value drawn by itself, or Latin hypercube: each axis cut into as many strata as points."""

    method: Literal["latin-hypercube", "random"] = "latin-hypercube"
    points: Annotated[int, Field(ge=1, le=10_000_000)]
    axes: Annotated[dict[str, Limits], FLAT, Field(min_length=1)]


class StudyTable(Table):
    """What sweeps and searches have in common.

    scenario: name of a built-in one, path of a file (from the folder of this file), or the scenario itself as a table.
    set: values for all points, by the paths of `--set`. repeats: runs of each point, with a seed each. seeds: "shared",
    repeat n of every point has the same seed; "own", no two runs have one; or the seeds themselves. series: which time
    series are kept.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    text: str = ""
    scenario: str | dict[str, Any]
    set: dict[str, Any] = Field(default_factory=dict)
    repeats: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    seeds: Literal["shared", "own"] | tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = "shared"
    series: Literal["host", "all", "none"] = "host"

    @field_validator("set", mode="before")
    @classmethod
    def _paths(cls, given: Any) -> Any:
        """Unquoted paths as in axes; the table of a strategy stays one."""
        if not isinstance(given, Mapping):
            return given
        whole = {key: value for key, value in given.items() if key == "strategy"}
        return whole | flat_axes({key: value for key, value in given.items() if key not in whole})

    @model_validator(mode="after")
    def _one_source_of_repeats(self) -> StudyTable:
        if not isinstance(self.seeds, str) and (not self.seeds or self.repeats != 1):
            refuse({("seeds",): "expected at least one seed, and no repeats beside them"})
        return self

    def base(self, folder: Path | None = None) -> Scenario:
        """The scenario before any value is changed. folder: where the file lies that names it."""
        if isinstance(self.scenario, dict):
            return Scenario.from_document({"name": self.name, **self.scenario}, label=f"{self.name}: scenario")
        beside = None if folder is None else folder / self.scenario
        return Scenario.load(beside if beside is not None and beside.is_file() else self.scenario)


class Sweep(StudyTable):
    """A design: the product of all axes, of the zips and of the samples; what `where` does not admit is left out.

    axes: values by the path of a field, by a short key of the scenario, as STRATEGY.PARAMETER, or as *.PARAMETER for
    every strategy that has it; `strategy` for strategies. zip: axes that go together, value by value.
    """

    axes: Annotated[dict[str, Axis], FLAT] = Field(default_factory=dict)
    zip: tuple[Annotated[dict[str, list[Any]], FLAT], ...] = ()
    sample: tuple[SampleTable, ...] = ()
    where: tuple[str, ...] = ()

    @field_validator("where", mode="before")
    @classmethod
    def _one_or_more(cls, where: Any) -> Any:
        return where if isinstance(where, (list, tuple)) else [where]

    @field_validator("zip")
    @classmethod
    def _even(cls, blocks: tuple[dict[str, list[Any]], ...]) -> tuple[dict[str, list[Any]], ...]:
        for block in blocks:
            lengths = {key: len(values) for key, values in block.items()}
            if len(set(lengths.values())) != 1 or 0 in lengths.values():
                shown = ", ".join(f"{key} has {n}" for key, n in lengths.items())
                raise SweepError(f"expected axes with equally many values, at least one: {shown or 'there is none'}")
        return blocks

    @classmethod
    def load(cls, source: str | Path) -> Sweep:
        """A sweep from a TOML file, or a built-in one by name. Raises SweepError naming file, key and what is legal."""
        return load_file(cls, source, "sweep", "hinting.sweeps")


def load_file(table: type[T], source: str | Path, kind: str, package: str) -> T:
    """A checked file of some kind, or a built-in one by name."""
    try:
        label, name, document = files.read(source, package, kind)
    except ScenarioError as error:
        raise SweepError(str(error)) from None
    try:
        return table.model_validate({"name": name, **document})
    except ValidationError as error:
        raise SweepError(explain(error, label)) from None
