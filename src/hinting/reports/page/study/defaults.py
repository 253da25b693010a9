"""The setting that a sweep is held against: without hinting, or with the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hinting.errors import HintingError
from hinting.reports.page.study.study import STRATEGY, Setting, Study
from hinting.results.columns import number
from hinting.strategies import find

__all__ = ["NONE", "default_setting", "reference"]

NONE = "none"


def _at(document: Any, path: str) -> Any:
    """What a document has at a path; None if nothing."""
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name)
        elif isinstance(document, (list, tuple)) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def _default(study: Study, axis: str, strategy: str) -> Any:
    """The default of an axis with a strategy; None if there is none to be found."""
    scenario = study.results.provenance["scenario"]
    path = str(scenario.get("keys", {}).get(axis, axis))
    owner, _, parameter = path.rpartition(".")
    try:
        spec = find(strategy)
    except HintingError:
        spec = None
    if spec is not None and owner in ("*", strategy) and parameter in spec.parameters():
        return number(getattr(spec, parameter))
    return number(_at(scenario, path))


def default_setting(study: Study, best: Setting) -> Setting | None:
    """The setting with the strategy of the best one and all other axes at their defaults, if it was run."""
    strategy = str(best.values.get(STRATEGY) or "")
    axes = [axis for axis, value in best.values.items() if axis != STRATEGY and value is not None]
    wanted = {axis: _default(study, axis, strategy.partition(":")[0]) for axis in axes}
    wanted[STRATEGY] = best.values.get(STRATEGY)
    for one in study.ranked:
        if all(one.values.get(axis) == value for axis, value in wanted.items()):
            return one
    return None


def reference(study: Study) -> tuple[str, Setting] | None:
    """(what it is, the setting) that the best one is held against: none, else the defaults, else the worst."""
    if len(study.ranked) < 2:
        return None
    best = study.ranked[0]
    none = study.like(best, NONE)
    if none in study.ranked and none is not None and none is not best:
        return "without hinting", none
    default = default_setting(study, best)
    if default is not None and default is not best:
        return "with the defaults", default
    return "with the worst setting", study.ranked[-1]
