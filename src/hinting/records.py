"""The record that `self` is in hooks that Numba compiles: the parameters, then the fields that the class describes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hinting.errors import HintingError
from hinting.parameters import Parameters

__all__ = ["fill_parameters", "layout_of", "record_of"]


def layout_of(described: Any, where: str, error: type[HintingError], given: dict[str, Any] | None = None) -> np.dtype:
    """The layout of {field: dtype or (dtype, shape)}, behind the given fields, all aligned.

    where: who describes it and in what method, for the error, which is raised for anything else.
    """
    hint = f"{where} must return {{field: dtype or (dtype, shape)}}"
    if not isinstance(described, dict):
        raise error(f"{hint}, got {described!r}")
    fields: list[Any] = list((given or {}).items())
    for name, dtype in described.items():
        if not isinstance(name, str) or not name.isidentifier() or name in (given or {}):
            raise error(f"{hint}, field {name!r} is no name or that of a parameter")
        fields.append((name, *dtype) if isinstance(dtype, tuple) else (name, dtype))
    try:
        return np.dtype(fields, align=True)
    except (TypeError, ValueError) as wrong:
        raise error(f"{hint}: {wrong}, got {described!r}") from wrong


def record_of(spec: Parameters, described: Any, where: str, error: type[HintingError]) -> np.dtype:
    """The layout of parameters and described fields; never empty."""
    parameters = {name: "?" if isinstance(getattr(spec, name), bool) else "i8" for name in spec.parameters()}
    layout = layout_of(described, where, error, parameters)
    return layout if layout.itemsize else np.dtype([("nothing", "i8")])


def fill_parameters(records: np.ndarray, spec: Parameters) -> None:
    """Write the parameters into every record, a choice among texts as its number."""
    for name, rule in spec.parameters().items():
        value = getattr(spec, name)
        records[name] = rule.choices.index(value) if isinstance(value, str) and rule.choices else value
