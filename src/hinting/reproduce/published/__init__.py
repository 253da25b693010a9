"""Published experiments: TOML files of this folder, one an experiment, each number with its source and tolerance once."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hinting.errors import ReproduceError
from hinting.reproduce.measures import MEASURES
from hinting.scenarios.values import Table, refuse

__all__ = ["Experiment", "Line", "Measure", "Run", "experiments", "select"]


class Run(Table):
    """A run that rows are taken from: a built-in scenario with changes, by path or short key, and its seeds.

    Or a module of hinting.reproduce.modules, whose function `run` is called with the arguments and the seed and gives
    values by name: for what no scenario can do, such as resizing a guest.
    """

    scenario: str | None = None
    module: str | None = None
    changes: dict[str, Any] = Field(default_factory=dict)
    arguments: dict[str, Any] = Field(default_factory=dict)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)

    @model_validator(mode="after")
    def _one_of_both(self) -> Run:
        if (self.scenario is None) == (self.module is None):
            raise ValueError("expected either a scenario or a module")
        return self


class Measure(Table):
    """What is measured on an arm: a function of hinting.reproduce.measures with its arguments."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        if isinstance(values, str):
            return {"name": values}
        return {"name": values.get("name"), "arguments": {key: value for key, value in values.items() if key != "name"}}

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in MEASURES:
            raise ValueError(f"expected one of {', '.join(MEASURES)}, got {name!r}")
        return name


class Line(Table):
    """One published number.

    run, arm, measure: where the emulated one comes from: a run of the experiment, the label of an arm of its scenario, and
    what is measured on it; or value, the name of one that the run's module gives. relative:
    the same measure of another arm that is divided by (ratio) or subtracted (difference); published is then the ratio or
    difference. against: id of a row, or a number, that says the sign: whether the value is above, below or about the same.
    bound: "least" if the number published is a lower bound. tolerance: largest relative error, instead of the
    experiment's. chosen: the parameter that was chosen with this number in view.
    """

    id: str
    run: str
    arm: str = ""
    measure: Measure | None = None
    value: str = ""
    published: float
    unit: str
    setting: str
    relative: tuple[Literal["ratio", "difference"], str] | None = None
    against: str | float | None = None
    bound: Literal["least"] | None = None
    tolerance: Annotated[float, Field(gt=0)] | None = None
    chosen: str = ""


class Experiment(Table):
    """A published experiment. tolerance: of its rows. same: relative difference up to which two values are about the same."""

    name: str
    number: str
    title: str
    source: str
    tolerance: Annotated[float, Field(gt=0)] = 0.15
    same: Annotated[float, Field(ge=0)] = 0.05
    runs: dict[str, Run]
    rows: Annotated[tuple[Line, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Experiment:
        ids = [row.id for row in self.rows]
        refuse({("rows", row.id): "is there twice" for i, row in enumerate(self.rows) if row.id in ids[:i]})
        refuse({("rows", row.id, "run"): f"no run {row.run!r}" for row in self.rows if row.run not in self.runs})
        refuse({("rows", row.id): "expected an arm and a measure of a scenario, or a value of a module" for row in self.rows
                if bool(row.value) == (self.runs[row.run].module is None) or bool(row.value) == (row.measure is not None)})
        refuse({("rows", row.id, "against"): f"no row {row.against!r}" for row in self.rows
                if isinstance(row.against, str) and row.against not in ids})
        return self


@cache
def experiments() -> tuple[Experiment, ...]:
    """All published experiments, in the order of their numbers."""
    found = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".toml")]
    tables = [Experiment.model_validate(tomllib.loads(entry.read_text("utf-8"))) for entry in found]
    return tuple(sorted(tables, key=lambda table: ([int(part) for part in table.number.split(".")], -len(table.rows))))


def select(names: Sequence[str] = ()) -> tuple[Experiment, ...]:
    """The experiments of these names or numbers, all if none is given.

    Raises ReproduceError for an unknown one.
    """
    legal: dict[str, list[Experiment]] = {}
    for table in experiments():
        for key in (table.name, table.number):
            legal.setdefault(key, []).append(table)
    for name in names:
        if name not in legal:
            raise ReproduceError(f"unknown experiment {name!r}, expected one of {', '.join(legal)}")
    chosen = {table.name for name in names for table in legal[name]}
    return tuple(table for table in experiments() if not chosen or table.name in chosen)
