"""From a sweep file to its points: every value checked, every point with a key and a seed of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hinting
from hinting.errors import HintingError, SweepError
from hinting.results.columns import Column, column_of
from hinting.results.parts import points_schema
from hinting.results.provenance import about, file_hashes
from hinting.scenarios import Scenario
from hinting.strategies import find
from hinting.strategies.choice import Choice, parse_choice
from hinting.sweeps.axes import Span, axis_values, parse_axis, sampled
from hinting.sweeps.model import StudyTable, Sweep
from hinting.sweeps.where import compile_filter

__all__ = ["Design", "Fields", "Point", "basis_hash", "key_of", "repeat_seeds", "scenario_of"]

#: The axis of strategies.
STRATEGY = "strategy"
#: Fields that change nothing in a run.
IDLE = ("name", "text", "keys")
#: Points that are tried at most before anything runs, to see that each value of each axis is legal.
TRIED = 2000


@dataclass(frozen=True)
class Point:
    """One run. All that it depends on is here and in the scenario that it changes.

    number: its place in the sweep. key: of everything that its result follows from. axes: values as they were
    written, None where an axis does not apply; "strategy" is one of them. strategy: with its parameters, as a
    scenario has it. changes: values by path.
    """

    number: int
    key: str
    axes: dict[str, Any]
    strategy: dict[str, Any]
    changes: dict[str, Any]
    seed: int
    repeat: int


def scenario_of(document: Mapping[str, Any], point: Point) -> Scenario:
    """The scenario of a point: that of the sweep with the point's values."""
    return Scenario.from_document({**document, STRATEGY: [point.strategy]}, {**point.changes, "seed": point.seed})


def repeat_seeds(study: StudyTable) -> list[int]:
    """Seeds of the repeats, one after the other from numpy.random.SeedSequence.spawn: the first stay when there are more."""
    if not isinstance(study.seeds, str):
        return list(study.seeds)
    return [_seed(child) for child in np.random.SeedSequence(study.seed).spawn(2)[1].spawn(study.repeats)]


