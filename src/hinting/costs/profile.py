"""A cost profile: one resolved value for every cost of the table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from hinting.costs.table import CostTable, check_values, closest, default_table, read_measured
from hinting.errors import CostError

__all__ = ["MODES", "CostProfile", "load", "names"]

#: The columns of the table, and the ways to draw each charge from all three.
MODES = ("typical", "low", "high", "triangular", "lognormal")
DRAWN = ("triangular", "lognormal")
DRAWN_UNITS = ("ns", "GiB/s", "MiB/s")


@dataclass(frozen=True)
class CostProfile:
    """Resolved costs of one study; make one with `load`.

    name: of the profile or calibration file. mode: the column of the table that was taken, or how charges are drawn.
    items: (id, value), sorted by id, in the unit that the table gives. spread: (id, low, high) of the costs that are drawn
    around their value. upper: (id, value) at the high end, for steps that are charged at their
    worst. overrides: (id, value) the caller set. hash: sha256 over the resolved values, hexadecimal; two profiles with
    the same hash give the same run.
    """

    name: str
    description: str
    mode: str
    items: tuple[tuple[str, float], ...]
    upper: tuple[tuple[str, float], ...]
    overrides: tuple[tuple[str, float], ...]
    hash: str
    spread: tuple[tuple[str, float, float], ...] = ()

    @cached_property
    def values(self) -> Mapping[str, float]:
        """Value of each cost by id, read-only."""
        return MappingProxyType(dict(self.items))

    @cached_property
    def upper_values(self) -> Mapping[str, float]:
        """Value of each cost at the high end by id, read-only."""
        return MappingProxyType(dict(self.upper))

    def __getitem__(self, cost_id: str) -> float:
        """Value of a cost, e.g. profile["guest.pcp_alloc_hit"]; CostError for an unknown id."""
        try:
            return self.values[cost_id]
        except KeyError:
            raise CostError(f"cost: unknown id {cost_id!r}, {closest(cost_id, self.values)}") from None

    def __getstate__(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key not in ("values", "upper_values")}


def names() -> tuple[str, ...]:
    """Names of the profiles that are shipped, the default first."""
    return ("default", *default_table().profiles)


def load(profile: str | Path = "default", overrides: Mapping[str, float] | None = None, mode: str = "typical") -> CostProfile:
    """Resolve a profile.

    profile: a name (see `names`), or the path of a TOML file that a calibration wrote. overrides: values by cost id,
    e.g. {"guest.pcp_alloc_hit": 80}. mode: column of the table, "typical", "low" or "high", for the costs that neither
    the profile nor the caller sets; or "triangular" or "lognormal": each charge of a time or a rate is drawn, around what
    "typical" gives, from the run's seed (hinting.costs.cards). A cost of the profile keeps the default's relative spread; one
    that the caller sets is not drawn, and neither are sizes.

    A sum (`composite_of`) that is not set itself follows its parts: it moves by as much as they do.

    Raises CostError naming file, key, what was given and what would be legal.

    >>> load("default", {"guest.pcp_alloc_hit": 80})["guest.pcp_alloc_hit"]
    80.0
    """
    table = default_table()
    if mode not in MODES:
        raise CostError(f"costs.mode must be one of {', '.join(MODES)}, got {mode!r}")
    if isinstance(profile, Path) or (isinstance(profile, str) and profile.endswith(".toml")):
        measured = read_measured(Path(profile))
        name, description, given = measured.name, measured.description, dict(measured.values)
    elif profile == "default":
        name, description, given = "default", table.description, {}
    elif isinstance(profile, str) and profile in table.profiles:
        name, (description, found) = profile, table.profiles[profile]
        given = dict(found)
    else:
        raise CostError(f"costs.profile must be one of {', '.join(names())} or the path of a .toml file, got {profile!r}")
    checked = check_values("costs.overrides", table.costs, overrides or {})
    given |= checked

    column = {cost_id: float(getattr(cost, "typical" if mode in DRAWN else mode)) for cost_id, cost in table.costs.items()}
    values = column | given
    for cost_id, cost in table.costs.items():
        if cost.composite_of and cost_id not in given:
            values[cost_id] = max(0.0, column[cost_id] + sum(values[p] - column[p] for p in cost.composite_of))
    upper = {cost_id: max(float(cost.high), values[cost_id]) for cost_id, cost in table.costs.items()}
    spread = _spread(table, values, checked) if mode in DRAWN else ()
    lines = "".join(f"{cost_id}={values[cost_id]!r},{upper[cost_id]!r}\n" for cost_id in sorted(values))
    lines += "".join(f"{mode} {cost_id}={low!r},{high!r}\n" for cost_id, low, high in spread)
    return CostProfile(
        name=name,
        description=description,
        mode=mode,
        items=tuple(sorted(values.items())),
        upper=tuple(sorted(upper.items())),
        overrides=tuple(sorted(checked.items())),
        hash=hashlib.sha256(lines.encode()).hexdigest(),
        spread=spread,
    )


def _spread(table: CostTable, values: Mapping[str, float], fixed: Mapping[str, float]) -> tuple[tuple[str, float, float], ...]:
    """The bounds of each cost that is drawn: the table's, as far from the value as from `typical`."""
    drawn = []
    for cost_id, cost in sorted(table.costs.items()):
        scale = values[cost_id] / cost.typical if cost.typical else 0.0
        if cost.unit in DRAWN_UNITS and cost_id not in fixed and not cost.composite_of and scale > 0 and cost.low < cost.high:
            drawn.append((cost_id, cost.low * scale, cost.high * scale))
    return tuple(drawn)