def _seed(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def without(document: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A document without some keys."""
    return {key: value for key, value in document.items() if key not in keys}


def basis_hash(document: Mapping[str, Any], files: Mapping[str, str], series: str, strategy: Mapping[str, Any],
               changes: Mapping[str, Any]) -> hashlib._Hash:
    """Hash over all that a point follows from but its seed."""
    basis = {"hinting": hinting.__version__, "files": files, "scenario": without(document, IDLE), "series": series,
             STRATEGY: strategy, "changes": changes}  # fmt: skip
    return hashlib.sha256(_canonical(basis).encode())


def key_of(own: hashlib._Hash, seed: int) -> str:
    """Key of the point with this identity and seed."""
    key = own.copy()
    key.update(str(seed).encode())
    return key.hexdigest()[:32]


def choice_of(value: Any) -> Choice:
    """A strategy of an axis: "v8", "v8:entries=500" or {name = "v8", entries = 500}. Raises SweepError."""
    try:
        if isinstance(value, str):
            return parse_choice(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            choice = Choice(value["name"], {key: given for key, given in value.items() if key != "name"})
            choice.spec()
            return choice
    except HintingError as error:
        raise SweepError(f"axis strategy: {error}") from None
    raise SweepError(f"axis strategy: expected a name, NAME:PARAMETER=VALUE,... or a table with a name, got {value!r}")


class Fields:
    """What the names of axes stand for in a scenario with some strategies, and the points that values of them make."""

    def __init__(self, study: StudyTable, scenario: Scenario, strategies: Iterable[Any] | None) -> None:
        self.study, self.scenario = study, scenario
        self.document = scenario.document()
        given = study.set.get(STRATEGY, [arm.model_dump() for arm in scenario.strategy]) if strategies is None else strategies
        self.choices = {choice.label: choice for choice in map(choice_of, given if isinstance(given, (list, tuple)) else [given])}
        self.constant = {key: value for key, value in study.set.items() if key != STRATEGY}
        self.seeds = repeat_seeds(study)
        self.files = file_hashes([self.document, study.model_dump(mode="json")])
        self._paths: dict[str, str] = {}
        for key in self.constant:
            self.check(key, "set")

    def check(self, key: str, what: str = "axis") -> None:
        """See that an axis names a field, or a parameter of a strategy here, and none that another one names."""
        path = str(self.scenario.keys.get(key, key))
        root, dot, _ = path.partition(".")
        if path in self._paths.values():
            raise SweepError(f"{what} {key}: {path} has another axis, or a value in set, already")
        if root in IDLE or (root == STRATEGY and dot):
            raise SweepError(f"{what} {key}: changes no run; parameters of strategies are STRATEGY.PARAMETER")
        if root not in Scenario.legal_keys() and not self.owners(path):
            known = ", ".join([*self.scenario.keys, *(each for each in Scenario.legal_keys() if each not in IDLE)])
            raise SweepError(f"{what} {key}: names no field, expected one of {known}, or STRATEGY.PARAMETER")
        if path == "seed":
            raise SweepError(f"{what} seed: expected repeats = N or seeds = [...] instead")
        if key in (*points_schema({}).names, "state", "trial", "pareto"):
            raise SweepError(f"{what} {key}: is the name of another column of the results, expected the path {path}")
        self._paths[key] = path

    def owners(self, path: str) -> list[str]:
        """The strategies here that have the parameter STRATEGY.PARAMETER or *.PARAMETER. Raises SweepError if none has."""
        name, dot, parameter = path.rpartition(".")
        if not dot:
            return []
        specs = {choice.name: choice.spec() for choice in self.choices.values()}
        if name != "*" and name not in specs:
            raise SweepError(f"axis {path}: names no field, and {name!r} is no strategy of this sweep ({', '.join(specs)})")
        have = {each: spec.parameters() for each, spec in specs.items() if spec is not None}
        owners = [each for each in have if name in ("*", each) and parameter in have[each]]
        if not owners:
            legal = ", ".join(dict.fromkeys(key for each in have if name in ("*", each) for key in have[each]))
            raise SweepError(f"axis {path}: unknown parameter {parameter!r}, expected one of {legal or 'none'}")
        return owners

    def is_named(self, key: str, text: str) -> bool:
        """Whether a text is about an axis."""
        path = self._paths.get(key, key)
        return path in text or (path not in Scenario.legal_keys() and f".{path.rpartition('.')[2]}:" in text)

    def unit(self, key: str) -> str:
        """Unit of a strategy's parameter, empty for other axes."""
        path = self._paths.get(key, "")
        if not path or path.partition(".")[0] in Scenario.legal_keys():
            return ""
        spec = find(self.owners(path)[0])
        return "" if spec is None else spec.parameters()[path.rpartition(".")[2]].unit

    def applied(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """(axes, strategy, changes) of values by axis, "strategy" included: a parameter of another strategy is None."""
        choice = self.choices[values[STRATEGY]]
        axes: dict[str, Any] = {}
        strategy: dict[str, Any] = {"name": choice.name, **choice.parameters}
        changes: dict[str, Any] = {}
        for key, value in {**self.constant, **values}.items():
            path = self._paths.get(key)
            if path is None:
                axes[key] = value
            elif path.partition(".")[0] in Scenario.legal_keys():
                axes[key] = changes[path] = value
            elif choice.name in self.owners(path):
                axes[key] = strategy[path.rpartition(".")[2]] = value
            else:
                axes[key] = None
        return {key: axes[key] for key in values}, strategy, changes

    def runs(self, axes: dict[str, Any], strategy: dict[str, Any], changes: dict[str, Any], first: int) -> Iterator[Point]:
        """The repeats of a point, numbered from first."""
        own = basis_hash(self.document, self.files, self.study.series, strategy, changes)
        words = np.frombuffer(own.digest()[:16], np.uint32).tolist()
        for repeat, shared in enumerate(self.seeds):
            seed = shared
            if self.study.seeds == "own":
                seed = _seed(np.random.SeedSequence(self.study.seed, spawn_key=(2, *words, repeat)))
            yield Point(first + repeat, key_of(own, seed), axes, strategy, changes, seed, repeat)

    def provenance(self) -> dict[str, Any]:
        """What the study follows from."""
        dump = self.study.model_dump(mode="json", exclude={"scenario"})
        return about("sweep", self.scenario, experiment=self.study.name, sweep=dump, files=self.files)


class Design:
    """All points of a sweep. Raises SweepError for an axis that names no field, an empty design or an illegal value.

    axes: names in the order of the file, "strategy" among them. columns: (type, unit) of each. points: in order, no
    two with one key. same: how many were left out because another is the same.
    """

    def __init__(self, sweep: Sweep, folder: Path | None = None) -> None:
        scenario = sweep.base(folder)
        self.sweep = sweep
        self.fields = Fields(sweep, scenario, _strategies(sweep))
        blocks = _blocks(sweep, list(self.fields.choices))
        self.axes = tuple(key for keys, _ in blocks for key in keys)
        for key in self.axes:
            if self.axes.count(key) > 1:
                raise SweepError(f"axis {key}: is there twice")
            if key != STRATEGY:
                self.fields.check(key)
        self.points, self.same = self._points(blocks)
        if not self.points:
            raise SweepError(f"{sweep.name}: the design has no points: where admits none")
        self._try_values()
        units = {key: _unit(given) or self.fields.unit(key) for key, given in _given(sweep).items()}
        self.columns: dict[str, Column] = {
            key: column_of((point.axes[key] for point in self.points), units.get(key, "")) for key in self.axes
        }

    @property
    def document(self) -> dict[str, Any]:
        """The scenario that the points change."""
        return self.fields.document

    def provenance(self) -> dict[str, Any]:
        """What the sweep follows from."""
        return self.fields.provenance()

    def _points(self, blocks: list[tuple[tuple[str, ...], list[tuple[Any, ...]]]]) -> tuple[list[Point], int]:
        filters = [compile_filter(text, self.axes) for text in self.sweep.where]
        seen: set[str] = set()
        points: list[Point] = []
        same = 0
        for rows in itertools.product(*(rows for _, rows in blocks)):
            values = dict(zip(self.axes, itertools.chain.from_iterable(rows), strict=True))
            axes, strategy, changes = self.fields.applied(values)
            if not all(admits(axes) for admits in filters):
                continue
            identity = _canonical([strategy, changes])
            if identity in seen:
                same += 1
                continue
            seen.add(identity)
            points.extend(self.fields.runs(axes, strategy, changes, len(points)))
        return points, same

    def _try_values(self) -> None:
        """Make scenarios until each value of each axis was in a legal one; SweepError for a value that never is."""
        legal: set[tuple[str, str]] = set()
        refused: dict[tuple[str, str], HintingError] = {}
        tried = 0
        for point in self.points[:: len(self.fields.seeds)]:
            values = dict.fromkeys((key, _canonical(value)) for key, value in point.axes.items())
            if tried == TRIED or (tried and legal.issuperset(values)):
                continue
            tried += 1
            try:
                scenario_of(self.document, point)
                legal.update(values)
            except HintingError as error:
                refused |= {value: error for value in values if value not in refused}
        blamed = [value for value in refused if value not in legal]
        for key, value in sorted(blamed, key=lambda value: not self.fields.is_named(value[0], str(refused[value]))):
            reason = str(refused[key, value]).replace("--set ", "")
            raise SweepError(f"axis {key}: {value} is in no legal point: {reason}")


def _strategies(sweep: Sweep) -> list[Any] | None:
    """The values of the axis "strategy", None if there is none."""
    for axes in [sweep.axes, *sweep.zip, *(sample.axes for sample in sweep.sample)]:
        if STRATEGY in axes:
            given = parse_axis(axes[STRATEGY])
            if isinstance(given, Span):
                raise SweepError("axis strategy: expected a list of strategies")
            return given
    return None


def _given(sweep: Sweep) -> dict[str, Any]:
    return {key: given for axes in [sweep.axes, *(sample.axes for sample in sweep.sample)] for key, given in axes.items()}


def _unit(given: Any) -> str:
    axis = parse_axis(given)
    return axis.unit if isinstance(axis, Span) else ""


def _blocks(sweep: Sweep, labels: Sequence[str]) -> list[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """The factors of the design: (axes, rows of values). Strategies go by their labels."""
    found: list[tuple[tuple[str, ...], list[tuple[Any, ...]]]] = []

    def add(columns: Mapping[str, Iterable[Any]]) -> None:
        named = {key: [choice_of(value).label for value in values] if key == STRATEGY else list(values)
                 for key, values in columns.items()}  # fmt: skip
        found.append((tuple(named), list(zip(*named.values(), strict=True))))

    for key, given in sweep.axes.items():
        add({key: axis_values(given)})
    for block in sweep.zip:
        add(block)
    streams = np.random.SeedSequence(sweep.seed).spawn(2)[0].spawn(len(sweep.sample))
    for sample, stream in zip(sweep.sample, streams, strict=True):
        rngs = [np.random.default_rng(child) for child in stream.spawn(len(sample.axes))]
        add({key: sampled(given, _places(rng, sample.points, sample.method))
             for (key, given), rng in zip(sample.axes.items(), rngs, strict=True)})  # fmt: skip
    if not any(STRATEGY in keys for keys, _ in found):
        found.append(((STRATEGY,), [(label,) for label in labels]))
    return found


def _places(rng: np.random.Generator, points: int, method: str) -> np.ndarray:
    """Places from 0 up to 1: drawn freely, or one from each of as many strata, in random order."""
    if method == "random":
        return rng.random(points)
    return (rng.permutation(points) + rng.random(points)) / points
